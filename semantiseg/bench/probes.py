"""Probe suites: what a drop from one prompt to another is due to. Questions only; `planning.py` words them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semantiseg.bench.core import best_slices
from semantiseg.bench.feasible import ask, ask_absent
from semantiseg.bench.program import Program, atom, call
from semantiseg.bench.question import Question, description, name
from semantiseg.bench.scene import Scene
from semantiseg.bench.space import PAIRED, placements

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
            described = description(scene, asked, rng)
            same = [
                (kind, found)
                for kind, program in composed
                if np.array_equal(scene.axial(asked.index).mask(program), target)
                and (found := ask(scene, program, asked.index, minimum_pixels=minimum_pixels)) is not None
            ]
            if described is not None and same:
                kind, found = same[int(rng.integers(len(same)))]
                return [name(asked), described, Question(3, kind, found)]
    return []


def counterfactual(
    scene: Scene, space: list[tuple[str, Program]], rng: np.random.Generator, *, minimum_pixels: int
) -> list[Question]:
    """Two questions on one slice that differ by one word or phrase and have different masks; empty if impossible."""
    kinds = {program: kind for kind, program in space}
    pairs = [(program, other) for program in kinds if (other := _opposite(program)) is not None]
    for position in rng.permutation(len(pairs)):
        program, other = pairs[position]
        for asked in best_slices(scene, program, 2, minimum_pixels=minimum_pixels):
            against = ask(scene, other, asked.index, minimum_pixels=minimum_pixels)
            if against is not None and _iou(scene, program, other, asked.index) <= DIFFERENT_AT_MOST:
                first = Question(3, kinds[program], asked)
                second = name(against) if other.is_atom else Question(3, kinds.get(other, kinds[program]), against)
                return [first, second]
    return []


def absent(scene: Scene, rng: np.random.Generator) -> list[Question]:
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
