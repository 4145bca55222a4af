"""The space of compositions holds what the structures allow, and sides only where they may be said."""

from __future__ import annotations

from semantiseg.bench.ask.space import compositions, placements
from semantiseg.data.labels import BRATS2024_GLI, KITS23
from semantiseg.language.ontology import STRUCTURES, available
from semantiseg.language.program import atoms, parse


def programs(labelled, *, channel="CT", lateral=True) -> dict[str, str]:
    return {
        str(program): kind for kind, program in compositions(available(set(labelled), channel=channel), lateral=lateral)
    }


def test_kidneys_offer_every_kind():
    found = programs(KITS23.values())
    assert set(found.values()) == {"exclusion", "distractor", "side", "spatial", "instance"}
    assert found["minus(organ(kidney), lesion(kidney_tumour))"] == "exclusion"
    assert found["minus(union(lesion(kidney_tumour), lesion(kidney_cyst)), lesion(kidney_cyst))"] == "distractor"
    assert found["minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))"] == "exclusion"
    assert "minus(lesion(kidney_tumour), organ(kidney))" not in found


def test_without_known_sides_nothing_says_left_or_right():
    found = programs(KITS23.values(), lateral=False)
    assert found and not [text for text in found if "left" in text or "right" in text]
    assert "half(lesion(kidney_cyst), anterior)" in found


def test_only_what_the_channel_shows_is_composed():
    for channel in ("T1", "T1c", "T2", "FLAIR"):
        shown = {item.key for item in available(set(BRATS2024_GLI.values()), channel=channel)}
        for text in programs(BRATS2024_GLI.values(), channel=channel):
            assert {item.key for item in atoms(parse(text))} <= shown


def test_a_single_organ_can_still_be_halved():
    assert set(programs({"spleen"})) == {
        f"half(organ(spleen), {word})" for word in ("anterior", "posterior", "left", "right")
    }


def test_every_composition_over_the_whole_ontology_is_a_valid_program_met_once():
    found = compositions(list(STRUCTURES.values()), lateral=True)
    texts = [str(program) for _, program in found]
    assert len(texts) == len(set(texts)) > 300
    assert all(parse(text) == program for text, (_, program) in zip(texts, found, strict=True))


def test_lesions_are_placed_in_labelled_organs_only():
    assert [str(program) for program in placements(available(set(KITS23.values()), channel="CT"))] == [
        "within(lesion(kidney_tumour), organ(kidney))",
        "within(lesion(kidney_cyst), organ(kidney))",
    ]
    assert placements(available({"hepatic_vessels", "liver_tumour"}, channel="CT")) == []
