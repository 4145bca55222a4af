from __future__ import annotations

import numpy as np
import pytest

from semantiseg.errors import DataError
from semantiseg.evaluation.metrics import CHALLENGES, LesionScore, Rules, lesionwise

GLI = CHALLENGES["GLI"]


def cubes(*corners: tuple[int, int, int], edge: int = 4) -> np.ndarray:
    """Cubes of 64 mm3 in a volume of 30 x 30 x 30."""
    mask = np.zeros((30, 30, 30), dtype=bool)
    for d, h, w in corners:
        mask[d : d + edge, h : h + edge, w : w + edge] = True
    return mask


def scored(answer: np.ndarray, target: np.ndarray, *, rules: Rules = GLI) -> LesionScore:
    return lesionwise(answer, target, spacing_mm=1.0, rules=rules)


FIRST, SECOND, THIRD = (2, 2, 2), (2, 2, 20), (20, 20, 2)


def test_the_truth_scores_one():
    assert scored(cubes(FIRST, SECOND), cubes(FIRST, SECOND)) == LesionScore(1.0, 2, 0, 0)


def test_a_missed_lesion_and_a_false_one_both_count_as_zero():
    assert scored(cubes(FIRST), cubes(FIRST, SECOND)) == LesionScore(0.5, 1, 1, 0)
    assert scored(cubes(FIRST, THIRD), cubes(FIRST, SECOND)) == LesionScore(1 / 3, 1, 1, 1)
    assert scored(cubes(THIRD), cubes()) == LesionScore(0.0, 0, 0, 1)


def test_nothing_to_find_and_nothing_marked_is_perfect():
    assert scored(cubes(), cubes()) == LesionScore(1.0, 0, 0, 0)


def test_a_small_lesion_counts_the_same_as_a_large_one():
    answer, target = cubes(FIRST), cubes(FIRST) | cubes((12, 12, 12), edge=10)
    assert scored(answer, target).dice == 0.5


def test_lesions_within_reach_of_each_other_are_one():
    near = (2, 2, 10)  # four voxels of background between them: three and three meet
    assert scored(cubes(FIRST), cubes(FIRST, near)) == LesionScore(2 / 3, 1, 0, 0)
    assert scored(cubes(FIRST), cubes(FIRST, near), rules=CHALLENGES["MEN"]) == LesionScore(0.5, 1, 1, 0)


def test_a_mark_within_reach_belongs_to_the_lesion():
    beside = (2, 2, 8)  # two voxels away
    assert scored(cubes(beside), cubes(FIRST)) == LesionScore(0.0, 1, 0, 0)
    assert scored(cubes((2, 2, 12)), cubes(FIRST)) == LesionScore(0.0, 0, 1, 1)


def test_a_true_lesion_of_ignored_size_neither_counts_nor_makes_its_mark_false():
    speck = cubes((20, 20, 20), edge=3)  # 27 mm3
    assert scored(cubes(FIRST) | speck, cubes(FIRST) | speck) == LesionScore(1.0, 1, 0, 0)
    assert scored(cubes(FIRST), cubes(FIRST) | speck) == LesionScore(1.0, 1, 0, 0)
    assert lesionwise(speck, speck, spacing_mm=2.0, rules=GLI) == LesionScore(1.0, 1, 0, 0)


def test_works_on_a_slice():
    target = np.zeros((12, 12), dtype=bool)
    target[2:10, 2:10] = True
    assert lesionwise(target, target, spacing_mm=1.0, rules=GLI) == LesionScore(1.0, 1, 0, 0)


def test_masks_of_different_shapes_are_named():
    with pytest.raises(DataError, match="expected the target's shape"):
        scored(cubes()[:5], cubes())
