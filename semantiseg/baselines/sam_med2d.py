"""SAM-Med2D: SAM ViT-B with adapters at 256 x 256, asked by box, with the official pre- and post-processing.

Cheng et al., "SAM-Med2D", arXiv:2308.16184. Code and weights Apache-2.0. Behaviour read in the official repository at
bfd2b93; written anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semantiseg.baselines.baseline import Baseline, EncodedPicture, Picture, given
from semantiseg.baselines.checkpoint import load_official, read_checkpoint
from semantiseg.baselines.sam_network import SamNetwork, SamSizes
from semantiseg.models.protocol import ModelCard

FILE = "sam-med2d_b.pth"
SIZE = 256
MEAN, DEVIATION = np.array([[123.675, 116.28, 103.53], [58.395, 57.12, 57.375]], dtype=np.float32)
"""SAM's, RGB, for pixels in 0 to 255."""

Path_ = Literal["evaluation", "predictor"]
"""Which official path a picture takes: that of `test.py` (smaller pictures are padded) or that of the predictor (all
are resized)."""

CARD = ModelCard(
    label="SAM-Med2D",
    reads=("box",),
    input_size=SIZE,
    normalisation="SAM's mean and deviation; padded to 256 if both sides are smaller, else squashed (nearest)",
    code_licence="Apache-2.0",
    weights_licence="Apache-2.0",
    training_data=("SA-Med2D-20M (AMOS22 and TotalSegmentator among its sources, inferred from the demo data)",),
    remark="three masks a box, the one believed best (official default)",
)


@dataclass(frozen=True)
class _Frame:
    """How a picture lies in the model's square."""

    height: int
    width: int
    pads: bool

    @property
    def corner(self) -> tuple[int, int]:
        """Row and column of the picture's first pixel in the square; (0, 0) if it was resized."""
        return ((SIZE - self.height) // 2, (SIZE - self.width) // 2) if self.pads else (0, 0)

    def enter(self, normed: Tensor) -> Tensor:
        """`[1, 3, H, W]`, normalised, to `[1, 3, 256, 256]`."""
        if not self.pads:
            return F.interpolate(normed, size=(SIZE, SIZE), mode="nearest")  # rounds down, as OpenCV's INTER_NEAREST
        top, left = self.corner
        return F.pad(normed, (left, SIZE - self.width - left, top, SIZE - self.height - top))

    def enter_boxes(self, boxes: NDArray[np.float32]) -> Tensor:
        """(top, left, bottom, right) of the picture to (x, y, x, y) of the square."""
        top, left = self.corner
        rows, columns = (1.0, 1.0) if self.pads else (SIZE / self.height, SIZE / self.width)
        corners = boxes[:, [1, 0, 3, 2]] * [columns, rows, columns, rows] + [left, top, left, top]
        return torch.from_numpy(corners.astype(np.float32))

    def leave(self, logits: Tensor) -> Tensor:
        """`[P, 64, 64]` to `[P, H, W]`, both steps bilinear."""
        square = F.interpolate(logits[:, None], size=(SIZE, SIZE), mode="bilinear", align_corners=False)
        if not self.pads:
            return F.interpolate(square, size=(self.height, self.width), mode="bilinear", align_corners=False)[:, 0]
        top, left = self.corner
        return square[:, 0, top : top + self.height, left : left + self.width]


class SamMed2d(Baseline):
    """SAM-Med2D with adapters, asked by box."""

    card = CARD

    def __init__(self, network: SamNetwork, *, path: Path_ = "evaluation") -> None:
        self.network, self.path = network.eval().requires_grad_(False), path

    @classmethod
    def from_folder(cls, folder: Path, *, path: Path_ = "evaluation") -> SamMed2d:
        """Read `sam-med2d_b.pth` strictly.

        Raises:
            ModelError: see `checkpoint.read_checkpoint` and `checkpoint.load_official`.
        """
        with torch.device("meta"):
            network = build_sam_med2d()
        load_official(network, read_checkpoint(folder / FILE), owner="SAM-Med2D", origin=str(folder / FILE))
        return cls(network, path=path)

    def _frame(self, height: int, width: int) -> _Frame:
        return _Frame(height, width, pads=self.path == "evaluation" and max(height, width) < SIZE)

    def encode(self, picture: Picture) -> EncodedPicture:
        height, width = picture.shape[:2]
        normed = (picture.astype(np.float32) - MEAN) / DEVIATION
        entered = self._frame(height, width).enter(torch.from_numpy(normed).permute(2, 0, 1)[None])
        return EncodedPicture(height, width, self.network.image_encoder(entered))

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        frame = self._frame(encoded.height, encoded.width)
        corners = frame.enter_boxes(given(boxes))
        logits, believed = self.network.ask_boxes(encoded.embedding, corners, multimask=True)
        best = logits[torch.arange(len(logits)), believed.argmax(dim=1)]
        return torch.sigmoid(frame.leave(best)).numpy()


def build_sam_med2d() -> SamNetwork:
    """The network without weights."""
    return SamNetwork(SamSizes(image_size=SIZE), adapter=True)
