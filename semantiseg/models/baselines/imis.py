"""IMIS-Net asked by text, box or points, with the official pre- and post-processing.

Its text path was trained on a closed vocabulary of 113 merged categories and raises KeyError elsewhere. Here every
sentence goes into its template as it is, past that vocabulary, and its row says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semantiseg.errors import ModelError
from semantiseg.models.baselines.baseline import Baseline, EncodedPicture
from semantiseg.models.baselines.checkpoint import load_official, read_checkpoint, refuse_others
from semantiseg.models.baselines.clip_tokens import clip_tokens
from semantiseg.models.baselines.imis_network import ImisNetwork, ImisSizes
from semantiseg.models.baselines.picture import Picture
from semantiseg.models.baselines.sam_med2d import DEVIATION, MEAN
from semantiseg.models.protocol import ModelCard

IGNORED = ("text_model.text_model.embeddings.position_ids",)
"""Counted 0, 1, 2, ...: older transformers wrote it into the file."""

OWNER = "IMIS-Net"
"""In the words of `checkpoint.recognise`."""

TEMPLATE = "A segmentation area of a {}."


def template(text: str) -> str:
    """The sentence that the model reads: lower case, without hyphens and underscores, as it treats its categories."""
    return TEMPLATE.format(" ".join(re.sub("[_-]", " ", text.lower()).split()))


class ImisNet(Baseline):
    """IMIS-Net; text unless `asked_by_box`."""

    file = "IMISNet-B.pth"
    card = ModelCard(
        label="IMIS-Net",
        reads=("text", "box", "point"),
        input_size=1024,
        normalisation="squashed to 1024 (nearest, as Pillow), SAM's mean and deviation",
        code_licence="none: all rights reserved; nothing of it is used here",
        weights_licence="none: all rights reserved",
        training_data=("IMed-361M",),
        remark="free text passed around its closed vocabulary of 113 categories; the mask believed best of three",
    )

    def __init__(self, network: ImisNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def from_folder(cls, folder: Path) -> ImisNet:
        """Read `IMISNet-B.pth` strictly.

        Raises:
            ModelError: see `checkpoint.read_checkpoint` and `checkpoint.load_official`.
        """
        state, origin = read_checkpoint(folder / cls.file), str(folder / cls.file)
        refuse_others(state, owner=OWNER, origin=origin)
        network = ImisNetwork(ImisSizes())
        load_official(network, state, owner=OWNER, origin=origin, ignored=IGNORED)
        return cls(network)

    @property
    def size(self) -> int:
        """Edge of the network's input."""
        return self.network.sizes.image_size

    def encode(self, picture: Picture) -> EncodedPicture:
        height, width = picture.shape[:2]
        small = np.asarray(Image.fromarray(picture).resize((self.size, self.size), Image.Resampling.NEAREST))
        normed = (small.astype(np.float32) - np.float32(MEAN)) / np.float32(DEVIATION)
        return EncodedPicture(
            height, width, self.network.image_encoder(torch.from_numpy(normed).permute(2, 0, 1)[None])
        )

    def _scaled(self, encoded: EncodedPicture, xy: NDArray) -> Tensor:
        """(x, y) pairs of the picture's pixels `[..., 2]` in the model's frame."""
        return torch.from_numpy((xy * [self.size / encoded.width, self.size / encoded.height]).astype(np.float32))

    def _finish(self, encoded: EncodedPicture, answer: tuple[Tensor, Tensor]) -> NDArray[np.float32]:
        logits, believed = answer
        best = logits[torch.arange(len(logits)), believed.argmax(dim=1)][:, None]
        square = F.interpolate(best, size=(self.size, self.size), mode="bilinear", align_corners=False)
        full = F.interpolate(square, size=(encoded.height, encoded.width), mode="bilinear", align_corners=False)
        return torch.sigmoid(full[:, 0]).numpy()

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        read = None if texts is None else self.network.read_text(clip_tokens([template(text) for text in texts]))
        corners = None
        if boxes is not None:
            corners = self._scaled(encoded, boxes[:, [1, 0, 3, 2]].reshape(-1, 2, 2)).flatten(1)
            corners[:, 2:] -= 1  # its boxes name the last pixel inside, in its own frame; ours the edge behind it
        return self._finish(encoded, self.network.ask(encoded.embedding, text=read, boxes=corners))

    @torch.inference_mode()
    def answer_points(
        self, encoded: EncodedPicture, points: NDArray[np.floating], labels: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Answer P groups of N points: probabilities `[P, H, W]`.

        Args:
            points: `[P, N, 2]` = (row, column) of pixels of the picture.
            labels: `[P, N]`, 1 foreground, 0 background.

        Raises:
            ModelError: shapes that do not match, a point outside the picture, or another label.
        """
        points, labels = np.asarray(points, dtype=np.float32), np.asarray(labels)
        if points.ndim != 3 or points.shape[2] != 2 or labels.shape != points.shape[:2] or not points.size:
            raise ModelError(
                f"points: expected [P, N, 2] with labels [P, N], got {list(points.shape)} and {list(labels.shape)}."
            )
        inside = (points >= 0) & (points <= [encoded.height - 1, encoded.width - 1])
        if not inside.all() or not np.isin(labels, (0, 1)).all():
            raise ModelError(
                f"points: expected pixels within {encoded.height} x {encoded.width} and labels 0 or 1, got "
                f"{points[~inside.all(axis=2)].tolist()} outside and labels {sorted(set(labels.ravel().tolist()))}."
            )
        asked = (self._scaled(encoded, points[..., ::-1]), torch.from_numpy(labels.astype(np.int64)))
        return self._finish(encoded, self.network.ask(encoded.embedding, points=asked))
