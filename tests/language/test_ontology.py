"""The ontology hangs together: names are unambiguous, and held-out names never occur among training names."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from semantiseg.data import labels
from semantiseg.errors import OntologyError
from semantiseg.language.ontology import LEAVES, PAPER_STRUCTURES, STRUCTURES, available, structure


def test_every_name_means_one_structure_and_is_either_for_training_or_held_out():
    counts = Counter(name for item in STRUCTURES.values() for name in (*item.names, *item.held_out))
    assert [name for name, count in counts.items() if count > 1] == []


def test_every_structure_has_names_for_training_and_held_out_ones():
    assert all(len(item.names) >= 2 and len(item.held_out) >= 1 for item in STRUCTURES.values())


def test_the_paper_counts_fourteen_structures_and_every_other_counts_under_a_known_one():
    assert len(PAPER_STRUCTURES) == len(set(PAPER_STRUCTURES)) == 14
    assert set(PAPER_STRUCTURES) <= set(STRUCTURES)
    assert all(item.main in STRUCTURES for item in STRUCTURES.values())


def test_a_parent_holds_all_leaves_of_its_child():
    children = [item for item in STRUCTURES.values() if item.parent]
    assert len(children) >= 10
    assert all(set(item.leaves) < set(structure(item.parent).leaves) for item in children)


def test_anchors_are_leaves_of_the_structure_itself():
    assert all(item.anchors and set(item.anchors) <= set(item.leaves) for item in STRUCTURES.values())


def test_every_leaf_that_a_label_can_mean_belongs_to_some_structure_and_back():
    assert labels.LEAVES == LEAVES


@pytest.mark.parametrize("key", [key for key, item in STRUCTURES.items() if item.kind != "part"])
def test_every_organ_and_lesion_can_be_labelled_as_a_whole_and_is_then_asked_without_its_parts(key):
    """By its plain name; no part, no lesion and no other structure can be proved from that one label."""
    names = {1: key.replace("_", " ")}
    found, _ = labels.named_structures(names, mapping={}, source=Path("dataset.json"))
    channel = (structure(key).channels or ("T1c",))[0]
    assert [item.key for item in available(set(found.values()), channel=channel)] == [key]


@pytest.mark.parametrize("name", ["glioma", "Whole Tumor", "low-grade glioma", "glioblastoma", "brain tumour"])
def test_a_glioma_labelled_as_a_whole_is_a_brain_tumour_without_parts(name):
    found, _ = labels.named_structures({1: name}, mapping={}, source=Path("dataset.json"))
    assert found == {1: "whole_brain_tumour"}


def test_a_structure_is_asked_only_where_it_is_labelled_and_seen():
    glioma = set(labels.BRATS2024_GLI.values())
    on = {
        channel: {item.key for item in available(glioma, channel=channel)} for channel in ("T1", "T1c", "T2", "FLAIR")
    }
    assert [channel for channel, keys in on.items() if "enhancing_tumour" in keys] == ["T1c"]
    assert [channel for channel, keys in on.items() if "necrotic_core" in keys] == ["T1c"]
    assert [channel for channel, keys in on.items() if "brain_oedema" in keys] == ["T2", "FLAIR"]
    assert all("brain_tumour" in keys for keys in on.values())
    # Task08 labels tumours without the liver: the liver cannot be asked, its tumour can.
    assert {item.key for item in available({"hepatic_vessels", "liver_tumour"}, channel="CT")} == {
        "hepatic_vessels",
        "liver_tumour",
    }


def test_an_unknown_structure_is_named_in_the_error():
    with pytest.raises(OntologyError, match="'gizzard'"):
        structure("gizzard")
