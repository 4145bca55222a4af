"""A plain U-Net beside the text-reading models of a workspace: the same slices, masks, augmentation and objective, and
as many images as pretraining and training together see; one output a structure, so it reads no text.

    python benchmarks/plain_unet.py workspaces/own-Task101_AbdomenSlices

Prints, by structure, its Dice on the test patients' level 1 prompts beside that of the workspace's models. It is a
measuring stick for the pictures (how much can be had from so few patients?), not a row of Table 1.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from monai.networks.nets import BasicUNet
from tqdm import tqdm

from semantiseg import params
from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.data.store import VolumeStore
from semantiseg.evaluation import metrics
from semantiseg.evaluation.predict import THRESHOLD
from semantiseg.models.segmenter import enter_image, frame_of
from semantiseg.training.batch import Augmentation
from semantiseg.training.optimisation import Optimiser, objective
from semantiseg.training.pretrain import Atlas
from semantiseg.training.questions import read_questions

FEATURES = (16, 16, 32, 64, 128, 16)
"""Widths of MONAI's BasicUNet: 0.5 million weights, about as many as the demo's streams."""


def fit(store: VolumeStore, training: Path, *, parameters: params.Parameters) -> tuple[BasicUNet, list[str]]:
    """Train on what the workspace's models were trained on; the network, and the structure of each output."""
    torch.manual_seed(parameters.seed)
    table = read_questions(training, split="train")
    structures = sorted(table.query("level == 1")["program"].unique())
    atlas = Atlas(table, structures, store=store, size=parameters.pretrain.image_size)
    network = BasicUNet(spatial_dims=2, in_channels=1, out_channels=len(structures), features=FEATURES, norm="batch")
    steps = parameters.pretrain.steps + parameters.train.steps
    optimiser = Optimiser(
        list(network.parameters()),
        learning_rate=parameters.pretrain.learning_rate,
        weight_decay=parameters.pretrain.weight_decay,
        steps=steps,
    )
    rng = np.random.default_rng([parameters.seed, 2])
    augmentation = Augmentation(distortion=parameters.pretrain.augmentation, seed=parameters.seed)
    for _ in tqdm(range(steps), desc="plain U-Net", unit="step", disable=None):
        sheets = [atlas.draw(rng) for _ in range(parameters.pretrain.images_per_step)]
        images, owner, structure, targets = atlas.batch(sheets, augmentation)
        logits = network(images)[owner, structure]
        optimiser.step(
            objective(logits, targets, dice_weight=1.0, dhn_weight=1.0, dhn_gamma=0.0, dhn_negatives=True).mean()
        )
    return network.eval(), structures


@torch.no_grad()
def score(
    network: BasicUNet, structures: list[str], store: VolumeStore, prompts: pd.DataFrame, *, image_size: int
) -> pd.DataFrame:
    """Dice of the output of each level 1 prompt's structure, on the slice's own grid: `prompt_id`, `dice`."""
    records = []
    for (volume_id, index), asked in prompts.groupby(["volume_id", "slice"]):
        shown = read_slice(store, str(volume_id), int(index))
        frame = frame_of(shown.image, size=image_size)
        maps = frame.leave(torch.sigmoid(network(enter_image(shown.image, frame)[None]))[0]).numpy()
        for row in asked.itertuples():
            answer = maps[structures.index(row.program)] > THRESHOLD
            records.append({"prompt_id": row.prompt_id, "dice": metrics.dice(answer, shown.mask(row.program))})
    return pd.DataFrame.from_records(records)


def main(folder: Path) -> None:
    """Train, score, print."""
    parameters = params.load(folder / "params.yaml")
    torch.set_num_threads(parameters.pretrain.pretrain_threads)
    prompts = pd.read_parquet(folder / "data/bench/prompts.parquet")
    with VolumeStore(folder / "data/volumes") as store:
        started = time.perf_counter()
        network, structures = fit(store, folder / "data/bench/training.parquet", parameters=parameters)
        print(
            f"plain U-Net: {sum(p.numel() for p in network.parameters()):,} weights, "
            f"{(time.perf_counter() - started) / 60:.1f} min"
        )
        named = prompts.query("split == 'test' and level == 1 and suite == 'core'")
        named = named[named["program"].isin(structures)]
        columns = {"plain_unet": score(network, structures, store, named, image_size=parameters.pretrain.image_size)}
    for model in parameters.models:
        columns[model] = pd.read_parquet(folder / f"data/results/{model}/results.parquet")
    table = named[["prompt_id", "program", "patient_id"]]
    for name, results in columns.items():
        table = table.merge(results[["prompt_id", "dice"]].rename(columns={"dice": name}), on="prompt_id")
    by_structure = table.groupby("program")[list(columns)].mean()
    by_structure.insert(0, "prompts", table.groupby("program").size())
    by_structure.loc["all prompts"] = [len(table), *table[list(columns)].mean()]
    print(by_structure.round(2).to_string())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
