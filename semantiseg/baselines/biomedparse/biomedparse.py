"""What BiomedParse v1 declares about itself.

Names in BiomedParse's official files: what may be there unread, and what tells another version.

How pictures and scans enter BiomedParse, and how its masks leave, as the official code has them.

Read in `inference_utils/processing_utils.py`, `inference_utils/inference.py` and `modeling/modules/postprocessing.py`
of the official repository at 750eb40; written anew.

BiomedParse v1 as a segmenter: a picture is encoded once, prompts are asked one by one or jointly.

Zhao et al., "A foundation model for joint segmentation, detection and recognition of biomedical objects across nine
modalities", Nature Methods 2025. Code Apache-2.0, weights CC-BY-NC-SA-4.0. Behaviour read in the official repository at
750eb40; written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from semantiseg.baselines.baseline import Baseline, EncodedPicture, Picture
from semantiseg.baselines.biomedparse.decoders import ReadyPicture
from semantiseg.baselines.biomedparse.network import BiomedParseNetwork, BiomedParseSizes
from semantiseg.baselines.biomedparse.text_encoder import Sentences, clip_tokens
from semantiseg.baselines.checkpoint import load_official, read_checkpoint
from semantiseg.conventions import Modality
from semantiseg.errors import ModelError
from semantiseg.models.protocol import ModelCard

FILE = "biomedparse_v1.pt"
SIZE = 1024
"""Rows and columns of the network's official input."""

CARD = ModelCard(
    label="BiomedParse v1",
    reads=("text",),
    input_size=SIZE,
    normalisation="squashed to 1024 (bicubic), SAM's mean and deviation",
    code_licence="Apache-2.0",
    weights_licence="CC-BY-NC-SA-4.0",
    training_data=("AMOS22", "MSD", "KiTS23", "BTCV-Cervix", "LIDC", "ACDC", "M&Ms", "PROMISE12", "and others"),
    remark="its data page also names TotalSegmentator, BraTS2023 and AbdomenCT-1K",
)


IGNORED: tuple[str, ...] = (
    # Prompts by click, scribble or reference picture, which text never uses.
    "dilation_kernel",
    "sem_seg_head.predictor.mask_sptial_embed.[0-2]",  # spelt so
    "sem_seg_head.predictor.pn_indicator.weight",
    "sem_seg_head.predictor.spatial_embed.weight",
    "sem_seg_head.predictor.spatial_featured.weight",
    # A positive factor of all similarities: it changes no choice.
    "sem_seg_head.predictor.lang_encoder.logit_scale",
    # BiomedBERT: stored, never called with CLIP's tokens.
    "sem_seg_head.predictor.lang_encoder.biomed_encoder.*",
    # Of the loss.
    "criterion.*",
)
"""Patterns (`fnmatch`) of official names that text inference never reads; every other name must be the network's."""

_SECOND_VERSION = ("predictor.language_encoder.", "output_deconv.")
"""Parts of names that only BiomedParse v2 has."""


def refuse_second_version(names: Iterable[str], *, origin: str) -> None:
    """Turn weights of BiomedParse v2 away by name: another decoder, another input size, another protocol.

    Raises:
        ModelError: they are v2's.
    """
    if any(sign in name for name in names for sign in _SECOND_VERSION):
        raise ModelError(
            f"{origin}: expected the weights of BiomedParse v1 (biomedparse_v1.pt), got those of BiomedParse v2, "
            "another network. Get the file of version 1 from the same page."
        )


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
class SquashedFrame:
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


def scan_picture(
    values: NDArray, *, modality: Modality, site: str | None = None, size: int
) -> tuple[Picture, SquashedFrame]:
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
    frame = SquashedFrame(height, width, top=max(width - height, 0) // 2, left=max(height - width, 0) // 2)
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


STRIDE = 32
"""The network's coarsest step in pixels of its input."""


@dataclass(frozen=True)
class Embedding:
    """What is kept of a picture."""

    scene: ReadyPicture
    frame: SquashedFrame


class BiomedParse(Baseline):
    """BiomedParse v1, asked by text, prompts one by one: an answer depends on its own prompt alone.

    It never refuses: an absent target gets a mask all the same.
    """

    card = CARD

    def __init__(self, network: BiomedParseNetwork, *, resizing: Resizing = "evaluation", size: int = SIZE) -> None:
        """Args:
            network: with its weights.
            resizing: the last step.
            size: rows and columns of the network's input; other than 1024 it is not the official model.

        Raises:
            ModelError: a size that is no multiple of the network's stride.
        """
        if size < STRIDE or size % STRIDE:
            raise ModelError(f"size: expected a multiple of {STRIDE}, got {size}. Official is {SIZE}.")
        self.network = network.eval().requires_grad_(False)
        self.resizing, self.size = resizing, size

    @classmethod
    def from_folder(cls, folder: Path, *, resizing: Resizing = "evaluation") -> Self:
        """Read `biomedparse_v1.pt` strictly.

        Raises:
            ModelError: see `load_network`.
        """
        return cls(load_network(folder / FILE), resizing=resizing)

    def encode(self, picture: Picture) -> EncodedPicture:
        return self._encode(picture, SquashedFrame(*picture.shape[:2]))

    @torch.inference_mode()
    def encode_scan(self, values: NDArray, *, modality: Modality, site: str | None = None) -> EncodedPicture:
        """Encode a slice of a scan with the official window; see `preprocessing.scan_picture`. Answers come in the
        slice's own geometry."""
        return self._encode(*scan_picture(values, modality=modality, site=site, size=self.size))

    def _encode(self, picture: Picture, frame: SquashedFrame) -> EncodedPicture:
        scene = self.network.encode(enter(picture, size=self.size))
        return EncodedPicture(frame.height, frame.width, Embedding(scene, frame))

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        embedding: Embedding = encoded.embedding
        sentences = self.network.read(clip_tokens(list(texts or ())))
        logits = torch.cat([self.network.ask(embedding.scene, part) for part in self.parts(sentences)])
        return torch.sigmoid(embedding.frame.leave(logits, resizing=self.resizing, size=self.size)).numpy()

    def parts(self, sentences: Sentences) -> list[Sentences]:
        """Which prompts see each other."""
        return sentences.apart()


class JointBiomedParse(BiomedParse):
    """BiomedParse v1 with all prompts of a picture in one sequence of words, where they change each other's masks.

    Published figures were made so, and with only the targets that are present, which tells the model what is there.
    """

    card = replace(CARD, label=f"{CARD.label}, prompts jointly")
    together = sys.maxsize
    """Prompts of two parts would not see each other."""

    def parts(self, sentences: Sentences) -> list[Sentences]:
        return [sentences]


def build_biomedparse(sizes: BiomedParseSizes | None = None) -> BiomedParseNetwork:
    """The network with storage but no values: whoever builds it fills all of it (1.3 GiB are not drawn for nothing)."""
    with torch.device("meta"):
        network = BiomedParseNetwork(sizes or BiomedParseSizes())
    return network.to_empty(device="cpu")


def load_network(path: Path, *, sizes: BiomedParseSizes | None = None) -> BiomedParseNetwork:
    """The network with the weights of an official file.

    Raises:
        ModelError: weights of BiomedParse v2, or see `checkpoint.read_checkpoint` and `checkpoint.load_official`.
    """
    state = read_checkpoint(path)
    refuse_second_version(state, origin=str(path))
    network = build_biomedparse(sizes)
    load_official(network, state, owner="BiomedParse v1", origin=str(path), ignored=IGNORED)
    return network
