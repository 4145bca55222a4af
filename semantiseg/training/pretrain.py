"""Warming the image streams up without any text, once for all models.

The paper starts from BiomedCLIP and from a ConvNeXt trained on ImageNet; presets of its size do so too. Small presets
learn to draw every structure that training patients' labels name: from random weights, or from a start of our own that
learned so on a larger cohort (`pipeline/starts.py`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn
from tqdm import tqdm

from semantiseg.data.store import VolumeStore
from semantiseg.models.registry import FULL, build_streams, starting_streams
from semantiseg.models.streams import ImageStreams, StructureHead
from semantiseg.models.unet import PlainUNet
from semantiseg.models.weights import Start, load_checked, published_path, read_start, write_trained
from semantiseg.params import SCRATCH, STARTS, Pretrain, Train, start_card
from semantiseg.training.batch import Augmentation
from semantiseg.training.optimisation import Checkpoint, NonFiniteLossError, Optimiser, deterministic, objective
from semantiseg.training.questions import Questions, read_questions

VALIDATIONS = 6
"""Times that the validation Dice is measured."""
TAIL = 50
"""Steps before the end whose state is kept beside the checkpoint."""


def structures_of(table: pd.DataFrame) -> list[str]:
    """Programs of the nouns that a table of questions asks for, sorted."""
    return sorted(table.loc[table["level"] == 1, "program"].unique())


class Atlas:
    """Slices with the masks of the structures that their label maps name; no text.

    Args:
        table: questions, see `read_questions`; only names (level 1) are used.
        structures: programs of the structures, in the head's order.
        store: the prepared volumes.
        size: S, the model's frame.
    """

    def __init__(self, table: pd.DataFrame, structures: list[str], *, store: VolumeStore, size: int) -> None:
        named = table[(table["level"] == 1) & table["program"].isin(structures)].reset_index(drop=True)
        self.questions = Questions(named, store=store, size=size, parents=False)
        self._structure = np.array([structures.index(program) for program in named["program"]], dtype=np.int64)
        # Slices by structure that they show: drawing a structure first keeps rare ones from drowning.
        shown = (named["target_pixels"] > 0).to_numpy()
        self.sheets_of = [
            np.unique(self.questions.sheet_of[shown & (self._structure == number)]) for number in range(len(structures))
        ]
        self.sheets_of = [sheets for sheets in self.sheets_of if len(sheets)]
        self.absence_weight = self._balance(shown, count=len(structures))

    def _balance(self, shown: np.ndarray, *, count: int) -> Tensor:
        """Weight `[structures]` of a mask that is empty, at most 1, so that over the draws of a training absence weighs
        no more than presence: a cavity that one slice in twenty shows is otherwise best answered by nothing.
        """
        chance = np.zeros(len(self.questions.sheets))
        for sheets in self.sheets_of:
            chance[sheets] += 1 / len(sheets)
        of_row = chance[self.questions.sheet_of]
        present = np.bincount(self._structure[shown], weights=of_row[shown], minlength=count)
        absent = np.bincount(self._structure[~shown], weights=of_row[~shown], minlength=count)
        return torch.from_numpy(np.minimum(1, present / np.maximum(absent, 1e-9))).float()

    def draw(self, rng: np.random.Generator) -> int:
        """A slice: first a structure, then one of the slices that show it."""
        sheets = self.sheets_of[int(rng.integers(len(self.sheets_of)))]
        return int(sheets[int(rng.integers(len(sheets)))])

    def objective(self, logits: Tensor, structure: Tensor, targets: Tensor) -> Tensor:
        """Dice and cross-entropy over M masks, empty ones weighed by `absence_weight`.

        Args:
            logits, targets: `[M, S, S]`.
            structure: `[M]`.

        Returns:
            One number.
        """
        losses = objective(logits, targets, dice_weight=1.0, dhn_weight=1.0, dhn_gamma=0.0, dhn_negatives=True)
        weights = torch.where(targets.flatten(1).any(1), 1.0, self.absence_weight[structure])
        return (losses * weights).sum() / weights.sum()

    def batch(self, sheets: list[int], augmentation: Augmentation | None) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Images `[B, 1, S, S]`, and for M masks: their image `[M]`, their structure `[M]`, targets `[M, S, S]`."""
        images, masks, owners = [], [], []
        for position, number in enumerate(sheets):
            sheet = self.questions.sheet(number)
            image, shares = sheet.image, sheet.masks.astype(np.float32) / np.float32(255)
            if augmentation is not None:
                image, shares = augmentation(image, shares)
            images.append(image)
            masks.append(shares)
            owners += [position] * len(shares)
        rows = np.concatenate([self.questions.sheets[number] for number in sheets])
        return (
            torch.from_numpy(np.stack(images))[:, None],
            torch.tensor(owners),
            torch.from_numpy(self._structure[rows]),
            torch.from_numpy(np.concatenate(masks)),
        )


def pretrain(
    *, volumes: Path, training: Path, out: Path, parameters: Pretrain, seed: int, checkpoint: Checkpoint | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Warm the streams up and write `model.safetensors`, `config.json` and `curve.csv`.

    Args:
        volumes: folder of prepared volumes.
        training: `training.parquet`; its slices and the names among its programs are used, none of its texts.
        out: folder to write.
        parameters: the `pretrain` section of params.yaml.
        seed: of weights, order and augmentation.
        checkpoint: where the state is kept, and goes on from.

    Returns:
        The curve: `step` (0 is the start), `loss` (mean since the last row), `dice` (mean over structures, validation
        patients; NaN without one); and by structure at the end: `structure` (program), `slices` that show it, `dice`.

    Raises:
        NonFiniteLossError: names step and slices.
        DataError, ModelError: inputs that do not fit; see the modules called.
    """
    with deterministic(parameters.pretrain_threads), VolumeStore(volumes) as store:
        torch.manual_seed(seed)
        tables = {split: read_questions(training, split=split) for split in ("train", "validation")}
        structures = structures_of(tables["train"])
        atlases = {
            split: Atlas(table, structures, store=store, size=parameters.image_size) for split, table in tables.items()
        }
        streams, origin = _streams(parameters, seed=seed)
        head = StructureHead(streams, structures=len(structures))
        if parameters.start != SCRATCH:
            start = read_start(STARTS / f"{parameters.start}.safetensors")
            origin = begin_with(start, streams, head, structures=structures)
        warm_up = WarmUp(streams, head, atlases["train"], parameters=parameters, seed=seed)
        begun = parameters.start != SCRATCH
        dice = walk(warm_up, atlases["validation"], checkpoint=checkpoint, begun=begun)
    write_trained(out, streams, parameters.model_dump() | {"seed": seed, "structures": structures} | origin)
    curve = pd.DataFrame.from_records(warm_up.records)
    curve.to_csv(out / "curve.csv", index=False, float_format="%.6f", lineterminator="\n")
    return curve, _by_structure(dice, structures)


def begin_with(
    start: Start, streams: ImageStreams, head: StructureHead, *, structures: Sequence[str]
) -> dict[str, object]:
    """Fill the networks with a start; returns what config.json says of it.

    Rows of the head for structures that the start never saw stay as they are.

    Args:
        structures: programs of the structures, in the head's order.

    Raises:
        ModelError: streams of another architecture (layers named).
    """
    load_checked(streams, dict(start.streams), origin=f"start {start.name}")
    known, theirs = list(start.card["structures"]), start.head
    with torch.no_grad():
        for name, ours in head.named_parameters():
            rows, of_start = ours.unflatten(0, (len(structures), -1)), theirs[name].unflatten(0, (len(known), -1))
            for number, structure in enumerate(structures):
                if structure in known:
                    rows[number] = of_start[known.index(structure)]
    seen = {key: start.card["seen"][key] for key in ("origins", "collections", "patients")}
    return {"started_from": {"name": start.name, "sha256": start.sha256, "steps": start.card["steps"], "seen": seen}}


def from_scratch(parameters: Pretrain) -> Pretrain:
    """The same without a start, for as many steps as start and warm-up have together."""
    if parameters.start == SCRATCH:
        return parameters
    steps = parameters.steps + int(start_card(parameters.start)["steps"])
    return parameters.model_copy(update={"start": SCRATCH, "steps": steps})


def _streams(parameters: Pretrain, *, seed: int) -> tuple[ImageStreams, dict[str, object]]:
    """Random for small presets; from `weights/` for full-size ones (a ConvNeXt's are optional, BiomedCLIP's not). And
    what config.json says of it."""
    if parameters.width not in FULL:
        return build_streams(width=parameters.width, image_size=parameters.image_size), {}
    imagenet = published_path("convnext_tiny.safetensors")
    return starting_streams(
        width=parameters.width,
        image_size=parameters.image_size,
        biomedclip=published_path("biomedclip"),
        imagenet=imagenet if imagenet.is_file() else None,
        seed=seed,
    )


def validation_dice(
    *,
    volumes: Path,
    training: Path,
    parameters: Pretrain,
    structures: list[str],
    streams: Mapping[str, Tensor],
    head: Mapping[str, Tensor],
) -> pd.DataFrame:
    """Text-free Dice of given weights by structure, as `pretrain` measures it at the end.

    Args:
        volumes, training, parameters: as for `pretrain`.
        structures: programs of the structures, in the head's order.
        streams, head: weights by layer.
    """
    with deterministic(parameters.pretrain_threads), VolumeStore(volumes) as store:
        atlas = Atlas(read_questions(training, split="validation"), structures, store=store, size=parameters.image_size)
        network = build_streams(width=parameters.width, image_size=parameters.image_size)
        top = StructureHead(network, structures=len(structures))
        load_checked(network, dict(streams), origin="streams")
        load_checked(top, dict(head), origin="head")
        return _by_structure(_validate(network.to(memory_format=torch.channels_last), top, atlas), structures)


def _by_structure(dice: dict[int, list[float]], structures: list[str]) -> pd.DataFrame:
    rows = [(structures[number], len(values), float(np.mean(values))) for number, values in sorted(dice.items())]
    return pd.DataFrame(rows, columns=["structure", "slices", "dice"]).astype({"dice": float})


class WarmUp:
    """How far a warm-up is: networks, optimiser, streams of random numbers and curve."""

    def __init__(
        self, streams: ImageStreams | PlainUNet, head: nn.Module, atlas: Atlas, *, parameters: Pretrain | Train,
        seed: int,
    ) -> None:  # fmt: skip
        """
        Args:
            streams: what images `[B, 1, S, S]` go into; a U-Net draws by itself, with nn.Identity() for a head.
            head: from there to logits `[B, K, S, S]`, one map for each structure of the atlas.
            atlas: slices to learn from.
            parameters: of the training.
            seed: of order and augmentation.
        """
        self.streams, self.head, self.parameters = streams, head, parameters
        self.step = 0
        self.records: list[dict[str, float]] = []
        self._losses: list[float] = []
        self._atlas, self._seed = atlas, seed
        streams.to(memory_format=torch.channels_last)
        streams.keep_published()
        self._optimiser = Optimiser(
            [*streams.parameters(), *head.parameters()],
            learning_rate=parameters.learning_rate,
            weight_decay=parameters.weight_decay,
            steps=parameters.steps,
        )
        self._rng = np.random.default_rng([seed, 2])
        self._augmentation = Augmentation(distortion=parameters.augmentation, seed=seed)

    def advance(self) -> float:
        """One optimiser step; returns its loss."""
        self.step += 1
        self.streams.train()
        self.streams.keep_published()
        sheets = [self._atlas.draw(self._rng) for _ in range(self.parameters.images_per_step)]
        images, owner, structure, targets = self._atlas.batch(sheets, self._augmentation)
        logits = self.head(self.streams(images.contiguous(memory_format=torch.channels_last)))[owner, structure]
        loss = self._atlas.objective(logits, structure, targets)
        self._losses.append(float(loss.detach()))
        if not math.isfinite(self._losses[-1]):
            questions = self._atlas.questions
            asked = "; ".join(questions.name(questions.sheets[number][0]) for number in sheets)
            raise NonFiniteLossError(
                f"pretraining, step {self.step}: expected a finite loss, got {self._losses[-1]} for the slices "
                f"{asked}. Lower pretrain.learning_rate, or look at these images."
            )
        self._optimiser.step(loss)
        return self._losses[-1]

    def record(self, dice: float) -> None:
        """Add a row to the curve: the mean loss since the last one."""
        self.records.append({"step": self.step, "loss": float(np.mean(self._losses or [np.nan])), "dice": dice})
        self._losses = []

    def save(self, checkpoint: Checkpoint) -> None:
        """Write where the warm-up stands."""
        state = {
            "step": self.step,
            "streams": self.streams.state_dict(),
            "head": self.head.state_dict(),
            "adamw": self._optimiser.adamw.state_dict(),
            "schedule": self._optimiser.schedule.state_dict(),
            "torch": torch.get_rng_state(),
            "draws": dict(self._rng.bit_generator.state),
            "augmentation": self._augmentation.state(),
            "records": self.records,
            "losses": self._losses,
        }
        checkpoint.write(state, fingerprint=self._fingerprint())

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from the checkpoint, where there is one.

        Raises:
            ModelError: the file is broken, or belongs to another warm-up.
        """
        state = checkpoint.read(fingerprint=self._fingerprint())
        if state is None:
            return
        self.step, self.records, self._losses = state["step"], state["records"], state["losses"]
        self.streams.load_state_dict(state["streams"])
        self.head.load_state_dict(state["head"])
        self._optimiser.adamw.load_state_dict(state["adamw"])
        self._optimiser.schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["torch"])
        self._rng.bit_generator.state = state["draws"]
        self._augmentation.restore(state["augmentation"])

    def _fingerprint(self) -> dict[str, object]:
        parameters = self.parameters.model_dump()
        return parameters | {"seed": self._seed, "questions": len(self._atlas.questions.program)}


def walk(
    warm_up: WarmUp, validation: Atlas, *, checkpoint: Checkpoint | None = None, begun: bool = False
) -> dict[int, list[float]]:
    """Walk to the last step; Dice by structure then, see `_validate`. A network that has learned before is `begun`: the
    curve then has a row for step 0."""
    if checkpoint is not None:
        warm_up.resume(checkpoint)
    steps = warm_up.parameters.steps
    every = max(1, steps // VALIDATIONS)
    dice: dict[int, list[float]] = {}
    if warm_up.step == 0 and begun:
        dice = _validate(warm_up.streams, warm_up.head, validation)
        warm_up.record(_mean(dice))
    for step in tqdm(range(warm_up.step + 1, steps + 1), desc="pretrain", unit="step", disable=None):
        warm_up.advance()
        if step % every == 0 or step == steps:
            dice = _validate(warm_up.streams, warm_up.head, validation)
            warm_up.record(_mean(dice))
        if checkpoint is not None and (checkpoint.due(step) or step == steps):
            warm_up.save(checkpoint)
        if checkpoint is not None and step == steps - TAIL:
            warm_up.save(Checkpoint(tail_path(checkpoint.path), every=1))
    return dice or _validate(warm_up.streams, warm_up.head, validation)


def tail_path(path: Path) -> Path:
    """Beside a checkpoint: the state `TAIL` steps before the end, from which `starts verify` walks once more."""
    return path.with_name(f"tail-{path.name}")


def _mean(dice: dict[int, list[float]]) -> float:
    return float(np.mean([np.mean(values) for values in dice.values()])) if dice else float("nan")


@torch.no_grad()
def _validate(streams: ImageStreams | PlainUNet, head: nn.Module, atlas: Atlas) -> dict[int, list[float]]:
    """Dice on every slice that shows a structure, by structure, in the model's frame."""
    streams.eval()
    scores: dict[int, list[float]] = {}
    for start in range(0, len(atlas.questions.sheets), 16):
        sheets = list(range(start, min(start + 16, len(atlas.questions.sheets))))
        images, owner, structure, targets = atlas.batch(sheets, None)
        answers, truth = head(streams(images))[owner, structure] > 0, targets > 0.5
        overlap, total = (answers & truth).sum(dim=(1, 2)), answers.sum(dim=(1, 2)) + truth.sum(dim=(1, 2))
        for number, value, shown in zip(
            structure.tolist(), (2 * overlap / total.clamp(min=1)).tolist(), truth.any(2).any(1).tolist(), strict=True
        ):
            if shown:
                scores.setdefault(number, []).append(value)
    return scores
