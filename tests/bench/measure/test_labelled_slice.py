"""The labelled slice answers what its labels and picture say, each question once."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from semantiseg.bench.measure.labelled_slice import LabelledSlice, Memo, read_slice, read_volume
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ProgramError, PromptError
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse

KIDNEY, TUMOUR, CYST = "organ(kidney)", "lesion(kidney_tumour)", "lesion(kidney_cyst)"


@pytest.fixture(scope="module")
def here(volumes) -> LabelledSlice:
    with VolumeStore(volumes) as store:
        return read_slice(store, "kidneys_2:CT", 7)


@pytest.mark.parametrize("text", [KIDNEY, f"side({CYST}, right)", f"minus({KIDNEY}, union({TUMOUR}, {CYST}))"])
def test_a_program_and_its_printed_form_denote_the_value_of_the_program(here, text):
    expected = evaluate(parse(text), here.labels, structures=here.structures, midline=here.midline)
    np.testing.assert_array_equal(here.mask(parse(text)), expected)
    assert here.mask(text) is here.mask(parse(text))
    assert here.pixels(parse(text)) == expected.sum() > 0


def test_changes_and_exclusions_are_counted_where_they_could_be_made(here):
    labels = np.zeros((6, 12), np.uint8)
    labels[1:5, 1:9], labels[2:4, 2:5], labels[1, 6] = 1, 2, 3
    drawn = replace(here, labels=labels, image=None, memo=Memo())
    without = parse(f"minus({KIDNEY}, {TUMOUR})")
    assert (drawn.pixels(parse(KIDNEY)), drawn.changed(without), drawn.left_out(without)) == (32, 6, 6)
    # The cyst is no part of the tumour: it could be left out of the organ that holds both.
    assert drawn.left_out(parse(f"minus({TUMOUR}, {CYST})")) == 1
    assert drawn.same(parse(f"largest({TUMOUR})"), parse(TUMOUR)) and not drawn.same(parse(CYST), parse(TUMOUR))


def test_the_parent_of_a_lesion_whose_organ_is_not_labelled_is_the_lesion(here):
    alone = replace(here, structures={2: "kidney_tumour"}, memo=Memo())
    assert here.parent(parse(TUMOUR)) == parse(KIDNEY)
    assert alone.parent(parse(TUMOUR)) == parse(TUMOUR) and alone.changed(parse(TUMOUR)) == 0
    assert not alone.labels_all_of(parse(f"within({TUMOUR}, {KIDNEY})"))
    with pytest.raises(ProgramError, match="kidney"):
        alone.mask(KIDNEY)


def test_slices_of_a_volume_are_the_slices_read_alone(volumes):
    with VolumeStore(volumes) as store:
        volume, alone = read_volume(store, "brain_1:T1c"), read_slice(store, "brain_1:T1c", 7)
    assert volume.axial(7) is volume.axial(7)
    assert volume.axial(7).measure(parse("part(necrotic_core)")) == alone.measure(parse("part(necrotic_core)"))
    known = ("structures", "midline", "spacing_mm", "modality", "channel", "window", "lateral")
    assert all(getattr(volume.axial(7), name) == getattr(alone, name) for name in known)


def test_another_picture_shares_the_masks_and_measures_anew(here):
    dark = replace(here, image=np.zeros_like(here.image))
    assert dark.mask(CYST) is here.mask(CYST)
    assert dark.measure(parse(CYST))[0] != here.measure(parse(CYST))[0]


def test_labels_without_a_picture_have_masks_and_are_not_measured(volumes):
    with VolumeStore(volumes) as store:
        blind = read_slice(store, "kidneys_2:CT", 7, seen=False)
    assert blind.mask(TUMOUR).any()
    assert replace(blind, labels=np.zeros_like(blind.labels), memo=Memo()).measure(parse(TUMOUR)) == ({}, "")
    with pytest.raises(PromptError, match="got labels alone"):
        blind.measure(parse(TUMOUR))


def test_what_is_known_of_a_patient_is_not_changed_and_shapes_must_agree(here):
    with pytest.raises(FrozenInstanceError):
        here.midline = 0.0
    with pytest.raises(PromptError, match=r"one shape, got \(48, 72\) and \(48, 71\)"):
        replace(here, labels=here.labels[:, 1:], memo=Memo())
