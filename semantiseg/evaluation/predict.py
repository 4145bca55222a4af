"""Ask a trained model every prompt of the test split and score the answers.

The prompts of one slice are asked together, so that the image is encoded once. Masks are scored on the prepared grid
of the slice.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm import tqdm

from semantiseg.baselines.boxes import PARENT, BoxProtocol, LabelledPrompts
from semantiseg.bench.measure.labelled_slice import LabelledSlice, read_slice
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.evaluation import runs
from semantiseg.evaluation.answers import no_scores, score_slice
from semantiseg.files import read_table
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import Answer, PromptedSegmenter
from semantiseg.models.registry import Accelerator, load

THRESHOLD = 0.5
"""A pixel belongs to the answer where its probability exceeds this."""


def ask(
    segmenter: PromptedSegmenter,
    shown: LabelledSlice,
    prompts: pd.DataFrame,
    features: TextFeatures | None,
    *,
    protocol: BoxProtocol = PARENT,
) -> Answer:
    """Ask all of `prompts` about one slice; a model that needs boxes gets those of `protocol`, and one that reads the
    midline gets the patient's."""
    texts = prompts["text"].tolist()
    known: dict[str, Any] = {"midline": shown.midline} if getattr(segmenter, "reads_midline", False) else {}
    if not segmenter.needs_box:
        return segmenter.segment(shown.picture, texts, features=features, **known)
    asked = LabelledPrompts(
        shown.picture,
        texts,
        targets=lambda: [shown.mask(program) for program in prompts["program"]],
        parents=lambda: [shown.mask(parent) for parent in prompts["parent"]],
        features=features,
    )
    return segmenter.segment(shown.picture, texts, features=features, boxes=protocol.draw(asked), **known)


def predict(
    segmenter: PromptedSegmenter,
    *,
    model: str,
    store: VolumeStore,
    prompts: pd.DataFrame,
    features: TextFeatures | None,
    nsd_tolerance_mm: float,
    protocol: BoxProtocol = PARENT,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ask and score every prompt of the test split.

    Args:
        segmenter: any model of the protocol (docs/bring_a_model.md).
        model: its name, written into the results.
        store: the prepared volumes.
        prompts: `prompts.parquet`.
        features: features of every prompt's text; None for models that read none of them.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        protocol: where boxes come from, for a model that needs them; it belongs into the name.

    Returns:
        Results and masks (schemas: docs/architecture.md), ordered by `prompt_id`.

    Raises:
        DataError: no test prompts.
    """
    test = prompts[prompts["split"] == "test"].sort_values("prompt_id")
    if not len(test):
        raise DataError(
            "prompts: expected prompts of the test split, got none. Give more patients, or raise prepare.test_share."
        )
    records: list[dict[str, object]] = []
    masks: list[dict[str, object]] = []
    slices = test.groupby(["volume_id", "slice"], sort=True)
    for (volume_id, index), asked in tqdm(slices, desc=f"evaluate {model}", unit="slice", disable=None):
        shown = read_slice(store, str(volume_id), int(index))
        # Weights that faded into denormals slow a CPU tenfold. Only while asking: left on, the flag breaks libc.
        torch.set_flush_denormal(True)
        answers = ask(segmenter, shown, asked, features, protocol=protocol).probabilities > THRESHOLD
        torch.set_flush_denormal(False)
        records += score_slice(answers, shown, asked, nsd_tolerance_mm=nsd_tolerance_mm)
        height, width = shown.labels.shape
        masks += [
            {"prompt_id": prompt_id, "height": height, "width": width, "runs": runs.encode(answer)}
            for prompt_id, answer in zip(asked["prompt_id"], answers, strict=True)
        ]
    results = pd.DataFrame.from_records(records).sort_values("prompt_id", ignore_index=True)
    results.insert(4, "model", model)
    return results, pd.DataFrame.from_records(masks).sort_values("prompt_id", ignore_index=True)


def evaluate_model(
    model_folder: Path,
    *,
    volumes: Path,
    prompts: Path,
    features: Path,
    output: Path,
    nsd_tolerance_mm: float,
    accelerator: Accelerator,
    threads: int,
) -> pd.DataFrame:
    """Evaluate one trained model from file to file: writes `results.parquet` and `masks.parquet` into `output`.

    Args:
        model_folder: `data/models/MODEL`; its name is the model's.
        volumes: folder of prepared volumes.
        prompts: `prompts.parquet`.
        features: `features.h5`.
        output: folder to write into.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        accelerator: where the model answers.
        threads: PyTorch threads; sums depend on their number.

    Returns:
        The results; no row where no prompt is asked about a test patient.
    """
    torch.set_num_threads(threads)
    asked = read_table(prompts, what="prompts", remedy="Run the stage 'verify' again.")
    if not (asked["split"] == "test").any():
        results, masks = no_scores(), pd.DataFrame(columns=["prompt_id", "height", "width", "runs"])
    else:
        with VolumeStore(volumes) as store:
            results, masks = predict(
                load(model_folder, accelerator=accelerator),
                model=model_folder.name,
                store=store,
                prompts=asked,
                features=TextFeatures.load(features),
                nsd_tolerance_mm=nsd_tolerance_mm,
            )
    output.mkdir(parents=True, exist_ok=True)
    results.to_parquet(output / "results.parquet", index=False)
    masks.to_parquet(output / "masks.parquet", index=False)
    return results
