"""The paper's own sizes, rehearsed on a CPU: all that a GPU machine with data and weights would then lack is time."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from clip_folder import write_clip_folder
from safetensors.torch import load_file, save_file
from tiny_project import ROOT

from semantiseg.pipeline import runner

CUT = (
    "fetch.source=phantom", "fetch.cases=4", "prepare.test_share=0.25", "prompts.slices_per_volume=1",
    "prompts.texts_per_question=1", "models=[token]", "pretrain.images_per_step=2", "train.steps=2",
    "train.images_per_step=2", "train.prompts_per_image=3", "evaluate.accelerator=cpu", "table1.resamples=50",
)  # fmt: skip


@pytest.mark.slow
def test_the_whole_paper_pipeline_runs_with_full_size_networks_of_random_weights(tmp_path, monkeypatch):
    weights = tmp_path / "weights"
    model = write_clip_folder(weights / "biomedclip", full=True)
    assert sum(value.numel() for value in model.parameters()) > 190e6
    torch.manual_seed(1)
    convnext = timm.create_model("convnext_tiny").state_dict()
    save_file(convnext, weights / "convnext_tiny.safetensors")
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", str(weights))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    folder = runner.create(tmp_path / "paper", project=ROOT, profile="paper", settings=CUT)
    record = runner.reproduce(folder)
    assert record["profile"] == "paper" and record["complete"]

    started = json.loads((folder / "data/pretrained/config.json").read_text())
    assert (started["width"], started["image_size"]) == ("paper", 352)
    assert (started["semantic"], started["frequency"]) == ("biomedclip", "imagenet")
    config = json.loads((folder / "data/models/token/config.json").read_text())
    assert (config["text_width"], config["sentence_width"]) == (768, 512)
    assert config["text_encoder"] == "biomedclip"
    trained = load_file(folder / "data/models/token/model.safetensors")
    tower = {name.removeprefix("visual."): value for name, value in model.state_dict().items() if "visual." in name}
    place = "streams.semantic.visual."
    moved = {name for name, value in tower.items() if not torch.equal(value, trained[place + name])}
    assert {name.split(".")[2] for name in moved} == {"9", "10", "11"}
    results = pd.read_parquet(folder / "data/results/token/results.parquet")
    assert len(results) > 50 and np.isfinite(results["dice"]).all()
    print(runner.run_summary(record, root=folder))
