"""FocalNet, BiomedParse's backbone: convolutions of growing reach, summed under gates, modulate each pixel.

Yang et al., "Focal Modulation Networks", NeurIPS 2022 (arXiv:2203.11926), in the variant that BiomedParse uses:
convolutional stem and downsampling, LayerNorm after each branch instead of before, the modulator divided by the number
of its summands, layer scale. Behaviour read in the official repository at 750eb40; written anew.

BiomedParse v1 as one network, and the one place of its sizes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.baselines.biomedparse.decoders import PixelDecoder, ReadyPicture, SeemDecoder
from semantiseg.baselines.biomedparse.text_encoder import QueryTextEncoder, Sentences


class FocalModulation(nn.Module):
    """`proj(q * h(mean of gated contexts))`: what self-attention does with all pairs, done with convolutions."""

    def __init__(self, channels: int, *, levels: int, window: int) -> None:
        super().__init__()
        self.levels = levels
        self.f = nn.Linear(channels, 2 * channels + levels + 1)
        self.h = nn.Conv2d(channels, channels, kernel_size=1)
        self.act = nn.GELU()
        self.proj = nn.Linear(channels, channels)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(channels, channels, kernel_size=side, padding=side // 2, groups=channels, bias=False),
                nn.GELU(),
            )
            for side in range(window, window + 2 * levels, 2)
        )

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to the same."""
        channels = x.shape[-1]
        mixed = self.f(x).permute(0, 3, 1, 2).contiguous()
        query, context, gates = mixed.split((channels, channels, self.levels + 1), dim=1)
        total = 0
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total = total + context * gates[:, level : level + 1]
        everywhere = self.act(context.mean(dim=(2, 3), keepdim=True))
        total = (total + everywhere * gates[:, self.levels :]) / (self.levels + 1)
        return self.proj((query * self.h(total)).permute(0, 2, 3, 1))


class Mlp(nn.Module):
    """Two linear layers with GELU between."""

    def __init__(self, channels: int, *, ratio: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, ratio * channels)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(ratio * channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[..., C]` to the same."""
        return self.fc2(self.act(self.fc1(x)))


class FocalBlock(nn.Module):
    """Modulation, then MLP; each is normed, scaled and added."""

    def __init__(self, channels: int, *, levels: int, window: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.modulation = FocalModulation(channels, levels=levels, window=window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels, ratio=4)
        self.gamma_1 = _scale(channels)
        self.gamma_2 = _scale(channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to the same."""
        x = x + self.gamma_1 * self.norm1(self.modulation(x))
        return x + self.gamma_2 * self.norm2(self.mlp(x))


class StridedEmbedding(nn.Module):
    """A strided convolution and a LayerNorm: the stem (stride 4) and the step between two stages (stride 2)."""

    def __init__(self, channels: int, out_channels: int, *, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(channels, out_channels, kernel_size=kernel, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, h, w, C]` to `[B, h / stride, w / stride, C_out]`."""
        return self.norm(self.proj(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class FocalStage(nn.Module):
    """Blocks of one resolution, and the step down to the next."""

    def __init__(self, channels: int, *, depth: int, levels: int, window: int, last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FocalBlock(channels, levels=levels, window=window) for _ in range(depth))
        self.downsample = None if last else StridedEmbedding(channels, 2 * channels, kernel=3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, h, w, C]` to the stage's output and the next stage's input (the same for the last stage)."""
        for block in self.blocks:
            x = block(x)
        return x, x if self.downsample is None else self.downsample(x)


class FocalNet(nn.Module):
    """The backbone: stages at 1/4, 1/8, 1/16 and 1/32 of the picture, each normed on its way out."""

    def __init__(self, *, width: int, depths: Sequence[int], levels: int, window: int) -> None:
        super().__init__()
        self.channels = tuple(width * 2**number for number in range(len(depths)))
        self.patch_embed = StridedEmbedding(3, width, kernel=7, stride=4, padding=2)
        self.layers = nn.ModuleList(
            FocalStage(channels, depth=depth, levels=levels, window=window, last=number == len(depths) - 1)
            for number, (channels, depth) in enumerate(zip(self.channels, depths, strict=True))
        )
        for number, channels in enumerate(self.channels):
            self.add_module(f"norm{number}", nn.LayerNorm(channels))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Features of normalised pictures.

        Args:
            pixels: `[B, 3, S, S]`, S a multiple of 32.

        Returns:
            Stage i at 1/4, 1/8, ... of the picture, before its downsampling: `[B, C * 2**i, h, w]`.
        """
        x = self.patch_embed(pixels.permute(0, 2, 3, 1))
        features = []
        for number, stage in enumerate(self.layers):
            out, x = stage(x)
            features.append(self.get_submodule(f"norm{number}")(out).permute(0, 3, 1, 2).contiguous())
        return features


def _scale(channels: int) -> nn.Parameter:
    """Layer scale, at the value with which training began."""
    return nn.Parameter(torch.full((channels,), 1e-4))


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
        text = QueryTextEncoder(
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

    def encode(self, pixels: Tensor) -> ReadyPicture:
        """One normalised picture `[1, 3, S, S]`, S a multiple of 32, ready for prompts."""
        pyramid = self.sem_seg_head.pixel_decoder(self.backbone(pixels))
        return self.sem_seg_head.predictor.prepare(pyramid)

    def read(self, ids: Tensor) -> Sentences:
        """Token ids `[P, T]`; see `TextEncoder`."""
        return self.sem_seg_head.predictor.lang_encoder(ids)

    def ask(self, scene: ReadyPicture, sentences: Sentences) -> Tensor:
        """Answer P prompts about one picture jointly: logits `[P, S/4, S/4]`, each prompt's of the query whose
        caption is most like it. Nothing keeps two prompts from one query, and none is ever refused."""
        answers = self.sem_seg_head.predictor(scene, torch.cat(sentences.tokens))
        return answers.masks[similarity(answers.captions, sentences.sentence).argmax(dim=0)]


def similarity(captions: Tensor, sentences: Tensor) -> Tensor:
    """Cosines `[Q, P]` of captions `[Q, C]` and sentences `[P, C]`. The official code scales them by a positive number,
    which changes no choice."""
    return F.normalize(captions, dim=-1) @ F.normalize(sentences, dim=-1).t()
