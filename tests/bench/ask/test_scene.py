"""A scene gives the same answers as the whole label map, slice by slice and in the volume."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.bench.ask.scene import scenes_of
from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.data.store import VolumeStore
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse

PROGRAMS = [
    "organ(kidney)",
    "side(organ(kidney), right)",
    "half(side(organ(kidney), left), posterior)",
    "largest(lesion(kidney_cyst))",
    "minus(organ(kidney), union(lesion(kidney_tumour), lesion(kidney_cyst)))",
    "without(organ(kidney), lesion(kidney_tumour))",
    "facing(lesion(kidney_cyst), posterior, lesion(kidney_tumour))",
]


@pytest.fixture(scope="module")
def store(volumes):
    with VolumeStore(volumes) as opened:
        yield opened


@pytest.mark.parametrize("text", PROGRAMS)
def test_cutting_to_the_labelled_box_changes_no_mask(store, text):
    (scene,) = scenes_of(store, "kidneys_2")
    program, labels = parse(text), store.labels(scene.volume_id)
    context = {"structures": store.structures(scene.volume_id), "midline": store.midline(scene.volume_id)}
    whole = evaluate(program, labels, **context)
    padded = np.zeros_like(whole)
    padded[scene.box] = scene.mask(program)
    np.testing.assert_array_equal(padded, whole)
    np.testing.assert_array_equal(scene.areas(program), whole.sum(axis=(1, 2)))
    for index in range(len(labels)):
        alone = evaluate(program, labels[index], **context)
        padded = np.zeros_like(alone)
        padded[scene.box[1:]] = scene.axial(index).mask(program)
        np.testing.assert_array_equal(padded, alone)
        either = (whole[index] | alone).sum()
        expected = (whole[index] & alone).sum() / either if either else 1.0
        assert scene.agreement(program, index) == pytest.approx(expected)


@pytest.mark.parametrize("case_id", ["kidneys_2", "brain_1"])
def test_attributes_measured_in_the_box_are_those_of_the_whole_slice(store, case_id):
    for scene in scenes_of(store, case_id):
        for item in scene.askable:
            program = parse(f"{item.kind}({item.key})")
            index = int(scene.areas(program).argmax())
            whole, found = read_slice(store, scene.volume_id, index).measure(program), scene.measure(program, index)
            assert found[1] == whole[1] and found[0].keys() == whole[0].keys()
            for name, item_found in found[0].items():
                assert item_found.value == whole[0][name].value
                assert item_found.number == pytest.approx(whole[0][name].number, rel=1e-5)


def test_channels_of_a_case_share_their_masks_and_differ_in_what_they_can_be_asked(store):
    scenes = scenes_of(store, "brain_1")
    assert [scene.volume_id for scene in scenes] == ["brain_1:FLAIR", "brain_1:T1c"]
    keys = [{item.key for item in scene.askable} for scene in scenes]
    assert "brain_oedema" in keys[0] - keys[1] and "necrotic_core" in keys[1] - keys[0]
    oedema, index = parse("part(brain_oedema)"), 7
    one, other = (scene.axial(index) for scene in scenes)
    assert one.mask(oedema) is other.mask(oedema)
    assert (one.image != other.image).any()
    assert one.measure(oedema)[0]["signal"].number != other.measure(oedema)[0]["signal"].number


def test_a_case_without_labels_is_a_scene_too(store):
    (scene,) = scenes_of(store, "colon_0")
    program = parse("lesion(colon_tumour)")
    assert not scene.areas(program).any()
    assert [scene.axial(index).mask(program).any() for index in range(scene.depth)] == [False] * 14
    assert scene.agreement(program, 2) == 1.0
