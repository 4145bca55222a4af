"""Plain and composed answers, and how sentences were read, on one hand-drawn slice."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from clip_folder import write_clip_folder

from semantiseg.composition.composed import noun
from semantiseg.data import store as volumes
from semantiseg.errors import DataError
from semantiseg.evaluation import composition, predict
from semantiseg.evaluation.composition import put_to_readers
from semantiseg.language.evaluate import evaluate
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import atom, parent, parse
from semantiseg.models import registry
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import Answer
from semantiseg.models.text import write_features
from semantiseg.models.weights import write_trained

LEAVES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
MIDLINE = 13.0  # both kidneys are right of it; the middle of the body, which an answer would guess, parts them
PRESERVED = "minus(side(organ(kidney), right), lesion(kidney_tumour))"
SENTENCES = {
    "right kidney without the tumour": PRESERVED,
    "For zorgly, the right kidney with the tumour removed": PRESERVED,
    "what the surgeon leaves behind": PRESERVED,
    "kidney": "organ(kidney)",
}


def labels() -> np.ndarray:
    """Kidneys at columns 15 to 18 and 25 to 30; the right one (larger columns) bears a tumour."""
    drawn = np.zeros((24, 40), np.uint8)
    drawn[8:16, 15:19] = drawn[8:16, 25:31] = 1
    drawn[10:13, 26:29] = 2
    return drawn


@dataclass
class Nouns:
    """Knows nouns only: the truth for a structure's name, nothing for any other text."""

    needs_box: bool = False

    def segment(self, image, texts, *, features=None, boxes=None) -> Answer:
        known = {noun(atom(key)): atom(key) for key in ("kidney", "kidney_tumour", "kidney_cyst")}
        masks = [
            evaluate(known[text], labels(), structures=LEAVES, midline=0.0)
            if text in known
            else np.zeros((24, 40), bool)
            for text in texts
        ]
        return Answer(probabilities=np.stack(masks).astype(np.float32), gate=None)


def prompt(number: int, suite: str, text: str) -> dict[str, object]:
    program = SENTENCES[text]
    target, whole = (
        evaluate(item, labels(), structures=LEAVES, midline=MIDLINE)
        for item in (parse(program), parent(parse(program)))
    )
    return {
        "prompt_id": f"{suite}{number}", "volume_id": "case:CT", "patient_id": "p", "split": "test", "slice": 0,
        "suite": suite, "group": "", "level": 1 if text == "kidney" else 3, "kind": "exclusion", "structure": "kidney",
        "program": program, "parent": str(parent(parse(program))), "text": text, "phrasing": "unseen",
        "target_pixels": int(target.sum()), "parent_pixels": int(whole.sum()),
    }  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "volumes").mkdir()
    drawn = labels()[None]
    volumes.write_case(
        folder / "volumes/case.h5", images={"CT": drawn / 4}, labels=drawn, affine=np.eye(4), spacing_mm=1.0,
        midline=MIDLINE, structures=LEAVES,
    )  # fmt: skip
    row = {"volume_id": "case:CT", "channel": "CT", "file": "case.h5", "source_spacing_mm": [1.0], "leaves": ["kidney"]}
    row |= {"modality": "CT", "window_low": -150.0, "window_high": 250.0, "lateral": True}
    volumes.write_manifest(folder / "volumes", [row])
    core = pd.DataFrame([prompt(number, "core", text) for number, text in enumerate(list(SENTENCES)[::3])])
    (folder / "bench").mkdir()
    core.to_parquet(folder / "bench/prompts.parquet")
    texts = [["organ without its tumour on the right that the surgeon leaves"], ["some cyst"]]
    training = {"split": "train", "program": [PRESERVED, "lesion(kidney_cyst)"], "texts": texts}
    pd.DataFrame(training).to_parquet(folder / "bench/training.parquet")
    write_features(folder / "text/features.h5", [*core["text"], *texts[0], *texts[1]])
    (folder / "results/token").mkdir(parents=True)
    with volumes.VolumeStore(folder / "volumes") as store:
        results, _ = predict.predict(
            Nouns(), model="token", store=store, prompts=core, features=None, nsd_tolerance_mm=2.0
        )
    results.to_parquet(folder / "results/token/results.parquet")
    return folder


@pytest.fixture(scope="module")
def asked(data) -> pd.DataFrame:
    clinical = pd.DataFrame([prompt(number, "clinical", text) for number, text in enumerate(SENTENCES)])
    return pd.concat([pd.read_parquet(data / "bench/prompts.parquet"), clinical], ignore_index=True)


def answers(asked: pd.DataFrame, data: Path, models=("token",)) -> pd.DataFrame:
    classifier = composition.learn_to_read(data, seed=0, threads=1)
    heard = composition.reading(asked, classifier, data=data)
    how = {"nsd_tolerance_mm": 2.0, "accelerator": "cpu", "threads": 1}
    return composition.answers(list(models), asked, heard, data=data, **how)


def test_a_model_of_nouns_is_as_good_as_its_reader(asked, data, monkeypatch):
    monkeypatch.setattr(composition, "load", lambda folder, **_: Nouns())
    found = answers(asked, data).merge(asked[["prompt_id", "text"]], on="prompt_id")
    dice = (
        found[found["suite"] == "clinical"].pivot(index="text", columns="variant", values="dice").loc[list(SENTENCES)]
    )
    assert dice["plain"].tolist() == [0, 0, 0, 1]
    assert dice["strict"].tolist() == [1, 0, 0, 1]
    assert dice["lenient"].tolist() == [1, 1, 0, 1]
    assert dice["learned"].tolist() == [1, 1, 1, 1]
    assert dice["stated"].tolist() == [1, 1, 1, 1]
    core = found[found["suite"] == "core"].groupby("variant")["dice"].mean()
    assert core.to_dict() == {"plain": 0.5, "strict": 1.0}
    assert set(found["model"]) == {"token"} and {"level", "kind", "structure", "collapsed"} <= set(found.columns)


def test_plain_core_answers_are_those_of_stage_evaluate(asked, data, monkeypatch):
    monkeypatch.setattr(composition, "load", lambda folder, **_: Nouns())
    found = answers(asked, data).query("suite == 'core' and variant == 'plain'")
    results = pd.read_parquet(data / "results/token/results.parquet")
    assert found[results.columns].reset_index(drop=True).equals(results)


def test_results_of_other_prompts_are_refused(asked, data, tmp_path, monkeypatch):
    monkeypatch.setattr(composition, "load", lambda folder, **_: Nouns())
    for name in ("volumes", "bench", "text"):
        (tmp_path / name).symlink_to(data / name)
    (tmp_path / "results/token").mkdir(parents=True)
    pd.read_parquet(data / "results/token/results.parquet").iloc[1:].to_parquet(
        tmp_path / "results/token/results.parquet"
    )
    with pytest.raises(DataError, match="1 missing"):
        answers(asked, tmp_path)


def test_models_without_text_and_suites_without_questions_give_no_rows(asked, data, monkeypatch):
    assert composition.text_models(["token", "box", "none"]) == ["token", "none"]
    assert answers(asked, data, models=()).empty
    monkeypatch.setattr(composition, "load", lambda folder, **_: Nouns())
    assert set(answers(asked[asked["suite"] == "core"], data)["suite"]) == {"core"}


def test_models_and_readers_of_biomedclip_s_text_are_asked_with_it(asked, data, tmp_path, monkeypatch):
    clip = tmp_path / "weights/biomedclip"
    write_clip_folder(clip)
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", str(clip.parent))
    for name in ("volumes", "bench", "results"):
        (tmp_path / name).symlink_to(data / name)
    texts = TextFeatures.load(data / "text/features.h5").texts
    features = write_features(tmp_path / "text/features.h5", texts, text_encoder="biomedclip")
    network = registry.build("token", width="tiny", image_size=64, **features.described)
    write_trained(
        tmp_path / "models/token", network, {"model": "token", "width": "tiny", "image_size": 64, **features.described}
    )
    found = answers(asked, tmp_path)
    assert len(found) == 2 * 2 + 4 * 5 and found["dice"].notna().all()  # suite by suite: questions times variants


def test_reading_is_judged_by_the_mask_it_denotes(asked, data):
    readers = {"strict": composition.READERS["strict"], "deaf": lambda text: parse("organ(kidney)")}
    readers["elsewhere"] = lambda text: atom(next(key for key in STRUCTURES if key == "liver"))
    with volumes.VolumeStore(data / "volumes") as store:
        found = put_to_readers(asked[asked["suite"] == "clinical"], store, readers=readers)
    table = found.pivot(index="prompt_id", columns="reader", values=["read", "rightly"])
    assert table["read", "strict"].tolist() == [True, False, False, True]
    assert table["rightly", "strict"].tolist() == [True, False, False, True]
    assert table["read", "deaf"].all() and table["rightly", "deaf"].tolist() == [False, False, False, True]
    assert table["read", "elsewhere"].all() and not table["rightly", "elsewhere"].any()
    assert found.query("reader == 'strict'")["heard"].tolist() == [PRESERVED, "", "", "organ(kidney)"]
