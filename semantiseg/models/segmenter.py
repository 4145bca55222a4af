"""The change of frame between a slice of any size and the model's square input.

SemantiSeg: two streams, gated fusion at every stage, a top-down decoder. Encode an image once, answer many
prompts.

Whole volumes asked slice by slice, of any model that answers about slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.conventions import Slice
from semantiseg.errors import ModelError
from semantiseg.models.decoder import TopDownDecoder
from semantiseg.models.features import TextFeatures
from semantiseg.models.prompts import PromptBatch, PromptProjection, collate
from semantiseg.models.protocol import Answer, EncodesTexts, ModelCard, PromptedSegmenter
from semantiseg.models.streams import Encoded, ImageStreams
from semantiseg.recipes import Reading


@dataclass(frozen=True)
class Frame:
    """A slice of `height` x `width` pixels, padded with zeros to a centred square, resized to `size` x `size`."""

    height: int
    width: int
    size: int

    @property
    def side(self) -> int:
        """Edge of the padded square in pixels of the slice."""
        return max(self.height, self.width)

    @property
    def top(self) -> int:
        return (self.side - self.height) // 2

    @property
    def left(self) -> int:
        return (self.side - self.width) // 2

    def enter(self, maps: Tensor) -> Tensor:
        """`[N, height, width]` float to the model's frame `[N, size, size]`; shrinking averages, so masks become
        shares of area."""
        bottom, right = self.side - self.height - self.top, self.side - self.width - self.left
        square = F.pad(maps, (self.left, right, self.top, bottom))
        shrinks = self.size < self.side
        return F.interpolate(
            square[None], size=(self.size, self.size), mode="bilinear", align_corners=False, antialias=shrinks
        )[0]

    def leave(self, maps: Tensor) -> Tensor:
        """`[N, size, size]` of the model's frame back to `[N, height, width]` of the slice, bilinear."""
        shrinks = self.side < self.size
        square = F.interpolate(
            maps[None], size=(self.side, self.side), mode="bilinear", align_corners=False, antialias=shrinks
        )[0]
        return square[:, self.top : self.top + self.height, self.left : self.left + self.width]

    def enter_boxes(self, boxes: NDArray[np.floating]) -> NDArray[np.float32]:
        """Boxes `[P, 4]` = (top, left, bottom, right) in pixel edges of the slice, as fractions of the frame; all
        zero stays so."""
        boxes = np.asarray(boxes, dtype=np.float32).reshape(-1, 4)
        present = ((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]))[:, None]
        shift = np.array([self.top, self.left, self.top, self.left], dtype=np.float32)
        return np.where(present, (boxes + shift) / self.side, 0).astype(np.float32)


def frame_of(image: NDArray, *, size: int) -> Frame:
    """The frame of one slice.

    Raises:
        ModelError: the image is not `[H, W]`, not finite, or leaves [0, 1].
    """
    if np.ndim(image) != 2 or 0 in np.shape(image):
        raise ModelError(
            f"image: expected one slice [H, W], got shape {np.shape(image)}. Give one axial slice of one channel."
        )
    low, high = float(np.min(image)), float(np.max(image))
    if not (low >= -1e-3 and high <= 1 + 1e-3):  # also false for NaN
        raise ModelError(
            f"image: expected values in [0, 1], got {low} to {high}. Prepare it with the modality's window first."
        )
    return Frame(height=image.shape[0], width=image.shape[1], size=size)


def enter_image(image: NDArray, frame: Frame) -> Tensor:
    """One slice `[H, W]` as the model's input `[1, size, size]`."""
    return frame.enter(torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None])


def enter_masks(masks: NDArray[np.bool_], frame: Frame) -> NDArray[np.uint8]:
    """Masks `[N, H, W]` in the model's frame, `[N, size, size]`: share of each pixel's area, 255 is all of it."""
    shares = frame.enter(torch.from_numpy(masks.astype(np.float32)))
    return (shares * 255).round().to(torch.uint8).numpy()


@dataclass(frozen=True)
class Decoded:
    """What the network says to P prompts."""

    logits: Tensor
    """`[P, S, S]`."""
    located: Tensor
    """Logits of the region of each prompt's subject, `[P, h, w]` on the grid of the finest gated stage."""
    sentence: Tensor
    """E_text as the gates saw it, `[P, D]`."""
    alphas: tuple[Tensor | None, ...]
    """Each gate's alpha, finest stage first."""


class Segmenter(nn.Module):
    """A model of the registry, of the named `width`. `streams` and `gates` are built in `models/registry.py`.

    Args:
        text_encoder: name of the frozen text encoder (`models/text.py`) whose features it reads.
    """

    def __init__(
        self,
        *,
        width: str,
        reading: Reading,
        text_encoder: str,
        needs_box: bool,
        streams: ImageStreams,
        projection: PromptProjection,
        gates: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        self.width, self.reading, self.text_encoder, self.needs_box = width, reading, text_encoder, needs_box
        self.streams, self.projection = streams, projection
        self.gates = nn.ModuleList(gates)
        self.decoder = TopDownDecoder(dims=streams.channels, detail=streams.detail)

    @property
    def card(self) -> ModelCard:
        """What it reads, its input and its terms."""
        return ModelCard(
            label="SemantiSeg",
            reads=("box",) if self.needs_box else ("text",),
            input_size=self.image_size,
            normalisation="the modality's window to [0, 1]; padded to a square, resized",
            code_licence="Apache-2.0",
            weights_licence="that of the images it was trained on",
            training_data=("training split of the run that made it",),
        )

    @property
    def image_size(self) -> int:
        """S, rows and columns of the network's input."""
        return self.streams.image_size

    def encode_texts(self, texts: Sequence[str]) -> TextFeatures:
        """Features of sentences as this model reads them.

        Raises:
            PromptError: an empty text, or one longer than the encoder's context.
            ModelError: the text encoder's weights are absent.
        """
        from semantiseg.models.text import encode_texts, open_encoder  # loads weights, which most callers need not

        return encode_texts(texts, encoder=open_encoder(self.text_encoder))

    def encode(self, images: Tensor) -> Encoded:
        """Encode images `[B, 1, S, S]`; see `ImageStreams`."""
        return self.streams(images)

    def decode(self, encoded: Encoded, owner: Tensor, prompts: PromptBatch) -> Decoded:
        """Answer prompts about encoded images.

        Args:
            encoded: B images.
            owner: `[P]` int64, the image each prompt asks about.
            prompts: P prompts as the text encoder made them (width E).

        """
        projected = self.projection(prompts)
        x: Tensor | None = None
        located: Tensor | None = None
        alphas: list[Tensor | None] = []
        for number in reversed(range(len(self.gates))):
            stage = encoded.stages[number]
            state = self.decoder.descend(x, located, stage=number, prompts=len(owner), grid=stage.frequency.shape[-2:])
            fused, alpha = self.gates[number](stage, owner, projected, state)
            x = self.decoder.combine(state, fused, stage=number)
            if number == 1:
                located = self.decoder.locate(x)[:, 0]
            alphas.insert(0, alpha)
        # There are two stages at least, so both were made.
        return Decoded(
            logits=self.decoder.finish(cast(Tensor, x), encoded.detail, owner),
            located=cast(Tensor, located),
            sentence=projected.pooled,
            alphas=tuple(alphas),
        )

    def forward(self, images: Tensor, owner: Tensor, prompts: PromptBatch) -> Tensor:
        """Logits `[P, S, S]` for images `[B, 1, S, S]`."""
        return self.decode(self.encode(images), owner, prompts).logits

    def answer(self, image: Tensor, prompts: PromptBatch) -> tuple[Tensor, Tensor | None]:
        """Logits `[P, S, S]` and the finest gate's alpha about one image `[1, 1, S, S]`, on the CPU; computed where the
        weights lie."""
        device = self.decoder.weigh.weight.device
        owner = torch.zeros(len(prompts), dtype=torch.int64, device=device)
        decoded = self.decode(self.encode(image.to(device)), owner, prompts.to(device))
        alpha = decoded.alphas[0]
        return decoded.logits.cpu(), None if alpha is None else alpha.cpu()

    @torch.inference_mode()
    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> Answer:
        """Answer P prompts about one slice of any size; the image is encoded once. A volume `[D, H, W]` is asked slice
        by slice, and the answer is `[P, D, H, W]`. Computed where the weights lie, see `models.registry.load`.

        Args:
            image: `[H, W]` in [0, 1], rows to anterior, columns to the patient's right.
            texts: P sentences.
            features: their features; None encodes them now, see `encode_texts`.
            boxes: `[P, 4]` = (top, left, bottom, right) in pixel edges of the slice; only for a model that needs boxes.

        Raises:
            ModelError: wrong image, or boxes missing or given to a model that reads none.
        """
        if np.ndim(image) == 3:
            pass  # REHOUSE

            return segment_volume(self, image, texts, features=features)
        if self.needs_box != (boxes is not None):
            wanted = "a box for each prompt" if self.needs_box else "no boxes: this model reads text"
            raise ModelError(f"boxes: expected {wanted}, got {'boxes' if boxes is not None else 'none'}.")
        if features is None:
            features = self.encode_texts(texts)
        frame = frame_of(image, size=self.image_size)
        entered = None if boxes is None else frame.enter_boxes(boxes)
        prompts = collate([features[text] for text in texts], reading=self.reading, boxes=entered)
        logits, alpha = self.eval().answer(enter_image(image, frame)[None], prompts)
        probabilities = torch.sigmoid(frame.leave(logits)).numpy()
        if alpha is None:
            return Answer(probabilities=probabilities, gate=None)
        # A scalar gate's 1 x 1 map becomes a constant picture.
        full = F.interpolate(
            alpha.mean(dim=1, keepdim=True), size=logits.shape[-2:], mode="bilinear", align_corners=False
        )[:, 0]
        return Answer(probabilities=probabilities, gate=frame.leave(full).numpy())


def segment_volume(
    segmenter: PromptedSegmenter,
    image: NDArray[np.floating],
    texts: Sequence[str],
    *,
    features: TextFeatures | None = None,
) -> Answer:
    """Answer P prompts about every axial slice; each slice is encoded once, the texts once for all.

    Args:
        segmenter: a model that reads text.
        image: `[D, H, W]` in [0, 1], axes as in `conventions.py`.
        texts: P sentences.
        features: their features; None: the model encodes them.

    Returns:
        Probabilities `[P, D, H, W]`; gates are not kept.

    Raises:
        ModelError: the image is no volume, or the model asks for boxes.
    """
    if np.ndim(image) != 3 or 0 in np.shape(image):
        raise ModelError(f"image: expected a volume [D, H, W], got shape {np.shape(image)}. Give one channel.")
    if segmenter.needs_box:
        raise ModelError("model: expected one that reads text, got one that needs a box. Choose another.")
    if features is None and isinstance(segmenter, EncodesTexts):
        features = segmenter.encode_texts(texts)
    slices = [segmenter.segment(part, texts, features=features).probabilities for part in image]
    return Answer(probabilities=np.stack(slices, axis=1), gate=None)
