"""What the verifier rejects is worded anew, replaced or dropped, always with the reason; the levels stay equal."""

from __future__ import annotations

import pytest

from semantiseg.bench.build import make_candidates
from semantiseg.bench.verify import verification
from semantiseg.bench.verify.verification import verify_case

CASE = "kidneys_2"


@pytest.fixture(scope="module")
def rows(volumes, tmp_path_factory):
    """Candidate rows and training rows of a test and a training case."""
    out = tmp_path_factory.mktemp("candidates")
    made = make_candidates(
        volumes, out, minimum_pixels=16, slices_per_volume=2, texts_per_question=4, seed=3, workers=1
    )
    prompts, training = made.prompts, made.training
    return (
        prompts[prompts.volume_id == f"{CASE}:CT"].to_dict("records"),
        training[training.volume_id == "kidneys_0:CT"].to_dict("records"),
    )


def judged(volumes, prompts, training=(), case=CASE):
    (verdict,) = verify_case(volumes, case, prompts=prompts, training=training, seed=0)
    return verdict


def changed(prompts, place, **values):
    return [row | values if number == place else row for number, row in enumerate(prompts)]


def where(prompts, **wanted) -> int:
    return next(number for number, row in enumerate(prompts) if all(row[key] == value for key, value in wanted.items()))


def test_true_candidates_are_all_accepted_as_they_are(volumes, rows):
    prompts, _ = rows
    verdict = judged(volumes, prompts)
    assert verdict.rejected == []
    asked = {row["prompt_id"] for row in prompts if row["suite"] != "reserve"}
    assert {row["prompt_id"] for row in verdict.prompts} == asked


def test_a_misworded_prompt_is_worded_anew_and_the_wrong_text_recorded(volumes, rows):
    prompts, _ = rows
    place = where(prompts, suite="core", level=3)
    verdict = judged(volumes, changed(prompts, place, text="the spleen"))
    (refused,) = verdict.rejected
    assert refused["text"] == "the spleen" and refused["reason"].startswith("unlabelled")
    question = (prompts[place]["program"], prompts[place]["slice"], "core")
    again = [row for row in verdict.prompts if (row["program"], row["slice"], row["suite"]) == question]
    assert len(again) == 1 and again[0]["text"] != "the spleen"
    assert again[0]["prompt_id"] != refused["prompt_id"]


def test_a_false_core_prompt_is_replaced_by_the_reserve_of_its_level(volumes, rows):
    prompts, _ = rows
    place = where(prompts, suite="core", level=3)
    # Another slice, another mask: whatever the words, the stated target is not the one that the program has there.
    verdict = judged(volumes, changed(prompts, place, slice=0))
    assert len(verdict.rejected) == 1 + verification.REDRAWS
    assert all("pixels: the target has" in row["reason"] for row in verdict.rejected)
    core = [row for row in verdict.prompts if row["suite"] == "core"]
    reserve = prompts[where(prompts, suite="reserve", level=3)]
    assert [sum(row["level"] == level for row in core) for level in (1, 2, 3)] == [3, 3, 3]
    assert reserve["program"] in {row["program"] for row in core if row["level"] == 3}


def test_without_a_reserve_the_other_levels_give_way(volumes, rows):
    prompts = [row for row in rows[0] if row["suite"] != "reserve"]
    verdict = judged(volumes, changed(prompts, where(prompts, suite="core", level=3), slice=0))
    core = [row for row in verdict.prompts if row["suite"] == "core"]
    assert [sum(row["level"] == level for row in core) for level in (1, 2, 3)] == [2, 2, 2]
    assert sum(row["reason"].startswith("balance") for row in verdict.rejected) == 2


def test_a_group_that_loses_a_member_is_dropped_as_a_whole(volumes, rows):
    prompts, _ = rows
    place = where(prompts, suite="triple", level=2)
    verdict = judged(volumes, changed(prompts, place, slice=0))
    assert not [row for row in verdict.prompts if row["suite"] == "triple"]
    assert sum(row["reason"].startswith("group") for row in verdict.rejected) == 2


def test_untrue_training_texts_are_left_out_with_the_reason(volumes, rows):
    _, training = rows
    row = training[where(training, program="organ(kidney)")]
    mixed = row | {"texts": ["the spleen", *row["texts"]]}
    verdict = judged(volumes, (), [mixed], case="kidneys_0")
    (kept,) = verdict.training
    assert list(kept["texts"]) == list(row["texts"])
    (refused,) = verdict.rejected
    assert (refused["suite"], refused["text"]) == ("training", "the spleen")
    assert refused["reason"].startswith("unlabelled")
    assert judged(volumes, (), [row | {"texts": ["the spleen"]}], case="kidneys_0").training == []
