"""Curves as `dvc plots` draws them."""

from __future__ import annotations

import pandas as pd
import small_training
from tiny_project import ROOT

from semantiseg import document
from semantiseg.params import read_yaml


def test_every_model_s_curve_is_declared_as_a_plot_of_columns_that_it_has(project, tmp_path):
    parameters = small_training.PARAMETERS | {"steps": 2, "images_per_step": 2}
    small_training.run(project, tmp_path, parameters=parameters, model="none", prompts_per_image=2, augmentation=0.0)
    columns = set(pd.read_csv(tmp_path / "curve.csv").columns)
    declared = {
        name: plot for item in document.read_document(ROOT / "dvc.yaml")["plots"] for name, plot in item.items()
    }
    plots = {name: plot for name, plot in declared.items() if plot["x"] == "step"}
    models = read_yaml(ROOT / "params.yaml")["models"]
    assert len(plots) == 3
    for plot in plots.values():
        assert set(plot["y"]) == {f"data/models/{model}/curve.csv" for model in models}
        assert {plot["x"], *plot["y"].values()} <= columns
