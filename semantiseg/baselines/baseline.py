"""Pictures as the baselines take them: RGB in 8 bits, whatever they were stored as.

The base of all baselines: a picture is encoded once, then asked by text or by box; two doors, one inside.

`ask` takes pictures in their own geometry. `segment` takes the benchmark's slices: it turns them to radiological
convention first, as every baseline was trained, and turns the answers back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from semantiseg.baselines.boxes import check_boxes, turned
from semantiseg.conventions import Slice, radiological
from semantiseg.data import image_file
from semantiseg.errors import ModelError, PromptError
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import Answer, ModelCard

Picture = NDArray[np.uint8]
"""`[H, W, 3]`, RGB, rows from the top of the picture; medical slices in radiological convention."""


def as_picture(pixels: NDArray) -> Picture:
    """A picture from grey or RGB pixels.

    Args:
        pixels: `[H, W]` or `[H, W, 3]`; uint8 as it is, uint16 from its own minimum to its maximum (BiomedParse's rule
            for what exceeds 8 bits; window a CT first), floats in [0, 1].

    Raises:
        ModelError: another shape or type, an empty picture, or floats outside [0, 1].
    """
    if pixels.ndim not in (2, 3) or 0 in pixels.shape or (pixels.ndim == 3 and pixels.shape[2] != 3):
        raise ModelError(
            f"picture: expected [H, W] or [H, W, 3], got {list(pixels.shape)}. Drop alpha, give one slice."
        )
    if pixels.dtype == np.uint16:
        low, high = int(pixels.min()), int(pixels.max())
        pixels = np.round((pixels.astype(np.float32) - low) * (255 / max(high - low, 1))).astype(np.uint8)
    elif np.issubdtype(pixels.dtype, np.floating):
        if not (pixels.min() >= -1e-3 and pixels.max() <= 1 + 1e-3):  # also true for NaN
            raise ModelError(
                f"picture: expected floats in [0, 1], got {pixels.min()} to {pixels.max()}. Apply the modality's "
                "window."
            )
        pixels = np.round(np.clip(pixels, 0, 1) * 255).astype(np.uint8)
    elif pixels.dtype != np.uint8:
        raise ModelError(f"picture: expected uint8, uint16 or floats, got {pixels.dtype}. Convert it.")
    return np.repeat(pixels[:, :, None], 3, axis=2) if pixels.ndim == 2 else pixels


def read_picture(path: Path) -> Picture:
    """A picture from a PNG or JPEG file: grey, RGB, palette or 16-bit.

    Raises:
        DataError: no file, none that Pillow can read whole, or one larger than `limits.PIXELS`.
    """
    with image_file.opened_picture(path, formats=("PNG", "JPEG")) as image:
        if image.mode.startswith("I"):  # 16-bit greys; some decoders hand them over in 32 bits
            return as_picture(np.asarray(image).astype(np.uint16))
        return as_picture(np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")))


def slice_picture(image: Slice) -> Picture:
    """A prepared slice `[H, W]` (rows to anterior, columns to the right) as the picture that a radiologist has, and
    every baseline's training set: anterior up, the patient's right on the left.

    Raises:
        ModelError: not a slice, or outside [0, 1].
    """
    if np.ndim(image) != 2:
        raise ModelError(
            f"image: expected one slice [H, W], got {list(np.shape(image))}. Give one slice of one channel."
        )
    return as_picture(np.ascontiguousarray(radiological(np.asarray(image, dtype=np.float32))))


@dataclass(frozen=True)
class EncodedPicture:
    """One picture as its encoder left it."""

    height: int
    width: int
    embedding: Any
    """Whatever the model's decoder reads."""


def given(boxes: NDArray[np.float32] | None) -> NDArray[np.float32]:
    """The boxes of a model that is asked by nothing else.

    Raises:
        PromptError: there are none.
    """
    if boxes is None:
        raise PromptError("expected a box for every prompt, got none. Give `boxes`.")
    return boxes


class Baseline(ABC):
    """A segmenter with official weights."""

    card: ClassVar[ModelCard]
    network: Any
    together: ClassVar[int] = 16
    """Prompts that are decoded at once; more would only cost memory, as long as they do not see one another."""
    by_box = False
    """True where a model that reads text is asked by boxes all the same."""

    @property
    def needs_box(self) -> bool:
        """True for a model that reads no text, or is asked by boxes."""
        return self.by_box or "text" not in self.card.reads

    def asked_by_box(self) -> Baseline:
        """This model, from now on asked by boxes.

        Raises:
            ModelError: it reads none.
        """
        if "box" not in self.card.reads:
            raise ModelError(f"{self.card.label}: expected a model that reads boxes, got one that reads text alone.")
        self.by_box = True
        return self

    @abstractmethod
    def encode(self, picture: Picture) -> EncodedPicture:
        """Run the official preprocessing and the image encoder on `[H, W, 3]`."""

    @abstractmethod
    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        """Answer at most `together` checked prompts: probabilities `[P, H, W]` in the picture's geometry.

        Args:
            texts: P sentences, or None.
            boxes: `[P, 4]` = (top, left, bottom, right) in pixel edges of the picture, or None.
        """

    @torch.inference_mode()
    def answer(
        self,
        encoded: EncodedPicture,
        *,
        texts: Sequence[str] | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float32]:
        """Answer P prompts about an encoded picture: probabilities `[P, H, W]`; the mask is where they exceed 0.5.

        Raises:
            ModelError: a kind of prompt that the model does not read, no prompt, or a box that is empty or outside.
            PromptError: an empty text, or one longer than the model's context.
        """
        for kind, given in (("text", texts), ("box", boxes)):
            if given is not None and kind not in self.card.reads:
                raise ModelError(
                    f"{self.card.label}: expected prompts by {' or '.join(self.card.reads)}, got {kind}. Ask it so."
                )
        count = max((len(given) for given in (texts, boxes) if given is not None), default=0)
        if not count:
            raise ModelError(f"{self.card.label}: expected at least one prompt, got none. Ask something.")
        if texts is not None and not all(isinstance(text, str) and text.strip() for text in texts):
            raise PromptError(
                f"prompts: expected sentences, got {list(texts)}. Write what to segment, such as 'liver'."
            )
        if texts is not None and len(texts) != count:
            raise ModelError(f"{self.card.label}: expected a text for each of {count} boxes, got {len(texts)}.")
        if boxes is not None:
            boxes = check_boxes(boxes, prompts=count, height=encoded.height, width=encoded.width)
        parts = [slice(start, start + self.together) for start in range(0, count, self.together)]
        return np.concatenate(
            [
                self.decode(
                    encoded,
                    texts=None if texts is None else texts[part],
                    boxes=None if boxes is None else boxes[part],
                )
                for part in parts
            ]
        )

    @torch.inference_mode()
    def ask(
        self,
        picture: NDArray,
        *,
        texts: Sequence[str] | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> NDArray[np.float32]:
        """Encode a picture (`picture.as_picture`) and answer prompts about it; see `answer`."""
        return self.answer(self.encode(as_picture(picture)), texts=texts, boxes=boxes)

    @torch.inference_mode()
    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> Answer:
        """Answer P prompts about one slice of the benchmark; see `Segmenter.segment`.

        `features` are not read: each baseline has a text encoder of its own. A box of zeros means that its protocol
        found nothing to draw one around: the answer is empty, and the model is not asked.
        """
        if self.needs_box != (boxes is not None):
            wanted = "a box for each prompt" if self.needs_box else "no boxes: this row reads text"
            raise ModelError(f"boxes: expected {wanted}, got {'boxes' if boxes is not None else 'none'}.")
        height, width = np.shape(image)
        found = np.zeros((len(texts), height, width), dtype=np.float32)
        if boxes is None:
            found[:] = self.answer(self.encode(slice_picture(image)), texts=texts)
        elif (drawn := np.asarray(boxes).any(axis=1)).any():
            there = turned(np.asarray(boxes)[drawn], height=height, width=width)
            found[drawn] = self.answer(self.encode(slice_picture(image)), boxes=there)
        return Answer(probabilities=np.ascontiguousarray(_back(found)), gate=None)


def _back(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Radiological pictures `[P, H, W]` as stored slices."""
    return radiological(maps.transpose(1, 2, 0)).transpose(2, 0, 1)
