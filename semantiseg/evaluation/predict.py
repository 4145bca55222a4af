"""Ask a trained model every prompt of the test split and score the answers.

The prompts of one slice are asked together, so that the image is encoded once. Masks are scored on the prepared grid
of the slice.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from semantiseg.bench.evaluate import evaluate
from semantiseg.bench.program import parse
from semantiseg.conventions import LabelArray, Mask, Slice
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics, runs
from semantiseg.models.baselines.boxes import PARENT, Asked, BoxProtocol
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import PromptedSegmenter
from semantiseg.models.registry import load
from semantiseg.models.segmenter import Answer

THRESHOLD = 0.5
"""A pixel belongs to the answer where its probability exceeds this."""


@dataclass(frozen=True)
class Question:
    """One slice and what its label map says.

    Attributes:
        image: `[H, W]` in [0, 1].
        labels: `[H, W]`.
        structures: label number -> ontology leaf.
        midline: column of the mid-sagittal plane.
        spacing_mm: edge of a pixel.
    """

    image: Slice
    labels: LabelArray
    structures: Mapping[int, str]
    midline: float
    spacing_mm: float

    def mask(self, program: str) -> Mask:
        """What a printed program denotes on this slice, `[H, W]`."""
        return evaluate(parse(program), self.labels, structures=self.structures, midline=self.midline)


def read_slice(store: VolumeStore, volume_id: str, index: int) -> Question:
    """One axial slice of a prepared volume with all that scoring needs."""
    return Question(
        image=store.image_slice(volume_id, index),
        labels=store.label_slice(volume_id, index),
        structures=store.structures(volume_id),
        midline=store.midline(volume_id),
        spacing_mm=store.spacing_mm(volume_id),
    )


def ask(
    segmenter: PromptedSegmenter,
    question: Question,
    prompts: pd.DataFrame,
    features: TextFeatures | None,
    *,
    protocol: BoxProtocol = PARENT,
) -> Answer:
    """Ask all of `prompts` about one slice; a model that needs boxes gets those of `protocol`, and one that reads the
    midline gets the patient's."""
    texts = prompts["text"].tolist()
    if not segmenter.needs_box:
        known = {"midline": question.midline} if getattr(segmenter, "reads_midline", False) else {}
        return segmenter.segment(question.image, texts, features=features, **known)
    asked = Asked(
        question.image,
        texts,
        targets=lambda: [question.mask(program) for program in prompts["program"]],
        parents=lambda: [question.mask(parent) for parent in prompts["parent"]],
        features=features,
    )
    return segmenter.segment(question.image, texts, features=features, boxes=protocol.draw(asked))


def _twin_targets(prompts: pd.DataFrame, targets: list[Mask]) -> list[Mask | None]:
    """For each prompt of a counterfactual pair the other prompt's target; None for all other prompts."""
    twins: list[Mask | None] = [None] * len(prompts)
    positions = np.arange(len(prompts))
    paired = (prompts["suite"] == "counterfactual").to_numpy()
    for group in sorted(prompts.loc[paired, "group"].unique()):
        members = positions[paired & (prompts["group"] == group).to_numpy()]
        if len(members) != 2:
            raise DataError(
                f"prompts, counterfactual pair {group!r}: expected 2 prompts on one slice, got {len(members)}. Run "
                "'verify' again."
            )
        twins[members[0]], twins[members[1]] = targets[members[1]], targets[members[0]]
    return twins


def score_slice(
    answers: NDArray[np.bool_], question: Question, prompts: pd.DataFrame, *, nsd_tolerance_mm: float
) -> list[dict[str, object]]:
    """Score the answers `[P, H, W]` to the P prompts of one slice; one record a prompt, in their order.

    Raises:
        DataError: the target that the label map gives is not the one that the prompts were verified with.
    """
    targets = [question.mask(program) for program in prompts["program"]]
    twins = _twin_targets(prompts, targets)
    pixel_mm2 = question.spacing_mm**2
    records = []
    for row, answer, target, twin in zip(prompts.itertuples(), answers, targets, twins, strict=True):
        if int(target.sum()) != row.target_pixels:
            raise DataError(
                f"{row.volume_id}, prompt {row.prompt_id}: expected a target of {row.target_pixels} pixels, got "
                f"{int(target.sum())}. "
                "Volumes and prompts belong to different runs: run the stages 'prompts' and 'verify' again."
            )
        parent = question.mask(row.parent)
        score = metrics.score(answer, target, spacing_mm=question.spacing_mm, nsd_tolerance_mm=nsd_tolerance_mm)
        parent_dice = metrics.dice(answer, parent)
        differs = bool((parent != target).any())
        records.append(
            {
                "prompt_id": row.prompt_id,
                "volume_id": row.volume_id,
                "patient_id": row.patient_id,
                "slice": row.slice,
                "dice": score.dice,
                "iou": score.iou,
                "nsd": score.nsd,
                "hd95_mm": score.hd95_mm,
                "target_mm2": float(target.sum()) * pixel_mm2,
                "predicted_mm2": float(answer.sum()) * pixel_mm2,
                "parent_dice": parent_dice,
                "parent_differs": differs,
                "collapsed": differs and parent_dice > score.dice,
                "twin_dice": np.nan if twin is None else metrics.dice(answer, twin),
            }
        )
    return records


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
        question = read_slice(store, str(volume_id), int(index))
        # Weights that faded into denormals slow a CPU tenfold. Only while asking: left on, the flag breaks libc.
        torch.set_flush_denormal(True)
        answers = ask(segmenter, question, asked, features, protocol=protocol).probabilities > THRESHOLD
        torch.set_flush_denormal(False)
        records += score_slice(answers, question, asked, nsd_tolerance_mm=nsd_tolerance_mm)
        height, width = question.labels.shape
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
        threads: PyTorch threads; sums depend on their number.

    Returns:
        The results.
    """
    torch.set_num_threads(threads)
    with VolumeStore(volumes) as store:
        results, masks = predict(
            load(model_folder),
            model=model_folder.name,
            store=store,
            prompts=pd.read_parquet(prompts),
            features=TextFeatures.load(features),
            nsd_tolerance_mm=nsd_tolerance_mm,
        )
    output.mkdir(parents=True, exist_ok=True)
    results.to_parquet(output / "results.parquet", index=False)
    masks.to_parquet(output / "masks.parquet", index=False)
    return results
