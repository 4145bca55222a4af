"""The verifier passes its exam, on drawn cases and on real label maps; a verifier with a hole fails it."""

from __future__ import annotations

from pathlib import Path

import pytest

from semantiseg.bench.build import make_candidates
from semantiseg.bench.verify.exam import control, examine, worst_kind
from semantiseg.bench.verify.mutations import CONTROL, KINDS
from semantiseg.bench.verify.verifier import Verifier
from semantiseg.data.rendered import render_kits23
from semantiseg.errors import DataError
from semantiseg.pipeline import notebook

ROOT = Path(__file__).resolve().parents[3]
LABEL_MAPS = ROOT.parent / "shared/data/kits23_labels"


@pytest.fixture(scope="module")
def candidates(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("examined")
    made = make_candidates(
        volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=0, workers=1
    ).prompts
    return made[made["split"] == "test"]


@pytest.fixture(scope="module")
def results(volumes, candidates):
    return examine(volumes, candidates, seed=0)


def test_contradictions_of_every_kind_are_rejected(results):
    assert tuple(results["kind"]) == (CONTROL, *KINDS)
    assert worst_kind(results)["share"] >= 0.99, results.to_string()


def test_true_prompts_are_accepted(results):
    assert control(results)["judged"] >= 100 and control(results)["share"] <= 0.01, results.to_string()


@pytest.mark.parametrize(
    ("blind", "kind"),
    [("_agreement", "side swapped"), ("_clauses", "density flipped"), ("_clauses", "size exaggerated"),
     ("_stated_parent", "wrong parent"), ("_exclusions", "vacuous exclusion")],
)  # fmt: skip
def test_a_verifier_that_skips_a_check_is_found_out(volumes, candidates, monkeypatch, blind, kind):
    monkeypatch.setattr(Verifier, blind, lambda *arguments: iter(()))
    few = candidates[candidates["suite"].isin(["core", "counterfactual"])]
    shares = examine(volumes, few, seed=0).set_index("kind")["share"]
    assert shares[kind] < 0.99


def test_a_kind_without_mutants_is_no_pass(volumes, candidates):
    with pytest.raises(DataError, match="got none for .*density flipped"):
        examine(volumes, candidates[candidates["level"] == 1], seed=0)


def test_the_verifier_reaches_neither_mutations_nor_any_generator_of_texts():
    reached = {path.stem for path in notebook.modules("import semantiseg.bench.verify.verifier", root=ROOT)}
    assert "parser" in reached
    assert not reached & {"mutations", "exam", "surface", "tables", "forms", "phrases"}


@pytest.mark.skipif(not LABEL_MAPS.is_dir(), reason=f"the real KiTS23 label maps are not at {LABEL_MAPS}")
def test_contradictions_are_rejected_on_real_label_maps_and_true_prompts_are_not(tmp_path):
    maps = [LABEL_MAPS / case / "segmentation.nii.gz" for case in ("case_00006", "case_00010", "case_00023")]
    assert len(render_kits23(maps, tmp_path, spacing_mm=2.0, seed=0)) == 3
    made = make_candidates(
        tmp_path, tmp_path, minimum_pixels=40, slices_per_volume=1, texts_per_question=1, seed=0, workers=1
    )
    found = examine(tmp_path, made.prompts, seed=0)
    assert worst_kind(found)["share"] >= 0.99 and control(found)["share"] <= 0.01, found.to_string()
