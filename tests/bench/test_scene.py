"""A scene gives the same answers as the whole label map, slice by slice and in the volume."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg.bench.evaluate import evaluate
from semantiseg.bench.program import parse
from semantiseg.bench.reference import describe
from semantiseg.bench.scene import Scene, views_of
from semantiseg.data.store import VolumeStore

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
    (view,) = views_of(store, "kidneys_2")
    scene, program, labels = view.scene, parse(text), store.labels(view.volume_id)
    context = {"structures": store.structures(view.volume_id), "midline": store.midline(view.volume_id)}
    whole = evaluate(program, labels, **context)
    padded = np.zeros_like(whole)
    padded[scene.box] = scene.in_volume(program)
    np.testing.assert_array_equal(padded, whole)
    np.testing.assert_array_equal(scene.areas(program), whole.sum(axis=(1, 2)))
    for index in range(len(labels)):
        alone = evaluate(program, labels[index], **context)
        padded = np.zeros_like(alone)
        padded[scene.box[1:]] = scene.on_slice(program, index)
        np.testing.assert_array_equal(padded, alone)
        either = (whole[index] | alone).sum()
        expected = (whole[index] & alone).sum() / either if either else 1.0
        assert scene.agreement(program, index) == pytest.approx(expected)


@pytest.mark.parametrize("case_id", ["kidneys_2", "brain_1"])
def test_attributes_measured_in_the_box_are_those_of_the_whole_slice(store, case_id):
    for view in views_of(store, case_id):
        for item in view.structures:
            program = parse(f"{item.kind}({item.key})")
            index = int(view.scene.areas(program).argmax())
            whole = describe(
                program, store.image_slice(view.volume_id, index), store.label_slice(view.volume_id, index),
                structures=store.structures(view.volume_id), midline=store.midline(view.volume_id), spacing_mm=1.0,
                modality=view.facts["modality"], window=(view.facts["window_low"], view.facts["window_high"]),
            )  # fmt: skip
            found = view.measure(program, index)
            assert found[1] == whole[1] and found[0].keys() == whole[0].keys()
            for name, item_found in found[0].items():
                assert item_found.value == whole[0][name].value
                assert item_found.number == pytest.approx(whole[0][name].number, rel=1e-5)


def test_channels_of_a_case_share_one_scene_and_differ_in_what_they_can_be_asked(store):
    views = views_of(store, "brain_1")
    assert [view.volume_id for view in views] == ["brain_1:FLAIR", "brain_1:T1c"]
    assert views[0].scene is views[1].scene
    keys = [{item.key for item in view.structures} for view in views]
    assert "brain_oedema" in keys[0] - keys[1] and "necrotic_core" in keys[1] - keys[0]


def test_a_case_without_labels_is_a_scene_too():
    scene = Scene(
        np.zeros((3, 8, 8), np.uint8), structures={1: "colon_tumour"}, midline=4, spacing_mm=1.0, lateral=True
    )
    program = parse("lesion(colon_tumour)")
    assert not scene.areas(program).any()
    assert [scene.on_slice(program, index).any() for index in range(3)] == [False] * 3
    assert scene.agreement(program, 2) == 1.0
