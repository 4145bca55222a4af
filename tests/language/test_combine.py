from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.language.evaluate import THRESHOLD, combine, credible, evaluate
from semantiseg.language.program import Program, atom, atoms, call, parse

LEAVES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst", 4: "liver_parenchyma"}
ATOMS = [atom("kidney"), atom("kidney_tumour"), atom("kidney_cyst"), atom("liver")]
MIDLINE = 8.5


def programs() -> st.SearchStrategy[Program]:
    sides, directions = st.sampled_from(["left", "right"]), st.sampled_from(["anterior", "posterior", "left", "right"])
    pairs = st.sampled_from(["within", "containing", "without", "minus", "union"])
    return st.recursive(
        st.sampled_from(ATOMS),
        lambda inner: st.one_of(
            st.builds(lambda x, d: call("side", x, d), inner, sides),
            st.builds(lambda x, d: call("half", x, d), inner, directions),
            st.builds(lambda name, x, y: call(name, x, y), pairs, inner, inner),
            st.builds(lambda name, x: call(name, x), st.sampled_from(["largest", "smallest"]), inner),
            st.builds(lambda x, d, y: call("facing", x, d, y), inner, directions, inner),
        ),
        max_leaves=4,
    )


def labels_of(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """Blobs of labels: a coarse random map, blown up."""
    coarse = np.random.default_rng(seed).choice(5, tuple(-(-size // 3) for size in shape), p=[0.5, 0.2, 0.1, 0.1, 0.1])
    for axis in range(len(shape)):
        coarse = np.repeat(coarse, 3, axis=axis)
    return coarse[tuple(slice(0, size) for size in shape)].astype(np.uint8)


def value(program: Program, labels: np.ndarray) -> np.ndarray:
    return evaluate(program, labels, structures=LEAVES, midline=MIDLINE)


@settings(max_examples=200, deadline=None)
@given(program=programs(), seed=st.integers(0, 10_000), shape=st.sampled_from([(12, 18), (4, 12, 18)]))
def test_on_binary_masks_the_soft_value_is_the_programs_value(program, seed, shape):
    labels = labels_of(seed, shape)
    soft = {item: value(item, labels).astype(np.float32) for item in atoms(program)}
    combined = combine(program, soft, midline=MIDLINE)
    assert (combined == value(program, labels)).all()


@settings(max_examples=200, deadline=None)
@given(program=programs(), seed=st.integers(0, 10_000), shape=st.sampled_from([(12, 18), (4, 12, 18)]))
def test_thresholding_and_combining_commute(program, seed, shape):
    rng, labels = np.random.default_rng(seed), labels_of(seed, shape)
    soft, hard = {}, {}
    for item in atoms(program):
        blurred = 0.7 * value(item, labels) + rng.uniform(0, 0.45, shape)
        soft[item] = blurred.astype(np.float32) / np.float32(1.2)
        hard[item] = soft[item] > THRESHOLD
    combined = combine(program, soft, midline=MIDLINE)
    memo = dict(hard)
    wanted = evaluate(program, np.zeros(shape, np.uint8), structures={}, midline=MIDLINE, memo=memo)
    assert ((combined > THRESHOLD) == wanted).all()
    assert combined.min() >= 0 and combined.max() <= 1


def test_a_selected_part_keeps_its_soft_fringe_and_the_rest_goes():
    soft = np.array([[0.4, 0.9, 0.4, 0.0, 0.3, 0.8, 0.3]], np.float32)
    right = combine(parse("side(organ(kidney), right)"), {atom("kidney"): soft}, midline=3.0)
    assert right.tolist() == np.float32([[0, 0, 0, 0, 0.3, 0.8, 0.3]]).tolist()


def test_a_component_of_little_belief_is_left_out_and_binary_masks_stay():
    soft = np.array([[0.95, 0.9, 0.4, 0.0, 0.3, 0.6, 0.2]], np.float32)
    assert credible(soft, peak=0.9).tolist() == np.float32([[0.95, 0.9, 0.4, 0, 0, 0, 0]]).tolist()
    assert credible(soft, peak=0.99).max() == 0
    binary = (soft > 0.5).astype(np.float32)
    assert (credible(binary, peak=0.99) == binary).all()


def test_a_missing_atom_is_an_error():
    with pytest.raises(KeyError):
        combine(parse("minus(organ(liver), lesion(liver_tumour))"), {atom("liver"): np.zeros((2, 2))}, midline=0.5)
