"""Candidates of one volume: the core nine, the probe suites of test volumes, and what could not be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from semantiseg.bench import probes
from semantiseg.bench.core import PER_LEVEL, best_slices, choose_core, core_options
from semantiseg.bench.feasible import Asked
from semantiseg.bench.goals import core_goals, goal
from semantiseg.bench.program import Program
from semantiseg.bench.prompt import group_id, prompt_row, word, wordable
from semantiseg.bench.question import Question
from semantiseg.bench.scene import Scene
from semantiseg.bench.space import compositions
from semantiseg.conventions import LEVELS
from semantiseg.data.phantom.stream import stream

CORE_PHRASING = {"train": "seen", "validation": "seen", "test": "unseen"}
"""Part of the grammar that words the core prompts of each split."""
PHRASINGS = ("seen", "unseen_template", "unseen_synonym")
"""Parts in which the phrasing suite asks every core question of a test volume again."""
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
class Plan:
    """Candidate rows of one volume, the shortfall of its core if there is one, and its goals (`goals.COLUMNS`)."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    shortfall: dict[str, Any] | None = None
    goals: list[dict[str, Any]] = field(default_factory=list)

    def count(self, suite: str, *, level: int | None = None) -> int:
        """Rows of a suite, of all levels or of one."""
        return sum(row["suite"] == suite and level in (None, row["level"]) for row in self.rows)


def plan_volume(scene: Scene, *, minimum_pixels: int, seed: int) -> Plan:
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
    scene: Scene, space: list[tuple[str, Program]], *, best: Callable[[Program, int], list[Asked]], minimum_pixels: int,
    seed: int,
) -> tuple[Plan, list[Question]]:  # fmt: skip
    """The suites core and reserve of a volume, and the core's questions; `best` as in `core_options`."""
    part = CORE_PHRASING[scene.facts["split"]]
    parts = (part,) if scene.facts["split"] != "test" else (part, *PHRASINGS)
    feasible = core_options(scene, space, stream(seed, scene.volume_id, "options"), best=best)
    options = [question for question in feasible if wordable(question, *parts)]
    core, reserve, short = choose_core(options, stream(seed, scene.volume_id, "core"))
    plan = Plan()
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


def _add_probes(plan: Plan, scene: Scene, space: list, core: list[Question], *, minimum_pixels: int, seed: int) -> None:
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
        "triple": lambda draw: probes.triple(scene, space, draw, minimum_pixels=minimum_pixels),
        "counterfactual": lambda draw: probes.counterfactual(scene, space, draw, minimum_pixels=minimum_pixels),
        "absent": lambda draw: probes.absent(scene, draw),
    }
    if paraphrase.random() < PARAPHRASED_SHARE:
        suites["paraphrase"] = lambda _: _paraphrased(core, paraphrase)
    for suite, questions_of in suites.items():
        questions = questions_of(rng(suite))
        if questions and all(wordable(question, "unseen") for question in questions):
            group = group_id(scene, suite, questions[0]) if suite != "absent" else ""
            parts = ["unseen"] * len(questions)
            _add(plan, scene, questions, suite=suite, parts=parts, rng=rng(f"{suite} texts"), group=group, whole=True)
        code = "channel" if not scene.askable else "words" if questions else suite
        plan.goals.append(goal(scene, suite, 0, WANTED[suite], {code: WANTED[suite] - plan.count(suite)}))


def _paraphrased(core: list[Question], rng: np.random.Generator) -> list[Question]:
    """One composed core question, to be put into five texts."""
    composed = [question for question in core if question.level == 3]
    return [composed[int(rng.integers(len(composed)))]] * PARAPHRASES if composed else []


def _add(
    plan: Plan, scene: Scene, questions: list[Question], *, suite: str, parts: list[str], rng: np.random.Generator,
    group: str = "", whole: bool = False,
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
