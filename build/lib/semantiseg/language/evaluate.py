"""The value of a program: a mask, from label numbers alone.

Works alike on a slice `[H, W]` and on a volume `[D, H, W]`; axes as in `conventions.py` (H grows to anterior, W to
the patient's right).

The value of a program on soft masks: what `language/evaluate.py` says of label maps, said of a model's probabilities.

Set algebra is Zadeh's: `minus(x, y)` is min(x, 1 - y), `union(x, y)` is max(x, y) (Zadeh, "Fuzzy sets", 1965). Every
other operation selects a part of its first argument; which part, is decided on the masks above `THRESHOLD` by the
program's own semantics, and each soft pixel follows the nearest pixel of that mask. So thresholding and combining
commute: the soft value, thresholded, is the program's value on the thresholded atoms (where no atom is exactly 0.5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.conventions import LabelArray, Mask
from semantiseg.errors import ProgramError
from semantiseg.language.ontology import structure
from semantiseg.language.program import Program, atoms

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


THRESHOLD = 0.5
"""A pixel belongs to a mask where its probability exceeds this."""

Soft = NDArray[np.float32]
"""Probabilities, `[H, W]` on a slice or `[D, H, W]` on a volume; axes as in `conventions.py`."""


def combine(program: Program, atoms: Mapping[Program, Soft], *, midline: float) -> Soft:
    """The soft mask that a program denotes.

    Args:
        program: the tree.
        atoms: probabilities of every atom that it names, all of one shape, `[H, W]` or `[D, H, W]`.
        midline: column index of the patient's mid-sagittal plane.

    Raises:
        KeyError: an atom of the program is missing.
    """
    if program.is_atom:
        return atoms[program]
    values = [combine(child, atoms, midline=midline) for child in program.children]
    if program.operation == "minus":
        return np.minimum(values[0], 1 - values[1])
    if program.operation == "union":
        return np.maximum(values[0], values[1])
    masks = {child: value > THRESHOLD for child, value in zip(program.children, values, strict=True)}
    first = masks[program.children[0]]
    # All children are known, so the label map is looked at for its shape only.
    kept = evaluate(program, first.astype(np.uint8), structures={}, midline=midline, memo=dict(masks))
    return _restricted(values[0], first, kept)


def credible(soft: Soft, *, peak: float) -> Soft:
    """The soft mask without the components (above `THRESHOLD`) whose highest probability is below `peak`.

    A speck of half belief is no "smallest lesion", and no lesion that a kidney contains. A binary mask stays as it is.
    """
    mask = soft > THRESHOLD
    labelled, count = components(mask)
    if count == 0:
        return soft
    peaks = np.asarray(ndimage.maximum(soft, labelled, np.arange(1, count + 1)))
    if (peaks >= peak).all():
        return soft
    return _restricted(soft, mask, np.concatenate([[False], peaks >= peak])[labelled])


def _restricted(soft: Soft, mask: Mask, kept: Mask) -> Soft:
    """`soft` where the nearest pixel of `mask` is one of `kept`, else 0."""
    if not kept.any():
        return np.zeros_like(soft)
    if (kept == mask).all():
        return soft
    nearest = ndimage.distance_transform_edt(~mask, return_distances=False, return_indices=True)
    return np.where(kept[tuple(nearest)], soft, np.float32(0))
