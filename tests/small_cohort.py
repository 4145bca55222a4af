"""A small fake cohort: kidneys with tumours and cysts, prompts of every suite, and the answers of models with known
habits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.bench.measure.labelled_slice import LabelledSlice
from semantiseg.data import store as volumes
from semantiseg.evaluation import runs
from semantiseg.evaluation.predict import score_slice

CHROMIUM = shutil.which("chromium")
ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
).split()

STRUCTURES = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
KIDNEY, TUMOUR, RIGHT = "organ(kidney)", "lesion(kidney_tumour)", "side(organ(kidney), right)"
NO_TUMOUR = "minus(organ(kidney), lesion(kidney_tumour))"


def draw_labels(number: int) -> np.ndarray:
    """Two kidneys `[40, 48]`, a tumour in the right one; another size for every number."""
    rows, columns = np.mgrid[:40, :48]
    labels = np.zeros((40, 48), dtype=np.uint8)
    for centre in (12, 36):
        labels[((rows - 20) / (9 + number % 3)) ** 2 + ((columns - centre) / 6) ** 2 < 1] = 1
    labels[(rows - 22) ** 2 + (columns - 36) ** 2 < (3 + number % 2) ** 2] = 2
    return labels


def prompt_rows(number: int) -> list[dict[str, object]]:
    """One volume's prompts: three core levels, phrasings, a triple, paraphrases, a counterfactual pair, an absent
    target."""
    asked = [
        ("core", "", 1, "name", KIDNEY, KIDNEY, "kidney", "unseen"),
        ("core", "", 2, "attribute", TUMOUR, KIDNEY, "dark round renal mass", "unseen"),
        ("core", "", 3, "exclusion", NO_TUMOUR, KIDNEY, "renal parenchyma sparing the mass", "unseen"),
        ("core", "", 3, "side", RIGHT, KIDNEY, "the renal organ on the dexter side", "unseen"),
    ]
    for phrasing in ("seen", "unseen_template", "unseen_synonym"):
        asked += [
            ("phrasing", "", 1, "name", KIDNEY, KIDNEY, f"kidney {phrasing}", phrasing),
            ("phrasing", "", 3, "exclusion", NO_TUMOUR, KIDNEY, f"kidney without its tumour {phrasing}", phrasing),
        ]
    asked += [
        ("triple", f"t{number}", level, "name", TUMOUR, KIDNEY, f"tumour at {level}", "unseen") for level in (1, 2, 3)
    ]
    asked += [("paraphrase", f"p{number}", 3, "side", RIGHT, KIDNEY, f"right kidney {i}", "unseen") for i in range(3)]
    left = RIGHT.replace("right", "left")
    asked += [("counterfactual", f"c{number}", 3, "side", p, KIDNEY, "one side", "unseen") for p in (RIGHT, left)]
    asked += [("absent", "", 1, "name", "lesion(kidney_cyst)", "lesion(kidney_cyst)", "renal cyst", "unseen")]
    names = ("suite", "group", "level", "kind", "program", "parent", "text", "phrasing")
    question = question_of(number)
    return [
        dict(zip(names, row, strict=True))
        | {
            "prompt_id": f"v{number:02d}-{position:02d}",
            "volume_id": f"case{number:02d}:CT",
            "case_id": f"case{number:02d}",
            "patient_id": f"patient{number // 2}",
            "collection": "KiTS23",
            "origin": "phantom",
            "modality": "CT",
            "channel": "CT",
            "split": "test",
            "slice": 1,
            "structure": "kidney_tumour" if row[4] == TUMOUR else "kidney",
            "clauses": "[]",
            "evidence": "{}",
            "target_pixels": int(question.mask(row[4]).sum()),
            "parent_pixels": int(question.mask(row[5]).sum()),
        }
        for position, row in enumerate(asked)
    ]


def question_of(number: int) -> LabelledSlice:
    labels = draw_labels(number)
    image = np.choose(labels, [0.2, 0.6, 0.4, 0.3]).astype(np.float32)
    return LabelledSlice(
        image=image, labels=labels, structures=STRUCTURES, midline=24.0, spacing_mm=1.0, modality="CT", channel="CT",
        window=(-150.0, 250.0), lateral=True,
    )  # fmt: skip


@dataclass(frozen=True)
class Cohort:
    """Prompts `prompts.parquet` of `count` volumes of two a patient."""

    prompts: pd.DataFrame
    count: int

    def answers(self, habit: str) -> dict[str, np.ndarray]:
        """Masks by prompt of a model that returns the `truth`, the `parent`, `nothing`, or the parent at level 3 only
        (`collapses`)."""
        asked = ((question_of(int(row.case_id[-2:])), row) for row in self.prompts.itertuples())
        return {row.prompt_id: self._answer(habit, question, row) for question, row in asked}

    def results(self, habit: str) -> pd.DataFrame:
        """`results.parquet` of a model with this habit."""
        answers, records = self.answers(habit), []
        for number in range(self.count):
            rows = self.prompts[self.prompts["volume_id"] == f"case{number:02d}:CT"]
            stacked = np.stack([answers[prompt_id] for prompt_id in rows["prompt_id"]])
            records += score_slice(stacked, question_of(number), rows, nsd_tolerance_mm=1.0)
        return pd.DataFrame.from_records(records).assign(model=habit)

    @staticmethod
    def _answer(habit: str, question: LabelledSlice, row: object) -> np.ndarray:
        if habit == "nothing":
            return np.zeros(question.labels.shape, dtype=bool)
        ignores = habit == "parent" or (habit == "collapses" and row.level == 3)
        return question.mask(row.parent if ignores else row.program)

    def write(self, root: Path, models: dict[str, str]) -> None:
        """The files that the report stages read, below `root/data`: volumes, prompts, and results of model -> habit."""
        folder = root / "data" / "volumes"
        folder.mkdir(parents=True)
        rows = []
        for number in range(self.count):
            question = question_of(number)
            volumes.write_case(
                folder / f"case{number:02d}.h5",
                images={"CT": np.stack([question.image] * 3)},
                labels=np.stack([question.labels] * 3),
                affine=np.eye(4),
                spacing_mm=1.0,
                midline=24.0,
                structures=STRUCTURES,
            )
            rows.append(
                {"volume_id": f"case{number:02d}:CT", "channel": "CT", "file": f"case{number:02d}.h5"}
                | {"source_spacing_mm": [1.0, 1.0, 1.0], "leaves": ["kidney"], "modality": "CT"}
                | {"window_low": -150.0, "window_high": 250.0, "lateral": True}
            )
        volumes.write_manifest(folder, rows)
        (root / "data" / "bench").mkdir()
        self.prompts.to_parquet(root / "data" / "bench" / "prompts.parquet", index=False)
        for model, habit in models.items():
            folder = root / "data" / "results" / model
            folder.mkdir(parents=True)
            self.results(habit).to_parquet(folder / "results.parquet", index=False)
            masks = [
                {"prompt_id": prompt_id, "height": 40, "width": 48, "runs": runs.encode(mask)}
                for prompt_id, mask in self.answers(habit).items()
            ]
            pd.DataFrame(masks).to_parquet(folder / "masks.parquet", index=False)


@pytest.fixture(scope="session")
def cohort() -> Cohort:
    return Cohort(pd.DataFrame([row for number in range(6) for row in prompt_rows(number)]), 6)


@pytest.fixture(scope="session")
def results(cohort: Cohort) -> dict[str, pd.DataFrame]:
    return {habit: cohort.results(habit) for habit in ("truth", "parent", "nothing", "collapses")}


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    sync = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    with sync.sync_playwright() as play:
        opened = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def save_tiny_model() -> Callable[[Path], None]:
    """Writes a model of the smallest size, named as its folder, into the folder."""

    def save(folder: Path) -> None:
        import torch
        from safetensors.torch import save_file

        from semantiseg.models import registry

        torch.manual_seed(0)
        folder.mkdir(parents=True)
        model = registry.build(folder.name, width="tiny", image_size=64, text_width=384)
        save_file(model.state_dict(), folder / "model.safetensors")
        config = {"model": folder.name, "width": "tiny", "image_size": 64, "text_width": 384}
        (folder / "config.json").write_text(json.dumps(config))

    return save
