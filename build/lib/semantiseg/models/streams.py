"""Stream 1: the semantic context encoder, a ViT built from open_clip's classes.

The two image streams: what an image gives, whatever is asked about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch.nn.functional as F
from open_clip.transformer import VisionTransformer
from torch import Tensor, nn

from semantiseg.errors import ModelError
from semantiseg.models.encoders import BiomedCLIPImageEncoder, ConvNeXtEncoder
from semantiseg.models.frequency import FrequencyEncoder, HaarTransform, NoFrequency, Pixels, PublishedHaar
from semantiseg.models.gate import StageFeatures


class SemanticEncoder(nn.Module):
    """F_sem: visual tokens after the visual projection, on the patch grid.

    The paper's ViT-B/16 at 224 gives `[B, 512, 14, 14]`; smaller presets use the same class.
    """

    def __init__(self, *, image_size: int, patch_size: int, width: int, layers: int, heads: int, channels: int) -> None:
        super().__init__()
        self.visual = VisionTransformer(
            image_size=image_size,
            patch_size=patch_size,
            width=width,
            layers=layers,
            heads=heads,
            mlp_ratio=4.0,
            output_dim=channels,
            output_tokens=True,
        )
        self.channels = channels

    def forward(self, images: Tensor) -> Tensor:
        """`[B, 3, S, S]` in [0, 1] to `[B, C, S/patch, S/patch]`."""
        _, tokens = self.visual(images - 0.5)  # [B, N, width], after the last layer norm
        rows, columns = self.visual.grid_size
        return (tokens @ self.visual.proj).transpose(1, 2).unflatten(2, (rows, columns))


@dataclass(frozen=True)
class Encoded:
    """B images, encoded; `stages` go from the finest to the coarsest."""

    stages: tuple[StageFeatures, ...]
    detail: Tensor
    """The finest map of the frequency stream, for the last step of the decoder, `[B, detail, S/2, S/2]`."""


class ImageStreams(nn.Module):
    """Semantic and frequency stream, brought to one grid at every gated stage.

    Small presets are warmed up once (`training/pretrain.py`) and stay as they are; the full-size ones are fine-tuned.
    """

    def __init__(
        self,
        *,
        image_size: int,
        semantic: SemanticEncoder | BiomedCLIPImageEncoder,
        frequency: FrequencyEncoder | ConvNeXtEncoder | NoFrequency,
        wavelet: HaarTransform | PublishedHaar | Pixels | None = None,
    ) -> None:
        """
        Args:
            image_size: S.
            semantic: stream 1.
            frequency: stream 2.
            wavelet: what stream 2 is given; None is the Haar transform, Eq. 1.
        """
        super().__init__()
        self.image_size = image_size
        self.wavelet = wavelet or HaarTransform()
        self.semantic, self.frequency = semantic, frequency
        self.lateral = nn.ModuleList(nn.Conv2d(semantic.channels, channels, 1) for channels in self.channels)

    @property
    def channels(self) -> Sequence[int]:
        """C of each gated stage, finest first."""
        return self.frequency.channels[1:]

    @property
    def detail(self) -> int:
        """Channels of the detail map."""
        return self.frequency.channels[0]

    def keep_published(self) -> None:
        """Freeze what no training moves: all of BiomedCLIP but three blocks; nothing of small presets."""
        if isinstance(self.semantic, BiomedCLIPImageEncoder):
            self.semantic.prepare_training()

    def prepare_training(self) -> None:
        """Freeze what training leaves alone and put it in eval mode; to be called after every `train()`."""
        self.keep_published()
        if not isinstance(self.semantic, BiomedCLIPImageEncoder):
            self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Encoded:
        """Encode images `[B, 1, S, S]` with values in [0, 1].

        Raises:
            ModelError: another shape.
        """
        size = self.image_size
        if images.ndim != 4 or images.shape[1:] != (1, size, size):
            raise ModelError(
                f"images: expected [B, 1, {size}, {size}], got {list(images.shape)}. Bring them to the frame first."
            )
        colour = images.expand(-1, 3, -1, -1)
        semantic = self.semantic(colour)  # [B, D, S / patch, S / patch], or 14 x 14 for BiomedCLIP
        detail, *frequency = self.frequency(self.wavelet(colour))
        context = semantic.mean(dim=(2, 3))
        stages = [
            StageFeatures(
                semantic=F.interpolate(lateral(semantic), size=maps.shape[-2:], mode="bilinear", align_corners=False),
                frequency=maps,
                context=context,
            )
            for lateral, maps in zip(self.lateral, frequency, strict=True)
        ]
        return Encoded(stages=tuple(stages), detail=detail)


class StructureHead(nn.Module):
    """The text-free head that the streams are warmed up with: one map for each of K structures."""

    def __init__(self, streams: ImageStreams, *, structures: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(streams.detail, 4 * structures, 1)
        self.fused = nn.ModuleList(nn.Conv2d(channels, 4 * structures, 1) for channels in streams.channels)

    def forward(self, encoded: Encoded) -> Tensor:
        """Logits `[B, K, S, S]`: the sum of what the detail and every fused stage say."""
        logits = self.fine(encoded.detail)
        for stage, head in zip(encoded.stages, self.fused, strict=True):
            logits = logits + F.interpolate(
                head(stage.semantic + stage.frequency), size=logits.shape[-2:], mode="bilinear", align_corners=False
            )
        return F.pixel_shuffle(logits, 2)
