"""What cures semantic collapse and what does not: one thing changed at a time, several seeds, learning curves.

Every variant is trained on the same steps as the default and asked the same test prompts, plainly and composed. Each
run is kept in a folder of its own, so an ablation that was cut off goes on where it stood.

    out/streams/WIDTH           streams warmed up for variants that change them
    out/prompts.parquet         what every run is asked
    out/runs/VARIANT-SEED       model, results.parquet, composed.parquet; complete when scores.json is there
    out/runs.csv, curves.csv    a row a run; a row a run and validated step
    out/record.json             steps, inputs, machine: what the numbers belong to
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from semantiseg import files, measure, params
from semantiseg.composition.composed import READERS, Composed
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError, ParameterError
from semantiseg.evaluation.ablation_record import VARIANTS, Variant, variant
from semantiseg.evaluation.predict import evaluate_model, predict
from semantiseg.evaluation.sensitivity import HEADLINE, join, prompt_sensitivity, suite_of
from semantiseg.files import claim, read_table
from semantiseg.models.features import TextFeatures
from semantiseg.models.registry import load
from semantiseg.parallel import for_each
from semantiseg.params import Evaluate, Parameters
from semantiseg.training.loop import train
from semantiseg.training.pretrain import pretrain

INPUTS = ("volumes", "bench/prompts.parquet", "bench/training.parquet", "text/features.h5", "pretrained")
"""Below `data/`: what a run reads."""


_AGAIN = "Remove this variant's folder and run `semantiseg ablation` again."


def run_ablation(
    root: Path,
    out: Path,
    *,
    seeds: Sequence[int],
    names: Sequence[str] = (),
    steps: int | None = None,
    lanes: int = 1,
) -> pd.DataFrame:
    """Train and score every variant with every seed, then `collect`.

    Args:
        root: project folder whose stages up to `pretrain` and `encode` have run.
        out: folder to write; complete runs that it holds are not repeated.
        seeds: of weights, order and deformations. All variants of a seed run before the next seed.
        names: of variants; none means all.
        steps: optimiser steps of the default; None takes those of params.yaml.
        lanes: runs side by side.

    Returns:
        See `collect`.

    Raises:
        OutputError: `out` is a folder of something else.
        ParameterError: an unknown variant, or a folder whose runs had other steps.
        DataError, ModelError, NonFiniteLossError: see the modules called.
    """
    unknown = sorted(set(names) - {item.name for item in VARIANTS})
    if unknown:
        raise ParameterError(f"ablation: expected variants among {[item.name for item in VARIANTS]}, got {unknown}.")
    chosen = [item for item in VARIANTS if not names or item.name in names]
    parameters = params.load(root / "params.yaml")
    if steps is not None:
        parameters = parameters.model_copy(update={"train": parameters.train.model_copy(update={"steps": steps})})
    claim(out, verb="ablation", inputs=[root], own=("runs", "streams", "*.csv", "record.json", "prompts.parquet"))
    _keep_record(root, out, parameters)
    _choose_prompts(root / "data/bench/prompts.parquet", out)
    for width in sorted({item.width for item in chosen if item.width is not None}):
        _warm_up(root, out, width, parameters)
    calls = [((root, out, item.name), {"seed": seed, "parameters": parameters}) for seed in seeds for item in chosen]
    for _ in for_each(run_one, calls, workers=lanes):
        pass
    return collect(out)


def collect(out: Path) -> pd.DataFrame:
    """Write `runs.csv` and `curves.csv` of the complete runs in `out`.

    Returns:
        One row a run: `variant`, `factor`, `seed`, `steps`, `seconds` of training; mean Dice `l1`, `l2`, `l3`, `pss`
        and `collapse` (share of level 3 answers nearer to the parent) on core prompts (unseen phrasings, test
        patients); `l1_seen`, `l3_seen` of the suite `phrasing`; `l3_composed`, `pss_composed`, `collapse_composed`
        where the sentence was read to a program and the model asked its nouns.
    """
    rows, curves = [], []
    for item in VARIANTS:
        for path in sorted((out / "runs").glob(f"{item.name}-*/scores.json")):
            seed = int(path.parent.name.removeprefix(f"{item.name}-"))
            label: dict[str, Any] = {"variant": item.name, "factor": item.factor, "seed": seed}
            rows.append(label | json.loads(path.read_text(encoding="utf-8")))
            curves.append(pd.read_csv(path.parent / "model/curve.csv").assign(**label))
    if not rows:
        raise DataError(f"{out}: expected complete runs, got none. Run `semantiseg ablation` first.")
    table, curve = pd.DataFrame(rows), pd.concat(curves, ignore_index=True)
    table.to_csv(out / "runs.csv", index=False, float_format="%.6f", lineterminator="\n")
    curve.to_csv(out / "curves.csv", index=False, float_format="%.6f", lineterminator="\n")
    return table


def run_one(root: Path, out: Path, name: str, *, seed: int, parameters: Parameters) -> None:
    """One run, unless it is complete."""
    item, folder, data = variant(name), out / "runs" / f"{name}-{seed}", root / "data"
    if (folder / "scores.json").is_file():
        return
    folder.mkdir(parents=True, exist_ok=True)
    training = _training(data / "bench/training.parquet", folder, item)
    features, started = data / "text/features.h5", time.perf_counter()
    wanted = parameters.train.model_copy(update=dict(item.loss) | {"steps": parameters.train.steps * item.longer})
    train(
        model=item.model,
        volumes=data / "volumes",
        training=training,
        features=features,
        streams=data / "pretrained" if item.width is None else out / "streams" / item.width,
        out=folder / "model",
        parameters=wanted,
        seed=seed,
        threads=parameters.threads,
    )
    seconds = time.perf_counter() - started
    evaluate_model(
        folder / "model",
        volumes=data / "volumes",
        prompts=out / "prompts.parquet",
        features=features,
        output=folder,
        nsd_tolerance_mm=parameters.evaluate.nsd_tolerance_mm,
        accelerator=parameters.evaluate.accelerator,
        threads=parameters.threads,
    )
    prompts = read_table(out / "prompts.parquet", what="prompts of the ablation", remedy=_AGAIN)
    _compose(data, prompts, folder, parameters=parameters.evaluate)
    scores = {"steps": wanted.steps, "seconds": round(seconds, 1)} | _scores(prompts, folder)
    files.write(folder / "scores.json", json.dumps(scores, indent=2) + "\n")


def _training(table: Path, folder: Path, item: Variant) -> Path:
    """The training questions, with fewer phrasings where the variant wants that."""
    if item.phrasings is None:
        return table
    questions = read_table(table, what="training questions", remedy="Run the stage 'verify' again.")
    kept = [list(texts)[: item.phrasings] for texts in questions["texts"]]
    questions.assign(texts=pd.Series(kept, index=questions.index)).to_parquet(folder / "training.parquet")
    return folder / "training.parquet"


def _warm_up(root: Path, out: Path, width: str, parameters: Parameters) -> None:
    """Streams of another preset, warmed up as the pipeline's own were: same seed, same steps."""
    folder = out / "streams" / width
    if not (folder / "config.json").is_file():
        pretrain(
            volumes=root / "data/volumes",
            training=root / "data/bench/training.parquet",
            out=folder,
            parameters=parameters.pretrain.model_copy(update={"width": width}),
            seed=parameters.seed,
        )


def _choose_prompts(prompts: Path, out: Path) -> None:
    """Of the test prompts, the core in words that training never met, and the same in words that it did."""
    table = read_table(prompts, what="prompts", remedy="Run the stage 'verify' again.")
    test = table[table["split"] == "test"]
    parts = [suite_of(test, "core", phrasing=HEADLINE), suite_of(test, "phrasing", phrasing="seen")]
    pd.concat(parts).to_parquet(out / "prompts.parquet", index=False)


def _compose(data: Path, prompts: pd.DataFrame, folder: Path, *, parameters: Evaluate) -> None:
    """Ask the core prompts once more, by their nouns."""
    with VolumeStore(data / "volumes") as store:
        found, _ = predict(
            Composed(load(folder / "model", accelerator=parameters.accelerator), read=READERS["strict"]),
            model="composed",
            store=store,
            prompts=suite_of(prompts, "core"),
            features=TextFeatures.load(data / "text/features.h5"),
            nsd_tolerance_mm=parameters.nsd_tolerance_mm,
        )
    found.to_parquet(folder / "composed.parquet", index=False)


def _scores(prompts: pd.DataFrame, folder: Path) -> dict[str, float]:
    answers = join(prompts, read_table(folder / "results.parquet", what="results", remedy=_AGAIN), origin=str(folder))
    core = suite_of(answers, "core")
    seen = suite_of(answers, "phrasing").groupby("level")["dice"].mean()
    about = core[["prompt_id", "level", "parent_differs"]]
    composed = read_table(folder / "composed.parquet", what="composed answers", remedy=_AGAIN)
    composed = composed[["prompt_id", "dice", "collapsed"]].merge(about)
    return {
        **_summary(core),
        "l1_seen": float(seen.get(1, np.nan)),
        "l3_seen": float(seen.get(3, np.nan)),
        **{f"{key}_composed": value for key, value in _summary(composed).items() if key != "l2"},
    }


def _summary(asked: pd.DataFrame) -> dict[str, float]:
    dice = asked.groupby("level")["dice"].mean()
    scores = {f"l{level}": float(dice.get(level, np.nan)) for level in (1, 2, 3)}
    nested = asked[(asked["level"] == 3) & asked["parent_differs"]]
    return scores | {
        "pss": float(prompt_sensitivity(np.asarray(scores["l1"]), np.asarray(scores["l3"]))),
        "collapse": float(nested["collapsed"].mean()),
    }


def _keep_record(root: Path, out: Path, parameters: Parameters) -> None:
    """Write what the runs belong to; a folder of other runs is refused."""
    record: dict[str, Any] = {
        "parameters": parameters.model_dump(include={"seed", "threads", "train", "pretrain", "evaluate", "profile"}),
        "inputs": {name: files.fingerprint(root / "data" / name) for name in INPUTS},
    }
    absent = [name for name, value in record["inputs"].items() if value is None]
    if absent:
        raise DataError(f"{root / 'data'}: expected {absent}, got nothing. Run `semantiseg reproduce` first.")
    path = out / "record.json"
    if path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if {key: kept[key] for key in record} != record:
            raise ParameterError(
                f"{path}: expected the same parameters and inputs as now, got others. Use another folder."
            )
        return
    files.write(path, json.dumps(record | measure.machine(), indent=2, sort_keys=True) + "\n")
