from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.bench.measure.labelled_slice import LabelledSlice
from semantiseg.data import store as volumes
from semantiseg.errors import DataError
from semantiseg.evaluation import predict, runs
from semantiseg.evaluation.answers import no_scores
from semantiseg.models.protocol import Answer

KIDNEY, TUMOUR, CYST = "organ(kidney)", "lesion(kidney_tumour)", "lesion(kidney_cyst)"
STRUCTURES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}


def draw() -> np.ndarray:
    """Kidneys of 4 x 4 pixels on both sides of the midline, a tumour of 2 x 2 in the right one."""
    labels = np.zeros((8, 12), dtype=np.uint8)
    labels[2:6, 1:5] = labels[2:6, 7:11] = 1
    labels[3:5, 8:10] = 2
    return labels


def rows(*entries: tuple) -> pd.DataFrame:
    names = ("prompt_id", "suite", "group", "program", "parent", "text", "target_pixels")
    shared = {"volume_id": "case:CT", "patient_id": "p", "split": "test", "slice": 1}
    return pd.DataFrame([dict(zip(names, entry, strict=True)) | shared for entry in entries])


@dataclass
class Oracle:
    """Answers every prompt with what a program, looked up by text, denotes; records what it was asked."""

    programs: dict[str, str]
    needs_box: bool = False

    def __post_init__(self) -> None:
        self.asked: list[tuple[list[str], np.ndarray | None]] = []

    def segment(self, image, texts, *, features=None, boxes=None) -> Answer:
        self.asked.append((texts, boxes))
        question = question_of(draw())
        masks = np.stack([question.mask(self.programs[text]) for text in texts])
        return Answer(probabilities=masks.astype(np.float32), gate=None)


def question_of(labels: np.ndarray) -> LabelledSlice:
    return LabelledSlice(
        image=np.zeros(labels.shape, np.float32), labels=labels, structures=STRUCTURES, midline=5.5, spacing_mm=2.0,
        modality="CT", channel="CT", window=(-150.0, 250.0), lateral=True,
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> volumes.VolumeStore:
    labels = np.stack([np.zeros_like(draw()), draw(), np.zeros_like(draw())])
    volumes.write_case(
        tmp_path / "case.h5",
        images={"CT": labels / 4},
        labels=labels,
        affine=np.eye(4),
        spacing_mm=2.0,
        midline=5.5,
        structures=STRUCTURES,
    )
    row = {"volume_id": "case:CT", "channel": "CT", "file": "case.h5", "source_spacing_mm": [1.0], "leaves": ["kidney"]}
    row |= {"modality": "CT", "window_low": -150.0, "window_high": 250.0, "lateral": True}
    volumes.write_manifest(tmp_path, [row])
    return volumes.VolumeStore(tmp_path)


def run(store, prompts: pd.DataFrame, oracle: Oracle) -> tuple[pd.DataFrame, pd.DataFrame]:
    return predict.predict(oracle, model="token", store=store, prompts=prompts, features=None, nsd_tolerance_mm=1.0)


def test_answers_are_scored_against_target_and_parent_by_hand(store) -> None:
    prompts = rows(("b", "core", "", TUMOUR, KIDNEY, "mass", 4), ("a", "core", "", KIDNEY, KIDNEY, "kidney", 32))
    results, _ = run(store, prompts, Oracle({"mass": KIDNEY, "kidney": KIDNEY}))
    assert list(results["prompt_id"]) == ["a", "b"]
    kidney, mass = results.iloc[0], results.iloc[1]
    assert (kidney["dice"], kidney["hd95_mm"], kidney["nsd"]) == (1.0, 0.0, 1.0)
    assert (mass["dice"], mass["iou"], mass["parent_dice"]) == pytest.approx((2 * 4 / 36, 4 / 32, 1.0))
    assert (mass["target_mm2"], mass["predicted_mm2"]) == (16.0, 128.0)
    assert (mass["collapsed"], kidney["collapsed"]) == (True, False)
    assert (mass["parent_differs"], kidney["parent_differs"]) == (True, False)
    assert (results["model"] == "token").all()


def test_prompts_of_one_slice_are_asked_together_and_masks_survive_storage(store) -> None:
    prompts = rows(("a", "core", "", KIDNEY, KIDNEY, "kidney", 32), ("b", "core", "", TUMOUR, KIDNEY, "mass", 4))
    oracle = Oracle({"mass": TUMOUR, "kidney": KIDNEY})
    _, masks = run(store, prompts, oracle)
    assert [texts for texts, _ in oracle.asked] == [["kidney", "mass"]]
    for row, program in zip(masks.itertuples(), (KIDNEY, TUMOUR), strict=True):
        assert (runs.decode(row.runs, height=row.height, width=row.width) == question_of(draw()).mask(program)).all()


def test_only_the_test_split_is_asked(store) -> None:
    prompts = rows(("a", "core", "", KIDNEY, KIDNEY, "kidney", 32), ("b", "core", "", TUMOUR, KIDNEY, "mass", 4))
    prompts.loc[1, "split"] = "train"
    results, masks = run(store, prompts, Oracle({"kidney": KIDNEY}))
    assert list(results["prompt_id"]) == list(masks["prompt_id"]) == ["a"]
    with pytest.raises(DataError, match="test_share"):
        run(store, prompts.assign(split="train"), Oracle({}))


def test_a_model_that_needs_a_box_gets_the_parents_box_and_none_for_an_absent_parent(store) -> None:
    prompts = rows(("a", "core", "", TUMOUR, KIDNEY, "mass", 4), ("b", "absent", "", CYST, CYST, "cyst", 0))
    oracle = Oracle({"mass": TUMOUR, "cyst": CYST}, needs_box=True)
    results, _ = run(store, prompts, oracle)
    assert oracle.asked[0][1].tolist() == [[2, 1, 6, 11], [0, 0, 0, 0]]
    assert results["dice"].tolist() == [1.0, 1.0]


def test_each_of_a_pair_is_compared_with_the_others_target(store) -> None:
    left, right = "side(organ(kidney), left)", "side(organ(kidney), right)"
    prompts = rows(
        ("a", "counterfactual", "g", left, KIDNEY, "left", 16),
        ("b", "counterfactual", "g", right, KIDNEY, "right", 12),
        ("c", "core", "", KIDNEY, KIDNEY, "kidney", 32),
    )
    target = question_of(draw()).mask(right)
    prompts.loc[1, "target_pixels"] = int(target.sum())
    results, _ = run(store, prompts, Oracle({"left": left, "right": left, "kidney": KIDNEY}))
    assert results["twin_dice"].tolist()[:2] == [0.0, 1.0]
    assert np.isnan(results["twin_dice"][2])
    with pytest.raises(DataError, match="pair 'g': expected 2"):
        run(store, prompts.iloc[:1], Oracle({"left": left}))


def test_volumes_of_another_run_are_noticed(store) -> None:
    with pytest.raises(DataError, match="expected a target of 33 pixels, got 32"):
        run(store, rows(("a", "core", "", KIDNEY, KIDNEY, "kidney", 33)), Oracle({"kidney": KIDNEY}))


def test_a_trained_model_is_evaluated_from_file_to_file_with_equal_bytes(store, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from semantiseg.models import registry
    from semantiseg.models.text import write_features

    torch.manual_seed(0)
    model = tmp_path / "models" / "token"
    model.mkdir(parents=True)
    save_file(
        registry.build("token", width="tiny", image_size=64, text_width=384).state_dict(), model / "model.safetensors"
    )
    config = {"model": "token", "width": "tiny", "image_size": 64, "text_width": 384}
    (model / "config.json").write_text(json.dumps(config))
    prompts = rows(("a", "core", "", KIDNEY, KIDNEY, "kidney", 32), ("b", "core", "", TUMOUR, KIDNEY, "mass", 4))
    prompts.to_parquet(tmp_path / "prompts.parquet")
    write_features(tmp_path / "features.h5", list(prompts["text"]))
    for output in ("one", "two"):
        predict.evaluate_model(
            model,
            volumes=store.root,
            prompts=tmp_path / "prompts.parquet",
            features=tmp_path / "features.h5",
            output=tmp_path / output,
            nsd_tolerance_mm=1.0,
            accelerator="cpu",
            threads=1,
        )
    for name in ("results.parquet", "masks.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    scored = pd.read_parquet(tmp_path / "one" / "results.parquet")
    assert set(scored["model"]) == {"token"}
    none = no_scores()
    assert list(none.columns) == list(scored.columns) and not len(none)
    assert {name: kind.kind for name, kind in none.dtypes.items() if kind.kind != "O"} == {
        name: kind.kind for name, kind in scored.dtypes.items() if kind.kind in "bif"
    }
