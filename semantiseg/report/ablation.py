"""What cures semantic collapse and what does not: one thing changed at a time, several seeds, learning curves.

Every variant is trained from the same streams on the same steps as the default and asked the same test prompts. Each
run is kept in a folder of its own, so an ablation that was cut off goes on where it stood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from semantiseg import params
from semantiseg.evaluation.predict import evaluate_model
from semantiseg.evaluation.sensitivity import join, suite_of
from semantiseg.params import Parameters
from semantiseg.report import ablation_text
from semantiseg.training.loop import train

DEFAULT = "default"


@dataclass(frozen=True)
class Variant:
    """One change to the default."""

    name: str
    factor: str
    """What kind of thing it changes."""
    model: str = "token"
    loss: Mapping[str, float | bool] = field(default_factory=dict)
    """Changes to the `train` section."""
    phrasings: int | None = None
    """Surface forms kept of each training question; None keeps all."""


VARIANTS = (
    Variant(DEFAULT, "default"),
    Variant("scalar_gate", "gate", model="scalar"),
    Variant("channel_gate", "gate", model="channel"),
    Variant("no_gate", "gate", model="none"),
    Variant("bag_of_words", "text", model="bag_of_words"),
    Variant("two_phrasings", "phrasing variety", phrasings=2),
    Variant("printed_dhn", "loss", loss={"dhn_negatives": False}),
    Variant("cross_entropy", "loss", loss={"dhn_gamma": 0.0}),
)


def run(
    root: Path, out: Path, *, seeds: Sequence[int], variants: Sequence[Variant] = VARIANTS, steps: int | None = None
) -> pd.DataFrame:
    """Train and score every variant with every seed; write `ablation.csv`, `curves.csv`, `ablation.md` and the figure.

    Args:
        root: project folder whose stages up to `pretrain` and `encode` have run.
        out: folder to write; runs that it holds already are not repeated.
        seeds: of weights, order and deformations.
        variants: the first is what the others are compared with.
        steps: optimiser steps; None takes those of params.yaml.

    Returns:
        One row a run: `variant`, `factor`, `seed`, mean Dice `l1`, `l2`, `l3` and `pss` on core prompts (unseen
        phrasings, test patients), `l1_seen`, `l3_seen` of the suite `phrasing`, `collapse` (share of level 3 answers
        nearer to the parent).

    Raises:
        DataError, ModelError, NonFiniteLossError: see the modules called.
    """
    parameters = params.load(root / "params.yaml")
    if steps is not None:
        parameters = parameters.model_copy(update={"train": parameters.train.model_copy(update={"steps": steps})})
    rows, curves = [], []
    for variant in variants:
        for seed in seeds:
            folder = out / "runs" / f"{variant.name}-{seed}"
            if not (folder / "results.parquet").is_file():
                _run_one(root, folder, variant, seed=seed, parameters=parameters)
            label = {"variant": variant.name, "factor": variant.factor, "seed": seed}
            rows.append(label | _scores(root, folder))
            curves.append(pd.read_csv(folder / "model/curve.csv").assign(**label))
    table, curve = pd.DataFrame(rows), pd.concat(curves, ignore_index=True)
    table.to_csv(out / "ablation.csv", index=False, float_format="%.6f", lineterminator="\n")
    curve.to_csv(out / "curves.csv", index=False, float_format="%.6f", lineterminator="\n")
    (out / "ablation.md").write_text(ablation_text.report(table, curve), encoding="utf-8")
    ablation_text.draw(curve, out / "ablation")
    return table


def _run_one(root: Path, folder: Path, variant: Variant, *, seed: int, parameters: Parameters) -> None:
    data = root / "data"
    training = data / "bench/training.parquet"
    folder.mkdir(parents=True, exist_ok=True)
    if variant.phrasings is not None:
        table = pd.read_parquet(training)
        training = folder / "training.parquet"
        table.assign(texts=[list(texts)[: variant.phrasings] for texts in table["texts"]]).to_parquet(training)
    features = data / "text/features.h5"
    train(
        model=variant.model,
        volumes=data / "volumes",
        training=training,
        features=features,
        streams=data / "pretrained",
        out=folder / "model",
        parameters=parameters.train.model_copy(update=dict(variant.loss)),
        seed=seed,
        threads=parameters.threads,
    )
    evaluate_model(
        folder / "model",
        volumes=data / "volumes",
        prompts=data / "bench/prompts.parquet",
        features=features,
        output=folder,
        nsd_tolerance_mm=parameters.evaluate.nsd_tolerance_mm,
        threads=parameters.threads,
    )


def _scores(root: Path, folder: Path) -> dict[str, float]:
    prompts = pd.read_parquet(root / "data/bench/prompts.parquet")
    answers = join(prompts, pd.read_parquet(folder / "results.parquet"), origin=str(folder))
    core = suite_of(answers, "core").groupby("level")["dice"].mean()
    seen = suite_of(answers, "phrasing", phrasing="seen").groupby("level")["dice"].mean()
    nested = answers[(answers["suite"] == "core") & (answers["level"] == 3) & answers["parent_differs"]]
    scores = {f"l{level}": float(core.get(level, np.nan)) for level in (1, 2, 3)}
    return scores | {
        "pss": (scores["l1"] - scores["l3"]) / scores["l1"] if scores["l1"] else np.nan,
        "l1_seen": float(seen.get(1, np.nan)),
        "l3_seen": float(seen.get(3, np.nan)),
        "collapse": float(nested["collapsed"].mean()),
    }
