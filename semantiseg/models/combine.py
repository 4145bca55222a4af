"""The value of a program on soft masks: what `bench/evaluate.py` says of label maps, said of a model's probabilities.

Set algebra is Zadeh's: `minus(x, y)` is min(x, 1 - y), `union(x, y)` is max(x, y) (Zadeh, "Fuzzy sets", 1965). Every
other operation selects a part of its first argument; which part, is decided on the masks above `THRESHOLD` by the
program's own semantics, and each soft pixel follows the nearest pixel of that mask. So thresholding and combining
commute: the soft value, thresholded, is the program's value on the thresholded atoms (where no atom is exactly 0.5).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from semantiseg.bench.evaluate import components, evaluate
from semantiseg.bench.program import Program
from semantiseg.conventions import Mask

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
