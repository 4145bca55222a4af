"""A plain U-Net that reads nothing but a noun: what a paper about sentences has to be held against.

MONAI's U-Net draws every structure that training labels name, one map each, whatever is asked. Of a sentence it takes
the noun of the subject and answers with that map; composed (`composition/composed.py`) it answers the whole sentence.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from monai.networks.nets.unet import UNet
from numpy.typing import NDArray
from torch import Tensor, nn

from semantiseg.conventions import Slice
from semantiseg.errors import ModelError, PromptError
from semantiseg.language.program import Program, atom, subject
from semantiseg.language.reader.lexicon import LEXICON, Kind
from semantiseg.language.reader.structured import read_structured
from semantiseg.language.reader.tokens import pieces_of, split
from semantiseg.models.features import TextFeatures, check_texts
from semantiseg.models.protocol import Answer, ModelCard
from semantiseg.models.segmenter import enter_image, frame_of, segment_volume
from semantiseg.recipes import Reading

CHANNELS, UNITS = (32, 64, 128, 256), 2
"""Of its four levels, and residual units a level: MONAI's tutorial for Decathlon collections, one level less for the
smaller pictures."""


class PlainUNet(nn.Module):
    """One map a structure; a prompt chooses among them.

    Args:
        image_size: S, rows and columns of the network's input, divisible by 8.
        structures: printed programs of the K nouns that it draws, such as `organ(liver)`, in the order of its maps.
    """

    needs_box = False
    reading: Reading = "noun"

    def __init__(self, *, image_size: int, structures: Sequence[str]) -> None:
        super().__init__()
        self.image_size, self.structures = image_size, tuple(structures)
        self.network = UNet(
            spatial_dims=2, in_channels=1, out_channels=len(self.structures), channels=CHANNELS,
            strides=(2,) * (len(CHANNELS) - 1), num_res_units=UNITS,
        )  # fmt: skip

    @property
    def card(self) -> ModelCard:
        """What it reads, its input and its terms."""
        return ModelCard(
            label="Plain U-Net",
            reads=("text",),
            input_size=self.image_size,
            normalisation="the modality's window to [0, 1]; padded to a square, resized",
            code_licence="Apache-2.0",
            weights_licence="that of the images it was trained on",
            training_data=("training split of the run that made it",),
            remark="answers the noun of the subject alone",
        )

    def keep_published(self) -> None:
        """Freeze what no training moves: nothing."""

    def forward(self, images: Tensor) -> Tensor:
        """Logits `[B, K, S, S]` for images `[B, 1, S, S]` in [0, 1]."""
        return self.network(images - 0.5)

    @torch.inference_mode()
    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
    ) -> Answer:
        """Answer P prompts about one slice `[H, W]` of any size, or about a volume `[D, H, W]` slice by slice.

        A noun that no training label named marks nothing, as does a sentence without any.

        Args:
            image: values in [0, 1], axes as in `conventions.py`.
            texts: P sentences.
            features: not read.
            boxes: None.

        Raises:
            ModelError: wrong image, no prompt, or boxes given.
            PromptError: an empty prompt.
        """
        if boxes is not None:
            raise ModelError("boxes: expected no boxes: this model reads text, got boxes.")
        if not len(texts):
            raise ModelError("prompts: expected at least one, got none. Ask something.")
        check_texts(texts)
        if np.ndim(image) == 3:
            return segment_volume(self, image, texts)
        frame = frame_of(image, size=self.image_size)
        device = next(self.parameters()).device
        logits = self.eval()(enter_image(image, frame)[None].to(device)).cpu()[0]
        maps = torch.sigmoid(frame.leave(logits)).numpy()
        answers = np.zeros((len(texts), *np.shape(image)), dtype=np.float32)
        for answer, text in zip(answers, texts, strict=True):
            asked = str(noun_of(text, known=self.structures))
            if asked in self.structures:
                answer[:] = maps[self.structures.index(asked)]
        return Answer(probabilities=answers, gate=None)


def noun_of(text: str, *, known: Sequence[str]) -> Program | None:
    """The structure that a sentence is about: its subject where the sentence can be read, else the first structure that
    it names; None where it names none.

    Args:
        text: a sentence.
        known: printed programs of the structures that a short noun ("the tumour") may mean.
    """
    try:
        return subject(read_structured(text))
    except PromptError:
        pieces = pieces_of(split(text), LEXICON)
    for piece in pieces:
        if isinstance(piece.value, Program):
            return subject(piece.value)
        if piece.kind is Kind.NOUN and isinstance(piece.value, tuple):
            meant = [item for item in map(atom, piece.value) if str(item) in known]
            if meant:
                return meant[0]
    return None
