"""Curves as `dvc plots` draws them."""

from __future__ import annotations

import pandas as pd
from tiny_project import ROOT

from semantiseg import document
from semantiseg.params import Train, read_yaml
from semantiseg.training.loop import train


def test_every_model_s_curve_is_declared_as_a_plot_of_columns_that_it_has(project, tmp_path):
    parameters = Train(
        steps=2, images_per_step=2, prompts_per_image=2, learning_rate=0.003, weight_decay=0.05, dice_weight=1.0,
        location_weight=0.5, reading_weight=0.05, dhn_weight=1.0, dhn_gamma=2.0, dhn_negatives=True, augmentation=0.0,
    )  # fmt: skip
    train(
        model="none", volumes=project / "volumes", training=project / "training.parquet",
        features=project / "features.h5", streams=project / "pretrained", out=tmp_path, parameters=parameters, seed=0,
        threads=1,
    )  # fmt: skip
    columns = set(pd.read_csv(tmp_path / "curve.csv").columns)
    declared = {name: plot for item in document.load(ROOT / "dvc.yaml")["plots"] for name, plot in item.items()}
    plots = {name: plot for name, plot in declared.items() if plot["x"] == "step"}
    models = read_yaml(ROOT / "params.yaml")["models"]
    assert len(plots) == 3
    for plot in plots.values():
        assert set(plot["y"]) == {f"data/models/{model}/curve.csv" for model in models}
        assert {plot["x"], *plot["y"].values()} <= columns
