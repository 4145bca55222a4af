"""Planted faults are rejected, unchanged prompts are not."""

from __future__ import annotations

import pytest

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.verify.exam import UNCHANGED, notice_faults, plant


@pytest.fixture(scope="module")
def prompts(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("faults")
    make_candidates(volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=1, seed=5, workers=1)
    return verify_candidates(volumes, out, out, seed=5, workers=1).prompts


def test_every_planted_fault_is_rejected_and_no_control(volumes, prompts):
    table = notice_faults(volumes, prompts, seed=0).set_index("fault")
    faults = table.drop(index=UNCHANGED)
    assert len(faults) == 5 and (faults.planted > 0).all()
    assert (faults.rejected == faults.planted).all()
    assert table.loc[UNCHANGED, "rejected"] == 0 and table.loc[UNCHANGED, "planted"] > 20


def test_every_fault_changes_the_words(prompts):
    rows = prompts[prompts.volume_id == "kidneys_2:CT"].to_dict("records")
    planted = [(fault, row, text) for fault, row, text in plant(rows, seed=0) if fault != UNCHANGED]
    assert planted and all(text != row["text"] for _, row, text in planted)
