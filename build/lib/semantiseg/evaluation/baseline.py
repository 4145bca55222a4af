"""Run a baseline, or an installed model, on the benchmark, as `evaluate` runs the models trained here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from semantiseg.baselines import boxes, catalogue, contamination
from semantiseg.baselines.baseline import Baseline
from semantiseg.baselines.boxes import ORACLE_PARENT, ORACLE_TARGET, grounded_by
from semantiseg.baselines.contamination import prompting, row_name
from semantiseg.composition.composed import Composed, Tally, compose
from semantiseg.composition.readers import open_reader
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError, ModelError, ParameterError
from semantiseg.evaluation.predict import predict
from semantiseg.files import check_folder
from semantiseg.language.ontology import STRUCTURES, available
from semantiseg.models import registry
from semantiseg.models.features import TextFeatures
from semantiseg.models.protocol import PromptedSegmenter, open_plugin


def open_model(name: str, *, weights: Path) -> PromptedSegmenter:
    """A baseline of the catalogue with its official weights, else an installed model of that name.

    Raises:
        ModelError: weights absent or wrong, or no such model.
    """
    return catalogue.open_baseline(name, weights) if name in catalogue.CATALOGUE else open_plugin(name)


def open_protocol(name: str, *, weights: Path, models: Path) -> boxes.BoxProtocol:
    """A box protocol by name; `grounder_MODEL` takes a model trained here (a folder of `models`) or one of the others.

    Raises:
        ParameterError: no such protocol.
        ModelError: the grounder cannot be opened or reads no text.
    """
    prompting(f"@{name}")  # refuses a name of no protocol
    if name in (ORACLE_TARGET, ORACLE_PARENT):
        return boxes.TARGET if name == ORACLE_TARGET else boxes.PARENT
    grounder = name.removeprefix(grounded_by(""))
    trained = (models / grounder / "config.json").is_file()
    return boxes.grounder(
        registry.load(models / grounder) if trained else open_model(grounder, weights=weights), name=grounder
    )


def by_protocol(segmenter: PromptedSegmenter, *, name: str, protocol: str | None) -> PromptedSegmenter:
    """The segmenter asked in the way that its row will name.

    Raises:
        ParameterError: boxes without a protocol, or a protocol for a model that reads no box.
    """
    if protocol is None:
        if segmenter.needs_box:
            raise ParameterError(
                f"{name}: expected a box protocol, since it reads no text, got none. Choose {ORACLE_TARGET}, "
                f"{ORACLE_PARENT} or {grounded_by('MODEL')}."
            )
        return segmenter
    if segmenter.needs_box:
        return segmenter
    if not isinstance(segmenter, Baseline):
        raise ParameterError(f"{name}: expected no box protocol, since it reads text, got {protocol!r}. Leave it out.")
    try:
        return segmenter.asked_by_box()
    except ModelError as error:
        raise ParameterError(f"{error} Leave the box protocol {protocol!r} out.") from None


def read_prompts(data: Path) -> pd.DataFrame:
    """The benchmark's prompts.

    Raises:
        DataError: there are none yet.
    """
    path = data / "bench" / "prompts.parquet"
    if not path.is_file():
        raise DataError(f"{path}: expected the benchmark's prompts, got no file. Run `semantiseg reproduce` first.")
    return pd.read_parquet(path)


def evaluate_row(
    name: str,
    *,
    protocol: str | None,
    weights: Path,
    data: Path,
    nsd_tolerance_mm: float,
    threads: int = 1,
    reader: str | None = None,
    asking: Mapping[str, Any] | None = None,
) -> Path:
    """Ask a baseline every test prompt; writes `results.parquet` and `masks.parquet` into `data/baselines/ROW`, and
    for a composed one `reading.json`: how many sentences were read, and why others were not.

    Not into `data/results`: that folder belongs to the pipeline, which removes what none of its stages makes.

    The results have one more column, `contamination`: was the case in the model's training data (`contamination.seen`).

    Args:
        name: of a baseline or of an installed model.
        protocol: of its boxes; None for a model asked by text.
        weights: folder of all weights.
        data: the pipeline's data folder.
        nsd_tolerance_mm: tolerance of the normalised surface Dice.
        threads: PyTorch threads.
        reader: name of who reads the sentences whose nouns a model that reads text is asked (`composition/readers.py`);
            None to ask it the sentences as they stand.
        asking: how a reader's language model is asked, see `open_reader`.

    Returns:
        The folder written.
    """
    import torch

    row = row_name(name, protocol, reader=reader)
    output = data / "baselines" / row
    check_folder(output, verb="baselines run", own=("results.parquet", "masks.parquet", "reading.json"))
    torch.set_num_threads(threads)
    drawn = None if protocol is None else open_protocol(protocol, weights=weights, models=data / "models")
    segmenter = by_protocol(open_model(name, weights=weights), name=name, protocol=protocol)
    prompts = read_prompts(data)
    features = data / "text" / "features.h5"
    with VolumeStore(data / "volumes") as store:
        if reader is not None:
            segmenter = compose(segmenter, read=open_reader(reader, keys=askable(store), **asking or {}))
        results, masks = predict(
            segmenter,
            model=row,
            store=store,
            prompts=prompts,
            features=TextFeatures.load(features) if features.is_file() else None,
            nsd_tolerance_mm=nsd_tolerance_mm,
            protocol=drawn or boxes.PARENT,
        )
    flags = contamination.flag(prompts, row).set_axis(prompts["prompt_id"])
    results["contamination"] = results["prompt_id"].map(flags)
    tally = segmenter.tally if isinstance(segmenter, Composed) else None
    return _write(output, results, masks, tally)


def _write(output: Path, results: pd.DataFrame, masks: pd.DataFrame, tally: Tally | None) -> Path:
    output.mkdir(parents=True, exist_ok=True)
    results.to_parquet(output / "results.parquet", index=False)
    masks.to_parquet(output / "masks.parquet", index=False)
    if tally is not None:
        counted = json.dumps(asdict(tally), indent=1, sort_keys=True, ensure_ascii=False)
        (output / "reading.json").write_text(counted + "\n", encoding="utf-8")
    return output


def askable(store: VolumeStore) -> tuple[str, ...]:
    """Keys of the structures that the volumes' collections label, in ontology order."""
    found = {
        item.key
        for volume_id, channel in store.manifest["channel"].items()
        for item in available(store.structures(str(volume_id)).values(), channel=channel)
    }
    return tuple(key for key in STRUCTURES if key in found)
