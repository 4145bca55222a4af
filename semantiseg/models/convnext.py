"""Stream 2 in full size: ConvNeXt-Tiny (Liu et al., CVPR 2022) on the twelve Haar bands, and its neck."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import timm
from timm.models import adapt_input_conv
from torch import Tensor, nn

from semantiseg.errors import ModelError
from semantiseg.models.biomedclip import read_state
from semantiseg.models.frequency import ConvolutionBlock, FeaturePyramid
from semantiseg.models.weights import load_checked

BANDS = 12


class ConvNeXtEncoder(FeaturePyramid):
    """Five maps: one as fine as the Haar bands for the decoder's detail, then F_freq of the four ConvNeXt stages.

    timm's own network, layer normalisation and all, so that ImageNet weights fit; only the stem takes twelve bands.
    """

    def __init__(self, *, name: str, channels: Sequence[int], drop_path: float, **sizes: object) -> None:
        """
        Args:
            name: timm's, `convnext_tiny` in the paper.
            channels: of the five maps returned, finest first.
            drop_path: stochastic depth in training.
            sizes: changes to timm's sizes (`depths`, `dims`), for small presets.
        """
        super().__init__()
        network = timm.create_model(name, in_chans=BANDS, num_classes=0, drop_path_rate=drop_path, **sizes)
        self.stem, self.stages = network.stem, network.stages
        self.shallow = nn.Sequential(nn.Conv2d(BANDS, channels[0], 1), ConvolutionBlock(channels=channels[0]))
        self.add_neck(dims=(channels[0], *(info["num_chs"] for info in network.feature_info)), channels=channels)

    def forward(self, bands: Tensor) -> list[Tensor]:
        """`[B, 12, H, W]` to maps of strides 1, 4, 8, 16, 32 against the bands, finest first."""
        seen, x = [self.shallow(bands)], self.stem(bands)
        for stage in self.stages:
            x = stage(x)
            seen.append(x)
        return self.pyramid(seen)


def load_imagenet(encoder: ConvNeXtEncoder, path: Path) -> None:
    """Load timm's ImageNet weights of the same network; its stem of three colours is inflated to the twelve bands.

    Inflation repeats the colours' kernels for every band and scales them by 3/12 (timm's `adapt_input_conv`). The
    classifier's head has no place here and is left out; every other layer must be there.

    Raises:
        ModelError: unreadable, or not exactly the weights of this network (layers named).
    """
    state = {name: value for name, value in read_state(path).items() if not name.startswith(("head.", "norm_pre."))}
    stem = state.get("stem.0.weight")
    if stem is not None and stem.ndim == 4 and stem.shape[1] == 3:
        state["stem.0.weight"] = adapt_input_conv(BANDS, stem)
    elif stem is not None:
        raise ModelError(
            f"{path}: expected a stem of three colours, got stem.0.weight {tuple(stem.shape)}. "
            "Give timm's weights of a ConvNeXt trained on ImageNet."
        )
    load_checked(nn.ModuleDict({"stem": encoder.stem, "stages": encoder.stages}), state, origin=str(path))
