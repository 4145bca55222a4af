"""Checks that run what a sentence of the paper describes: transforms, grids, the printed gate, the printed loss."""

from __future__ import annotations

import numpy as np

from semantiseg.report.finding import Finding, Metrics


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

    from semantiseg.training.loss import dhn_loss

    target = torch.tensor([[[1.0, 0.0, 0.0, 0.0]]])
    quiet, loud = torch.tensor([[[0.0, -9.0, -9.0, -9.0]]]), torch.tensor([[[0.0, 9.0, 9.0, 9.0]]])
    first, second = (float(dhn_loss(logits, target, gamma=gamma, negatives=False)) for logits in (quiet, loud))
    words = f"loss {first:.4f} without, {second:.4f} with three false positives of four pixels"
    return Finding(second > first, "weighs every hard pixel", words)


def eq3_adds_up(*, image_size: int, semantic_channels: int, metrics: Metrics) -> Finding:
    """Can Eq. 3 add the semantic map to some stage of the ConvNeXt encoder as printed? Executed on timm's network."""
    import timm

    stages = timm.create_model("convnext_tiny", features_only=True, in_chans=12, pretrained=False).feature_info
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
    from semantiseg.bench.reader import read
    from semantiseg.errors import PromptError

    try:
        program = read(text).program
    except PromptError as error:
        return Finding(False, text, str(error).partition(", got ")[2].partition(" in '")[0] + " not understood")
    return Finding(True, text, f"read as {program}")
