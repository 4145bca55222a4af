"""A release opens everywhere, describes itself, holds no voxels, and finds a user's own images by checksum alone."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from PIL import Image

from semantiseg import cli
from semantiseg.bench.build import make_candidates, verify_candidates
from semantiseg.bench.measure.cases import write_attributes
from semantiseg.bench.release.attach import attach
from semantiseg.bench.release.publication import write_release
from semantiseg.bench.release.tables import licence_of
from semantiseg.commands import collections
from semantiseg.data.prepare import prepare
from semantiseg.errors import DataError, OutputError
from semantiseg.files import MARKER
from semantiseg.scoring.benchmark import load_benchmark
from semantiseg.scoring.scorecard import score

SHAPE = (72, 48, 14)


def ball(centre: tuple[float, ...], radius: float) -> np.ndarray:
    grid = np.indices(SHAPE)
    return sum((axis - at) ** 2 for axis, at in zip(grid, centre, strict=True)) <= radius**2


def save(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(values, np.diag([1.0, 1.0, 1.0, 1.0])), path)


def write_kidneys(folder: Path, case: int) -> None:
    labels = np.zeros(SHAPE, dtype=np.uint8)
    for x in (16, 55):
        labels[ball((x, 24, 7), 11)] = 1
    labels[ball((52, 28 + case % 3, 7), 5)] = 2
    labels[ball((18, 22, 7), 4)] = 3
    values = np.array([-100.0, 180, 90, 5])[labels] + np.random.default_rng(case).normal(0, 5, SHAPE)
    save(folder / f"case_{case:05d}/imaging.nii.gz", values.astype(np.int16))
    save(folder / f"case_{case:05d}/segmentation.nii.gz", labels)


def write_prostates(folder: Path, cases: int) -> None:
    training = []
    for case in range(cases):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        labels[ball((36, 22 + case, 7), 12)] = 1
        labels[ball((36, 26 + case, 7), 7)] = 2
        noise = np.random.default_rng(case).normal(0, 8, (*SHAPE, 2))
        values = np.stack([np.array([60.0, 240, 150])[labels], np.array([90.0, 150, 240])[labels]], axis=-1) + noise
        save(folder / f"imagesTr/prostate_{case:02d}.nii.gz", values.astype(np.int16))
        save(folder / f"labelsTr/prostate_{case:02d}.nii.gz", labels)
        name = f"prostate_{case:02d}.nii.gz"
        training.append({"image": f"./imagesTr/{name}", "label": f"./labelsTr/{name}"})
    description = {
        "modality": {"0": "T2", "1": "ADC"}, "labels": {"0": "background", "1": "PZ", "2": "TZ"}, "training": training,
    }  # fmt: skip
    (folder / "dataset.json").write_text(json.dumps(description))


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder like a workspace, from raw images to a verified bench."""
    root = tmp_path_factory.mktemp("released")
    data = root / "data"
    for case in range(4):
        write_kidneys(data / "raw/KiTS23", case)
    write_prostates(data / "raw/Task05_Prostate", 4)
    sources = [
        {"collection": "KiTS23", "layout": "kits23", "origin": "official", "licence": "CC BY-NC-SA 4.0"},
        {"collection": "Task05_Prostate", "layout": "decathlon", "origin": "phantom", "licence": "CC0-1.0"},
    ]
    (data / "raw/sources.json").write_text(json.dumps(sources))
    prepare(data / "raw", data / "volumes", spacing_mm=1.0, test_share=0.25, validation_share=0.25, seed=0, workers=1)
    options = {"seed": 0, "workers": 1}
    make_candidates(
        data / "volumes", data / "bench", minimum_pixels=16, slices_per_volume=1, texts_per_question=2, **options
    )
    write_attributes(data / "volumes", data / "bench/attributes.parquet", workers=1)
    verify_candidates(data / "volumes", data / "bench", data / "bench", **options)
    return root


@pytest.fixture(scope="module")
def published(place) -> Path:
    data = place / "data"
    write_release(data / "raw", data / "volumes", data / "bench", place / "semantibench")
    return place / "semantibench"


@pytest.fixture(scope="module")
def prompts(place) -> pd.DataFrame:
    return pd.read_parquet(place / "data/bench/prompts.parquet")


def test_pandas_reads_every_prompt_in_its_split(published, prompts):
    parts = {path.stem: pd.read_parquet(path) for path in (published / "prompts").glob("*.parquet")}
    assert set(parts) == {"train", "validation", "test"}
    assert all(set(part["split"]) == {split} for split, part in parts.items())
    together = pd.concat(parts.values()).sort_values("prompt_id", ignore_index=True)
    pd.testing.assert_frame_equal(together, prompts.sort_values("prompt_id", ignore_index=True))


def test_duckdb_reads_and_joins_the_files(published, prompts):
    duckdb = pytest.importorskip("duckdb", reason="DuckDB is a test dependency")
    query = (
        f"select count(*), sum(p.target_pixels) from '{published}/prompts/*.parquet' p "
        f"join '{published}/volumes.parquet' v using (volume_id) where v.licence <> ''"
    )
    assert duckdb.sql(query).fetchall()[0] == (len(prompts), prompts["target_pixels"].sum())


def test_hugging_face_datasets_reads_every_configuration_from_disk(published, prompts, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets", reason="datasets is a test dependency")
    cache = str(tmp_path)
    for split in ("train", "validation", "test"):
        loaded = datasets.load_dataset(str(published), "prompts", split=split, cache_dir=cache)
        expected = prompts[prompts["split"] == split]
        assert sorted(loaded["prompt_id"]) == sorted(expected["prompt_id"])
    training = datasets.load_dataset(str(published), "training", split="train", cache_dir=cache)
    assert all(len(texts) for texts in training["texts"])
    assert len(datasets.load_dataset(str(published), "volumes", split="train", cache_dir=cache)) == 4 + 8
    assert ("config_name: rejected" in (published / "README.md").read_text()) == bool(
        len(pd.read_parquet(published / "rejected.parquet"))
    )
    for name in ("attributes", "account"):
        loaded = datasets.load_dataset(str(published), name, split="train", cache_dir=cache)
        assert len(loaded) == len(pd.read_parquet(published / f"{name}.parquet"))


def test_the_croissant_library_finds_no_fault_and_reads_every_record_set(published, prompts):
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is a test dependency")
    dataset = croissant.Dataset(jsonld=published / "croissant.json")
    assert not dataset.metadata.issues.errors
    counts = {item.name: len(list(dataset.records(item.name))) for item in dataset.metadata.record_sets}
    assert sum(count for name, count in counts.items() if name.startswith("prompts_")) == len(prompts)
    assert counts["volumes"] == 12
    assert counts["account"] == len(pd.read_parquet(published / "account.parquet")) > 0
    assert counts["attributes"] == len(pd.read_parquet(published / "attributes.parquet")) > 100
    for field in ("data_collection", "data_biases", "data_limitations", "data_use_cases", "data_annotation_protocol",
                  "personal_sensitive_information", "data_social_impact", "data_release_maintenance_plan"):  # fmt: skip
        assert getattr(dataset.metadata, field), field


def test_the_release_says_what_was_measured_and_what_could_not_be_made(published, place, prompts):
    sums = pd.read_parquet(published / "account.parquet")
    assert sums["made"].sum() == len(prompts) and (sums["wanted"] == sums["made"] + sums["short"]).all()
    measured = pd.read_parquet(published / "attributes.parquet")
    assert set(measured["volume_id"]) <= set(pd.read_parquet(published / "volumes.parquet")["volume_id"])
    volume = measured[(measured["structure"] == "prostate") & (measured["attribute"] == "volume")]
    assert volume["unit"].eq("ml").all() and volume["number"].between(5, 9).all()
    fields = json.loads((published / "croissant.json").read_text())["recordSet"]
    said = {one["@id"]: one["description"] for part in fields for one in part["field"]}
    assert said["attributes/margin"].startswith("distance") and said["rejected/reason"] != said["account/reasons"]
    card = (published / "README.md").read_text(encoding="utf-8")
    assert "config_name: attributes" in card and "config_name: account" in card and "`composition`" in card


def test_a_bench_without_attributes_is_no_release(place, tmp_path):
    data = place / "data"
    copy = shutil.copytree(data / "bench", tmp_path / "bench", ignore=shutil.ignore_patterns("attributes.parquet"))
    with pytest.raises(DataError, match="attributes.parquet: .*Run the stage prompts first"):
        write_release(data / "raw", data / "volumes", copy, tmp_path / "out")


def test_a_changed_byte_is_noticed_by_the_described_hash(published, tmp_path):
    croissant = pytest.importorskip("mlcroissant", reason="mlcroissant is a test dependency")
    copy = shutil.copytree(published, tmp_path / "copy")
    path = copy / "volumes.parquet"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(croissant.GenerationError, match=r"Download\(volumes.parquet\)"):
        list(croissant.Dataset(jsonld=copy / "croissant.json").records("volumes"))


def test_nothing_but_tables_and_words_is_in_it_and_no_place_of_this_machine(published, place):
    suffixes = {path.suffix for path in published.rglob("*") if path.is_file() and path.name != MARKER}
    assert suffixes == {".parquet", ".json", ".md"}
    for path in published.rglob("*.parquet"):
        assert {str(kind) for kind in pq.read_schema(path).types} <= {
            "string", "int64", "bool", "double", "list<element: string>"
        }  # fmt: skip
    for path in (published / "README.md", published / "croissant.json"):
        assert str(place) not in path.read_text(encoding="utf-8")


def test_the_card_names_origin_licence_and_terms_of_every_collection(published):
    card = (published / "README.md").read_text(encoding="utf-8")
    assert "KiTS23 (official)" in card and "Task05_Prostate (phantom)" in card
    assert "CC-BY-NC-SA-4.0" in card and "CC0-1.0" in card and "No image is contained" in card
    volumes = pd.read_parquet(published / "volumes.parquet").groupby("collection")["licence"].first()
    assert volumes.to_dict() == {"KiTS23": "CC-BY-NC-SA-4.0", "Task05_Prostate": "CC0-1.0"}


def test_terms_go_by_collection_and_a_users_own_images_are_the_owners():
    assert licence_of("Task03_Liver", "official").name == "CC-BY-SA-4.0"
    assert licence_of("BraTS2024-PED", "official").name == "CC-BY-NC-4.0"
    assert licence_of("Task999_Mine", "user").name == licence_of("Mine", "official").name == "the owner's"


def test_equal_inputs_give_equal_files_and_an_earlier_release_is_replaced(place, published):
    before = {path.relative_to(published): path.read_bytes() for path in published.rglob("*") if path.is_file()}
    (published / "old.parquet").write_bytes(b"")
    data = place / "data"
    write_release(data / "raw", data / "volumes", data / "bench", published)
    after = {path.relative_to(published): path.read_bytes() for path in published.rglob("*") if path.is_file()}
    assert after == before


def test_a_folder_of_something_else_is_left_alone(place, tmp_path):
    (tmp_path / "thesis.tex").write_text("years of work")
    data = place / "data"
    with pytest.raises(OutputError, match="got other files"):
        write_release(data / "raw", data / "volumes", data / "bench", tmp_path)
    assert (tmp_path / "thesis.tex").is_file()


@pytest.fixture
def own_copy(place, tmp_path) -> Path:
    """The user's files: the same bytes under other names, in one heap, no description beside them."""
    for number, path in enumerate(sorted((place / "data/raw").rglob("*.nii.gz"))):
        (tmp_path / "heap").mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / f"heap/{997 * number % 1000:03d}.nii.gz")
    return tmp_path / "heap"


@pytest.fixture
def release(published, tmp_path) -> Path:
    """A release of this test alone, to attach images to."""
    return shutil.copytree(published, tmp_path / "release")


def test_prompts_are_attached_to_a_users_own_copy_by_checksum_alone(place, release, own_copy, prompts):
    found = attach(release, own_copy)
    assert (found.cases, found.missing, found.prompts, found.differing) == (8, [], len(prompts), [])
    expected = sorted((place / "data/volumes").glob("*.h5"))
    assert [(release / "volumes" / path.name).read_bytes() for path in expected] == [
        path.read_bytes() for path in expected
    ]
    again = pd.read_parquet(release / "volumes/manifest.parquet")
    pd.testing.assert_frame_equal(again, pd.read_parquet(place / "data/volumes/manifest.parquet"))


def test_what_is_not_found_is_listed_and_the_rest_attached(place, release, own_copy, prompts, tmp_path):
    lost = (place / "data/raw/KiTS23/case_00001/segmentation.nii.gz").read_bytes()
    for path in own_copy.iterdir():
        if path.read_bytes() == lost:
            path.write_bytes(lost[:-1])
    with pytest.raises(DataError, match="got none"):
        attach(release, tmp_path / "empty")
    found = attach(release, own_copy)
    assert found.missing == ["case_00001:CT"] and found.cases == 7 and found.differing == []
    asked = load_benchmark(release).prompts
    assert set(asked["volume_id"]) == set(prompts["volume_id"]) - {"case_00001:CT"}


def test_a_target_that_is_not_the_released_one_is_reported(release, own_copy):
    path = release / "prompts/test.parquet"
    table = pd.read_parquet(path)
    table.loc[0, "target_pixels"] += 1
    table.to_parquet(path)
    assert attach(release, own_copy).differing == [table.loc[0, "prompt_id"]]


def said(*words: object) -> str:
    """What `semantiseg WORDS` prints; it must end well."""
    answer = CliRunner().invoke(cli.main, [str(word) for word in words], catch_exceptions=False)
    assert answer.exit_code == 0, answer.output
    return answer.output


def test_a_release_attached_to_images_is_scored_in_three_lines_and_ranked(place, own_copy, tmp_path, monkeypatch):
    monkeypatch.setattr(collections, "ROOT", place)
    monkeypatch.chdir(tmp_path)
    assert "volumes.parquet: 12 rows" in said("bench", "release", "bench", "--date", "2026-01-31")
    assert json.loads((tmp_path / "bench/croissant.json").read_text())["datePublished"] == "2026-01-31"
    with pytest.raises(DataError, match="Join it with your images first: `semantiseg bench attach bench IMAGES`"):
        load_benchmark("bench")
    joined = said("bench", "attach", "bench", own_copy)
    assert "8 cases prepared in bench/volumes" in joined and "0 targets differ" in joined
    with pytest.raises(OutputError, match="images attached"):
        write_release(place / "data/raw", place / "data/volumes", place / "data/bench", tmp_path / "bench")
    bench = load_benchmark("bench")
    assert bench.version == load_benchmark(place / "data").version
    for model, truthful in (("right", True), ("parents", False)):
        (tmp_path / model).mkdir()
        for prompt_id, prompt in bench.test.items():
            mask = bench.shown(prompt_id).mask(prompt.program if truthful else prompt.parent)
            Image.fromarray(mask).save(tmp_path / model / f"{prompt_id}.png")
        said("score", model, "--bench", "bench", "--resamples", 50, "--trained-on", "KiTS23:train")
    board = said("leaderboard")
    assert board.index("| right |") < board.index("| parents |") and "### Training split" in board
    assert score("right", bench, resamples=2).metrics["models"]["right"]["core"]["l3"]["value"] == 1.0
