"""Where a model's gate opens for each prompt, small enough to travel with the page.

Write the case explorer: static pages that work from a folder on disk as well as from a server.

Browsers refuse to `fetch` files of a folder, so data are scripts that call `SemantiSeg.receive`. The catalogue is read
at once, one script and one picture a volume when the volume is looked at.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from semantiseg import files
from semantiseg.conventions import groups_of, radiological
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.evaluation.metrics import METRICS
from semantiseg.evaluation.sensitivity import join
from semantiseg.explorer import case
from semantiseg.explorer.case import case_data
from semantiseg.files import read_table
from semantiseg.paper import style
from semantiseg.paper.table1 import read_results
from semantiseg.recipes import recipe_of

STEP = 4
"""Pixels of the slice along an edge of a pixel of the map: the gate's finest stage is no finer."""


def gate_maps(data: Path, model: str, store: VolumeStore, prompts: pd.DataFrame) -> dict[str, dict[str, Any]]:
    """Ask a model again, slice by slice, and keep its gate's maps as displayed.

    Args:
        data: the folder of the stages' files.
        model: a trained model.
        store: the prepared volumes.
        prompts: rows of `prompts.parquet`.

    Returns:
        Prompt id -> JSON types as `encoded`; empty for a model without gate, or one that is not here, as where
        results alone were fetched.
    """
    if not (data / "models" / model).is_dir() or not (data / "text" / "features.h5").is_file():
        return {}
    import torch

    from semantiseg.bench.measure.labelled_slice import read_slice
    from semantiseg.evaluation.predict import ask
    from semantiseg.measure import usable_cores
    from semantiseg.models.features import TextFeatures
    from semantiseg.models.registry import load

    torch.set_num_threads(usable_cores())
    segmenter, features = load(data / "models" / model), TextFeatures.load(data / "text" / "features.h5")
    maps: dict[str, dict[str, Any]] = {}
    for (volume_id, index), rows in groups_of(prompts, ["volume_id", "slice"]):
        gate = ask(segmenter, read_slice(store, volume_id, int(index)), rows, features).gate
        if gate is None:
            return {}
        maps |= {name: encoded(values) for name, values in zip(rows["prompt_id"], gate, strict=True)}
    return maps


def encoded(gate: NDArray[np.floating]) -> dict[str, Any]:
    """A map `[H, W]` in [0, 1] as displayed: means of about `STEP` x `STEP` pixels, 8 bits, in base64.

    Returns:
        `width` and `height` of the map, which covers the whole slice, and `values`, row by row.
    """
    shown = radiological(gate)
    starts, sizes = zip(*(_parts(edge) for edge in shown.shape), strict=True)
    sums = np.add.reduceat(np.add.reduceat(shown, starts[0], axis=0), starts[1], axis=1)
    values = np.clip(np.round(sums / np.outer(*sizes) * 255), 0, 255).astype(np.uint8)
    height, width = values.shape
    return {"width": width, "height": height, "values": base64.b64encode(values.tobytes()).decode("ascii")}


def _parts(edge: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First pixels and sizes of the parts that an edge is cut into."""
    bounds = np.linspace(0, edge, max(1, round(edge / STEP)) + 1).round().astype(np.int64)
    return bounds[:-1], np.diff(bounds)


NEEDED = ("data/volumes/manifest.parquet", "data/bench/prompts.parquet", "data/results")


def missing_inputs(root: Path) -> list[str]:
    """What the explorer needs and `root` does not hold."""
    return [name for name in NEEDED if not (root / name).exists()]


def write_explorer(root: Path, folder: Path) -> Path:
    """Write the explorer of the test split into `folder`; return its page.

    Raises:
        OutputError: the folder holds anything but an earlier explorer.
        DataError: the data are absent, no model was evaluated, or results and prompts belong to different runs.
    """
    if missing := missing_inputs(root):
        raise DataError(
            f"{root}: expected {', '.join(missing)}, got none. Run `semantiseg reproduce` (an hour on two "
            "cores), or take them from a bundle (`semantiseg reproduce --from BUNDLE`, minutes)."
        )
    models = sorted(path.parent.name for path in (root / "data/results").glob("*/results.parquet"))
    models = list(style.ordered(dict.fromkeys(models)))
    if not models:
        raise DataError(f"{root}/data/results: expected a model's results, got none. Run the stage 'evaluate'.")
    prompts = read_table(root / "data/bench/prompts.parquet", what="prompts", remedy="Run the stage 'verify' again.")
    prompts = prompts[prompts["split"] == "test"]
    answers = _answers(root / "data/results", prompts, models)
    files.renew(folder, verb="explorer", inputs=[root])
    static = Path(str(resources.files("semantiseg.explorer"))) / "static"
    shutil.copytree(static, folder, dirs_exist_ok=True)
    names = file_names(sorted(prompts["volume_id"].unique()))
    with VolumeStore(root / "data/volumes") as store:
        gates = {model: gate_maps(root / "data", model, store, prompts) for model in models}
        for volume_id, rows in prompts.groupby("volume_id", sort=True):
            case.write_sheet(store.image(str(volume_id)), folder / f"data/{names[str(volume_id)]}.png")
            content = case_data(store, str(volume_id), rows, answers, gates)
            _script(folder / f"data/{names[str(volume_id)]}.js", "case", str(volume_id), content)
    _script(folder / "data/catalogue.js", "catalogue", "", catalogue(prompts, answers, names, gates))
    return folder / "index.html"


def file_names(volume_ids: Sequence[str]) -> dict[str, str]:
    """Volume -> file name that every system and address takes; distinct for distinct volumes."""
    names: dict[str, str] = {}
    for volume_id in volume_ids:
        name = re.sub(r"[^A-Za-z0-9.-]+", "_", volume_id)
        while name.lower() in {taken.lower() for taken in names.values()}:
            name += "_"
        names[volume_id] = name
    return names


def catalogue(
    prompts: pd.DataFrame,
    answers: Mapping[str, pd.DataFrame],
    names: Mapping[str, str],
    gates: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """What can be chosen: models, and for each volume how many prompts there are by structure, level and suite."""
    keys = ["structure", "level", "suite"]
    cases = []
    for volume_id, rows in prompts.groupby("volume_id", sort=True):
        first = rows.iloc[0]
        counts = rows.groupby(keys).size()
        cases.append(
            {"id": volume_id, "file": names[str(volume_id)]}
            | {name: first[name] for name in ("patient_id", "collection", "channel", "modality", "origin")}
            | {"counts": [[*key, int(count)] for key, count in counts.items()]}  # type: ignore[misc]
        )
    return {
        "models": [{"id": model, "label": recipe_of(model).label} for model in answers],
        "metrics": [[item.key, item.label, item.digits, 1 if item.better == "higher" else -1] for item in METRICS],
        "gated": any(gates.values()),
        "origin": style.origin_name(sorted(prompts["origin"].unique())),
        "cases": cases,
        "start": _start(prompts, answers),
    }


def _start(prompts: pd.DataFrame, answers: Mapping[str, pd.DataFrame]) -> dict[str, str]:
    """The prompt to open with: the core prompt of the highest level on which the models' Dice differ most."""
    core = prompts[prompts["suite"] == "core"]
    rows = core[core["level"] == core["level"].max()] if len(core) else prompts
    dice = pd.DataFrame({model: table["dice"].reindex(rows["prompt_id"]) for model, table in answers.items()})
    spread = (dice.max(axis=1) - dice.min(axis=1)).sort_index()
    chosen = str(spread.idxmax())
    return {"case": str(rows.set_index("prompt_id").loc[chosen, "volume_id"]), "prompt": chosen}


def _answers(folder: Path, prompts: pd.DataFrame, models: Sequence[str]) -> dict[str, pd.DataFrame]:
    results = read_results(folder, models)
    tables = {}
    for model in models:
        path = folder / model / "masks.parquet"
        join(prompts, results[model], origin=f"results of {model}")
        masks = read_table(path, what="masks", remedy=f"Run the stage 'evaluate@{model}' again.")
        if sorted(masks["prompt_id"]) != sorted(results[model]["prompt_id"]):
            raise DataError(
                f"{path}: expected one mask for each of {len(results[model])} results, got {len(masks)} masks that do "
                f"not match them. Run the stage 'evaluate@{model}' again."
            )
        tables[model] = results[model].merge(masks, on="prompt_id").set_index("prompt_id")
    return tables


def _script(path: Path, kind: str, name: str, content: Any) -> None:
    text = json.dumps(content, separators=(",", ":"), allow_nan=False)
    # A closing tag inside a string would end an inline script; and these two signs end a line in old JavaScript.
    text = text.replace("</", "<\\/").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    files.write(path, f"SemantiSeg.receive({json.dumps(kind)},{json.dumps(name)},{text});\n")
