"""Probe suites: what a drop from one prompt to another is due to. Questions only; `planning.py` words them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semantiseg.bench.core import best_slices
from semantiseg.bench.feasible import ask, ask_absent
from semantiseg.bench.program import Program, atom, call
from semantiseg.bench.question import Question, description, name
from semantiseg.bench.scene import View
from semantiseg.bench.space import PAIRED, placements

OPPOSITES = {"left": "right", "right": "left", "anterior": "posterior", "posterior": "anterior"}
OPPOSITE_OPERATIONS = {"largest": "smallest", "smallest": "largest", "containing": "without", "without": "containing"}
DIFFERENT_AT_MOST = 0.9
"""Masks of a counterfactual pair may share at most this IoU; else the one changed word hardly changes the answer."""


def triple(
    view: View, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """The same mask asked for by name, by description and by composition, so that a drop is due to language; empty if
    impossible."""
    scene = view.scene
    composed = [*space, *(("spatial", program) for program in placements(view.structures))]
    structures = [view.structures[position] for position in rng.permutation(len(view.structures))]
    for item in structures:
        for asked in best_slices(view, atom(item.key), 2, minimum_pixels=minimum_pixels):
            target = scene.on_slice(asked.program, asked.index)
            described = description(view, asked, rng)
            same = [
                (kind, found)
                for kind, program in composed
                if np.array_equal(scene.on_slice(program, asked.index), target)
                and (found := ask(scene, program, asked.index, minimum_pixels=minimum_pixels)) is not None
            ]
            if described is not None and same:
                kind, found = same[int(rng.integers(len(same)))]
                return [name(asked), described, Question(3, kind, found)]
    return []


def counterfactual(
    view: View, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """Two questions on one slice that differ by one word or phrase and have different masks; empty if impossible."""
    kinds = {program: kind for kind, program in space}
    pairs = [(program, other) for program in kinds if (other := _opposite(program)) is not None]
    for position in rng.permutation(len(pairs)):
        program, other = pairs[position]
        for asked in best_slices(view, program, 2, minimum_pixels=minimum_pixels):
            against = ask(view.scene, other, asked.index, minimum_pixels=minimum_pixels)
            if against is not None and _iou(view, program, other, asked.index) <= DIFFERENT_AT_MOST:
                first = Question(3, kinds[program], asked)
                second = name(against) if other.is_atom else Question(3, kinds.get(other, kinds[program]), against)
                return [first, second]
    return []


def absent(view: View, rng: np.random.Generator) -> list[Question]:
    """One question whose target the volume does not show: a structure it lacks, or a side without the lesion; empty
    if none."""
    candidates = list(absent_programs(view))
    for position in rng.permutation(len(candidates)):
        kind, program = candidates[position]
        if view.scene.areas(program).any():
            continue
        asked = ask_absent(view.scene, program, _slice_for_absent(view, program))
        if asked is not None:
            return [Question(1 if program.is_atom else 3, kind, asked)]
    return []


def absent_programs(view: View) -> Iterator[tuple[str, Program]]:
    """What may be asked although it might not be there: every name, and a lesion on one side."""
    keys = {item.key for item in view.structures}
    for item in view.structures:
        yield "name", atom(item.key)
        if view.scene.lateral and item.kind == "lesion":
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


def _iou(view: View, one: Program, two: Program, index: int) -> float:
    first, second = view.scene.on_slice(one, index), view.scene.on_slice(two, index)
    return float((first & second).sum() / max((first | second).sum(), 1))


def _slice_for_absent(view: View, program: Program) -> int:
    """The slice that shows most of the structure that would hold the target; failing that, most of any label; else
    the middle one."""
    of_parent = view.scene.areas(view.scene.parent(program))
    if of_parent.any():
        return int(np.argmax(of_parent))
    of_any = sum(view.scene.areas(atom(item.key)) for item in view.structures)
    return int(np.argmax(of_any)) if np.any(of_any) else view.scene.depth // 2
