"""Weights by formula: every tensor drawn from its own name, so that two implementations can be compared without a file.

A model filled like this segments nothing: it proves the path from picture and prompt to mask, and every output made
with it says so (`MEANINGLESS`).

Ask a baseline about one picture file: sentences or boxes in, masks in the picture's own geometry out.

With weights by formula it proves the way from picture and sentence to mask where no official weights are at hand: such
masks mean nothing, and their names, the files themselves and the words printed say so.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, PngImagePlugin
from torch import Tensor, nn

from semantiseg.baselines import catalogue
from semantiseg.baselines.baseline import Baseline, read_picture
from semantiseg.errors import ParameterError
from semantiseg.files import check_folder, mark

MEANINGLESS = "formula weights: these masks mean nothing"


def formula_tensor(name: str, like: Tensor, *, seed: int) -> Tensor:
    """A tensor of the shape of `like`, drawn from its name: deviation 1 / sqrt(fan-in) for matrices and kernels, 0.05
    for vectors, which lie about 1 if the name ends with "weight"; tensors of integers keep their value."""
    if not like.is_floating_point():
        return like
    rng = np.random.default_rng([zlib.crc32(name.encode()), seed])
    drawn = torch.from_numpy(rng.standard_normal(tuple(like.shape) or 1, dtype=np.float32)).reshape(like.shape)
    if like.ndim <= 1:
        return 0.05 * drawn + (1.0 if name.endswith("weight") else 0.0)
    return drawn / math.sqrt(math.prod(like.shape[1:]))


def formula_state(expected: Mapping[str, Tensor], *, seed: int) -> dict[str, Tensor]:
    """A whole state dict by formula."""
    return {name: formula_tensor(name, value, seed=seed) for name, value in expected.items()}


Network = TypeVar("Network", bound=nn.Module)


def fill_by_formula(network: Network, *, seed: int) -> Network:
    """Fill a network by formula, ready to be asked."""
    network.load_state_dict(formula_state(network.state_dict(), seed=seed))
    return network.eval().requires_grad_(False)


Box = tuple[float, float, float, float]
"""(top, left, bottom, right) in pixel edges of the picture."""


def by_formula(name: str) -> Baseline:
    """A baseline at its official size without any file.

    Raises:
        ParameterError: no such baseline.
    """
    model = catalogue.entry(name).make()
    fill_by_formula(model.network, seed=0)
    return model


VERB = "baselines ask"


def ask_picture(
    name: str,
    picture: Path,
    output: Path,
    *,
    texts: Sequence[str] = (),
    boxes: Sequence[Box] = (),
    weights: Path,
    formula: bool = False,
) -> list[str]:
    """Write a mask (PNG, 0 or 255, the picture's size) for each prompt into `output`.

    Args:
        name: of a baseline.
        picture: PNG or JPEG; grey, RGB or 16 bits.
        output: absent, empty, or of an earlier call.
        texts, boxes: prompts of one kind.
        weights: folder of all weights.
        formula: weights by formula instead of the official ones.

    Returns:
        A line for each mask: its file, its size, what it marks.

    Raises:
        OutputError: `output` is a folder of something else.
        ParameterError: no such baseline, no prompt, or prompts of both kinds.
        DataError, ModelError, PromptError: the picture, the weights or a prompt cannot be used.
    """
    catalogue.entry(name)
    if bool(texts) == bool(boxes):
        raise ParameterError(f"{name}: expected sentences or boxes, got {len(texts)} and {len(boxes)}. Give one kind.")
    check_folder(output, verb=VERB, inputs=[picture, weights])
    pixels = read_picture(picture)
    model = by_formula(name) if formula else catalogue.open_baseline(name, weights)
    corners = np.array(boxes, dtype=np.float32) if boxes else None
    found = model.ask(pixels, texts=list(texts) or None, boxes=corners) > 0.5
    labels = list(texts) or [f"box {' '.join(f'{edge:g}' for edge in box)}" for box in boxes]
    mark(output, verb=VERB)
    return [
        _write(
            mask, output / f"{picture.stem}_{name}_{number}{'_formula_weights' * formula}.png", label, formula=formula
        )
        for number, (mask, label) in enumerate(zip(found, labels, strict=True))
    ]


def _write(mask: np.ndarray, path: Path, label: str, *, formula: bool) -> str:
    note = PngImagePlugin.PngInfo()
    note.add_itxt("Prompt", label)
    if formula:
        note.add_text("Comment", MEANINGLESS)
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, pnginfo=note)
    words = f"{path}: {label}; {mask.shape[0]} x {mask.shape[1]}, {mask.mean():.1%} marked"
    return f"{words}; {MEANINGLESS}" if formula else words
