"""Where a full-size training starts: image streams from BiomedCLIP and from an ImageNet ConvNeXt."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from semantiseg.errors import ModelError
from semantiseg.models.biomedclip import MEAN, STD, read_biomedclip
from semantiseg.models.convnext import load_imagenet
from semantiseg.models.registry import FULL, build_streams
from semantiseg.models.streams import ImageStreams
from semantiseg.models.weights import load_checked


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
