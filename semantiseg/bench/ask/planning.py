"""What SemantiBench can be made of, before any image is there: counts from the collections' published numbers.

All counts of prompts are upper bounds: whether a lesion is large enough on a slice, or different enough from its organ
to be described, only its image can tell. Reasons for what is certainly missing are given one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from semantiseg.bench.ask.candidates import PARAPHRASED_SHARE, WANTED
from semantiseg.bench.ask.draw import allocate, reason
from semantiseg.bench.ask.questions import PER_LEVEL
from semantiseg.bench.ask.space import compositions
from semantiseg.conventions import LEVELS
from semantiseg.data.collections import says_sides
from semantiseg.data.labels import BRATS2024, DECATHLON, KITS23
from semantiseg.data.official.registry import CHALLENGES, COLLECTIONS, DECATHLON_TASKS, KITS23_CASES
from semantiseg.errors import ParameterError
from semantiseg.language.ontology import available

SUITES = tuple(WANTED)
UNLABELLED = {"MSD": (887, 1701), "KiTS23": (110, 110)}
"""Family -> cases and channels that are published without masks; nothing can be asked of them."""


@dataclass(frozen=True)
class Profile:
    """Size of a benchmark: volumes, core prompts, share of patients for test, most volumes of a task (None: no cap)."""

    volumes: int
    prompts: int
    test_share: float
    cap: int | None = None


PROFILES = {"paper": Profile(volumes=12_000, prompts=108_000, test_share=0.2)}


@dataclass(frozen=True)
class TaskPlan:
    """What one task gives.

    Attributes:
        task: collection.
        cases, channels: published; None cases where no count could be confirmed.
        present, drawn: channel-volumes that there are, and that the draw takes.
        core: level -> core prompts at most.
        suites: probe suite -> prompts at most, on the test share of the drawn volumes.
        short: reason (a code of `shortage.py`) -> core prompts of the drawn volumes that are certainly missing.
        notes: what the task cannot give, and why.
    """

    task: str
    cases: int | None
    channels: tuple[str, ...]
    present: int
    drawn: int
    core: dict[int, int]
    suites: dict[str, int]
    short: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Plan:
    """All tasks, and why the totals fall short of what the profile wants."""

    profile: Profile
    tasks: tuple[TaskPlan, ...]
    reasons: tuple[str, ...] = field(default=())

    @property
    def volumes(self) -> int:
        """Channel-volumes drawn."""
        return sum(task.drawn for task in self.tasks)

    @property
    def prompts(self) -> int:
        """Core prompts at most."""
        return sum(sum(task.core.values()) for task in self.tasks)


def plan(name: str, *, cases: Mapping[str, int] | None = None, total: int | None = None) -> Plan:
    """Plan profile `name` over all official collections.

    Args:
        cases: collection -> labelled cases, in place of the published count (of what you have, or for MET).
        total: volumes in place of the profile's.

    Raises:
        ParameterError: unknown profile or collection.
    """
    if name not in PROFILES:
        raise ParameterError(f"plan: expected a profile among {sorted(PROFILES)}, got {name!r}.")
    unknown = sorted(set(cases or {}) - set(COLLECTIONS))
    if unknown:
        raise ParameterError(f"plan: expected collections among {', '.join(COLLECTIONS)}, got {unknown}.")
    profile = PROFILES[name]
    counted = {task: (cases or {}).get(task, _published_cases(task)) for task in COLLECTIONS}
    present = {task: (counted[task] or 0) * len(_channels(task)) for task in COLLECTIONS}
    drawn = allocate(present, total or profile.volumes, cap=profile.cap)
    tasks = tuple(_task(task, counted[task], present[task], drawn[task], profile) for task in COLLECTIONS)
    return Plan(profile, tasks, tuple(_reasons(tasks, profile, total or profile.volumes)))


def lines(planned: Plan) -> Iterator[str]:
    """The plan as a table and sentences."""
    yield (
        f"{'task':<22}{'cases':>7}{'volumes':>9}{'drawn':>7}"
        + "".join(f"{f'L{n}':>7}" for n in LEVELS)
        + "".join(f"{suite:>15}" for suite in SUITES)
    )
    for task in planned.tasks:
        yield _row(task.task, task.cases, task.present, task.drawn, task.core, task.suites)
    total = {level: sum(task.core[level] for task in planned.tasks) for level in LEVELS}
    suites = {suite: sum(task.suites[suite] for task in planned.tasks) for suite in SUITES}
    present = sum(task.present for task in planned.tasks)
    cases = sum(task.cases or 0 for task in planned.tasks)
    yield _row("all", cases, present, planned.volumes, total, suites)
    yield ""
    yield from planned.reasons
    yield from (f"{task.task}: {note}" for task in planned.tasks for note in task.notes)


def _row(name: str, cases: int | None, present: int, drawn: int, core: dict[int, int], suites: dict[str, int]) -> str:
    numbers = "".join(f"{core[level]:>7,}" for level in LEVELS) + "".join(f"{suites[suite]:>15,}" for suite in SUITES)
    return f"{name:<22}{'?' if cases is None else format(cases, ','):>7}{present:>9,}{drawn:>7,}{numbers}"


def _published_cases(task: str) -> int | None:
    if task in DECATHLON_TASKS:
        return DECATHLON_TASKS[task].cases
    return len(KITS23_CASES) if task == "KiTS23" else CHALLENGES[task].cases


def _channels(task: str) -> tuple[str, ...]:
    if task in DECATHLON_TASKS:
        return DECATHLON_TASKS[task].channels
    return ("CT",) if task == "KiTS23" else CHALLENGES[task].channels


def _leaves(task: str) -> set[str]:
    if task in DECATHLON:
        return {leaf for leaf, _ in DECATHLON[task].values()}
    return set((KITS23 if task == "KiTS23" else BRATS2024[task.removeprefix("BraTS2024-")]).values())


def _task(task: str, cases: int | None, present: int, drawn: int, profile: Profile) -> TaskPlan:
    """Counts of a task; the draw takes its channels equally often, up to one volume."""
    lateral = says_sides(task)
    channels = _channels(task)
    core, suites, short = dict.fromkeys(LEVELS, 0), dict.fromkeys(SUITES, 0), dict[str, int]()
    notes = [] if lateral else ["no prompt says left or right: a tight crop, or headers reported mirrored"]
    for position, channel in enumerate(channels):
        volumes = drawn // len(channels) + (position < drawn % len(channels))
        structures = available(_leaves(task), channel=channel)
        composed = compositions(structures, lateral=lateral)
        counts = {1: PER_LEVEL, 2: PER_LEVEL, 3: min(PER_LEVEL, 2 * len(composed))} if structures else {}
        # A volume gives equally many prompts of each level.
        each = min(counts.values(), default=0)
        code = "composition" if structures else "channel"
        if each < PER_LEVEL:
            notes.append(reason(code, channel))
            short[code] = short.get(code, 0) + volumes * (PER_LEVEL - each) * len(LEVELS)
        tested = round(volumes * profile.test_share)
        absent = len(structures) > 1 or (lateral and any(item.kind == "lesion" for item in structures))
        if structures and not absent and not position:
            notes.append(reason("absent", "no absent target"))
        for level in LEVELS:
            core[level] += volumes * each
        given = WANTED | {
            "phrasing": WANTED["phrasing"] * each / PER_LEVEL,
            "paraphrase": WANTED["paraphrase"] * PARAPHRASED_SHARE,
            "absent": WANTED["absent"] if absent else 0,
        }
        for suite, count in given.items():
            suites[suite] += round(tested * count) if each else 0
    if cases is None:
        notes.append("no published count could be confirmed; give yours with --cases")
    if drawn < present:
        notes.append(reason("draw", f"{present - drawn:,} volumes"))
    return TaskPlan(task, cases, channels, present, drawn, core, suites, short, tuple(notes))


def _reasons(tasks: tuple[TaskPlan, ...], profile: Profile, total: int) -> Iterator[str]:
    volumes, present = sum(task.drawn for task in tasks), sum(task.present for task in tasks)
    prompts = sum(sum(task.core.values()) for task in tasks)
    wanted = total * profile.prompts // profile.volumes
    yield f"Volumes: {volumes:,} of {total:,}. Every channel of a labelled case counts as one volume."
    if volumes < total:
        unknown = [task.task for task in tasks if task.cases is None]
        yield (
            f"Missing {total - volumes:,}: the labelled channels end at {present:,}"
            + (f" without {', '.join(unknown)}" if unknown else "")
            + "; "
            + ", ".join(f"{name} has {cases:,} more cases ({channels:,} channels) without masks"
                        for name, (cases, channels) in UNLABELLED.items())
            + "."
        )  # fmt: skip
    elif present > total:
        capped = [task.task for task in tasks if task.drawn < task.present]
        yield f"Left out {present - total:,} of {present:,}, from the largest tasks only: {', '.join(capped)}."
    yield f"Core prompts: at most {prompts:,} of {wanted:,}, {prompts // len(LEVELS):,} of each level."
    missing = {code: sum(task.short.get(code, 0) for task in tasks) for task in tasks for code in task.short}
    yield from (f"Certainly missing {count:,}, {reason(code)}." for code, count in sorted(missing.items()))
    yield (
        "At most: a volume whose targets are too small on every slice, or have nothing to describe, gives fewer; only "
        "its image can tell, and the account of the build (data/bench/account.parquet) counts it by the same reasons."
    )
