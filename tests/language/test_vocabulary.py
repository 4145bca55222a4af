"""Every term has a source, and nothing that cannot be proven is ever said."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from semantiseg.language.ontology import NEVER, STRUCTURES, unprovable

BENCH = Path(__file__).resolve().parents[2] / "data" / "bench"


def test_every_structure_names_its_vocabulary_and_a_home_for_its_short_nouns():
    assert all(item.source for item in STRUCTURES.values())
    assert all(item.home for item in STRUCTURES.values() if item.short)


EXAMPLES = {
    "histology": "clear cell tumour of the kidney", "grade": "high-grade glioma", "malignancy": "malignant renal mass",
    "stage": "T1b tumour of the left kidney", "several phases": "hepatic lesion with washout",
    "diffusion": "lesion with restricted diffusion", "ducts and vessels": "pancreatic mass with duct dilatation",
    "growth": "the growing nodule", "margins of the eye": "spiculated nodule",
    "atlas": "tumour in the frontal lobe", "lobe": "nodule in the right lower lobe",
    "person": "kidney of a 63-year-old",
}  # fmt: skip


@pytest.mark.parametrize("claim", NEVER)
def test_each_unprovable_claim_is_found_in_a_text_that_makes_it(claim):
    assert claim in dict(unprovable(EXAMPLES[claim]))


def test_poles_thirds_and_sides_are_no_lobes():
    provable = ["tumour in the lower pole of the left kidney", "lesion in the superior part of the liver", "right lung"]
    assert [unprovable(text) for text in provable] == [[], [], []]


@pytest.mark.parametrize("text", ["lobe of the lung", "lingula", "caudate lobe", "left hepatic lobe", "upper lobes"])
def test_lobes_of_lung_and_liver_are_never_asked(text):
    assert [claim for claim, _ in unprovable(text)] == ["lobe"]


def test_no_name_of_a_structure_claims_what_cannot_be_proven():
    names = [name for item in STRUCTURES.values() for name in (*item.names, *item.held_out)]
    assert [(name, unprovable(name)) for name in names if unprovable(name)] == []


def test_no_prompt_of_the_demo_claims_what_cannot_be_proven():
    if not (BENCH / "prompts.parquet").is_file():
        pytest.skip("the demo's prompts are not here")
    texts = set(pd.read_parquet(BENCH / "prompts.parquet", columns=["text"])["text"])
    assert len(texts) > 500 and [text for text in texts if unprovable(text)] == []
