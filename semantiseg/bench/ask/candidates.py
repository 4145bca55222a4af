"""Probe suites: what a drop from one prompt to another is due to. Questions only; `planning.py` words them.

What a drawn volume is wanted to give and what is planned of it, suite by suite, with reasons for the difference.

These rows are what the account of a finished bench starts from (`account.py`).

Candidates of one volume: the core nine, the probe suites of test volumes, and what could not be asked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np

from semantiseg.bench.ask.draw import OF_LEVEL
from semantiseg.bench.ask.feasible import Asked, ask_absent, asked_on
from semantiseg.bench.ask.questions import (
    PER_LEVEL,
    Question,
    attribute_question,
    best_slices,
    choose_core,
    core_options,
    group_id,
    name,
    prompt_row,
    word,
    wordable,
)
from semantiseg.bench.ask.scene import Asking, Scene
from semantiseg.bench.ask.space import PAIRED, compositions, placements
from semantiseg.conventions import LEVELS
from semantiseg.language.grammar.tables import Part
from semantiseg.language.program import Program, atom, call
from semantiseg.randomness import stream

OPPOSITES = {"left": "right", "right": "left", "anterior": "posterior", "posterior": "anterior"}
OPPOSITE_OPERATIONS = {"largest": "smallest", "smallest": "largest", "containing": "without", "without": "containing"}
DIFFERENT_AT_MOST = 0.9
"""Masks of a counterfactual pair may share at most this IoU; else the one changed word hardly changes the answer."""


def triple(
    scene: Scene, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """The same mask asked for by name, by description and by composition, so that a drop is due to language; empty if
    impossible."""
    composed = [*space, *(("spatial", program) for program in placements(scene.askable))]
    structures = [scene.askable[position] for position in rng.permutation(len(scene.askable))]
    for item in structures:
        for asked in best_slices(scene, atom(item.key), 2, minimum_pixels=minimum_pixels):
            target = scene.axial(asked.index).mask(asked.program)
            described = attribute_question(scene, asked, rng)
            same = [
                (kind, found)
                for kind, program in composed
                if np.array_equal(scene.axial(asked.index).mask(program), target)
                and (found := asked_on(scene, program, asked.index, minimum_pixels=minimum_pixels)) is not None
            ]
            if described is not None and same:
                kind, found = same[int(rng.integers(len(same)))]
                return [name(asked), described, Question(3, kind, found)]
    return []


def counterfactual_pair(
    scene: Scene, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """Two questions on one slice that differ by one word or phrase and have different masks; empty if impossible."""
    kinds = {program: kind for kind, program in space}
    pairs = [(program, other) for program in kinds if (other := _opposite(program)) is not None]
    for position in rng.permutation(len(pairs)):
        program, other = pairs[position]
        for asked in best_slices(scene, program, 2, minimum_pixels=minimum_pixels):
            against = asked_on(scene, other, asked.index, minimum_pixels=minimum_pixels)
            if against is not None and _iou(scene, program, other, asked.index) <= DIFFERENT_AT_MOST:
                first = Question(3, kinds[program], asked)
                second = name(against) if other.is_atom else Question(3, kinds.get(other, kinds[program]), against)
                return [first, second]
    return []


def absent_question(scene: Scene, rng: np.random.Generator) -> list[Question]:
    """One question whose target the volume does not show: a structure it lacks, or a side without the lesion; empty
    if none."""
    candidates = list(absent_programs(scene))
    for position in rng.permutation(len(candidates)):
        kind, program = candidates[position]
        if scene.areas(program).any():
            continue
        asked = ask_absent(scene, program, _slice_for_absent(scene, program))
        if asked is not None:
            return [Question(1 if program.is_atom else 3, kind, asked)]
    return []


def absent_programs(scene: Scene) -> Iterator[tuple[str, Program]]:
    """What may be asked although it might not be there: every name, and a lesion on one side."""
    keys = {item.key for item in scene.askable}
    for item in scene.askable:
        yield "name", atom(item.key)
        if scene.lateral and item.kind == "lesion":
            for side in ("right", "left"):
                yield "side", call("side", atom(item.key), side)
                if item.parent in PAIRED & keys:
                    yield "spatial", call("within", atom(item.key), call("side", atom(item.parent), side))


def _opposite(program: Program) -> Program | None:
    """The program with its one decisive word turned round, or without its exclusion."""
    operation, arguments = program.operation, program.arguments
    if operation == "minus":
        return program.children[0]
    if operation in OPPOSITE_OPERATIONS:
        return Program(OPPOSITE_OPERATIONS[operation], arguments)
    if operation in ("side", "half", "facing"):
        return Program(operation, (arguments[0], OPPOSITES[str(arguments[1])], *arguments[2:]))
    if operation == "within" and program.children[1].operation == "side":
        return call("within", program.children[0], _opposite(program.children[1]) or program.children[1])
    return None


def _iou(scene: Scene, one: Program, two: Program, index: int) -> float:
    first, second = scene.axial(index).mask(one), scene.axial(index).mask(two)
    return float((first & second).sum() / max((first | second).sum(), 1))


def _slice_for_absent(scene: Scene, program: Program) -> int:
    """The slice that shows most of the structure that would hold the target; failing that, most of any label; else
    the middle one."""
    of_parent = scene.areas(scene.parent(program))
    if of_parent.any():
        return int(np.argmax(of_parent))
    of_any = sum(scene.areas(atom(item.key)) for item in scene.askable)
    return int(np.argmax(of_any)) if np.any(of_any) else scene.depth // 2


@dataclass(frozen=True)
class PlannedRow:
    """What is planned of a drawn volume, suite and level of the core (0: a probe suite): a row of `planned.parquet`."""

    volume_id: Annotated[str, "single-channel volume, <case_id>:<channel>"]
    collection: Annotated[str, "source collection"]
    split: Annotated[str, "train, validation or test, by patient"]
    suite: Annotated[str, "core, phrasing, triple, paraphrase, counterfactual or absent"]
    level: Annotated[int, "1 name, 2 description, 3 composition; in sums 0 for a probe suite as a whole"]
    wanted: Annotated[int, "prompts that the drawn volumes were wanted to give"]
    planned: Annotated[int, "prompts planned before any text is verified"]
    reasons: Annotated[str, "JSON: code of a reason -> prompts missing for it"]



def goal(scene: Asking, suite: str, level: int, wanted: int, short: Mapping[str, int]) -> dict[str, Any]:
    """One row of `planned.parquet`; `short` says how many are missing for which reason (codes of `shortage.py`)."""
    missing = {code: count for code, count in sorted(short.items()) if count}
    return {
        **{key: scene.facts[key] for key in ("collection", "split")}, "volume_id": scene.volume_id, "suite": suite,
        "level": level, "wanted": wanted, "planned": wanted - sum(missing.values()), "reasons": json.dumps(missing),
    }  # fmt: skip


def core_goals(scene: Asking, found: Mapping[int, int], planned: Mapping[int, int]) -> list[dict[str, Any]]:
    """Rows of the core, one a level.

    Args:
        found: level -> questions that the volume allows.
        planned: level -> questions with a text; levels are kept equal, so the least found limits all.
    """
    least = min(PER_LEVEL, *found.values())
    rows = []
    for level in LEVELS:
        own = max(PER_LEVEL - found[level], 0)
        cause = OF_LEVEL[level] if any(found.values()) else "size" if scene.askable else "channel"
        short = {cause: own, "balance": PER_LEVEL - own - least, "words": least - planned[level]}
        rows.append(goal(scene, "core", level, PER_LEVEL, short))
    return rows


CORE_PHRASING: dict[str, Part] = {"train": "seen", "validation": "seen", "test": "unseen"}
"""Part of the grammar that words the core prompts of each split."""
PHRASINGS: tuple[Part, ...] = ("seen", "unseen_template", "unseen_synonym")
"""Parts in which the phrasing suite asks every core question of a test volume again."""
UNSEEN: Part = "unseen"
PARAPHRASED_SHARE = 0.3
"""Share of the test volumes with a paraphrase group."""
PARAPHRASES = 5
"""Texts of a paraphrase group."""
WANTED = {
    "phrasing": PER_LEVEL * len(LEVELS) * len(PHRASINGS), "triple": len(LEVELS), "paraphrase": PARAPHRASES,
    "counterfactual": 2, "absent": 1,
}  # fmt: skip
"""Probe suite -> prompts wanted of a test volume; a paraphrase group only of the share above."""


@dataclass
class VolumePlan:
    """Candidate rows of one volume, the shortfall of its core if there is one, and its goals (`PlannedRow`)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    shortfall: dict[str, Any] | None = None
    goals: list[dict[str, Any]] = field(default_factory=list)

    def count(self, suite: str, *, level: int | None = None) -> int:
        """Rows of a suite, of all levels or of one."""
        return sum(row["suite"] == suite and level in (None, row["level"]) for row in self.rows)


def plan_volume(scene: Scene, *, minimum_pixels: int, seed: int) -> VolumePlan:
    """All candidate prompts of a volume; the same seed and volume give the same plan whatever else is planned.

    A volume that cannot give three prompts of every level gives equally many of each, and its shortfall says why. The
    suite "reserve" holds what replaces a core prompt that verification rejects.
    """
    space = compositions(scene.askable, lateral=scene.lateral)

    def best(program: Program, count: int) -> list[Asked]:
        return best_slices(scene, program, count, minimum_pixels=minimum_pixels)

    plan, core = plan_core(scene, space, best=best, minimum_pixels=minimum_pixels, seed=seed)
    if scene.facts["split"] == "test":
        _add_probes(plan, scene, space, core, minimum_pixels=minimum_pixels, seed=seed)
    return plan


def plan_core(
    scene: Asking, space: list[tuple[str, Program]], *, best: Callable[[Program, int], list[Asked]],
    minimum_pixels: int, seed: int,
) -> tuple[VolumePlan, list[Question]]:  # fmt: skip
    """The suites core and reserve of a volume, and the core's questions; `best` as in `core_options`."""
    part = CORE_PHRASING[scene.facts["split"]]
    parts = [part] if scene.facts["split"] != "test" else [part, *PHRASINGS]
    feasible = core_options(scene, space, stream(seed, scene.volume_id, "options"), best=best)
    options = [question for question in feasible if wordable(question, *parts)]
    core, reserve, short = choose_core(options, stream(seed, scene.volume_id, "core"))
    plan = VolumePlan()
    for suite, questions in (("core", core), ("reserve", reserve)):
        rng = stream(seed, scene.volume_id, suite, "texts")
        _add(plan, scene, questions, suite=suite, parts=[part] * len(questions), rng=rng)
    if short:
        reason = short if options else f"no labelled structure reaches {minimum_pixels} pixels on a slice"
        plan.shortfall = {
            "volume_id": scene.volume_id,
            "asked": len(core),
            "expected": PER_LEVEL * len(LEVELS),
            "reason": reason,
        }
    found = {level: sum(option.level == level for option in options) for level in LEVELS}
    plan.goals += core_goals(scene, found, {level: plan.count("core", level=level) for level in LEVELS})
    return plan, core


def _add_probes(
    plan: VolumePlan, scene: Scene, space: list, core: list[Question], *, minimum_pixels: int, seed: int
) -> None:
    """Phrasing suite of every core question, and about nine prompts of the other suites (bounded, so that evaluation
    stays quick)."""

    def rng(name: str) -> np.random.Generator:
        return stream(seed, scene.volume_id, name)

    asked_again = [(question, part) for question in core for part in PHRASINGS]
    questions, parts = [question for question, _ in asked_again], [part for _, part in asked_again]
    _add(plan, scene, questions, suite="phrasing", parts=parts, rng=rng("phrasing texts"))
    short = {"core": WANTED["phrasing"] - len(asked_again), "words": len(asked_again) - plan.count("phrasing")}
    plan.goals.append(goal(scene, "phrasing", 0, WANTED["phrasing"], short))
    paraphrase = rng("paraphrase")
    suites: dict[str, Callable[[np.random.Generator], list[Question]]] = {
        "triple": lambda draw: triple(scene, space, draw, minimum_pixels=minimum_pixels),
        "counterfactual": lambda draw: counterfactual_pair(scene, space, draw, minimum_pixels=minimum_pixels),
        "absent": lambda draw: absent_question(scene, draw),
    }
    if paraphrase.random() < PARAPHRASED_SHARE:
        suites["paraphrase"] = lambda _: _paraphrased(core, paraphrase)
    for suite, questions_of in suites.items():
        questions = questions_of(rng(suite))
        if questions and all(wordable(question, "unseen") for question in questions):
            group = group_id(scene, suite, questions[0]) if suite != "absent" else ""
            parts = [UNSEEN] * len(questions)
            _add(plan, scene, questions, suite=suite, parts=parts, rng=rng(f"{suite} texts"), group=group, whole=True)
        code = "channel" if not scene.askable else "words" if questions else suite
        plan.goals.append(goal(scene, suite, 0, WANTED[suite], {code: WANTED[suite] - plan.count(suite)}))


def _paraphrased(core: list[Question], rng: np.random.Generator) -> list[Question]:
    """One composed core question, to be put into five texts."""
    composed = [question for question in core if question.level == 3]
    return [composed[int(rng.integers(len(composed)))]] * PARAPHRASES if composed else []


def _add(
    plan: VolumePlan, scene: Asking, questions: list[Question], *, suite: str, parts: list[Part],
    rng: np.random.Generator, group: str = "", whole: bool = False,
) -> None:  # fmt: skip
    """Word the questions and append their rows; no text occurs twice in a suite. With `whole`, all are worded or none
    is kept."""
    taken: set[str] = set()
    rows = []
    for question, part in zip(questions, parts, strict=True):
        text = word(question, part=part, rng=rng, taken=taken)
        if text is not None:
            taken.add(text)
            rows.append(prompt_row(scene, question, text, suite=suite, phrasing=part, group=group))
    if len(rows) == len(questions) or not whole:
        plan.rows += rows
