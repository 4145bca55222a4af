"""BiomedParse v1 as a segmenter: a picture is encoded once, prompts are asked one by one or jointly.

Zhao et al., "A foundation model for joint segmentation, detection and recognition of biomedical objects across nine
modalities", Nature Methods 2025. Code Apache-2.0, weights CC-BY-NC-SA-4.0. Behaviour read in the official repository at
750eb40; written anew.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from semantiseg.conventions import Modality
from semantiseg.errors import ModelError
from semantiseg.models.baselines.baseline import Baseline, EncodedPicture
from semantiseg.models.baselines.biomedparse.card import CARD, FILE, SIZE
from semantiseg.models.baselines.biomedparse.names import IGNORED, refuse_second_version
from semantiseg.models.baselines.biomedparse.network import BiomedParseNetwork, BiomedParseSizes
from semantiseg.models.baselines.biomedparse.preprocessing import Frame, Resizing, enter, scan_picture
from semantiseg.models.baselines.biomedparse.seem_decoder import Scene
from semantiseg.models.baselines.biomedparse.text_encoder import Sentences
from semantiseg.models.baselines.checkpoint import load_official, read_checkpoint
from semantiseg.models.baselines.clip_tokens import clip_tokens
from semantiseg.models.baselines.picture import Picture

STRIDE = 32
"""The network's coarsest step in pixels of its input."""


@dataclass(frozen=True)
class Embedding:
    """What is kept of a picture."""

    scene: Scene
    frame: Frame


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
        return self._encode(picture, Frame(*picture.shape[:2]))

    @torch.inference_mode()
    def encode_scan(self, values: NDArray, *, modality: Modality, site: str | None = None) -> EncodedPicture:
        """Encode a slice of a scan with the official window; see `preprocessing.scan_picture`. Answers come in the
        slice's own geometry."""
        return self._encode(*scan_picture(values, modality=modality, site=site, size=self.size))

    def _encode(self, picture: Picture, frame: Frame) -> EncodedPicture:
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


def build(sizes: BiomedParseSizes | None = None) -> BiomedParseNetwork:
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
    network = build(sizes)
    load_official(network, state, owner="BiomedParse v1", origin=str(path), ignored=IGNORED)
    return network
