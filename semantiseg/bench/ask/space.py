"""Which programs make sense for a set of structures: the space that prompts are chosen from, before any label map is
looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from semantiseg.language.ontology import STRUCTURES, Structure
from semantiseg.language.program import DIRECTIONS, Program, atom, call

PAIRED = frozenset(key for key, item in STRUCTURES.items() if item.paired)
"""Organs that a patient has on both sides."""
SCATTERED = frozenset(key for key, item in STRUCTURES.items() if item.scattered)
"""Organs that a slice shows in several pieces; lesions may always be several."""
LANDMARKS = frozenset(key for key, item in STRUCTURES.items() if item.landmark)
"""What a relative position is told from."""


def compositions(structures: Sequence[Structure], *, lateral: bool) -> list[tuple[str, Program]]:
    """Every level 3 program over the structures with its kind, without repetition, in a fixed order.

    Args:
        structures: what the volume can be asked about.
        lateral: whether left and right may be used at all.
    """
    found: dict[Program, str] = {}
    for kind, program in _all(list(structures)):
        if lateral or not _says_a_side(program):
            found.setdefault(program, kind)
    return [(kind, program) for program, kind in found.items()]


def placements(structures: Sequence[Structure]) -> list[Program]:
    """Every lesion placed in its organ ("tumour in the liver"): the same mask as the lesion's name, said as a
    composition."""
    keys = {item.key for item in structures if item.kind == "organ"}
    return [
        call("within", atom(item.key), atom(item.parent))
        for item in structures
        if item.kind == "lesion" and item.parent in keys
    ]


def _all(structures: list[Structure]) -> Iterator[tuple[str, Program]]:
    for item in structures:
        yield from _exclusions(item, structures)
        yield from _sides(item)
        yield from _halves(item)
        yield from _relative(item, structures)
        if item.kind == "lesion":
            yield from (("instance", call(operation, atom(item.key))) for operation in ("largest", "smallest"))
            yield from _in_organ(item, structures)


def _exclusions(item: Structure, structures: list[Structure]) -> Iterator[tuple[str, Program]]:
    """The structure without something inside it: a lesion, a sub-structure, or two lesions at once."""
    whole = atom(item.key)
    inside = [other for other in structures if set(other.leaves) < set(item.leaves)]
    for other in inside:
        yield "exclusion", call("minus", whole, atom(other.key))
        if item.key in PAIRED:
            for side in ("right", "left"):
                yield "exclusion", call("minus", call("side", whole, side), atom(other.key))
    lesions = [other for other in inside if other.kind == "lesion"]
    for one, two in combinations(lesions, 2):
        yield "exclusion", call("minus", whole, call("union", atom(one.key), atom(two.key)))


def _sides(item: Structure) -> Iterator[tuple[str, Program]]:
    if item.key in PAIRED or item.kind == "lesion":
        for side in ("right", "left"):
            yield "side", call("side", atom(item.key), side)


def _halves(item: Structure) -> Iterator[tuple[str, Program]]:
    for direction in DIRECTIONS:
        if item.key not in PAIRED:
            yield "spatial", call("half", atom(item.key), direction)
        elif direction in ("anterior", "posterior"):
            for side in ("right", "left"):
                yield "spatial", call("half", call("side", atom(item.key), side), direction)


def _in_organ(item: Structure, structures: list[Structure]) -> Iterator[tuple[str, Program]]:
    """A lesion placed in its organ, the organ with or without the lesion, and the lesion told from its look-alike."""
    organ = next((other for other in structures if other.key == item.parent and other.kind == "organ"), None)
    if organ is None:
        return
    lesion = atom(item.key)
    siblings = [
        other for other in structures if other.kind == "lesion" and other.parent == item.parent and other != item
    ]
    if organ.key in PAIRED:
        yield "spatial", call("containing", atom(organ.key), lesion)
        yield "distractor", call("without", atom(organ.key), lesion)
        for side in ("right", "left"):
            placed = call("within", lesion, call("side", atom(organ.key), side))
            yield "spatial", placed
            yield from (("exclusion", call("minus", placed, atom(other.key))) for other in siblings)
    for other in siblings:
        yield "distractor", call("minus", call("union", lesion, atom(other.key)), atom(other.key))


def _relative(item: Structure, structures: list[Structure]) -> Iterator[tuple[str, Program]]:
    if not (item.key in PAIRED or item.key in SCATTERED or item.kind == "lesion"):
        return
    for other in structures:
        nested = set(other.leaves) & set(item.leaves) or other.key == item.parent
        if other.key in LANDMARKS and not nested:
            for direction in DIRECTIONS:
                yield "spatial", call("facing", atom(item.key), direction, atom(other.key))


def _says_a_side(program: Program) -> bool:
    return any({"left", "right"} & set(node.words) for node in program.walk())
