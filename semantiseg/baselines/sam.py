"""Names of SAM's weights: from the original `.pth` files to `transformers.SamModel`.

SAM ViT-B and MedSAM through `transformers`, asked by box, each with its own preprocessing.

Kirillov et al., "Segment Anything", ICCV 2023; Ma et al., "Segment anything in medical images", Nature Communications
2024. Code and weights Apache-2.0. `SamProcessor` is bypassed: MedSAM squashes and scales each picture by its own
minimum and maximum, which no processor configuration does.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from skimage.transform import resize
from torch import Tensor
from transformers import SamConfig, SamModel

from semantiseg.baselines.baseline import Baseline, EncodedPicture, Picture, given
from semantiseg.baselines.checkpoint import read_checkpoint, recognise_names
from semantiseg.errors import ModelError
from semantiseg.models.protocol import ModelCard
from semantiseg.models.weights import load_checked

POSITIONS = "shared_image_embedding.positional_embedding"
POSITIONS_TWIN = "prompt_encoder.shared_embedding.positional_embedding"
"""One tensor under two names: transformers keeps it for the image and for the prompts, the original once."""

_ENCODER = (
    (r"^image_encoder\.", "vision_encoder."),
    (r"patch_embed\.proj\.", "patch_embed.projection."),
    (r"\.blocks\.", ".layers."),
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.neck\.0\.", ".neck.conv1."),
    (r"\.neck\.1\.", ".neck.layer_norm1."),
    (r"\.neck\.2\.", ".neck.conv2."),
    (r"\.neck\.3\.", ".neck.layer_norm2."),
)
_PROMPTS = (
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.0\.", ".mask_embed.conv1."),
    (r"\.mask_downscaling\.1\.", ".mask_embed.layer_norm1."),
    (r"\.mask_downscaling\.3\.", ".mask_embed.conv2."),
    (r"\.mask_downscaling\.4\.", ".mask_embed.layer_norm2."),
    (r"\.mask_downscaling\.6\.", ".mask_embed.conv3."),
)
_DECODER = (
    (r"\.norm(\d)\.", r".layer_norm\1."),
    (r"\.norm_final_attn\.", ".layer_norm_final_attn."),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.0\.", r"\1.proj_in."),
    (r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.1\.", r"\1.layers.0."),
    (r"(iou_prediction_head|output_hypernetworks_mlps\.\d)\.layers\.2\.", r"\1.proj_out."),
)
_RULES = {"image_encoder": _ENCODER, "prompt_encoder": _PROMPTS, "mask_decoder": _DECODER}


def is_original(names: Mapping[str, object]) -> bool:
    """Whether these are the names of the original files."""
    return any(name.startswith("image_encoder.") for name in names)


def transformers_name(name: str) -> str:
    """The name in `SamModel` of a weight of the original; a name of neither is left as it is."""
    for pattern, replacement in _RULES.get(name.partition(".")[0], ()):
        name = re.sub(pattern, replacement, name)
    return name


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict under transformers' names, whichever it had; the doubled tensor is there twice."""
    named = {transformers_name(name): value for name, value in state.items()} if is_original(state) else dict(state)
    for one, other in ((POSITIONS, POSITIONS_TWIN), (POSITIONS_TWIN, POSITIONS)):
        if one in named:
            named.setdefault(other, named[one])
    return named


HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""What transformers calls its weights; looked for after the original file."""

DECODER_EPSILON = 1e-5
"""Of the layer norms in the decoder's transformer: the original's. transformers' own default is 1e-6, for which masks
differ in the fourth digit."""

MEAN, DEVIATION = np.array([[0.485, 0.456, 0.406], [0.229, 0.224, 0.225]], dtype=np.float32)


class _SamBase(Baseline):
    """What both share: the network, its files, and one mask a box (Meta's advice for boxes)."""

    original: str
    """Name of the original weight file."""

    def __init__(self, network: SamModel) -> None:
        self.network: Any = network.eval().requires_grad_(False)
        self.size = int(self.network.config.vision_config.image_size)

    @classmethod
    def from_folder(cls, folder: Path) -> _SamBase:
        """Read the original `.pth`, else what transformers saved, strictly; nothing is fetched.

        Raises:
            ModelError: no file, an unreadable one, or weights of another model (all differences listed).
        """
        found = [folder / name for name in (cls.original, *HUB_FILES) if (folder / name).is_file()]
        network = build_sam()
        load_sam(network, found[0] if found else folder / cls.original)
        return cls(network)

    def _decode(self, encoded: EncodedPicture, boxes: Tensor) -> Tensor:
        """Logits `[P, S / 4, S / 4]` for boxes `[P, 4]` = (x, y, x, y) in the model's frame."""
        answer = self.network(image_embeddings=encoded.embedding, input_boxes=boxes[None], multimask_output=False)
        return answer.pred_masks[0, :, 0]


def build_sam() -> SamModel:
    """The network of ViT-B without weights."""
    return SamModel(SamConfig(mask_decoder_config={"layer_norm_eps": DECODER_EPSILON}))


def load_sam(network: SamModel, path: Path) -> None:
    """Load weights of either format into a SAM of transformers.

    Raises:
        ModelError: see `checkpoint.read_checkpoint`; another model's weights; or any difference, all listed.
    """
    state = read_checkpoint(path)
    owner = recognise_names(list(state))
    if owner is not None and not owner.startswith("SAM or MedSAM"):
        raise ModelError(f"{path}: expected the weights of SAM or MedSAM, got those of {owner}. Give each its file.")
    load_checked(network, to_transformers(state), origin=str(path))


class Sam(_SamBase):
    """SAM ViT-B: longest side to 1024, padded below and to the right."""

    original = "sam_vit_b_01ec64.pth"
    card = ModelCard(
        label="SAM ViT-B",
        reads=("box",),
        input_size=1024,
        normalisation="longest side to 1024 (bilinear), mean and deviation of ImageNet, padded below and right",
        code_licence="Apache-2.0",
        weights_licence="Apache-2.0",
        training_data=("SA-1B (natural images)",),
        remark="one mask a box (Meta's advice for boxes; SAM-Med2D's comparison took the best of three)",
    )

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        scale = self.size / max(height, width)
        return int(height * scale + 0.5), int(width * scale + 0.5)

    def encode(self, picture: Picture) -> EncodedPicture:
        height, width = picture.shape[:2]
        rows, columns = self._resized(height, width)
        small = np.asarray(Image.fromarray(picture).resize((columns, rows), Image.Resampling.BILINEAR))
        normed = (small.astype(np.float32) / 255 - MEAN) / DEVIATION
        entered = torch.from_numpy(normed).permute(2, 0, 1)[None]
        entered = F.pad(entered, (0, self.size - columns, 0, self.size - rows))
        return EncodedPicture(height, width, self.network.get_image_embeddings(entered))

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        rows, columns = self._resized(encoded.height, encoded.width)
        factors = np.array([columns / encoded.width, rows / encoded.height] * 2, dtype=np.float32)
        logits = self._decode(encoded, torch.from_numpy(given(boxes)[:, [1, 0, 3, 2]] * factors))
        square = F.interpolate(logits[:, None], size=(self.size, self.size), mode="bilinear", align_corners=False)
        full = F.interpolate(
            square[..., :rows, :columns], size=(encoded.height, encoded.width), mode="bilinear", align_corners=False
        )
        return torch.sigmoid(full[:, 0]).numpy()


class MedSam(_SamBase):
    """MedSAM: squashed to 1024 x 1024, each picture scaled by its own minimum and maximum."""

    original = "medsam_vit_b.pth"
    card = ModelCard(
        label="MedSAM",
        reads=("box",),
        input_size=1024,
        normalisation="squashed to 1024 (cubic, 8 bits), then from its own minimum and maximum to [0, 1]",
        code_licence="Apache-2.0",
        weights_licence="Apache-2.0",
        training_data=(),
        remark="probabilities, not logits, are interpolated to the picture (official); no list of its training cases",
    )

    def encode(self, picture: Picture) -> EncodedPicture:
        height, width = picture.shape[:2]
        small = _squash(picture, self.size).astype(np.float32)
        low, high = small.min(), small.max()
        scaled = (small - low) / max(high - low, np.float32(1e-8))
        entered = torch.from_numpy(scaled).permute(2, 0, 1)[None].contiguous()
        return EncodedPicture(height, width, self.network.get_image_embeddings(entered))

    def decode(
        self, encoded: EncodedPicture, *, texts: Sequence[str] | None, boxes: NDArray[np.float32] | None
    ) -> NDArray[np.float32]:
        factors = np.array([self.size / encoded.width, self.size / encoded.height] * 2, dtype=np.float32)
        logits = self._decode(encoded, torch.from_numpy(given(boxes)[:, [1, 0, 3, 2]] * factors))
        probabilities = torch.sigmoid(logits)[:, None]
        full = F.interpolate(probabilities, size=(encoded.height, encoded.width), mode="bilinear", align_corners=False)
        return full[:, 0].numpy()


def _squash(picture: Picture, size: int) -> Picture:
    """Cubic resize to `size` x `size` in 8 bits, antialiased, as MedSAM's inference does it."""
    grey = bool((picture == picture[:, :, :1]).all())  # most are: one channel to resize instead of three
    channels = picture[:, :, :1] if grey else picture
    small = resize(channels, (size, size), order=3, preserve_range=True, anti_aliasing=True).astype(np.uint8)
    return np.repeat(small, 3, axis=2) if grey else small
