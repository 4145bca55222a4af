"""How pictures and scans enter BiomedParse, and how its masks leave, as the official code has them.

Read in `inference_utils/processing_utils.py`, `inference_utils/inference.py` and `modeling/modules/postprocessing.py`
of the official repository at 750eb40; written anew.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semantiseg.conventions import Modality
from semantiseg.errors import ModelError
from semantiseg.models.baselines.picture import Picture

MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
"""RGB, for pixels in 0 to 255: SAM's. The official configuration names other numbers, which its code never reads."""

CT_WINDOWS: Mapping[str, tuple[float, float]] = {
    "abdomen": (-150, 250),
    "lung": (-1000, 1000),
    "pelvis": (-55, 200),
    "liver": (-25, 230),
    "colon": (-68, 187),
    "pancreas": (-100, 200),
}
"""Site -> window in HU."""

PERCENTILES = (0.5, 99.5)
"""Window of all that is not CT, in percent of the values above 0."""

Resizing = Literal["demo", "evaluation"]
"""How logits at 1/4 become a mask. `demo`: bilinear to the picture. `evaluation`: bilinear to the network's input, then
bicubic with antialiasing to the picture. They differ in pixels on the border; published Dice used `evaluation`."""


@dataclass(frozen=True)
class Frame:
    """How a picture lies in the square that is squashed to the network's input: with `top` zero rows above and below,
    `left` zero columns on both sides."""

    height: int
    width: int
    top: int = 0
    left: int = 0

    def leave(self, logits: Tensor, *, resizing: Resizing, size: int) -> Tensor:
        """Logits `[P, size/4, size/4]` to `[P, H, W]`."""
        square = (self.height + 2 * self.top, self.width + 2 * self.left)
        maps = logits[None]
        if resizing == "evaluation":
            maps = F.interpolate(maps, size=(size, size), mode="bilinear", align_corners=False)
            maps = F.interpolate(maps, size=square, mode="bicubic", align_corners=False, antialias=True)
        else:
            maps = F.interpolate(maps, size=square, mode="bilinear", align_corners=False)
        return maps[0, :, self.top : self.top + self.height, self.left : self.left + self.width]


def enter(picture: Picture, *, size: int) -> Tensor:
    """A picture `[H, W, 3]` as the network's input `[1, 3, size, size]`: squashed, whatever its aspect, and normed."""
    squashed = Image.fromarray(picture).resize((size, size), Image.Resampling.BICUBIC)
    mean, deviation = (np.asarray(numbers, dtype=np.float32) for numbers in (MEAN, DEVIATION))
    normed = (np.asarray(squashed, dtype=np.float32) - mean) / deviation
    return torch.from_numpy(normed).permute(2, 0, 1)[None].contiguous()


def scan_picture(values: NDArray, *, modality: Modality, site: str | None = None, size: int) -> tuple[Picture, Frame]:
    """A slice of a scan as the official preprocessing shows it to the network.

    Windowed, stretched from its own minimum to its maximum (not the window's: an official habit), padded to a square
    (one short where the difference of the sides is odd, as officially), resized cubically.

    Args:
        values: `[H, W]` in radiological convention; CT in HU.
        modality: CT is windowed by site, all else by percentiles of the values above 0.
        site: a key of `CT_WINDOWS`; for CT only.
        size: rows and columns of the picture made.

    Returns:
        The picture `[size, size, 3]` and how the slice lies in it.

    Raises:
        ModelError: not one slice, values that are not finite, an unknown site, or no contrast within the window.
    """
    from skimage.transform import resize

    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 2 or 0 in values.shape or not np.isfinite(values).all():
        raise ModelError(f"scan: expected one slice [H, W] of finite values, got {list(values.shape)}. Mend the slice.")
    shown = np.clip(values, *_window(values, modality=modality, site=site))
    low, high = shown.min(), shown.max()
    if high == low:
        raise ModelError(
            f"scan: expected contrast within the window, got {low} everywhere. Choose a slice of the body and its site."
        )
    height, width = values.shape
    frame = Frame(height, width, top=max(width - height, 0) // 2, left=max(height - width, 0) // 2)
    padded = np.pad((shown - low) / (high - low) * 255, ((frame.top, frame.top), (frame.left, frame.left)))
    grey = resize(padded, (size, size), order=3, mode="constant", preserve_range=True, anti_aliasing=True)
    return np.repeat(grey.astype(np.uint8)[:, :, None], 3, axis=2), frame


def _window(values: NDArray[np.float64], *, modality: Modality, site: str | None) -> tuple[float, float]:
    if modality == "CT":
        if site is None or site not in CT_WINDOWS:
            raise ModelError(f"site: expected one of {list(CT_WINDOWS)} for CT, got {site!r}. Name what is shown.")
        return CT_WINDOWS[site]
    if site is not None:
        raise ModelError(f"site: expected none for {modality}, got {site!r}. Only CT is windowed by site.")
    above = values[values > 0]
    if not above.size:
        raise ModelError("scan: expected values above 0, got none. Choose a slice of the body.")
    low, high = np.percentile(above, PERCENTILES)
    return float(low), float(high)
