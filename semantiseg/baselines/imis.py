"""IMIS-Net's network under the official names, written anew: its code has no licence, and nothing of it is here.

Cheng et al., "Interactive Medical Image Segmentation", arXiv:2411.12814. Sizes, names and order of tokens as read in
the official repository at f4519c0.

IMIS-Net asked by text, box or points, with the official pre- and post-processing.

Its text path was trained on a closed vocabulary of 113 merged categories and raises KeyError elsewhere. Here every
sentence goes into its template as it is, past that vocabulary, and its row says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextConfig, CLIPTextModel

from semantiseg.baselines.baseline import Baseline, EncodedPicture, Picture
from semantiseg.baselines.biomedparse.text_encoder import clip_tokens
from semantiseg.baselines.checkpoint import load_official, read_checkpoint, refuse_others
from semantiseg.baselines.sam_encoder import neck
from semantiseg.baselines.sam_med2d import DEVIATION, MEAN
from semantiseg.baselines.sam_network import MASKS, Perceptron, SamMaskDecoder, SamPromptEncoder
from semantiseg.errors import ModelError
from semantiseg.models.protocol import ModelCard

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
        vit: Any = timm.create_model(sizes.encoder, num_classes=0, img_size=sizes.image_size)
        self.sam_encoder = vit
        self.neck = neck(vit.embed_dim, sizes.width)
        self.patch: int = vit.patch_embed.patch_size[0]

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


IGNORED = ("text_model.text_model.embeddings.position_ids",)
"""Counted 0, 1, 2, ...: older transformers wrote it into the file."""

OWNER = "IMIS-Net"
"""In the words of `recognise_names`."""

TEMPLATE = "A segmentation area of a {}."


def template(text: str) -> str:
    """The sentence that the model reads: lower case, without hyphens and underscores, as it treats its categories."""
    return TEMPLATE.format(" ".join(re.sub("[_-]", " ", text.lower()).split()))


class ImisNet(Baseline):
    """IMIS-Net; text unless `asked_by_box`."""

    file = "IMISNet-B.pth"
    card = ModelCard(
        label="IMIS-Net",
        reads=("text", "box", "point"),
        input_size=1024,
        normalisation="squashed to 1024 (nearest, as Pillow), SAM's mean and deviation",
        code_licence="none: all rights reserved; nothing of it is used here",
        weights_licence="none: all rights reserved",
        training_data=("IMed-361M",),
        remark="free text passed around its closed vocabulary of 113 categories; the mask believed best of three",
    )

    def __init__(self, network: ImisNetwork) -> None:
        self.network = network.eval().requires_grad_(False)

    @classmethod
    def from_folder(cls, folder: Path) -> ImisNet:
        """Read `IMISNet-B.pth` strictly.

        Raises:
            ModelError: see `checkpoint.read_checkpoint` and `checkpoint.load_official`.
        """
        state, origin = read_checkpoint(folder / cls.file), str(folder / cls.file)
        refuse_others(state, owner=OWNER, origin=origin)
        network = ImisNetwork(ImisSizes())
        load_official(network, state, owner=OWNER, origin=origin, ignored=IGNORED)
        return cls(network)

    @property
    def size(self) -> int:
        """Edge of the network's input."""
        return self.network.sizes.image_size

    def encode(self, picture: Picture) -> EncodedPicture:
        height, width = picture.shape[:2]
        small = np.asarray(Image.fromarray(picture).resize((self.size, self.size), Image.Resampling.NEAREST))
        normed = (small.astype(np.float32) - MEAN) / DEVIATION
        return EncodedPicture(
            height, width, self.network.image_encoder(torch.from_numpy(normed).permute(2, 0, 1)[None])
        )

    def _scaled(self, encoded: EncodedPicture, xy: NDArray) -> Tensor:
        """(x, y) pairs of the picture's pixels `[..., 2]` in the model's frame."""
        return torch.from_numpy((xy * [self.size / encoded.width, self.size / encoded.height]).astype(np.float32))

    def _finish(self, encoded: EncodedPicture, answer: tuple[Tensor, Tensor]) -> NDArray[np.float32]:
        logits, believed = answer
        best = logits[torch.arange(len(logits)), believed.argmax(dim=1)][:, None]
        square = F.interpolate(best, size=(self.size, self.size), mode="bilinear", align_corners=False)
        full = F.interpolate(square, size=(encoded.height, encoded.width), mode="bilinear", align_corners=False)
        return torch.sigmoid(full[:, 0]).numpy()

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        read = None if texts is None else self.network.read_text(clip_tokens([template(text) for text in texts]))
        corners = None
        if boxes is not None:
            corners = self._scaled(encoded, boxes[:, [1, 0, 3, 2]].reshape(-1, 2, 2)).flatten(1)
            corners[:, 2:] -= 1  # its boxes name the last pixel inside, in its own frame; ours the edge behind it
        return self._finish(encoded, self.network.ask(encoded.embedding, text=read, boxes=corners))

    @torch.inference_mode()
    def answer_points(
        self, encoded: EncodedPicture, points: NDArray[np.floating], labels: NDArray[np.integer]
    ) -> NDArray[np.float32]:
        """Answer P groups of N points: probabilities `[P, H, W]`.

        Args:
            points: `[P, N, 2]` = (row, column) of pixels of the picture.
            labels: `[P, N]`, 1 foreground, 0 background.

        Raises:
            ModelError: shapes that do not match, a point outside the picture, or another label.
        """
        points, labels = np.asarray(points, dtype=np.float32), np.asarray(labels)
        if points.ndim != 3 or points.shape[2] != 2 or labels.shape != points.shape[:2] or not points.size:
            raise ModelError(
                f"points: expected [P, N, 2] with labels [P, N], got {list(points.shape)} and {list(labels.shape)}."
            )
        inside = (points >= 0) & (points <= [encoded.height - 1, encoded.width - 1])
        if not inside.all() or not np.isin(labels, (0, 1)).all():
            raise ModelError(
                f"points: expected pixels within {encoded.height} x {encoded.width} and labels 0 or 1, got "
                f"{points[~inside.all(axis=2)].tolist()} outside and labels {sorted(set(labels.ravel().tolist()))}."
            )
        asked = (self._scaled(encoded, points[..., ::-1]), torch.from_numpy(labels.astype(np.int64)))
        return self._finish(encoded, self.network.ask(encoded.embedding, points=asked))
