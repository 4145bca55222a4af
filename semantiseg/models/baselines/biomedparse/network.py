"""BiomedParse v1 as one network, and the one place of its sizes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.models.baselines.biomedparse.focalnet import FocalNet
from semantiseg.models.baselines.biomedparse.pixel_decoder import PixelDecoder
from semantiseg.models.baselines.biomedparse.seem_decoder import Scene, SeemDecoder
from semantiseg.models.baselines.biomedparse.text_encoder import Sentences, TextEncoder


@dataclass(frozen=True)
class BiomedParseSizes:
    """Sizes of the network; the defaults are the official ones."""

    width: int = 192
    """Channels of the backbone's first stage; they double from stage to stage."""
    depths: tuple[int, ...] = (2, 2, 18, 2)
    focal_levels: int = 4
    focal_window: int = 3
    channels: int = 512
    """C: of the pyramid, of queries and of words."""
    heads: int = 8
    hidden: int = 2048
    encoder_depth: int = 6
    decoder_depth: int = 9
    queries: int = 101
    levels: int = 3
    text_depth: int = 12
    vocabulary: int = 49_408
    context: int = 77


class Head(nn.Module):
    """All that follows the backbone, under the official name."""

    def __init__(self, pixel_decoder: PixelDecoder, predictor: SeemDecoder) -> None:
        super().__init__()
        self.pixel_decoder, self.predictor = pixel_decoder, predictor


class BiomedParseNetwork(nn.Module):
    """Encode pictures once, then ask by text. State-dict names are the official ones."""

    def __init__(self, sizes: BiomedParseSizes) -> None:
        super().__init__()
        self.backbone = FocalNet(
            width=sizes.width, depths=sizes.depths, levels=sizes.focal_levels, window=sizes.focal_window
        )
        text = TextEncoder(
            vocabulary=sizes.vocabulary, context=sizes.context, width=sizes.channels, heads=sizes.heads,
            depth=sizes.text_depth,
        )  # fmt: skip
        pixel_decoder = PixelDecoder(
            self.backbone.channels, channels=sizes.channels, heads=sizes.heads, hidden=sizes.hidden,
            depth=sizes.encoder_depth,
        )  # fmt: skip
        predictor = SeemDecoder(
            text, channels=sizes.channels, heads=sizes.heads, hidden=sizes.hidden, depth=sizes.decoder_depth,
            queries=sizes.queries, levels=sizes.levels,
        )  # fmt: skip
        self.sem_seg_head = Head(pixel_decoder, predictor)

    def encode(self, pixels: Tensor) -> Scene:
        """One normalised picture `[1, 3, S, S]`, S a multiple of 32, ready for prompts."""
        pyramid = self.sem_seg_head.pixel_decoder(self.backbone(pixels))
        return self.sem_seg_head.predictor.prepare(pyramid)

    def read(self, ids: Tensor) -> Sentences:
        """Token ids `[P, T]`; see `TextEncoder`."""
        return self.sem_seg_head.predictor.lang_encoder(ids)

    def ask(self, scene: Scene, sentences: Sentences) -> Tensor:
        """Answer P prompts about one picture jointly: logits `[P, S/4, S/4]`, each prompt's of the query whose
        caption is most like it. Nothing keeps two prompts from one query, and none is ever refused."""
        answers = self.sem_seg_head.predictor(scene, torch.cat(sentences.tokens))
        return answers.masks[similarity(answers.captions, sentences.sentence).argmax(dim=0)]


def similarity(captions: Tensor, sentences: Tensor) -> Tensor:
    """Cosines `[Q, P]` of captions `[Q, C]` and sentences `[P, C]`. The official code scales them by a positive number,
    which changes no choice."""
    return F.normalize(captions, dim=-1) @ F.normalize(sentences, dim=-1).t()
