"""The whole bench on six tiny cases: what is written is true, balanced, held out, and the same in every run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.inspection import check_bench, check_candidates, coverage
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.language.clause import from_json
from semantiseg.language.evaluate import evaluate
from semantiseg.language.grammar.surface import count_forms
from semantiseg.language.program import parse

PARAMETERS = {"minimum_pixels": 16, "slices_per_volume": 3, "texts_per_question": 5}


@pytest.fixture(scope="module")
def built(volumes, tmp_path_factory):
    """Folder of the bench, candidates and accepted tables."""
    out = tmp_path_factory.mktemp("built")
    candidates = make_candidates(volumes, out, seed=1, workers=1, **PARAMETERS)
    return out, candidates, verify_candidates(volumes, out, out, seed=1, workers=1)


@pytest.fixture(scope="module")
def store(volumes):
    with VolumeStore(volumes) as opened:
        yield opened


def mask(store: VolumeStore, row, program: str) -> np.ndarray:
    context = {"structures": store.structures(row.volume_id), "midline": store.midline(row.volume_id)}
    return evaluate(parse(program), store.label_slice(row.volume_id, row.slice), **context)


def test_every_volume_with_labels_has_three_core_prompts_of_each_level(built):
    _, candidates, bench = built
    core = bench.prompts[bench.prompts.suite == "core"]
    counts = core.groupby(["volume_id", "level"]).size().unstack()
    assert (counts == 3).all(axis=None) and len(counts) == 7
    assert not core.duplicated(["volume_id", "text"]).any()
    assert coverage(bench.prompts).to_numpy().sum() == 63


def test_a_volume_that_cannot_be_asked_is_named_with_the_reason_and_not_padded(built):
    _, candidates, bench = built
    (short,) = candidates.shortfalls.to_dict("records")
    reason = "no labelled structure reaches 16 pixels on a slice"
    assert short == {"volume_id": "colon_0:CT", "asked": 0, "expected": 9, "reason": reason}
    of_colon = bench.prompts[bench.prompts.volume_id == "colon_0:CT"]
    assert set(of_colon.suite) <= {"absent"}


def test_stated_pixels_are_those_of_the_programs_on_the_full_slice(built, store):
    _, _, bench = built
    for row in bench.prompts.itertuples():
        assert mask(store, row, row.program).sum() == row.target_pixels
        assert mask(store, row, row.parent).sum() == row.parent_pixels
        assert row.target_pixels >= 16 or row.suite == "absent"


def test_triples_ask_for_one_mask_and_pairs_for_two(built, store):
    _, _, bench = built
    groups = bench.prompts[bench.prompts.group != ""].groupby(["suite", "group"])
    seen = set()
    for (suite, _), rows in groups:
        masks = [mask(store, row, row.program) for row in rows.itertuples()]
        assert rows.slice.nunique() == 1
        seen.add(suite)
        if suite == "triple":
            assert list(rows.level) == [1, 2, 3] and rows.clauses.iloc[1] != "[]"
            assert all(np.array_equal(one, masks[0]) for one in masks)
            assert not np.array_equal(mask(store, rows.iloc[2], rows.parent.iloc[2]), masks[0])
        if suite == "counterfactual":
            assert len(masks) == 2 and not np.array_equal(*masks)
        if suite == "paraphrase":
            assert rows.program.nunique() == 1 and rows.text.nunique() == 5
    assert {"triple", "counterfactual"} <= seen


def test_probes_are_of_test_volumes_and_absent_targets_are_absent(built, store):
    _, _, bench = built
    probes = bench.prompts[bench.prompts.suite != "core"]
    assert set(probes.split) == {"test"}
    absent = probes[probes.suite == "absent"]
    assert len(absent) and not any(mask(store, row, row.program).any() for row in absent.itertuples())


def test_test_prompts_are_worded_by_held_out_parts_and_no_such_text_is_taught(built):
    _, _, bench = built
    core = bench.prompts[bench.prompts.suite == "core"]
    assert set(core[core.split == "test"].phrasing) == {"unseen"}
    assert set(core[core.split != "test"].phrasing) == {"seen"}
    again = bench.prompts[bench.prompts.suite == "phrasing"]
    assert set(again.phrasing) == {"seen", "unseen_template", "unseen_synonym"}
    held_out = bench.prompts[bench.prompts.phrasing != "seen"]
    assert not set(held_out.text) & set(bench.training.texts.explode())


def test_training_is_about_train_and_validation_volumes_at_every_level_and_sometimes_about_nothing(built, store):
    _, _, bench = built
    training = bench.training
    assert set(training.split) == {"train", "validation"}
    assert set(training.level) == {1, 2, 3}
    assert training.groupby("volume_id").slice.nunique().max() <= PARAMETERS["slices_per_volume"]
    empty = training[training.target_pixels == 0]
    assert 0 < len(empty) < 0.25 * len(training)
    for row in training.itertuples():
        assert mask(store, row, row.program).sum() == row.target_pixels
        assert 1 <= len(set(row.texts)) == len(row.texts) <= PARAMETERS["texts_per_question"]


def test_rows_of_one_program_meet_different_texts(built):
    _, _, bench = built
    names = bench.training[(bench.training.level == 1) & (bench.training.program == "organ(kidney)")]
    assert len(names) > 2
    assert len({tuple(texts) for texts in names.texts}) > 1
    assert names.texts.explode().nunique() <= count_forms(parse("organ(kidney)"), (), part="seen")


def test_clauses_in_the_evidence_are_those_of_the_prompt(built):
    _, _, bench = built
    for row in bench.prompts.itertuples():
        said = [(item.attribute, item.value) for item in from_json(row.clauses)]
        assert said == [(item["attribute"], item["value"]) for item in json.loads(row.evidence)["clauses"]]
        assert (row.level == 2) <= bool(said)


def test_all_claims_hold_but_for_the_volume_that_is_short(built, store):
    _, candidates, bench = built
    for answer in (
        check_candidates(candidates.prompts, candidates.training, store.manifest),
        check_bench(bench.prompts, bench.training, store.manifest),
    ):
        broken = answer[answer.exceptions != answer.expected]
        assert list(broken.claim) == ["every volume has nine core prompts, three a level"]
        assert list(broken.exceptions) == [1]


def test_claims_notice_what_is_broken(built, store):
    _, _, bench = built
    prompts, training = bench.prompts.copy(), bench.training.copy()
    core = prompts[prompts.suite == "core"]
    worse = {
        "the levels of a volume are equally many": prompts.drop(index=core.index[0]),
        "every prompt has its own id": pd.concat([prompts, prompts.iloc[:1]]),
        "a triple asks at every level": prompts.drop(index=prompts[prompts.suite == "triple"].index[0]),
        "targets of the absent suite are empty, all others not": prompts.assign(target_pixels=0),
    }
    for claim, table in worse.items():
        answer = check_bench(table, training, store.manifest).set_index("claim")
        assert answer.loc[claim, "exceptions"] > 0
    test_row = training.iloc[:1].assign(volume_id="kidneys_2:CT")
    answer = check_bench(prompts, pd.concat([training, test_row]), store.manifest).set_index("claim")
    assert answer.loc["no training question is about a patient of the test split", "exceptions"] == 1


def test_two_runs_write_the_same_bytes_whatever_the_number_of_processes(built, volumes, tmp_path):
    out, _, _ = built
    make_candidates(volumes, tmp_path, seed=1, workers=2, **PARAMETERS)
    verify_candidates(volumes, tmp_path, tmp_path, seed=1, workers=2)
    names = sorted(path.name for path in out.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    assert "prompts.parquet" in names and "croissant.json" in names
    for name in names:
        assert (out / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_another_seed_asks_otherwise(built, volumes, tmp_path):
    _, candidates, _ = built
    other = make_candidates(volumes, tmp_path, seed=2, workers=1, **PARAMETERS)
    assert set(other.prompts.text) != set(candidates.prompts.text)


def test_missing_or_foreign_candidates_are_named(volumes, built, tmp_path: Path):
    with pytest.raises(DataError, match="candidates.parquet.*Run the stage prompts first"):
        verify_candidates(volumes, tmp_path, tmp_path, seed=0)
    out, _, _ = built
    for name in ("candidates.parquet", "training_candidates.parquet"):
        table = pd.read_parquet(out / name)
        table["volume_id"] = "elsewhere:CT"
        table.to_parquet(tmp_path / name)
    with pytest.raises(DataError, match="'elsewhere'.*Run the stage prompts again"):
        verify_candidates(volumes, tmp_path, tmp_path, seed=0)
    assert not (tmp_path / "prompts.parquet").exists()
