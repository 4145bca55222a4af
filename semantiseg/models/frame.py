"""The change of frame between a slice of any size and the model's square input."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from semantiseg.errors import ModelError


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
