"""The one wiring file: what the recipes of `recipes.py` are built from, and every literal size.

Where a full-size training starts: image streams from BiomedCLIP and from an ImageNet ConvNeXt.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from semantiseg.errors import ModelError
from semantiseg.models.encoders import (
    MEAN,
    STD,
    BiomedCLIPImageEncoder,
    ConvNeXtEncoder,
    load_imagenet,
    read_biomedclip,
)
from semantiseg.models.frequency import FrequencyEncoder, HaarTransform, NoFrequency, Pixels, PublishedHaar
from semantiseg.models.gate import GATES
from semantiseg.models.prompts import PromptProjection, ScratchProjection
from semantiseg.models.segmenter import Segmenter
from semantiseg.models.streams import ImageStreams, SemanticEncoder
from semantiseg.models.weights import load_checked, read_trained
from semantiseg.recipes import RECIPES

Accelerator = Literal["cpu", "cuda"]


@dataclass(frozen=True)
class Sizes:
    """Sizes of the two encoders and the gates."""

    patch_size: int
    """Edge of a ViT patch in pixels."""
    vit_width: int
    vit_layers: int
    vit_heads: int
    semantic_channels: int
    """D: channels of F_sem after the visual projection, and width of the projected text."""
    stem_stride: int
    """Stride of ConvNeXt's stem on the Haar bands."""
    depths: tuple[int, int, int, int]
    dims: tuple[int, int, int, int]
    kernel_sizes: tuple[int, int, int, int]
    channels: tuple[int, int, int, int]
    """Channels of the four maps behind the neck. The first, as fine as the Haar bands, is the decoder's detail; the
    other three are gated."""
    gate_heads: tuple[int, int, int]
    text_dropout: float
    second_stream: Literal["haar", "pixels", "none"] = "haar"
    """What the frequency stream is given: the paper's bands, or what an ablation puts in their place."""


_SMALL = Sizes(
    patch_size=16, vit_width=96, vit_layers=2, vit_heads=4, semantic_channels=96, stem_stride=1,
    depths=(1, 1, 2, 2), dims=(32, 64, 96, 128), kernel_sizes=(3, 3, 3, 3), channels=(16, 32, 64, 96),
    gate_heads=(2, 3, 4), text_dropout=0.1,
)  # fmt: skip

WIDTHS: Mapping[str, Sizes] = {
    "small": _SMALL,
    "small_pixels": replace(_SMALL, second_stream="pixels"),
    "small_semantic": replace(_SMALL, second_stream="none"),
    "tiny": Sizes(
        patch_size=16, vit_width=32, vit_layers=1, vit_heads=2, semantic_channels=32, stem_stride=1,
        depths=(1, 1, 1, 1), dims=(8, 16, 16, 32), kernel_sizes=(3, 3, 3, 3), channels=(8, 16, 16, 32),
        gate_heads=(1, 2, 2), text_dropout=0.0,
    ),
}  # fmt: skip


@dataclass(frozen=True)
class FullSizes:
    """Sizes of BiomedCLIP's image tower and timm's ConvNeXt, and of the gates on all four of its stages."""

    vit: str
    """timm's name of the image tower."""
    semantic_channels: int
    """D: as in `Sizes`; 512 is what BiomedCLIP projects to."""
    convnext: str
    """timm's name of the frequency stream."""
    convnext_sizes: Mapping[str, tuple[int, ...]]
    """Where they differ from timm's: `depths`, `dims`."""
    drop_path: float
    channels: tuple[int, int, int, int, int]
    """Of the five maps behind the neck; the last four are gated."""
    gate_heads: tuple[int, int, int, int]
    text_dropout: float


FULL: Mapping[str, FullSizes] = {
    "paper": FullSizes(
        vit="vit_base_patch16_224", semantic_channels=512, convnext="convnext_tiny", convnext_sizes={}, drop_path=0.1,
        channels=(16, 64, 96, 128, 192), gate_heads=(4, 4, 6, 8), text_dropout=0.1,
    ),
    "paper_tiny": FullSizes(
        vit="vit_tiny_patch16_224", semantic_channels=32, convnext="convnext_tiny",
        convnext_sizes={"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 32)}, drop_path=0.0,
        channels=(8, 8, 16, 16, 32), gate_heads=(1, 1, 2, 2), text_dropout=0.0,
    ),
}  # fmt: skip
"""Presets that start from published weights (`models/registry.py`) and are fine-tuned; `paper_tiny` is for tests."""


def build_streams(*, width: str, image_size: int) -> ImageStreams:
    """Build the image streams with fresh random weights (from torch's global generator).

    Args:
        width: a key of `WIDTHS` or `FULL`.
        image_size: S, rows and columns of the network's input in pixels.

    Raises:
        ModelError: unknown width, or a size that the patches or the Haar transform do not divide.
    """
    if width in FULL:
        return _full_streams(FULL[width], image_size=image_size)
    if width not in WIDTHS:
        raise ModelError(f"width: expected one of {[*WIDTHS, *FULL]}, got {width!r}. Choose one of these.")
    sizes = WIDTHS[width]
    multiple = math.lcm(sizes.patch_size, 16 * sizes.stem_stride)  # Haar 2, stem, and three halvings by ConvNeXt
    if image_size % multiple:
        raise ModelError(f"image_size: expected a multiple of {multiple}, got {image_size}. Round it.")
    return ImageStreams(
        image_size=image_size,
        semantic=SemanticEncoder(
            image_size=image_size, patch_size=sizes.patch_size, width=sizes.vit_width,
            layers=sizes.vit_layers, heads=sizes.vit_heads, channels=sizes.semantic_channels,
        ),
        frequency=_second_stream(sizes),
        wavelet=Pixels() if sizes.second_stream == "pixels" else HaarTransform(),
    )  # fmt: skip


def _second_stream(sizes: Sizes) -> FrequencyEncoder | NoFrequency:
    if sizes.second_stream == "none":
        return NoFrequency(stem_stride=sizes.stem_stride, channels=sizes.channels)
    return FrequencyEncoder(
        depths=sizes.depths, dims=sizes.dims, kernel_sizes=sizes.kernel_sizes, stem_stride=sizes.stem_stride,
        channels=sizes.channels,
    )  # fmt: skip


def _full_streams(sizes: FullSizes, *, image_size: int) -> ImageStreams:
    if image_size % 32 or image_size < 64:  # Haar 2, stem 4, three halvings that may round down
        raise ModelError(f"image_size: expected a multiple of 32 from 64 on, got {image_size}. Round it.")
    return ImageStreams(
        image_size=image_size,
        semantic=BiomedCLIPImageEncoder(vit=sizes.vit, channels=sizes.semantic_channels),
        frequency=ConvNeXtEncoder(
            name=sizes.convnext, channels=sizes.channels, drop_path=sizes.drop_path, **sizes.convnext_sizes
        ),
        wavelet=PublishedHaar(),
    )


def build(
    model: str,
    *,
    width: str,
    image_size: int,
    text_width: int,
    sentence_width: int | None = None,
    text_encoder: str = "minilm",
) -> Segmenter:
    """Build a model with fresh random weights (from torch's global generator).

    Args:
        model: a key of `RECIPES`.
        width, image_size: see `build_streams`.
        text_width: E, width of the text encoder's token features.
        sentence_width: width of its sentence embedding; None means E.
        text_encoder: its name (`models/text.py`).

    Raises:
        ModelError: unknown model; see also `build_streams`.
    """
    if model not in RECIPES:
        raise ModelError(f"model: expected one of {list(RECIPES)}, got {model!r}. Choose one of these.")
    streams = build_streams(width=width, image_size=image_size)
    recipe, sizes = RECIPES[model], FULL.get(width) or WIDTHS[width]
    if recipe.reading == "bag_of_words":  # its sentence embedding is a mean over word pieces
        sentence_width = text_width
    # Gates draw from a generator of their own: all models of one seed then share the initial weights of everything
    # else.
    with torch.random.fork_rng(devices=[]):
        gates = [
            GATES[recipe.gate](channels=channels, heads=heads, width=sizes.semantic_channels)
            for channels, heads in zip(sizes.channels[1:], sizes.gate_heads, strict=True)
        ]
    projection = PromptProjection(
        text_width=text_width,
        sentence_width=sentence_width or text_width,
        width=sizes.semantic_channels,
        dropout=sizes.text_dropout,
    )
    if recipe.reading == "from_scratch":  # beside the common draws, as the gates are
        with torch.random.fork_rng(devices=[]):
            projection = ScratchProjection(width=sizes.semantic_channels, dropout=sizes.text_dropout)
    return Segmenter(
        width=width,
        reading=recipe.reading,
        text_encoder=text_encoder,
        needs_box=recipe.needs_box,
        streams=streams,
        projection=projection,
        gates=gates,
    )


def start_from(folder: Path, *, model: str, **text: Any) -> Segmenter:
    """Build a model of the registry on pretrained image streams; everything else has fresh random weights.

    Args:
        folder: what stage `pretrain` or `models/registry.py` wrote: `model.safetensors`, `config.json`.
        model: a key of `RECIPES`.
        text: `text_width`, `sentence_width` and `text_encoder`, see `build`.

    Raises:
        ModelError: a file is absent or broken, or its weights are not those of the configured streams.
    """
    config, state = read_trained(folder, keys=("width", "image_size"))
    network = build(model, **config, **text)
    load_checked(network.streams, state, origin=str(folder / "model.safetensors"))
    return network


def load(folder: Path, *, accelerator: Accelerator = "cpu") -> Segmenter:
    """Read a trained model from `model.safetensors` and `config.json`, ready to answer.

    Args:
        folder: what `training.loop.train` wrote.
        accelerator: where it shall answer.

    Raises:
        ModelError: a file is absent or broken, the weights are not those of the configured architecture (layers named),
            or there is no GPU.
    """
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise ModelError("accelerator: expected a GPU that PyTorch can use, got none. Set it to cpu.")
    config, state = read_trained(
        folder, keys=("model", "width", "image_size", "text_width"), optional=("sentence_width", "text_encoder")
    )
    network = build(config.pop("model"), **config)
    load_checked(network, state, origin=str(folder / "model.safetensors"))
    return network.eval().to(accelerator)


def starting_streams(
    *, width: str, image_size: int, biomedclip: str | Path, imagenet: Path | None, seed: int
) -> tuple[ImageStreams, dict[str, object]]:
    """Image streams with published weights, and where these come from.

    Args:
        width: a key of `FULL`.
        image_size: S, 352 in the paper.
        biomedclip: a source as `read_biomedclip` takes it; its image tower must be the preset's.
        imagenet: timm's weights of the preset's ConvNeXt; None leaves it random, and the origin says so.
        seed: of what no weights exist for: the neck and the lateral layers.

    Raises:
        ModelError: no such preset, or weights that are absent, broken or of another architecture (layers named).
    """
    if width not in FULL:
        raise ModelError(f"width: expected one of {list(FULL)}, got {width!r}. Choose one of these.")
    clip = read_biomedclip(biomedclip)
    _check_colours(clip.folder)
    torch.manual_seed(seed)
    streams = build_streams(width=width, image_size=image_size)
    load_checked(streams.semantic.visual, clip.model.visual.state_dict(), origin=f"{biomedclip}, image tower")
    if imagenet is not None:
        load_imagenet(streams.frequency, imagenet)
    return streams, {"semantic": "biomedclip", "frequency": "random" if imagenet is None else "imagenet"}


def _check_colours(folder: Path) -> None:
    """The image tower's own mean and deviation must be those that `BiomedCLIPImageEncoder` applies."""
    path = folder / "open_clip_config.json"
    described = json.loads(path.read_text(encoding="utf-8")).get("preprocess_cfg", {})
    for key, ours in (("mean", MEAN), ("std", STD)):
        theirs = described.get(key, ours)
        if any(abs(a - b) > 1e-6 for a, b in zip(theirs, ours, strict=True)):
            raise ModelError(
                f"{path}: expected preprocess_cfg.{key} {ours}, got {theirs}. Use BiomedCLIP's own folder."
            )
