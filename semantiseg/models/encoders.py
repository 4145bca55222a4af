"""BiomedCLIP (Zhang et al., 2023) through open_clip's classes: its weights, its image tower, what of it is trained.

A source is a folder in open_clip's own layout (`open_clip_config.json`, the weights, the tokenizer's files), or
`hf-hub:OWNER/NAME`, which is downloaded to such a folder first. Nothing in a weights file is ever executed.

BiomedCLIP's text tower as a frozen text encoder: token features for the token gate, the projected embedding.

Stream 2 in full size: ConvNeXt-Tiny (Liu et al., CVPR 2022) on the twelve Haar bands, and its neck.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import timm
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from open_clip.model import CustomTextCLIP
from open_clip.timm_model import TimmModel
from safetensors import SafetensorError
from safetensors.torch import load_file
from timm.models import adapt_input_conv
from torch import Tensor, nn
from transformers import AutoTokenizer, BertConfig

from semantiseg.errors import ModelError
from semantiseg.models.features import check_lengths, check_texts
from semantiseg.models.frequency import ConvolutionBlock, FeaturePyramid
from semantiseg.models.weights import load_checked

HUB = "hf-hub:microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224"
CONFIG, WEIGHTS = "open_clip_config.json", ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
TRAINED_BLOCKS = (9, 10, 11)
"""Transformer blocks of the image tower that training moves (paper, section 3)."""
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the image tower's input, by colour: CLIP's, which BiomedCLIP kept."""


@dataclass(frozen=True)
class BiomedCLIP:
    """Both towers with their weights, and where they come from."""

    model: CustomTextCLIP
    folder: Path
    context: int
    """Longest text in word pieces, special tokens included."""


class BiomedCLIPImageEncoder(nn.Module):
    """F_sem from BiomedCLIP's image tower: its patch tokens after the visual projection, class token dropped.

    Takes the place of `SemanticEncoder`: the paper's ViT-B/16 gives `[B, 512, 14, 14]`.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, *, vit: str, channels: int) -> None:
        """
        Args:
            vit: timm's name of the image tower; it sees 224 x 224.
            channels: D, of the visual projection.
        """
        super().__init__()
        # As `vision_cfg` of BiomedCLIP says; weights come later, through `load_checked`.
        self.visual = TimmModel(vit, embed_dim=channels, image_size=224, pool="", proj="linear", pretrained=False)
        self.channels = channels
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """`[B, 3, S, S]` in [0, 1], any S, to `[B, D, 14, 14]`."""
        size = self.visual.image_size
        if images.shape[-2:] != torch.Size(size):
            images = F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
        tokens = self.visual.trunk.forward_features((images - self.mean) / self.std)[:, 1:]
        return self.visual.head(tokens).transpose(1, 2).unflatten(2, self.visual.trunk.patch_embed.grid_size)

    def prepare_training(self) -> None:
        """Leave blocks 9 to 11 to training; freeze the rest, in eval mode."""
        self.requires_grad_(False).eval()
        for number in TRAINED_BLOCKS:
            self.visual.trunk.blocks[number].requires_grad_(True).train()


def read_biomedclip(source: str | Path) -> BiomedCLIP:
    """Both towers of BiomedCLIP, frozen and in eval mode.

    Args:
        source: a folder in open_clip's layout, or `hf-hub:OWNER/NAME`.

    Raises:
        ModelError: a file is absent or broken, would need unpickling code, or its weights are not exactly those of the
            configured architecture (layers named).
    """
    folder = _downloaded(str(source)) if str(source).startswith("hf-hub:") else Path(source)
    config = _config(folder)
    model = architecture(config, folder=folder)
    path = next((folder / name for name in WEIGHTS if (folder / name).is_file()), None)
    if path is None:
        raise ModelError(f"{folder}: expected one of {list(WEIGHTS)}, got none. Copy BiomedCLIP's files there.")
    state = read_state(path)
    # Older releases of transformers stored this constant; newer ones compute it.
    state.pop("text.transformer.embeddings.position_ids", None)
    load_checked(model, state, origin=str(path))
    context = int(config["text_cfg"].get("context_length", 256))
    return BiomedCLIP(model=model.eval().requires_grad_(False), folder=folder, context=context)


def architecture(config: Mapping[str, Any], *, folder: Path) -> CustomTextCLIP:
    """The towers that `model_cfg` of an open_clip configuration describes, with random weights.

    open_clip would ask the hub for the text tower's `config.json`; here the folder's is taken, or, where there is
    none, that of BiomedBERT, which is BERT-base's. Should another be meant, the weights do not fit and loading says so.
    """
    with TemporaryDirectory() as scratch:
        described = folder
        if not (folder / "config.json").is_file():
            described = Path(scratch)
            BertConfig().save_pretrained(scratch)
        text = dict(config["text_cfg"]) | {"hf_model_name": str(described), "hf_model_pretrained": False}
        vision = dict(config["vision_cfg"]) | {"timm_model_pretrained": False}
        try:
            return CustomTextCLIP(int(config["embed_dim"]), vision, text)
        except (TypeError, RuntimeError, ValueError, KeyError, OSError) as error:
            raise ModelError(
                f"{folder / CONFIG}: expected the configuration of BiomedCLIP, got {error}. Copy its file again."
            ) from None


def read_state(path: Path) -> dict[str, Tensor]:
    """The named tensors of a weights file, `.safetensors` or PyTorch's.

    Raises:
        ModelError: unreadable, or something else than tensors, which only code in the file could rebuild.
    """
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return dict(torch.load(path, map_location="cpu", weights_only=True))
    except (OSError, SafetensorError, RuntimeError, EOFError, ValueError, pickle.UnpicklingError) as error:
        problem = str(error).split("\n")[0]
        raise ModelError(
            f"{path}: expected a file of named tensors that needs no code to be read, got {problem} "
            "Take the file from its publisher again, if there is one as .safetensors."
        ) from None


def _config(folder: Path) -> Mapping[str, Any]:
    path = folder / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf-8"))["model_cfg"]
        if {"embed_dim", "vision_cfg", "text_cfg"} <= set(config):
            return config
        problem = f"a model_cfg with {sorted(config)} only"
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = repr(error)
    raise ModelError(
        f"{path}: expected open_clip's model_cfg with embed_dim, vision_cfg and text_cfg, got {problem}. "
        f"Copy all files of {HUB.removeprefix('hf-hub:')} into this folder."
    )


def _downloaded(source: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    wanted = ["open_clip_*", "*.json", "vocab.txt"]
    try:
        return Path(snapshot_download(source.removeprefix("hf-hub:"), allow_patterns=wanted))
    except (HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError, OSError) as error:
        raise ModelError(
            f"{source}: expected to download it or to find it in the cache, got {str(error).splitlines()[0]} "
            "Copy its files into a folder and name that folder."
        ) from None


class BiomedCLIPText:
    """A `TextEncoder`: E = 768, F = 512 (after the text projection, in the space of F_sem)."""

    name = "biomedclip"

    def __init__(self, source: str | Path) -> None:
        """
        Args:
            source: see `models.biomedclip.read_biomedclip`.

        Raises:
            ModelError: weights or tokenizer are absent, broken or of another architecture.
        """
        clip = read_biomedclip(source)
        self._tower, self._context = clip.model.text, clip.context
        self._tower.output_tokens = True
        self.sentence_width = int(self._tower.output_dim)
        try:
            # Without any file transformers would make up a tokenizer that knows no word.
            if not any((clip.folder / name).is_file() for name in ("tokenizer.json", "vocab.txt")):
                raise OSError("neither.")
            self._tokenizer = AutoTokenizer.from_pretrained(clip.folder, local_files_only=True)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{clip.folder}: expected a tokenizer (tokenizer.json or vocab.txt), got {str(error).splitlines()[0]} "
                "Copy BiomedCLIP's files there."
            ) from None
        if len(self._tokenizer) > len(self.table):
            raise ModelError(
                f"{clip.folder}: expected a tokenizer of at most {len(self.table)} word pieces, the text tower's, "
                f"got {len(self._tokenizer)}. Use the tokenizer that belongs to these weights."
            )

    @property
    def table(self) -> NDArray[np.float32]:
        """`[vocabulary, E]`."""
        return self._tower.transformer.embeddings.word_embeddings.weight.numpy()

    def tokenize(self, texts: Sequence[str]) -> list[list[int]]:
        """Word-piece ids of each text, [CLS] and [SEP] at the ends.

        Raises:
            PromptError: a text is empty, not a string, or longer than the context (256 word pieces).
        """
        check_texts(texts)
        if not texts:
            return []
        ids = [list(map(int, row)) for row in self._tokenizer(list(texts))["input_ids"]]
        check_lengths(texts, ids, maximum=self._context)
        return ids

    @torch.inference_mode()
    def __call__(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """`[n, T]` to token features of the last layer `[n, T, E]` and projected embeddings `[n, F]`."""
        sentence, tokens = self._tower(ids)
        return tokens, sentence


BANDS = 12


class ConvNeXtEncoder(FeaturePyramid):
    """Five maps: one as fine as the Haar bands for the decoder's detail, then F_freq of the four ConvNeXt stages.

    timm's own network, layer normalisation and all, so that ImageNet weights fit; only the stem takes twelve bands.
    """

    def __init__(self, *, name: str, channels: Sequence[int], drop_path: float, **sizes: Any) -> None:
        """
        Args:
            name: timm's, `convnext_tiny` in the paper.
            channels: of the five maps returned, finest first.
            drop_path: stochastic depth in training.
            sizes: changes to timm's sizes (`depths`, `dims`), for small presets.
        """
        super().__init__()
        network: Any = timm.create_model(name, in_chans=BANDS, num_classes=0, drop_path_rate=drop_path, **sizes)
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


def load_imagenet(encoder: nn.Module, path: Path) -> None:
    """Load timm's ImageNet weights of the same network; its stem of three colours is inflated to the twelve bands.

    Args:
        encoder: a `ConvNeXtEncoder`.
        path: timm's weights.

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
    parts = nn.ModuleDict({name: encoder.get_submodule(name) for name in ("stem", "stages")})
    load_checked(parts, state, origin=str(path))
