"""Stream 1: the semantic context encoder, a ViT built from open_clip's classes."""

from __future__ import annotations

from open_clip.transformer import VisionTransformer
from torch import Tensor, nn


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
