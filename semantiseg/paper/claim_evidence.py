"""What a check of a claim finds.

Checks that the recorded ablation decides: one thing changed, several seeds, on phantoms.

Checks against what others published: other benchmarks, other papers, the paper's own list of references.

Checks that set two trained models side by side: which is better, for other patients and for other seeds, too?

Checks that run what a sentence of the paper describes: transforms, grids, the printed gate, the printed loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from semantiseg.evaluation import ablation_record
from semantiseg.paper import published
from semantiseg.paper.table_text import interval, number

Metrics = Mapping[str, Any]


@dataclass(frozen=True)
class Finding:
    """What a check found.

    Attributes:
        holds: whether the claim holds; None if it cannot be tested here, or cannot be decided.
        printed: what the paper says, as short as can be.
        computed: what was computed, or what a test would take.
        measured: whether images decided it (then the verdict names their origin).
        origin: of these images, in words, where they are not those of this run.
        apart: False where images were measured and cannot tell what is compared apart; `holds` is None then.
    """

    holds: bool | None
    printed: str
    computed: str
    measured: bool = False
    origin: str = ""
    apart: bool = True


_NAMES = {"l1": "L1 Dice", "l2": "L2 Dice", "l3": "L3 Dice"}


def ablation_better(*, variant: str, other: str, statistic: str, metrics: Metrics) -> Finding:
    """Is one variant of the ablation better than another in every seed: its worst above the other's best?"""
    runs, _ = ablation_record.read()
    printed = f"{_NAMES[statistic]}: {variant} above {other}"
    mine, theirs = (runs[runs["variant"] == name][statistic] for name in (variant, other))
    found = ablation_record.standing(mine, theirs)
    if found == "seldom":
        return Finding(None, printed, f"`semantiseg ablation` with several seeds of {variant} and {other}")
    words = f"{_NAMES[statistic]} {variant} {spread_of(mine)}, {other} {spread_of(theirs)}"
    if found == "unclear":
        return Finding(None, printed, f"{words}; seeds overlap", measured=True, origin="phantoms", apart=False)
    return Finding(found == "better", printed, words, measured=True, origin="phantoms")


def spread_of(values: pd.Series) -> str:
    """Mean and range over seeds, in words."""
    return f"{values.mean():.2f} ({values.min():.2f} to {values.max():.2f} over {len(values)} seeds)"


def description_matches(*, trait: str, said: bool, found: bool, how: str, source: str, metrics: Metrics) -> Finding:
    """Does another work have the trait that the paper says it has, or lack the one it says it lacks? Source named."""
    return Finding(
        said == found, f"{trait}: {'yes' if said else 'no'}", f"{'yes' if found else 'no'}: {how} ({source})"
    )


def needs(*, resources: str, metrics: Metrics) -> Finding:
    """A claim that nothing here can test, and what it would take."""
    return Finding(None, "as quoted", resources)


def reference_resolves(*, key: str, references: int, metrics: Metrics) -> Finding:
    """Does a citation point to one of the numbered references?"""
    holds = key.isdecimal() and 1 <= int(key) <= references
    return Finding(
        holds, f"[{key}]", f"reference {key} of {references}" if holds else f"no reference [{key}] among {references}"
    )


def identifier_matches(*, printed: str, found: str, source: str, metrics: Metrics) -> Finding:
    """Is a printed identifier the work's own?"""
    return Finding(printed == found, printed, f"{found} ({source})")


def needs_beside_published(*, resources: str, model: str, targets: Sequence[str], metrics: Metrics) -> Finding:
    """A claim that nothing here can test, what it would take, and what the model's own authors published.

    `targets` is a collection and a target of `published_dice.csv`, or empty for all of them.
    """
    table = published.read_published()
    if targets:
        row = published.target(table, *targets)
        words = f"{row['target']}: mean {row[f'{model}_mean']:.2f}, median {row[f'{model}_median']:.2f}"
    else:
        found = published.expected_dice(table, model)
        median = "" if found.median is None else f", by medians {found.median:.2f}"
        words = f"{len(table)} targets of MSD and KiTS23: mean {found.mean:.2f}{median}"
    return Finding(None, "as quoted", f"{resources}; published by others: {published.NAMES[model]}, {words}")


def all_cited(*, works: Sequence[str], cited: Sequence[str], metrics: Metrics) -> Finding:
    """Is every work that the paper builds on, or lists, also cited in its text?"""
    missing = [work for work in works if work not in cited]
    return Finding(not missing, ", ".join(works), f"never cited: {', '.join(missing)}" if missing else "all cited")


SIGNIFICANT = 0.05


def statistic_of(metrics: Metrics, model: str, statistic: str) -> Mapping[str, Any] | None:
    """An estimate of the headline; None if the model was not trained or the number is undefined."""
    summary = metrics["models"].get(model)
    if summary is None or summary["core"][statistic]["value"] is None:
        return None
    return summary["core"][statistic]


def words_of(statistic: str, estimate: Mapping[str, Any]) -> str:
    """An estimate with its interval, in the digits of its kind."""
    digits = 3 if statistic == "pss" else 2
    row = {"x": estimate["value"], "x_low": estimate["low"], "x_high": estimate["high"]}
    return interval(row, "x", lambda value: number(value, digits=digits))


NAMES = {"pss": "PSS", "l1": "L1 Dice", "l2": "L2 Dice", "l3": "L3 Dice"}


def untrained(printed: str, *models: str) -> Finding:
    """Models of which a claim speaks were not trained in this run."""
    return Finding(
        None, printed, f"train {' and '.join(models)} (`models` in params.yaml) on a test split with core prompts"
    )


@dataclass(frozen=True)
class Paired:
    """Mean difference of two models over trainings, and whether it can be told from none (two-sided p)."""

    mean: float
    p: float
    trainings: int


def over_patients_and_seeds(
    difference: float, *, low: float, high: float, patients: int, seeds: Sequence[float]
) -> Paired:
    """Welch's test of two sources of chance: which patients were met, and which seed was trained with.

    Args:
        difference: of the two models in this run, paired by patient.
        low, high: its 95% interval over patients.
        patients: how many.
        seeds: the same difference in recorded trainings that differ in nothing but the seed, paired by seed.

    This run is one training among the recorded ones, so that it decides no more than each of them. The variance of the
    mean is that over patients, whom all trainings share, plus that over trainings divided by their number; degrees of
    freedom after Satterthwaite (1946).
    """
    from scipy import stats

    trainings = np.array([difference, *seeds])
    by_patient = ((high - low) / (2 * stats.norm.ppf(0.975))) ** 2
    by_seed = float(trainings.var(ddof=1)) / len(trainings) if len(seeds) else 0.0
    mean, variance = float(trainings.mean()), by_patient + by_seed
    if variance == 0:
        return Paired(mean, 1.0 if mean == 0 else 0.0, len(trainings))
    freedom = variance**2 / (by_patient**2 / max(patients - 1, 1) + by_seed**2 / max(len(trainings) - 1, 1))
    return Paired(mean, float(2 * stats.t.sf(abs(mean) / variance**0.5, freedom)), len(trainings))


def model_better(*, model: str, other: str, statistic: str, seeds: Sequence[str], metrics: Metrics) -> Finding:
    """Is one trained model's number higher than another's, for other patients and for other seeds, too?

    Args:
        model, other: trained in this run, compared patient by patient (`evaluation/comparison.py`).
        statistic: l1, l2 or l3.
        seeds: the variants of the recorded ablation that `model` and `other` are.
        metrics: of this run.

    Where chance could have had it otherwise the two cannot be told apart, whichever is ahead in this run.
    """
    printed = f"{NAMES[statistic]}: {model} above {other}"
    mine, theirs = statistic_of(metrics, model, statistic), statistic_of(metrics, other, statistic)
    row, sign = _pair(metrics, model, other, statistic)
    if mine is None or theirs is None or row is None:
        return untrained(printed, model, other)
    low, high = sorted((sign * row["low"], sign * row["high"]))
    found = over_patients_and_seeds(
        sign * row["difference"], low=low, high=high, patients=row["patients"],
        seeds=_by_seed(seeds[0], seeds[1], statistic),
    )
    words = (
        f"{model} {words_of(statistic, mine)}, {other} {words_of(statistic, theirs)}; mean difference of "
        f"{found.trainings} trainings {number(found.mean)}, p = {number(found.p, digits=3)} over patients and seeds"
    )
    if found.p >= SIGNIFICANT:
        return Finding(None, printed, words, measured=True, apart=False)
    return Finding(found.mean > 0, printed, words, measured=True)


def _pair(metrics: Metrics, model: str, other: str, statistic: str) -> tuple[Mapping[str, Any] | None, int]:
    """The comparison of two models, and -1 if it stands the other way round; None if they were not compared."""
    for row in metrics.get("comparisons", ()):
        if row["measure"] == statistic and {row["first"], row["second"]} == {model, other}:
            return row, 1 if row["first"] == model else -1
    return None, 1


def _by_seed(variant: str, other: str, statistic: str) -> list[float]:
    """Differences of two variants of the ablation, seed by seed."""
    runs, _ = ablation_record.read()
    mine, theirs = (runs[runs["variant"] == name].set_index("seed")[statistic] for name in (variant, other))
    return list((mine - theirs).dropna())


def haar_channels(*, channels: int, printed: int, metrics: Metrics) -> Finding:
    """Does one level of the Haar transform give the printed number of channels? Executed."""
    import pywt

    low, high = pywt.dwt2(np.zeros((channels, 8, 8)), "haar", axes=(1, 2))
    bands = np.concatenate([low, *high])
    return Finding(len(bands) == printed, str(printed), f"{channels} x {1 + len(high)} bands = {len(bands)}")


def patch_grid(*, image_size: int, patch_size: int, printed: int, metrics: Metrics) -> Finding:
    """Does a ViT of this patch size give the printed grid for the images of Section 5?"""
    side = image_size // patch_size
    words = f"{image_size} / {patch_size} = {side}; {printed} x {patch_size} = {printed * patch_size}"
    return Finding(side == printed, f"{printed} x {printed}", words)


def layers_exist(*, first: int, last: int, layers: int, metrics: Metrics) -> Finding:
    """Are the named layers the last ones of the encoder, counted from 0?"""
    return Finding(
        0 <= first <= last == layers - 1, f"{first}-{last}", f"the last {last - first + 1} of layers 0-{layers - 1}"
    )


def printed_gate_suppresses(*, metrics: Metrics) -> Finding:
    """Can the printed gate weaken a feature, or differ from pixel to pixel? Executed on the gate of Eq. 2."""
    import torch

    from semantiseg.models.gate import ScalarGate, StageFeatures
    from semantiseg.models.prompts import PromptBatch

    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        # Wide values drive the sigmoid to both of its ends.
        return 100 * torch.randn(*shape, generator=generator)

    gate = ScalarGate(channels=4, width=8)
    for weight in gate.parameters():
        weight.data = draw(*weight.shape)
    prompts = PromptBatch(
        tokens=draw(64, 1, 8),
        mask=torch.ones(64, 1, dtype=torch.bool),
        pooled=draw(64, 8),
        boxes=torch.zeros(64, 4),
        ids=torch.zeros(64, 1, dtype=torch.int64),
    )
    stage = StageFeatures(semantic=draw(1, 4, 6, 6), frequency=draw(1, 4, 6, 6), context=draw(1, 8))
    owner, state = torch.zeros(64, dtype=torch.int64), torch.zeros(64, 4, 6, 6)
    alpha = gate(stage, owner, prompts, state)[1].detach()
    low, high = float(1 + alpha.min()), float(1 + alpha.max())
    pixels = alpha.shape[2] * alpha.shape[3]
    words = f"factor 1 + alpha from {low:.2f} to {high:.2f} over 64 prompts; {pixels} value for all 36 pixels"
    return Finding(low < 1 and pixels > 1, "suppresses parts of a picture", words)


def dhn_penalises_false_positives(*, gamma: float, metrics: Metrics) -> Finding:
    """Does Eq. 4 as printed rise when background is marked with confidence? Executed."""
    import torch

    from semantiseg.training.optimisation import dhn_loss

    target = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    quiet, loud = torch.tensor([[[0.0, -9.0, -9.0, -9.0]]]), torch.tensor([[[0.0, 9.0, 9.0, 9.0]]])
    first, second = (float(dhn_loss(logits, target, gamma=gamma, negatives=False)) for logits in (quiet, loud))
    words = f"loss {first:.4f} without, {second:.4f} with three false positives of four pixels"
    return Finding(second > first, "weighs every hard pixel", words)


def eq3_adds_up(*, image_size: int, semantic_channels: int, metrics: Metrics) -> Finding:
    """Can Eq. 3 add the semantic map to some stage of the ConvNeXt encoder as printed? Executed on timm's network."""
    import timm

    network: Any = timm.create_model("convnext_tiny", features_only=True, in_chans=12, pretrained=False)
    stages = network.feature_info
    widths, strides = stages.channels(), stages.reduction()
    sides = [image_size / 2 / stride for stride in strides]
    words = ", ".join(f"{side:g} x {side:g} x {width}" for side, width in zip(sides, widths, strict=True))
    return Finding(
        semantic_channels in widths, f"{semantic_channels} channels added", f"stages {words}; no projection is printed"
    )


def dhn_raises_weights(*, gamma: float, metrics: Metrics) -> Finding:
    """Does the weight of Eq. 4 rise above 1, or change at p = 0.5? Executed, on a grid of confidences."""
    confidence = np.linspace(0.01, 0.99, 99)
    weight = (1 - confidence) ** gamma
    step = np.abs(np.diff(weight))
    words = (
        f"weights from {weight.max():.2f} to {weight.min():.4f}, {weight[49]:.2f} at p = 0.5, none above 1; largest "
        f"step of 0.01 in p is {step.max():.3f}, at p = {confidence[int(step.argmax())]:.2f}"
    )
    return Finding(bool(weight.max() > 1), "increases the weight where p < 0.5", words)


def prompt_is_read(*, text: str, metrics: Metrics) -> Finding:
    """Can the benchmark's reader, which shares no code with its generator, tell what a prompt asks for? Executed."""
    from semantiseg.errors import PromptError
    from semantiseg.language.reader.parser import read

    try:
        program = read(text).program
    except PromptError as error:
        return Finding(False, text, str(error).partition(", got ")[2].partition(" in '")[0] + " not understood")
    return Finding(True, text, f"read as {program}")
