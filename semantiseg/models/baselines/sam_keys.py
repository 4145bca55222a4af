"""Names of SAM's weights: from the original `.pth` files to `transformers.SamModel`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

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
