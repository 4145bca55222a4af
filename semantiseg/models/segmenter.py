"""SemantiSeg: two streams, gated fusion at every stage, a top-down decoder. Encode an image once, answer many
prompts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.conventions import Slice
from semantiseg.errors import ModelError
from semantiseg.models.decoder import Detail, TopDownDecoder
from semantiseg.models.features import TextFeatures
from semantiseg.models.frame import enter_image, frame_of
from semantiseg.models.frequency import FrequencyEncoder
from semantiseg.models.gate import StageFeatures
from semantiseg.models.prompts import PromptBatch, PromptProjection, Reading, collate
from semantiseg.models.semantic import SemanticEncoder
from semantiseg.models.wavelet import HaarTransform


@dataclass(frozen=True)
class Encoded:
    """B images, encoded; `stages` go from the finest to the coarsest."""

    stages: tuple[StageFeatures, ...]
    detail: Tensor
    """Features of the Haar bands for the last step of the decoder, `[B, detail, S/2, S/2]`."""


@dataclass(frozen=True)
class Answer:
    """What `segment` returns for P prompts on one slice."""

    probabilities: NDArray[np.float32]
    """`[P, H, W]` in [0, 1]; the mask is where it exceeds 0.5."""
    gate: NDArray[np.float32] | None
    """Mean of alpha over channels at the finest stage, `[P, H, W]` in [0, 1]; None for a model without gate."""


class Segmenter(nn.Module):
    """A model of the registry. `semantic`, `frequency` and `gates` are built in `models/registry.py`."""

    def __init__(
        self,
        *,
        image_size: int,
        reading: Reading,
        needs_box: bool,
        semantic: SemanticEncoder,
        frequency: FrequencyEncoder,
        detail: int,
        projection: PromptProjection,
        gates: Sequence[nn.Module],
    ) -> None:
        super().__init__()
        self.image_size, self.reading, self.needs_box = image_size, reading, needs_box
        self.wavelet = HaarTransform()
        self.semantic, self.frequency, self.projection = semantic, frequency, projection
        self.lateral = nn.ModuleList(nn.Conv2d(semantic.channels, channels, 1) for channels in frequency.dims)
        self.gates = nn.ModuleList(gates)
        self.decoder = TopDownDecoder(dims=frequency.dims, detail=detail)
        self.detail = Detail(channels=detail)

    def encode(self, images: Tensor) -> Encoded:
        """Encode images `[B, 1, S, S]` with values in [0, 1].

        Raises:
            ModelError: another shape.
        """
        size = self.image_size
        if images.ndim != 4 or images.shape[1:] != (1, size, size):
            raise ModelError(
                f"images: expected [B, 1, {size}, {size}], got {list(images.shape)}. Bring them to the frame first."
            )
        colour = images.expand(-1, 3, -1, -1)
        bands = self.wavelet(colour)
        semantic = self.semantic(colour - 0.5)  # [B, D, S / patch, S / patch]
        frequency = self.frequency(bands)
        context = semantic.mean(dim=(2, 3))
        stages = [
            StageFeatures(
                semantic=F.interpolate(lateral(semantic), size=maps.shape[-2:], mode="bilinear", align_corners=False),
                frequency=maps,
                context=context,
            )
            for lateral, maps in zip(self.lateral, frequency, strict=True)
        ]
        return Encoded(stages=tuple(stages), detail=self.detail(bands))

    def decode(self, encoded: Encoded, owner: Tensor, prompts: PromptBatch) -> tuple[Tensor, list[Tensor | None]]:
        """Answer prompts about encoded images.

        Args:
            encoded: B images.
            owner: `[P]` int64, the image each prompt asks about.
            prompts: P prompts as the text encoder made them (width E).

        Returns:
            Logits `[P, S, S]` and the gates' alphas, finest stage first.
        """
        projected = self.projection(prompts)
        fused, alphas = [], []
        for gate, stage in zip(self.gates, encoded.stages, strict=True):
            maps, alpha = gate(stage, owner, projected)
            fused.append(maps)
            alphas.append(alpha)
        return self.decoder(fused, encoded.detail, owner), alphas

    def forward(self, images: Tensor, owner: Tensor, prompts: PromptBatch) -> Tensor:
        """Logits `[P, S, S]` for images `[B, 1, S, S]`."""
        return self.decode(self.encode(images), owner, prompts)[0]

    @torch.inference_mode()
    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> Answer:
        """Answer P prompts about one slice of any size; the image is encoded once.

        Args:
            image: `[H, W]` in [0, 1], rows to anterior, columns to the patient's right.
            texts: P sentences.
            features: their features; None encodes them now with the frozen text encoder.
            boxes: `[P, 4]` = (top, left, bottom, right) in pixel edges of the slice; only for a model that needs boxes.

        Raises:
            ModelError: wrong image, or boxes missing or given to a model that reads none.
        """
        if self.needs_box != (boxes is not None):
            wanted = "a box for each prompt" if self.needs_box else "no boxes: this model reads text"
            raise ModelError(f"boxes: expected {wanted}, got {'boxes' if boxes is not None else 'none'}.")
        if features is None:
            from semantiseg.models.text import (
                encode_texts,
            )  # loads the text encoder's weights, which most callers need not

            features = encode_texts(texts)
        frame = frame_of(image, size=self.image_size)
        entered = None if boxes is None else frame.enter_boxes(boxes)
        prompts = collate([features[text] for text in texts], reading=self.reading, boxes=entered)
        owner = torch.zeros(len(texts), dtype=torch.int64)
        self.eval()
        logits, alphas = self.decode(self.encode(enter_image(image, frame)[None]), owner, prompts)
        probabilities = torch.sigmoid(frame.leave(logits)).numpy()
        if alphas[0] is None:
            return Answer(probabilities=probabilities, gate=None)
        # A scalar gate's 1 x 1 map becomes a constant picture.
        full = F.interpolate(
            alphas[0].mean(dim=1, keepdim=True), size=logits.shape[-2:], mode="bilinear", align_corners=False
        )[:, 0]
        return Answer(probabilities=probabilities, gate=frame.leave(full).numpy())
