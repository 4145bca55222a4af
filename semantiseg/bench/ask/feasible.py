"""Whether a program may be asked on a slice: the picture must suffice to answer, and the answer must not hang on a
hair."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from semantiseg.bench.ask.scene import Scene
from semantiseg.bench.ask.space import SCATTERED
from semantiseg.bench.measure.labelled_slice import LabelledSlice
from semantiseg.language.evaluate import components, leaves_of
from semantiseg.language.program import Program, subject

AGREEMENT = 0.95
"""Least IoU between the volume value cut at the slice and the value of the slice alone."""
VACUOUS_SHARE, VACUOUS_PIXELS = 0.05, 10
"""A composition must change its parent by at least these (share of the parent's pixels, pixels), or it is no
composition."""
CLEAR_OF_MIDLINE_MM = 3.0
"""A component nearer to the midline, or to the landmark's centroid along the asked direction, is on neither side for
a reader."""
ACROSS_MIDLINE = 0.1
"""Nor is a component on either side that has more than this share of its pixels on each."""
SIZE_RATIO = 1.2
"""Largest and smallest are asked only if the next component differs by this factor."""
SINGLE_SHARE = 0.95
"""Halves are asked of structures that a slice shows in one piece (the largest component holds this share of the
pixels) or that are always in pieces, such as vessels."""
INSIDE, OUTSIDE = 0.75, 0.25
"""A component lies in a region with at least the one, outside it with at most the other share of its pixels."""
TOUCHING_PIXELS = 4
"""Fewer shared pixels (after growing by one) are no contact that an eye would see."""


@dataclass(frozen=True)
class Asked:
    """A program that may be asked on a slice.

    Attributes:
        program: what is asked.
        index: axial slice.
        target_pixels: of its value on the slice.
        parent_pixels: of its parent's value on the slice.
        facts: what makes it true and unambiguous, for the evidence.
    """

    program: Program
    index: int
    target_pixels: int
    parent_pixels: int
    facts: dict[str, float]


def asked_on(scene: Scene, program: Program, index: int, *, minimum_pixels: int) -> Asked | None:
    """The program asked on the slice, or None if the slice does not allow it.

    Conditions: the target has `minimum_pixels`; the volume value agrees with the slice's own; a composition differs
        from its parent and what it excludes is there to be excluded; no component is near a limit of the program's
        operations.
    """
    if scene.areas(program)[index] == 0:
        return None
    shown = scene.axial(index)
    pixels = shown.pixels(program)
    if pixels < minimum_pixels:
        return None
    whole = shown.pixels(shown.parent(program))
    if not program.is_atom and shown.changed(program) < max(VACUOUS_PIXELS, VACUOUS_SHARE * whole):
        return None
    agreement = scene.agreement(program, index)
    facts = decisive(shown, program)
    if agreement < AGREEMENT or facts is None:
        return None
    return Asked(program, index, pixels, whole, {"agreement": round(agreement, 4), **facts})


def ask_absent(scene: Scene, program: Program, index: int) -> Asked | None:
    """The program asked on a slice where its target does not exist, neither on the slice nor in the volume's cut."""
    shown = scene.axial(index)
    if shown.mask(program).any() or scene.areas(program)[index]:
        return None
    facts = decisive(shown, program)
    return None if facts is None else Asked(program, index, 0, shown.pixels(shown.parent(program)), facts)


def decisive(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    """What every node of the program clears its limits by, or None if one does not.

    Keys name what was checked: `side_mm`, `size_ratio`, `inside`, `outside`, `excluded_pixels`, `facing_mm`,
        `touching_pixels`.
    """
    facts: dict[str, float] = {}
    for node in program.walk():
        check = _CHECKS.get(node.operation)
        found = check(shown, node) if check else {}
        if found is None:
            return None
        facts |= found
    return facts


def _side(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    mask = shown.mask(program.children[0])
    distances = _offsets(mask, axis=1, reference=shown.midline) * shown.spacing_mm
    labelled, count = components(mask)
    right = np.bincount(labelled[:, np.arange(mask.shape[1]) > shown.midline].ravel(), minlength=count + 1)[1:]
    shares = right / np.maximum(np.bincount(labelled.ravel(), minlength=count + 1)[1:], 1)
    if (np.minimum(shares, 1 - shares) > ACROSS_MIDLINE).any():
        return None
    return _cleared("side_mm", np.abs(distances), CLEAR_OF_MIDLINE_MM)


def _facing(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    mask, other = map(shown.mask, program.children)
    if not other.any():
        return None
    axis = 0 if program.arguments[1] in ("anterior", "posterior") else 1
    reference = ndimage.center_of_mass(other)[axis]
    distances = _offsets(mask, axis=axis, reference=reference) * shown.spacing_mm
    return _cleared("facing_mm", np.abs(distances), CLEAR_OF_MIDLINE_MM)


def _half(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    if program.structure.key in SCATTERED:
        return {}
    sizes = _sizes(shown.mask(program.children[0]))
    return {} if sizes.size and sizes.max() >= SINGLE_SHARE * sizes.sum() else None


def _extreme(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    sizes = np.sort(_sizes(shown.mask(program.children[0])))
    if sizes.size < 2:
        return None
    ratio = sizes[-1] / sizes[-2] if program.operation == "largest" else sizes[1] / sizes[0]
    return _cleared("size_ratio", np.array([ratio]), SIZE_RATIO)


def _within(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    mask, region = map(shown.mask, program.children)
    labelled, count = components(mask)
    if count == 0:
        return {}
    shares = np.bincount(labelled[region], minlength=count + 1)[1:] / np.bincount(labelled.ravel())[1:]
    if ((shares > OUTSIDE) & (shares < INSIDE)).any():
        return None
    inside = shares[shares >= INSIDE]
    return {"inside": round(float(inside.min()), 3)} if inside.size else {}


def _touch(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    mask, other = map(shown.mask, program.children)
    if not other.any():
        return None
    labelled, count = components(mask)
    grown = ndimage.binary_dilation(other, structure=np.ones((3, 3)))
    touching = np.bincount(labelled[grown], minlength=count + 1)[1:]
    return _cleared("touching_pixels", touching[touching > 0], TOUCHING_PIXELS)


def _minus(shown: LabelledSlice, program: Program) -> dict[str, float] | None:
    """What is left out must be there to be left out: inside the rest, or, for a look-alike, in the place that the
    rest is sought in."""
    kept, removed = program.children
    shared = leaves_of(kept) & leaves_of(removed)
    place = kept if shared else kept.children[1] if kept.operation == "within" else shown.parent(subject(kept))
    excluded = int((shown.mask(removed) & shown.mask(place)).sum())
    return {"excluded_pixels": excluded} if excluded >= VACUOUS_PIXELS else None


def _offsets(mask: np.ndarray, *, axis: int, reference: float) -> np.ndarray:
    labelled, count = components(mask)
    centres = ndimage.center_of_mass(mask, labelled, np.arange(1, count + 1)) if count else []
    return np.array([centre[axis] - reference for centre in centres])


def _sizes(mask: np.ndarray) -> np.ndarray:
    labelled, _ = components(mask)
    return np.bincount(labelled.ravel())[1:]


def _cleared(name: str, values: np.ndarray, limit: float) -> dict[str, float] | None:
    if not values.size:
        return {}
    least = float(values.min())
    return {name: round(least, 3)} if least >= limit else None


_CHECKS = {
    "side": _side, "facing": _facing, "half": _half, "largest": _extreme, "smallest": _extreme, "within": _within,
    "containing": _touch, "without": _touch, "minus": _minus,
}  # fmt: skip
