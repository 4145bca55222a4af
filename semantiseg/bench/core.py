"""The nine core prompts of a volume: three of each level, as different from one another as the volume allows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from semantiseg.bench.feasible import Asked, ask
from semantiseg.bench.program import Program, atom, subject
from semantiseg.bench.question import Question, composition, description, name
from semantiseg.bench.scene import Scene
from semantiseg.conventions import LEVELS

PER_LEVEL = 3
"""Core prompts of each level."""
RESERVE = 1
"""Further prompts of each level, for when verification rejects one of the core."""
SLICES_TRIED = 12
"""Slices, largest target first, on which a composition is tried before it is given up."""
DESCRIPTIONS_DRAWN = 4
"""Sets of attributes drawn for each structure and slice; those that come out equal count once."""
APART_MM = 4.0
"""Slices of repeated questions lie at least this far apart: neighbours show the same picture."""


def choose_core(options: Sequence[Question], rng: np.random.Generator) -> tuple[list[Question], list[Question], str]:
    """Nine questions, or fewer in equal numbers of each level; what may replace one of them; the reason if they are
    fewer, else ""."""
    chosen = {
        level: choose([item for item in options if item.level == level], PER_LEVEL + RESERVE, rng) for level in LEVELS
    }
    least = min(PER_LEVEL, *map(len, chosen.values()))
    core = [question for level in LEVELS for question in chosen[level][:least]]
    reserve = [question for level in LEVELS for question in chosen[level][least : least + RESERVE]]
    short = [f"level {level}: {len(found)} of {PER_LEVEL}" for level, found in chosen.items() if len(found) < PER_LEVEL]
    return core, reserve, "; ".join(short)


def choose(options: Sequence[Question], count: int, rng: np.random.Generator) -> list[Question]:
    """Up to `count` questions, each the one that repeats least of those already taken: signature, kind, structure,
    slice."""
    order = [options[position] for position in rng.permutation(len(options))]
    used: Counter[Any] = Counter()
    chosen: list[Question] = []
    while order and len(chosen) < count:
        best = min(range(len(order)), key=lambda position: _repetition(order[position], used))
        chosen.append(order.pop(best))
        used.update(_marks(chosen[-1]))
    return chosen


def core_options(
    scene: Scene, space: list[tuple[str, Program]], rng: np.random.Generator, *,
    best: Callable[[Program, int], list[Asked]],
) -> list[Question]:  # fmt: skip
    """All questions of the volume that the core may be chosen from, each on the slices that show its target best.

    `best(program, count)` gives the program asked on up to `count` of them: `best_slices`, or what it once gave.
    """
    named = [asked for item in scene.askable for asked in best(atom(item.key), PER_LEVEL)]
    described = [question for asked in named for question in _descriptions(scene, asked, rng)]
    composed = [composition(scene, kind, asked, rng) for kind, program in space for asked in best(program, 2)]
    # One structure on one slice still has several names: the words will differ.
    repeated = [asked for _ in range(PER_LEVEL) for asked in named][: max(PER_LEVEL, len(named))]
    return [*map(name, repeated), *described, *composed]


def best_slices(scene: Scene, program: Program, count: int, *, minimum_pixels: int) -> list[Asked]:
    """The program asked on up to `count` slices that lie apart, largest target first."""
    areas = scene.areas(program)
    order = [
        int(index) for index in np.argsort(-areas, kind="stable")[: SLICES_TRIED * 2] if areas[index] >= minimum_pixels
    ]
    found: list[Asked] = []
    tried: list[int] = []
    for index in order:
        if len(found) == count or len(tried) == SLICES_TRIED:
            break
        if any(abs(index - asked.index) * scene.spacing_mm < APART_MM for asked in found):
            continue
        tried.append(index)
        asked = ask(scene, program, index, minimum_pixels=minimum_pixels)
        if asked is not None:
            found.append(asked)
    return found


def _descriptions(scene: Scene, asked: Asked, rng: np.random.Generator) -> list[Question]:
    drawn = [description(scene, asked, rng) for _ in range(DESCRIPTIONS_DRAWN)]
    return list({question.signature: question for question in drawn if question is not None}.values())


def _repetition(question: Question, used: Counter[Any]) -> tuple[int, ...]:
    """How much a question repeats of those already chosen. Between equals a half comes last: every structure has
    halves."""
    signature, kind, *rest = (used[mark] for mark in _marks(question))
    return signature, kind, int(question.program.operation == "half"), *rest


def _marks(question: Question) -> tuple[Any, ...]:
    """What a question should not share with those already chosen, most important first."""
    return (
        ("signature", question.level, question.signature),
        ("kind", question.level, question.kind),
        ("structure", question.level, subject(question.program).key),
        ("operation", question.level, question.program.operation),
        ("slice", question.asked.index),
    )
