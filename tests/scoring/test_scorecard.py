"""The scorer of anybody's masks: what it must give on known answers, and what it must say of bad ones."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from semantiseg.errors import DataError, OutputError, ParameterError
from semantiseg.evaluation import runs
from semantiseg.scoring import leaderboard
from semantiseg.scoring.benchmark import Benchmark, tiny_suite
from semantiseg.scoring.scorecard import Entrant, score

WRITTEN = {".semantiseg", 
    "levels.pdf", "levels.png", "levels.svg", "results.csv", "results.parquet", "submission.json", "summary.json",
    "table1.csv", "table1.md", "table1.tex",
}  # fmt: skip


@pytest.fixture(scope="module")
def bench(cohort, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("bench")
    cohort.write(root, {})
    return root / "data"


def write_pngs(folder: Path, answers: dict[str, np.ndarray], *, high: int = 255) -> Path:
    folder.mkdir()
    for prompt_id, mask in answers.items():
        Image.fromarray(mask.astype(np.uint8) * high).save(folder / f"{prompt_id}.png")
    return folder


def write_runs(path: Path, answers: dict[str, np.ndarray], *, metadata: dict[str, str] | None = None) -> Path:
    rows = [
        {"prompt_id": prompt_id, "height": mask.shape[0], "width": mask.shape[1], "runs": runs.encode(mask)}
        for prompt_id, mask in answers.items()
    ]
    table = pa.Table.from_pandas(pd.DataFrame(rows), preserve_index=False)
    pq.write_table(table.replace_schema_metadata(metadata), path)
    return path


def value(card, *path: str) -> float:
    found = card.metrics["models"][card.entry.model]
    for key in path:
        found = found[key]
    return found["value"]


class TestKnownAnswers:
    def test_the_truth_has_dice_one_and_no_sensitivity_at_all(self, cohort, bench, tmp_path):
        card = score(write_pngs(tmp_path / "truth", cohort.answers("truth")), bench=bench, resamples=20)
        assert (card.results[["dice", "iou", "nsd"]] == 1.0).all(axis=None)
        assert [value(card, "core", name) for name in ("l1", "l2", "l3", "pss", "difference")] == [1, 1, 1, 0, 0]
        assert (value(card, "collapse_rate"), value(card, "counterfactual", "response")) == (0, 1)
        assert (value(card, "absent", "rate"), value(card, "fairness", "level", "delta")) == (0, 0)

    def test_parent_masks_at_level_three_collapse_always(self, cohort, bench, tmp_path):
        card = score(write_runs(tmp_path / "c.parquet", cohort.answers("collapses")), bench=bench, resamples=20)
        assert value(card, "collapse_rate") == 1.0
        assert value(card, "core", "l1") == 1.0 and value(card, "core", "pss") > 0
        assert value(card, "counterfactual", "response") == 0.0

    def test_empty_masks_score_zero_without_a_warning(self, cohort, bench, tmp_path):
        folder = write_pngs(tmp_path / "nothing", cohort.answers("nothing"))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            card = score(folder, bench=bench, resamples=20)
        assert [value(card, "core", name) for name in ("l1", "l3", "pss")] == [0, 0, None]
        present = card.results[card.results["target_mm2"] > 0]
        assert (present[["dice", "iou", "nsd"]] == 0).all(axis=None) and np.isfinite(present["hd95_mm"]).all()


class TestForms:
    def test_every_form_gives_the_pipelines_own_scores(self, cohort, bench, results, tmp_path):
        answers, store = cohort.answers("collapses"), Benchmark(bench)
        folders = {"png": write_pngs(tmp_path / "png", answers), "one": write_pngs(tmp_path / "one", answers, high=1)}
        for name in ("bits", "slice", "volume", "flipped"):
            folders[name] = tmp_path / name
            folders[name].mkdir()
        for prompt_id, mask in answers.items():
            affine, index = store.affine(prompt_id), store.test[prompt_id].slice
            Image.fromarray(mask).save(folders["bits"] / f"{prompt_id}.png")
            moved = affine.copy()
            moved[:3, 3] += index * affine[:3, 2]
            single = nib.Nifti1Image(mask.T.astype(np.uint8), moved)
            nib.save(single, folders["slice"] / f"{prompt_id}.nii.gz")
            volume = np.zeros((*mask.T.shape, 3), dtype=np.float32)
            volume[..., index] = mask.T
            image = nib.Nifti1Image(volume, affine)
            nib.save(image, folders["volume"] / f"{prompt_id}.nii")
            flips = nib.orientations.axcodes2ornt("LPS")
            nib.save(image.as_reoriented(flips), folders["flipped"] / f"{prompt_id}.nii.gz")
        folders["runs"] = write_runs(tmp_path / "runs.parquet", answers)
        expected = results["collapses"].sort_values("prompt_id", ignore_index=True).drop(columns="model")
        for path in folders.values():
            card = score(path, bench=bench, nsd_tolerance_mm=1.0, resamples=2)
            pd.testing.assert_frame_equal(card.results.drop(columns="model"), expected, check_exact=True)

    def test_two_processes_give_the_same_bytes_as_one(self, cohort, bench, tmp_path):
        path = write_runs(tmp_path / "model.parquet", cohort.answers("collapses"))
        for workers in (1, 2):
            score(path, bench=bench, out=tmp_path / f"out{workers}", resamples=20, workers=workers)
        for name in WRITTEN:
            assert (tmp_path / "out1" / name).read_bytes() == (tmp_path / "out2" / name).read_bytes(), name

    def test_the_folder_holds_every_table_and_names_the_model(self, cohort, bench, tmp_path):
        entry = Entrant("My model", prompting="oracle box and text", link="", trained_on=("KiTS23:train",))
        folder = write_pngs(tmp_path / "masks", cohort.answers("truth"))
        card = score(folder, bench=bench, out=tmp_path / "out", entry=entry, resamples=20)
        assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN
        assert sorted(path.name for path in tmp_path.iterdir()) == ["masks", "out"]
        first = (tmp_path / "out" / "table1.md").read_text().splitlines()[4]
        assert first.startswith("| My model | scored here on phantoms, training split | oracle box and text | 1.00")
        assert list(card.table["model"])[1:] == ["BiomedParse", "SAM-Med2D", "SemantiSeg (Ours)"]
        made = leaderboard.read(tmp_path / "out" / "submission.json")
        assert (made.model, made.core.l1.value, made.missing) == ("My model", 1.0, 0)


class TestResuming:
    def test_a_stopped_run_goes_on_and_ends_in_the_same_bytes(self, cohort, bench, tmp_path, monkeypatch):
        from semantiseg.scoring import predictions
        from semantiseg.scoring import score as scoring

        monkeypatch.setattr(predictions, "_BATCH", 10)
        folder = write_pngs(tmp_path / "m", cohort.answers("collapses"))
        score(folder, bench=bench, out=tmp_path / "whole", resamples=20)
        honest, seen = scoring._score_batch, []

        def stopping(batch, *rest):
            if len(seen) == 4:
                raise KeyboardInterrupt
            seen.append(batch)
            return honest(batch, *rest)

        monkeypatch.setattr(scoring, "_score_batch", stopping)
        with pytest.raises(KeyboardInterrupt):
            score(folder, bench=bench, out=tmp_path / "out", resamples=20)
        assert not (tmp_path / "out").exists()
        again: list[str] = []
        monkeypatch.setattr(
            scoring,
            "_score_batch",
            lambda batch, *rest: again.extend(item[0] for item in batch) or honest(batch, *rest),
        )
        score(folder, bench=bench, out=tmp_path / "out", resamples=20, resume=True)
        done = {item[0] for batch in seen for item in batch}
        assert len(done) == 40 and set(again) == set(cohort.prompts["prompt_id"]) - done
        for name in WRITTEN:
            assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name

    def test_a_mask_that_changed_meanwhile_is_scored_again(self, cohort, bench, tmp_path, monkeypatch):
        from semantiseg.scoring import predictions

        monkeypatch.setattr(predictions, "_BATCH", 10)
        answers = cohort.answers("truth")
        folder, first, last = write_pngs(tmp_path / "m", answers), min(answers), max(answers)
        (folder / f"{last}.png").write_bytes(b"broken")
        with pytest.raises(DataError, match="complete PNG"):
            score(folder, bench=bench, out=tmp_path / "out", resume=True)
        Image.fromarray(answers[last]).save(folder / f"{last}.png")
        Image.fromarray(np.zeros_like(answers[first])).save(folder / f"{first}.png")  # scored before
        card = score(folder, bench=bench, out=tmp_path / "out", resamples=2, resume=True)
        dice = card.results.set_index("prompt_id")["dice"]
        assert dice[first] == 0 and (dice.drop(first) == 1).all() and not (tmp_path / ".out.partial").exists()

    def test_other_settings_are_not_mixed_in(self, cohort, bench, tmp_path):
        folder = write_pngs(tmp_path / "m", cohort.answers("truth"))
        name = sorted(folder.iterdir())[0]
        kept = name.read_bytes()
        name.write_bytes(b"broken")
        with pytest.raises(DataError, match="complete PNG"):
            score(folder, bench=bench, out=tmp_path / "out", resume=True)
        name.write_bytes(kept)
        with pytest.raises(DataError, match="Run again without resuming"):
            score(folder, bench=bench, out=tmp_path / "out", resume=True, nsd_tolerance_mm=5.0)


class TestMissing:
    def test_missing_answers_are_named_and_not_averaged_over(self, cohort, bench, tmp_path):
        answers = cohort.answers("truth")
        left_out = sorted(answers)[:3]
        path = write_runs(tmp_path / "m.parquet", {key: answers[key] for key in answers if key not in left_out})
        with pytest.raises(DataError, match=rf"got none to 3: \['{left_out[0]}'"):
            score(path, bench=bench, out=tmp_path / "out")
        assert [item.name for item in tmp_path.iterdir()] == ["m.parquet"]

    def test_counted_as_the_worst_they_never_help(self, cohort, bench, tmp_path):
        answers = cohort.answers("collapses")
        cut = {key: mask for key, mask in answers.items() if not key.endswith(("03", "16", "17"))}
        whole = score(write_runs(tmp_path / "a.parquet", answers), bench=bench, resamples=2)
        card = score(write_runs(tmp_path / "b.parquet", cut), bench=bench, resamples=2, missing="worst")
        assert len(card.missing) == len(answers) - len(cut) == len(card.metrics["missing"])
        assert len(card.results) == len(answers)
        gone = card.results[card.results["prompt_id"].isin(card.missing)]
        assert (gone["dice"] == 0).all() and (gone["predicted_mm2"] == 40 * 48).all()
        assert (gone["collapsed"] == gone["parent_differs"]).all()
        for name in ("l1", "l2", "l3"):
            assert value(card, "core", name) <= value(whole, "core", name)
        assert value(card, "collapse_rate") >= value(whole, "collapse_rate")


def first_of(cohort) -> str:
    return sorted(cohort.prompts["prompt_id"])[0]


def as_png(values: np.ndarray, name: str = "{id}.png"):
    return lambda folder, prompt_id: Image.fromarray(values).save(folder / name.format(id=prompt_id))


def as_nifti(values: np.ndarray, affine: np.ndarray | None = None):
    affine = np.diag([1.0, 1, 1, 1]) if affine is None else affine

    def write(folder: Path, prompt_id: str) -> None:
        (folder / f"{prompt_id}.png").unlink()
        nib.save(nib.Nifti1Image(values, affine), folder / f"{prompt_id}.nii.gz")

    return write


def one_nan(shape: tuple[int, ...]) -> np.ndarray:
    values = np.zeros(shape, dtype=np.float32)
    values[0, 0] = np.nan
    return values


FAULTS = {
    "wrong shape": (as_png(np.zeros((40, 47), np.uint8)), "expected a mask of 40 x 48 pixels"),
    "probabilities": (
        as_nifti(np.linspace(0, 1, 48 * 40 * 3, dtype=np.float32).reshape(48, 40, 3)), "got probabilities",
    ),
    "label numbers": (as_png(np.arange(40 * 48, dtype=np.uint8).reshape(40, 48) % 4), "got label numbers"),
    "colour": (as_png(np.zeros((40, 48, 3), np.uint8)), "one grey channel, got mode RGB"),
    "volume of another depth": (as_nifti(np.zeros((48, 40, 5), np.uint8)), "got 5. Save the mask"),
    "wrong affine": (as_nifti(np.zeros((48, 40, 3), np.uint8), np.diag([2.0, 2, 2, 1])), "expected the affine of"),
    "slice elsewhere": (as_nifti(np.zeros((48, 40, 1), np.uint8)), "slice 1, got corners up to 1 mm"),
    "NaN": (as_nifti(one_nan((48, 40, 3))), "1 NaN or infinite"),
    "no image": (lambda folder, name: (folder / f"{name}.png").write_bytes(b"no"), "complete PNG"),
    "unknown id": (as_png(np.zeros((40, 48), np.uint8), "stranger.png"), r"1 unknown \['stranger'\]"),
    "id given twice": (
        lambda folder, name: (folder / f"{name}.nii").write_bytes(b""), r"1 repeated \['v00-00'\]",
    ),
    "other files": (lambda folder, name: (folder / "mask.jpg").write_bytes(b""), r"other files \['mask.jpg'\]"),
    "another version": (
        lambda folder, name: (folder / "predictions.json").write_text('{"semantibench": "0123456789ab"}'),
        "got answers to 0123456789ab",
    ),
    "a card that is no card": (lambda folder, name: (folder / "predictions.json").write_text("[]"), "JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_of_a_folder_is_named_and_nothing_is_written(cohort, bench, tmp_path, fault):
    inject, message = FAULTS[fault]
    folder = write_pngs(tmp_path / "masks", cohort.answers("truth"))
    inject(folder, first_of(cohort))
    with pytest.raises(DataError, match=message):
        score(folder, bench=bench, out=tmp_path / "out", resamples=2)
    assert [path.name for path in tmp_path.iterdir()] == ["masks"]


TABLE_FAULTS = {
    "wrong shape": (lambda rows: rows.assign(height=41), "expected runs of a mask of 40 x 48 pixels, got 41 x 48"),
    "runs that do not add up": (lambda rows: rows.assign(runs=[[5]] * len(rows)), "prompt v.*add up to"),
    "no runs": (lambda rows: rows.assign(runs=[None, *rows["runs"][1:]]), "pixels, got none"),
    "probabilities": (lambda rows: rows.assign(runs=[[0.5]] * len(rows)), "got {'runs': 'list<element: double>'}"),
    "repeated id": (lambda rows: pd.concat([rows, rows[:1]]), "1 repeated"),
    "no column": (lambda rows: rows.drop(columns="width"), "'width': 'absent'"),
    "no rows": (lambda rows: rows[:0], "got {'runs': 'null'}"),
}


@pytest.mark.parametrize("fault", TABLE_FAULTS)
def test_every_fault_of_a_table_is_named_and_nothing_is_written(cohort, bench, tmp_path, fault):
    spoil, message = TABLE_FAULTS[fault]
    path = write_runs(tmp_path / "m.parquet", cohort.answers("truth"))
    spoil(pd.read_parquet(path)).to_parquet(path, index=False)
    with pytest.raises(DataError, match=message):
        score(path, bench=bench, out=tmp_path / "out", resamples=2)
    assert [item.name for item in tmp_path.iterdir()] == ["m.parquet"]


def test_a_table_may_name_its_benchmark(cohort, bench, tmp_path):
    version = Benchmark(bench).version
    right = write_runs(tmp_path / "a.parquet", cohort.answers("truth"), metadata={"semantibench": version})
    assert score(right, bench=bench, resamples=2).metrics["benchmark"] == version
    wrong = write_runs(tmp_path / "b.parquet", cohort.answers("truth"), metadata={"semantibench": "0" * 12})
    with pytest.raises(DataError, match=f"expected answers to benchmark version {version}"):
        score(wrong, bench=bench)


def test_the_version_changes_with_the_prompts(cohort, bench, tmp_path):
    other = tmp_path / "data"
    (other / "bench").mkdir(parents=True)
    (other / "volumes").symlink_to(bench / "volumes")
    rows = cohort.prompts.copy()
    rows.loc[0, "text"] += "!"
    rows.to_parquet(other / "bench" / "prompts.parquet", index=False)
    assert Benchmark(other).version != Benchmark(bench).version


@pytest.mark.parametrize("kind", ["nothing there", "an empty folder", "no parquet"])
def test_what_holds_no_predictions_is_named(bench, tmp_path, kind):
    path = tmp_path / "masks"
    if kind == "an empty folder":
        path.mkdir()
    elif kind == "no parquet":
        path.write_text("hello")
    with pytest.raises(DataError, match=f"{path}: expected"):
        score(path, bench=bench)


def test_a_folder_that_is_no_benchmark_is_named(tmp_path):
    with pytest.raises(DataError, match="expected a release of SemantiBench or the project's data/, got no prompts"):
        score(tmp_path, bench=tmp_path)


def test_a_folder_of_something_else_is_not_overwritten(cohort, bench, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    path = write_runs(tmp_path / "m.parquet", cohort.answers("truth"))
    with pytest.raises(OutputError, match="is or holds"):
        score(path, bench=bench, out=tmp_path)
    assert (tmp_path / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("setting", "value"),
    [("workers", 0), ("resamples", 0), ("nsd_tolerance_mm", -1.0), ("resume", True), ("nsd_tolerance_mm", np.nan)],
)
def test_settings_out_of_range_are_named(bench, setting, value):
    with pytest.raises(ParameterError, match=setting):
        score("masks", bench=bench, **{setting: value})


def test_the_command_writes_scores_and_the_leaderboard_reads_them(cohort, bench, tmp_path, monkeypatch):
    from click.testing import CliRunner

    from semantiseg.cli import main

    monkeypatch.chdir(tmp_path)
    path = write_runs(tmp_path / "good.parquet", cohort.answers("truth"))
    done = CliRunner().invoke(main, ["score", str(path), "--bench", str(bench), "--resamples", "10"])
    assert done.exit_code == 0, done.output
    assert "| 1 [1, 1] | good | text | 1.00 [1.00, 1.00] |" in done.output
    write_runs(path, cohort.answers("nothing"))
    failed = CliRunner().invoke(main, ["score", str(path), "--bench", str(tmp_path)])
    assert failed.exit_code == 1 and "expected a release of SemantiBench" in failed.output
    CliRunner().invoke(main, ["score", str(path), "--bench", str(bench), "--name", "bad", "--resamples", "10"])
    board = CliRunner().invoke(main, ["leaderboard"])
    assert [line.split(" | ")[1] for line in board.output.splitlines()[4:]] == ["good", "bad"]
    assert json.loads((tmp_path / "scores/bad/submission.json").read_text())["core"]["pss"]["value"] is None


class TestTinySuite:
    def test_it_is_a_hundred_core_prompts_in_their_shares_whatever_the_order_of_rows(self):
        rows = [
            {"prompt_id": f"{collection}{level}{place:03d}", "split": "test", "suite": "core", "phrasing": "unseen"}
            | {"level": level, "collection": collection, "kind": "side", "structure": "liver"}
            for collection, count in (("a", 90), ("b", 30)) for level in (1, 2, 3) for place in range(count)
        ]  # fmt: skip
        prompts = pd.DataFrame(rows + [rows[0] | {"prompt_id": "other", "suite": "triple"}])
        found = tiny_suite(prompts)
        assert len(set(found)) == 100 and found == tiny_suite(prompts.sample(frac=1.0, random_state=1))
        by = prompts.set_index("prompt_id").loc[found].groupby(["level", "collection"]).size().to_dict()
        assert by[3, "a"] + by[3, "b"] == 50 and by[1, "a"] + by[1, "b"] == 25
        assert all(abs(by[level, "a"] / (by[level, "a"] + by[level, "b"]) - 0.75) < 0.03 for level in (1, 2, 3))

    def test_a_score_of_it_asks_for_its_answers_only_and_is_another_benchmark(self, cohort, bench, tmp_path):
        tiny = Benchmark(bench, tiny=True)
        assert set(tiny.test) == set(cohort.prompts.query("suite == 'core'")["prompt_id"])  # fewer than 100: all
        answers = {key: mask for key, mask in cohort.answers("collapses").items() if key in tiny.test}
        path = write_runs(tmp_path / "m.parquet", answers)
        card = score(path, bench=tiny, out=tmp_path / "out", resamples=20, workers=2)
        made = leaderboard.read(tmp_path / "out/submission.json")
        assert made.tiny and made.benchmark == tiny.version != Benchmark(bench).version
        assert value(card, "core", "l1") == 1.0 and made.matched.l1.value is None
