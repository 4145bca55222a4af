"""What a target is compared with when it is called dark, bright or heterogeneous: the reference region on a slice."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import ndimage

from semantiseg.bench.attributes import MINIMUM_REFERENCE, SHELL_MM, Measurement, measure
from semantiseg.bench.evaluate import evaluate, is_defined
from semantiseg.bench.ontology import STRUCTURES, structure
from semantiseg.bench.program import Program, atom, subject
from semantiseg.conventions import LabelArray, Mask, Slice


def reference_of(
    program: Program,
    mask: Mask,
    labels: LabelArray,
    *,
    structures: Mapping[int, str],
    midline: float,
    spacing_mm: float,
) -> tuple[Mask, str]:
    """The region that `mask`, the value of `program` on the slice, is compared with, and its name.

    A lesion is compared with the organ that contains it, without any of that organ's lesions ("parent"). Organs,
    parts of a lesion, and lesions whose organ is not labelled or hardly visible are compared with what lies within 6
    mm of them ("shell").
    """
    container = structure(subject(program).key).parent
    if container is not None and structure(container).kind == "organ" and is_defined(atom(container), structures):
        organ = evaluate(atom(container), labels, structures=structures, midline=midline)
        lesions = {
            leaf
            for item in STRUCTURES.values()
            if item.kind == "lesion" and item.parent == container
            for leaf in item.leaves
        }
        healthy = organ & ~mask & ~np.isin(labels, [number for number, leaf in structures.items() if leaf in lesions])
        if healthy.sum() >= 2 * MINIMUM_REFERENCE:
            return healthy, "parent"
    distance = ndimage.distance_transform_edt(~mask, sampling=spacing_mm)
    return (distance > 0) & (distance <= SHELL_MM[1]), "shell"


def describe(
    program: Program,
    image: Slice,
    labels: LabelArray,
    *,
    structures: Mapping[int, str],
    midline: float,
    spacing_mm: float,
    modality: str,
    window: tuple[float, float],
) -> tuple[dict[str, Measurement], str]:
    """All measurements of a program's target on a slice (empty if the target is), and the name of the reference
    region."""
    mask = evaluate(program, labels, structures=structures, midline=midline)
    if not mask.any():
        return {}, ""
    reference, name = reference_of(program, mask, labels, structures=structures, midline=midline, spacing_mm=spacing_mm)
    return measure(image, mask, reference, modality=modality, window=window, spacing_mm=spacing_mm), name
