"""A BiomedCLIP with random weights, written in open_clip's own layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from open_clip.model import CustomTextCLIP
from safetensors.torch import save_file
from transformers import BertConfig

from semantiseg.models.encoders import MEAN, STD
from semantiseg.models.text import weights_folder

SMALL_BERT = {"hidden_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 96}


def write_clip_folder(folder: Path, *, full: bool = False, pickled: bool = False) -> CustomTextCLIP:
    """The published sizes, without BERT's `config.json` as published; or small ones, with it.

    Returns:
        The towers whose weights were written, made by open_clip alone.
    """
    folder.mkdir(parents=True)
    torch.manual_seed(5)
    bert = BertConfig() if full else BertConfig(**SMALL_BERT)
    bert.save_pretrained(folder)
    vision = {
        "timm_model_name": "vit_base_patch16_224" if full else "vit_tiny_patch16_224",
        "timm_model_pretrained": False, "timm_pool": "", "timm_proj": "linear", "image_size": 224,
    }  # fmt: skip
    text = {
        "hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
        "hf_tokenizer_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
        "hf_proj_type": "mlp", "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256,
    }  # fmt: skip
    width = 512 if full else 32
    here = {"hf_model_name": str(folder), "hf_model_pretrained": False}
    model = CustomTextCLIP(width, vision, text | here).eval()
    with torch.no_grad():  # drawn as by default, biases are 0 and an embedding hardly depends on its input
        for value in model.parameters():
            if value.ndim == 1:
                value.add_(torch.randn_like(value) * 0.1)
    config = {
        "model_cfg": {"embed_dim": width, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": {"mean": list(MEAN), "std": list(STD)},
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    if full:
        (folder / "config.json").unlink()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copyfile(weights_folder() / name, folder / name)
    if pickled:
        torch.save(model.state_dict(), folder / "open_clip_pytorch_model.bin")
    else:
        save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model
