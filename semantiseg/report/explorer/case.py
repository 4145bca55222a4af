"""One volume of the case explorer: its prompts with their truth, evidence, readings and every model's answers."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import pandas as pd

from semantiseg.bench import clause
from semantiseg.bench.labelled_slice import LabelledSlice, read_volume
from semantiseg.bench.program import Program, parse
from semantiseg.data.store import VolumeStore
from semantiseg.evaluation import runs
from semantiseg.report.explorer import phrases, picture

SCORES = ("dice", "iou", "nsd", "hd95_mm", "predicted_mm2", "parent_dice")


class _Masks:
    """Each distinct mask once; prompts name it by its place."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, ...], int] = {}

    def add(self, mask: Any) -> int:
        return self.places.setdefault(tuple(picture.mask_runs(mask)), len(self.places))


def case_data(
    store: VolumeStore,
    volume_id: str,
    prompts: pd.DataFrame,
    answers: Mapping[str, pd.DataFrame],
    gates: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Everything that the explorer shows of one volume, as JSON types.

    Args:
        store: the prepared volumes.
        volume_id: the volume.
        prompts: its rows of `prompts.parquet`.
        answers: model -> results joined with masks, indexed by `prompt_id`.
        gates: model -> prompt id -> its gate's map (`gates.encoded`); empty where there is none.
    """
    volume = read_volume(store, volume_id, seen=False)
    masks = _Masks()
    shown = [
        _prompt(volume.axial(row["slice"]), row, answers, gates, masks)
        for row in prompts.sort_values(["slice", "level", "suite", "prompt_id"]).to_dict("records")
    ]
    depth, height, width = volume.labels.shape
    return {
        "depth": depth,
        "height": height,
        "width": width,
        "columns": picture.columns_for(depth),
        "spacing": volume.spacing_mm,
        "structures": {str(number): leaf for number, leaf in volume.structures.items()},
        "labels": [picture.label_runs(axial) for axial in volume.labels],
        "masks": [list(mask) for mask in masks.places],
        "prompts": shown,
    }


def tree(program: Program) -> dict[str, Any]:
    """A program as nested JSON: operation, words and children in their order."""
    arguments = [tree(item) if isinstance(item, Program) else item for item in program.arguments]
    return {"operation": program.operation, "atom": program.is_atom, "arguments": arguments}


def _prompt(
    shown: LabelledSlice,
    row: Mapping[str, Any],
    answers: Mapping[str, pd.DataFrame],
    gates: Mapping[str, Mapping[str, Any]],
    masks: _Masks,
) -> dict[str, Any]:
    program, parent = parse(row["program"]), parse(row["parent"])
    said = clause.from_json(row["clauses"])
    copied = ("prompt_id", "slice", "suite", "level", "kind", "structure", "phrasing", "text", "target_pixels")
    return {
        **{name: row[name] for name in copied},
        "spans": [list(span) for span in phrases.spans(row["text"], program, said)],
        "program": tree(program),
        "parent_program": str(parent),
        "clauses": [[item.attribute, item.value] for item in said],
        "evidence": json.loads(row["evidence"]),
        "target": masks.add(shown.mask(program)),
        "parent": masks.add(shown.mask(parent)),
        "answers": {
            model: _answer(table.loc[row["prompt_id"]], masks, gates.get(model, {}).get(row["prompt_id"]))
            for model, table in answers.items()
        },
    }


def _answer(row: pd.Series, masks: _Masks, gate: Any) -> dict[str, Any]:
    mask = runs.decode(row["runs"], height=row["height"], width=row["width"])
    scores = {name: _number(row[name]) for name in SCORES}
    judged = {"collapsed": bool(row["collapsed"]), "differs": bool(row["parent_differs"])}
    return {**scores, **judged, "mask": masks.add(mask)} | ({"gate": gate} if gate is not None else {})


def _number(value: Any) -> float | None:
    """Four decimals, or None for what is undefined or infinite: JSON has neither."""
    return round(float(value), 4) if math.isfinite(value) else None
