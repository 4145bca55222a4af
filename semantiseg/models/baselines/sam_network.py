"""SAM as one network: image encoder, prompt encoder, mask decoder; and the one place of its sizes."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn

from semantiseg.models.baselines.sam_decoder import SamMaskDecoder
from semantiseg.models.baselines.sam_encoder import SamImageEncoder
from semantiseg.models.baselines.sam_prompts import SamPromptEncoder


@dataclass(frozen=True)
class SamSizes:
    """Sizes of a SAM-like network; the defaults are ViT-B's."""

    image_size: int = 1024
    patch: int = 16
    width: int = 768
    depth: int = 12
    heads: int = 12
    window: int = 14
    global_blocks: tuple[int, ...] = (2, 5, 8, 11)
    channels: int = 256
    """C: of the image embedding and of every token."""
    decoder_hidden: int = 2048


class SamNetwork(nn.Module):
    """Encode pictures once, then ask by box or point. State-dict names are the official ones."""

    def __init__(self, sizes: SamSizes, *, adapter: bool) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_encoder = SamImageEncoder(
            image_size=sizes.image_size, patch=sizes.patch, width=sizes.width, depth=sizes.depth, heads=sizes.heads,
            window=sizes.window, global_blocks=sizes.global_blocks, channels=sizes.channels, adapter=adapter,
        )  # fmt: skip
        self.prompt_encoder = SamPromptEncoder(
            channels=sizes.channels, image_size=sizes.image_size, side=sizes.image_size // sizes.patch
        )
        self.mask_decoder = SamMaskDecoder(width=sizes.channels, hidden=sizes.decoder_hidden)

    def ask_boxes(self, embedding: Tensor, boxes: Tensor, *, multimask: bool) -> tuple[Tensor, Tensor]:
        """Answer boxes about one encoded picture.

        Args:
            embedding: `[1, C, h, w]`.
            boxes: `[P, 4]` = (x, y, x, y) in pixels of the model's frame.
            multimask: three masks a box, else one.

        Returns:
            Logits `[P, M, 4h, 4w]` and believed IoU `[P, M]`.
        """
        prompts = self.prompt_encoder
        return self.mask_decoder(
            embedding, prompts.positions(), prompts.boxes(boxes), prompts.no_mask(), multimask=multimask
        )
