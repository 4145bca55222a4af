"""IMIS-Net's network under the official names, written anew: its code has no licence, and nothing of it is here.

Cheng et al., "Interactive Medical Image Segmentation", arXiv:2411.12814. Sizes, names and order of tokens as read in
the official repository at f4519c0.
"""

from __future__ import annotations

from dataclasses import dataclass

import timm
import torch
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from semantiseg.models.baselines.sam_decoder import MASKS, Perceptron, SamMaskDecoder
from semantiseg.models.baselines.sam_encoder import neck
from semantiseg.models.baselines.sam_prompts import SamPromptEncoder

BELIEF_HIDDEN = 256
"""Hidden width of the heads of belief and of meaning; SAM's own is that of its tokens."""

MEANING = 512
"""Width of CLIP's space, which the head of meaning aims at; no mask depends on it."""


@dataclass(frozen=True)
class ImisSizes:
    """Sizes; the defaults are IMISNet-B's."""

    image_size: int = 1024
    encoder: str = "samvit_base_patch16"
    width: int = 768
    """Of image embedding and prompt tokens alike."""
    decoder_hidden: int = 2048
    text: CLIPTextConfig | None = None
    """None: CLIP's default text tower of width 512."""


class ImisImageEncoder(nn.Module):
    """timm's SAM ViT without its own neck, then a neck of 768 channels."""

    def __init__(self, sizes: ImisSizes) -> None:
        super().__init__()
        self.sam_encoder = timm.create_model(sizes.encoder, num_classes=0, img_size=sizes.image_size)
        self.neck = neck(self.sam_encoder.embed_dim, sizes.width)
        self.patch = self.sam_encoder.patch_embed.patch_size[0]

    def forward(self, pictures: Tensor) -> Tensor:
        """`[B, 3, S, S]` to `[B, width, S / 16, S / 16]`."""
        vit = self.sam_encoder
        x = vit.blocks(vit.patch_embed(pictures) + vit.pos_embed)
        return self.neck(x.permute(0, 3, 1, 2))


class ImisMaskDecoder(SamMaskDecoder):
    """SAM's decoder at width 768 with four more tokens, where the sentence also marks the map directly."""

    def __init__(self, *, width: int, hidden: int) -> None:
        super().__init__(width=width, hidden=hidden)
        self.semantic_tokens = nn.Embedding(MASKS, width)
        self.text_output = nn.Linear(width, width // 8)
        self.iou_prediction_head = Perceptron(width, BELIEF_HIDDEN, BELIEF_HIDDEN, MASKS)
        self.semantic_prediction_head = Perceptron(width, BELIEF_HIDDEN, BELIEF_HIDDEN, MEANING)

    def own_tokens(self) -> Tensor:
        """Belief, masks, then the tokens of meaning: these are never read here, but the others attend to them."""
        return torch.cat([super().own_tokens(), self.semantic_tokens.weight])

    def answer(
        self, embedding: Tensor, positions: Tensor, prompts: Tensor, dense: Tensor, text: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """Three masks `[P, 3, 4h, 4w]` and believed IoU `[P, 3]`; `text` `[P, width]` adds its own map to each."""
        tokens, upscaled = self.read(embedding, positions, prompts, dense)
        masks = self.masks(tokens, upscaled)
        if text is not None:
            masks = masks + torch.einsum("pc,pchw->phw", self.text_output(text), upscaled)[:, None]
        return masks[:, 1:], self.iou_prediction_head(tokens[:, 0])[:, 1:]


class ImisNetwork(nn.Module):
    """Encode pictures once; ask by text, box, points, or any of them together."""

    def __init__(self, sizes: ImisSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.image_encoder = ImisImageEncoder(sizes)
        self.prompt_encoder = SamPromptEncoder(
            channels=sizes.width, image_size=sizes.image_size, side=sizes.image_size // self.image_encoder.patch
        )
        self.mask_decoder = ImisMaskDecoder(width=sizes.width, hidden=sizes.decoder_hidden)
        config = sizes.text or CLIPTextConfig()
        tower = CLIPTextModel(config)
        # Older transformers wrapped the tower once more: the official names have both levels.
        self.text_model = nn.ModuleDict({"text_model": getattr(tower, "text_model", tower)})
        self.text_out_dim = nn.Linear(config.hidden_size, sizes.width)

    def read_text(self, ids: Tensor) -> Tensor:
        """Token ids `[P, T]`, each row ending in the end token, to `[P, width]`."""
        return self.text_out_dim(self.text_model["text_model"](input_ids=ids).pooler_output)

    def ask(
        self,
        embedding: Tensor,
        *,
        text: Tensor | None = None,
        boxes: Tensor | None = None,
        points: tuple[Tensor, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Answer P prompts about one encoded picture.

        Args:
            embedding: `[1, width, h, w]`.
            text: `[P, width]`.
            boxes: `[P, 4]` = (x, y, x, y) in pixels of the model's frame.
            points: (x, y) `[P, N, 2]` and labels `[P, N]` (1 foreground, 0 background).

        Returns:
            Logits `[P, 3, 4h, 4w]` and believed IoU `[P, 3]`.
        """
        encoder, tokens = self.prompt_encoder, []
        if points is not None:
            tokens.append(encoder.points(*points, alone=boxes is None))
        if boxes is not None:
            tokens.append(encoder.boxes(boxes))
        if text is not None:
            tokens.append(text[:, None])
        prompts = torch.cat(tokens, dim=1)
        return self.mask_decoder.answer(embedding, encoder.positions(), prompts, encoder.no_mask(), text)
