"""SAM's prompt encoder: boxes and points as tokens, the map of positions that the decoder reads.

Kirillov et al., "Segment Anything", ICCV 2023 (official code Apache-2.0). Written anew with the official names.

SAM's mask decoder: a two-way transformer between prompt tokens and the image, then masks by dot product.

Kirillov et al., "Segment Anything", ICCV 2023 (official code Apache-2.0). Written anew with the official names.

SAM as one network: image encoder, prompt encoder, mask decoder; and the one place of its sizes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semantiseg.baselines.sam_encoder import MLP, ChannelNorm, SamImageEncoder

MASK_CHANNELS = 16
"""Of the path by which SAM reads a mask; no protocol here asks by mask, the weights are held for strict loading."""


class FourierPositions(nn.Module):
    """Positions in [0, 1] through random frequencies."""

    positional_encoding_gaussian_matrix: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("positional_encoding_gaussian_matrix", torch.zeros(2, channels // 2))

    def forward(self, positions: Tensor) -> Tensor:
        """`[..., 2]` = (x, y) to `[..., channels]`."""
        angles = 2 * math.pi * ((2 * positions - 1) @ self.positional_encoding_gaussian_matrix)
        return torch.cat([angles.sin(), angles.cos()], dim=-1)


class SamPromptEncoder(nn.Module):
    """Boxes and points in pixels of the model's frame; `side` is the edge of the image embedding."""

    def __init__(self, *, channels: int, image_size: int, side: int) -> None:
        super().__init__()
        self.image_size, self.side = image_size, side
        self.pe_layer = FourierPositions(channels)
        # 0 background point, 1 foreground point, 2 a box's first corner, 3 its second.
        self.point_embeddings = nn.ModuleList(nn.Embedding(1, channels) for _ in range(4))
        self.not_a_point_embed = nn.Embedding(1, channels)
        self.no_mask_embed = nn.Embedding(1, channels)
        self.mask_downscaling = nn.Sequential(
            nn.Conv2d(1, MASK_CHANNELS // 4, 2, stride=2), ChannelNorm(MASK_CHANNELS // 4), nn.GELU(),
            nn.Conv2d(MASK_CHANNELS // 4, MASK_CHANNELS, 2, stride=2), ChannelNorm(MASK_CHANNELS), nn.GELU(),
            nn.Conv2d(MASK_CHANNELS, channels, 1),
        )  # fmt: skip

    def _place(self, pixels: Tensor) -> Tensor:
        return self.pe_layer((pixels + 0.5) / self.image_size)  # + 0.5: a pixel's centre

    def boxes(self, boxes: Tensor) -> Tensor:
        """Boxes `[P, 4]` = (x, y, x, y) to tokens `[P, 2, C]`."""
        first, second = (self.point_embeddings.get_parameter(f"{number}.weight") for number in (2, 3))
        corners = torch.stack((first, second), dim=1)  # [1, 2, C]
        return self._place(boxes.reshape(-1, 2, 2)) + corners

    def points(self, points: Tensor, labels: Tensor, *, alone: bool) -> Tensor:
        """Points `[P, N, 2]` = (x, y) with labels `[P, N]` (1 foreground, 0 background) to tokens.

        Args:
            alone: no box goes with them; SAM then adds one token that says "not a point".
        """
        background, foreground = (self.point_embeddings.get_parameter(f"{number}.weight") for number in (0, 1))
        kinds = torch.cat((background, foreground))
        tokens = self._place(points) + kinds[labels]
        if not alone:
            return tokens
        return torch.cat([tokens, self.not_a_point_embed.weight.expand(len(tokens), 1, -1)], dim=1)

    def no_mask(self) -> Tensor:
        """What is added to the image embedding where no mask is given, `[1, C, side, side]`."""
        return self.no_mask_embed.weight[..., None, None].expand(1, -1, self.side, self.side)

    def positions(self) -> Tensor:
        """Positions of the image embedding's cells, `[1, C, side, side]`."""
        centres = (torch.arange(self.side, device=self.no_mask_embed.weight.device) + 0.5) / self.side
        y, x = torch.meshgrid(centres, centres, indexing="ij")
        return self.pe_layer(torch.stack([x, y], dim=-1)).permute(2, 0, 1)[None]


MASKS = 4
"""Mask tokens: the first answers alone, the other three together (multimask)."""


class Attention(nn.Module):
    """Attention in a narrower space: `width / narrowing` channels over all heads."""

    def __init__(self, *, width: int, heads: int, narrowing: int) -> None:
        super().__init__()
        self.heads = heads
        inner = width // narrowing
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(width, inner) for _ in range(3))
        self.out_proj = nn.Linear(inner, width)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """Queries `[P, N, width]`, keys and values `[P, M, width]` to `[P, N, width]`."""
        parts = (self.q_proj(q), self.k_proj(k), self.v_proj(v))
        heads = (part.unflatten(2, (self.heads, -1)).transpose(1, 2) for part in parts)
        return self.out_proj(F.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2))


class TwoWayLayer(nn.Module):
    """Tokens among themselves, tokens to image, MLP, image to tokens; normalised after each."""

    def __init__(self, *, width: int, heads: int, hidden: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(width=width, heads=heads, narrowing=1)
        self.cross_attn_token_to_image = Attention(width=width, heads=heads, narrowing=2)
        self.mlp = MLP(width, hidden, nn.ReLU)
        self.cross_attn_image_to_token = Attention(width=width, heads=heads, narrowing=2)
        self.norm1, self.norm2, self.norm3, self.norm4 = (nn.LayerNorm(width) for _ in range(4))

    def forward(self, tokens: Tensor, image: Tensor, prompt: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        # The first layer's tokens are the prompt itself: adding it again, or keeping it, would count it twice.
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens + prompt, tokens + prompt, tokens)
        tokens = self.norm1(tokens)
        tokens = self.norm2(tokens + self.cross_attn_token_to_image(tokens + prompt, image + places, image))
        tokens = self.norm3(tokens + self.mlp(tokens))
        image = self.norm4(image + self.cross_attn_image_to_token(image + places, tokens + prompt, tokens))
        return tokens, image


class TwoWayTransformer(nn.Module):
    """Tokens `[P, N, C]` and image `[P, M, C]` look at each other."""

    def __init__(self, *, depth: int, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            TwoWayLayer(width=width, heads=heads, hidden=hidden, first=i == 0) for i in range(depth)
        )
        self.final_attn_token_to_image = Attention(width=width, heads=heads, narrowing=2)
        self.norm_final_attn = nn.LayerNorm(width)

    def forward(self, prompt: Tensor, image: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, places)
        tokens = tokens + self.final_attn_token_to_image(tokens + prompt, image + places, image)
        return self.norm_final_attn(tokens), image


class Perceptron(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, *widths: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:], strict=False))

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)


class SamMaskDecoder(nn.Module):
    """Masks on the grid four times as fine as the image embedding, and how good each is believed to be."""

    def __init__(self, *, width: int, depth: int = 2, heads: int = 8, hidden: int = 2048) -> None:
        super().__init__()
        self.transformer = TwoWayTransformer(depth=depth, width=width, heads=heads, hidden=hidden)
        self.iou_token = nn.Embedding(1, width)
        self.mask_tokens = nn.Embedding(MASKS, width)
        self.output_upscaling = nn.Sequential(
            nn.ConvTranspose2d(width, width // 4, 2, stride=2), ChannelNorm(width // 4), nn.GELU(),
            nn.ConvTranspose2d(width // 4, width // 8, 2, stride=2), nn.GELU(),
        )  # fmt: skip
        self.output_hypernetworks_mlps = nn.ModuleList(
            Perceptron(width, width, width, width // 8) for _ in range(MASKS)
        )
        self.iou_prediction_head = Perceptron(width, width, width, MASKS)

    def own_tokens(self) -> Tensor:
        """The tokens that go before the prompts: belief, then masks."""
        return torch.cat([self.iou_token.weight, self.mask_tokens.weight])

    def read(self, embedding: Tensor, positions: Tensor, prompts: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens `[P, 1 + MASKS + N, C]` after the transformer, and the image `[P, C / 8, 4h, 4w]` upscaled.

        Args:
            embedding: of one image, `[1, C, h, w]`.
            positions: of its cells, `[1, C, h, w]`.
            prompts: tokens `[P, N, C]`.
            dense: added to the image, `[1, C, h, w]`.
        """
        count = len(prompts)
        own = self.own_tokens().expand(count, -1, -1)
        image = (embedding + dense).flatten(2).transpose(1, 2).expand(count, -1, -1)  # [P, hw, C]
        places = positions.flatten(2).transpose(1, 2)
        tokens, image = self.transformer(torch.cat([own, prompts], dim=1), image, places)
        upscaled = self.output_upscaling(image.transpose(1, 2).unflatten(2, embedding.shape[-2:]))
        return tokens, upscaled

    def masks(self, tokens: Tensor, upscaled: Tensor) -> Tensor:
        """Logits of all mask tokens `[P, MASKS, 4h, 4w]`."""
        weights = torch.stack(
            [network(tokens[:, 1 + i]) for i, network in enumerate(self.output_hypernetworks_mlps)], dim=1
        )
        return torch.einsum("pmc,pchw->pmhw", weights, upscaled)

    def forward(
        self, embedding: Tensor, positions: Tensor, prompts: Tensor, dense: Tensor, *, multimask: bool
    ) -> tuple[Tensor, Tensor]:
        """Logits `[P, M, 4h, 4w]` and believed IoU `[P, M]`; M is 3 with `multimask`, else 1."""
        tokens, upscaled = self.read(embedding, positions, prompts, dense)
        chosen = slice(1, None) if multimask else slice(0, 1)
        return self.masks(tokens, upscaled)[:, chosen], self.iou_prediction_head(tokens[:, 0])[:, chosen]


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
