"""The value of a program: a mask, from label numbers alone.

Works alike on a slice `[H, W]` and on a volume `[D, H, W]`; axes as in `conventions.py` (H grows to anterior, W to
the patient's right).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.bench.ontology import structure
from semantiseg.bench.program import Program, atoms
from semantiseg.conventions import LabelArray, Mask
from semantiseg.errors import ProgramError

_AXIS_AND_SIGN = {"anterior": (-2, 1), "posterior": (-2, -1), "right": (-1, 1), "left": (-1, -1)}
"""Direction -> array axis and the sign of growth along it."""


def evaluate(
    program: Program,
    labels: LabelArray,
    *,
    structures: Mapping[int, str],
    midline: float,
    memo: dict[Program, Mask] | None = None,
) -> Mask:
    """The mask that a program denotes on a label map.

    Args:
        program: the tree.
        labels: label numbers, `[H, W]` or `[D, H, W]`.
        structures: label number -> ontology leaf of this collection.
        midline: column index of the patient's mid-sagittal plane.
        memo: masks already known for this label map; filled on the way, so that programs share their common parts.

    Returns:
        Boolean mask of the same shape; empty if nothing fits.

    Raises:
        ProgramError: the collection does not label a structure that the program names.
    """
    known = {} if memo is None else memo
    if program not in known:
        if program.is_atom:
            known[program] = _atom(program.key, labels, structures)
        else:
            masks = [
                evaluate(child, labels, structures=structures, midline=midline, memo=known)
                for child in program.children
            ]
            known[program] = _OPERATIONS[program.operation](program, masks, midline)
    return known[program]


def is_defined(program: Program, structures: Mapping[int, str]) -> bool:
    """Whether the collection labels every structure that the program names."""
    return all(
        any(leaf in structure(item.key).anchors for leaf in structures.values()) for item in atoms(program)
    )


def leaves_of(program: Program) -> set[str]:
    """Leaves that the program's value can be made of (not those that only place it)."""
    if program.is_atom:
        return set(program.structure.leaves)
    consist = program.children if program.operation == "union" else program.children[:1]
    return set().union(*map(leaves_of, consist))


def components(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Connected components, corners and edges connecting (8 neighbours on a slice, 26 in a volume)."""
    return ndimage.label(mask, structure=np.ones((3,) * mask.ndim))


def _atom(key: str, labels: LabelArray, structures: Mapping[int, str]) -> Mask:
    item = structure(key)
    present = set(structures.values())
    if not present.intersection(item.anchors):
        raise ProgramError(
            f"expected a collection that labels one of {item.anchors} for {key!r}, "
            f"got one that labels {sorted(present)}."
        )
    numbers = [number for number, leaf in structures.items() if leaf in item.leaves]
    return np.isin(labels, numbers)


def _keep(mask: Mask, wanted: Callable[[NDArray[np.int32], int], NDArray[np.bool_]]) -> Mask:
    """The components of `mask` for which `wanted(component_map, count)` (a `[count]` array) is true."""
    labelled, count = components(mask)
    if count == 0:
        return mask
    return np.concatenate([[False], wanted(labelled, count)])[labelled]


def _centroids(labelled: NDArray[np.int32], count: int) -> NDArray[np.float64]:
    """Centroids `[count, ndim]` in index units."""
    return np.array(ndimage.center_of_mass(labelled > 0, labelled, np.arange(1, count + 1)))


def _sizes(labelled: NDArray[np.int32], count: int) -> NDArray[np.int64]:
    return np.bincount(labelled.ravel(), minlength=count + 1)[1:]


def _touching(labelled: NDArray[np.int32], count: int, other: Mask) -> NDArray[np.bool_]:
    grown = ndimage.binary_dilation(other, structure=np.ones((3,) * other.ndim))
    return np.bincount(labelled[grown], minlength=count + 1)[1:] > 0


def _side(program: Program, masks: list[Mask], midline: float) -> Mask:
    sign = 1 if program.arguments[1] == "right" else -1
    return _keep(masks[0], lambda labelled, count: sign * (_centroids(labelled, count)[:, -1] - midline) > 0)


def _half(program: Program, masks: list[Mask], midline: float) -> Mask:
    mask = masks[0]
    axis, sign = _AXIS_AND_SIGN[str(program.arguments[1])]
    positions = np.arange(mask.shape[axis]).reshape((-1, 1) if axis == -2 else (1, -1))
    counts = np.maximum(mask.sum(axis=(-2, -1), keepdims=True), 1)
    # Cut slice by slice: an axial picture must suffice to answer.
    centre = (mask * positions).sum(axis=(-2, -1), keepdims=True) / counts
    return mask & (sign * (positions - centre) > 0)


def _within(program: Program, masks: list[Mask], midline: float) -> Mask:
    mask, region = masks
    return _keep(
        mask,
        lambda labelled, count: 2 * np.bincount(labelled[region], minlength=count + 1)[1:] >= _sizes(labelled, count),
    )


def _facing(program: Program, masks: list[Mask], midline: float) -> Mask:
    mask, other = masks
    if not other.any():
        return np.zeros_like(mask)
    axis, sign = _AXIS_AND_SIGN[str(program.arguments[1])]
    reference = np.array(ndimage.center_of_mass(other))[axis]
    return _keep(mask, lambda labelled, count: sign * (_centroids(labelled, count)[:, axis] - reference) > 0)


def _extreme(mask: Mask, pick: Callable[[NDArray[np.int64]], np.intp]) -> Mask:
    return _keep(mask, lambda labelled, count: np.arange(count) == pick(_sizes(labelled, count)))


_OPERATIONS: dict[str, Callable[[Program, list[Mask], float], Mask]] = {
    "side": _side,
    "half": _half,
    "within": _within,
    "containing": lambda program, masks, midline: _keep(
        masks[0], lambda found, count: _touching(found, count, masks[1])
    ),
    "without": lambda program, masks, midline: _keep(masks[0], lambda found, count: ~_touching(found, count, masks[1])),
    "minus": lambda program, masks, midline: masks[0] & ~masks[1],
    "union": lambda program, masks, midline: masks[0] | masks[1],
    "largest": lambda program, masks, midline: _extreme(masks[0], np.argmax),
    "smallest": lambda program, masks, midline: _extreme(masks[0], np.argmin),
    "facing": _facing,
}
