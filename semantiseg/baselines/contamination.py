"""Names of the baselines' rows: MODEL for what reads text, MODEL@PROTOCOL for what reads boxes.

Which test cases a baseline is known to have seen in training, and the cases on which a comparison is clean.

Facts: file names in the per-image results that BiomedParse's repository ships (its test split; the other labelled
cases of those collections were most likely training data, inferred), its data page, and the papers' titles of
collections. Where a collection was trained on but the held-out cases are not known, a case is "unknown", which is
never counted as clean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal

import pandas as pd

from semantiseg.errors import ParameterError
from semantiseg.recipes import RECIPES

BASELINES: Mapping[str, str] = {
    "biomedparse": "BiomedParse v1",
    "biomedparse_joint": "BiomedParse v1, prompts jointly",
    "sam_med2d": "SAM-Med2D",
    "medsam": "MedSAM",
    "sam": "SAM ViT-B",
    "imis_net": "IMIS-Net",
}
"""Name of a baseline -> its label in tables."""

_CLOSED_VOCABULARY = ("imis_net",)
"""Trained on a fixed list of names; any sentence is another use of it."""

ORACLE_TARGET = "oracle_target"
ORACLE_PARENT = "oracle_parent"
_GROUNDED = "grounder_"
_COMPOSED = "+composed"
_DEFAULT_READER = "strict"


def grounded_by(grounder: str) -> str:
    """Name of the protocol whose boxes a text-reading model draws."""
    return f"{_GROUNDED}{grounder}"


def row_name(model: str, protocol: str | None, *, reader: str | None = None) -> str:
    """Name of a row, of its results folder and of the column `model`; no protocol for a model that reads text, which
    may be asked through its sentences' programs instead, as a reader of `composition/readers.py` reads them. Who reads
    decides the row's score, so every reader but the strict one, the default, is named."""
    composed = "" if reader is None else _COMPOSED if reader == _DEFAULT_READER else f"{_COMPOSED}_{reader}"
    return f"{model}{composed}" + ("" if protocol is None else f"@{protocol}")


def prompting(row: str) -> str:
    """How a row was prompted, in the words of Table 1.

    Raises:
        ParameterError: a protocol that does not exist.
    """
    model, at, protocol = row.partition("@")
    model, composed, reader = model.partition(_COMPOSED)
    if composed:
        return f"{prompting(model)}, composed: its sentences' nouns{reader.replace('_', ', reader ')}"
    if not at:
        return "text, passed around its closed vocabulary" if model in _CLOSED_VOCABULARY else "text"
    if protocol == ORACLE_TARGET:
        return "oracle box of the target"
    if protocol == ORACLE_PARENT:
        return "oracle box of the parent structure"
    if protocol.startswith(_GROUNDED) and protocol != _GROUNDED:
        return f"box from text, drawn by {protocol.removeprefix(_GROUNDED)}"
    raise ParameterError(
        f"row {row!r}: expected a protocol {ORACLE_TARGET}, {ORACLE_PARENT} or {_GROUNDED}MODEL, got {protocol!r}."
    )


def members(row: str) -> tuple[str, ...]:
    """The models behind a row: the one it is named for, and the one that drew its boxes, if one did."""
    model, _, protocol = row.partition("@")
    model = model.partition(_COMPOSED)[0]
    return (model, protocol.removeprefix(_GROUNDED)) if protocol.startswith(_GROUNDED) else (model,)


def label(row: str) -> str | None:
    """A baseline's label; None for a row of another model."""
    return BASELINES.get(members(row)[0])


Seen = Literal["clean", "training", "unknown"]

KITS23_HELD_OUT = range(491, 589)
"""KiTS23 cases of BiomedParse's test split: case_00491 to case_00588, 98, contiguous."""

ACDC_HELD_OUT = range(101, 151)
"""ACDC patients of BiomedParse's test split: the official test set."""

_WORST_FIRST: tuple[Seen, ...] = ("training", "unknown", "clean")

_NO_MEDICAL = ("sam",)
"""Trained on natural images alone (SA-1B)."""

_MADE_HERE = ("phantom",)
"""Origins that no official model can have seen: made by this project."""


def _number(case_id: str) -> int | None:
    digits = re.search(r"(\d+)$", re.sub(r"_frame.*$", "", case_id))
    return int(digits[1]) if digits else None


def _biomedparse(collection: str, case_id: str) -> Seen:
    number = _number(case_id)
    for name, held_out in (("kits", KITS23_HELD_OUT), ("acdc", ACDC_HELD_OUT)):
        if collection.lower().startswith(name):
            return "unknown" if number is None else "clean" if number in held_out else "training"
    return "unknown"


def seen(model: str, *, collection: str, case_id: str, origin: str) -> Seen:
    """Whether the model of a row, or the one that drew its boxes, saw a case in training.

    Args:
        model: name of a row. A model trained here has seen the benchmark's own training split alone, which shares no
            patient with its test; of an installed model nothing is known.
        collection, case_id, origin: as in the manifest and the prompts.
    """
    found = {_seen(member, collection=collection, case_id=case_id, origin=origin) for member in members(model)}
    return next(state for state in _WORST_FIRST if state in found)


def _seen(model: str, *, collection: str, case_id: str, origin: str) -> Seen:
    if origin in _MADE_HERE or model in _NO_MEDICAL:
        return "clean"
    if model in ("biomedparse", "biomedparse_joint"):
        return _biomedparse(collection, case_id)
    return "clean" if model in RECIPES else "unknown"


_BIOMEDPARSE = (
    "its test cases are known for KiTS23 and ACDC; in AMOS22, MSD, LIDC and others they are not all named; BraTS2023 "
    "(which later years share cases with), TotalSegmentator and AbdomenCT-1K were training data"
)

OFFICIAL: Mapping[str, str] = {
    "biomedparse": _BIOMEDPARSE,
    "biomedparse_joint": _BIOMEDPARSE,
    "sam_med2d": "SA-Med2D-20M; AMOS22 and TotalSegmentator inferred, no list of cases",
    "medsam": "no list of cases known",
    "sam": "natural images only",
    "imis_net": "IMed-361M; no list of cases known",
}
"""Models with official weights, and what is known of their training cases."""


def flag(prompts: pd.DataFrame, model: str) -> pd.Series:
    """`seen` for each row of `prompts.parquet`, in its order."""
    keys = prompts[["collection", "case_id", "origin"]].itertuples(index=False)
    found = [seen(model, collection=row.collection, case_id=row.case_id, origin=row.origin) for row in keys]
    return pd.Series(found, index=prompts.index, name="contamination", dtype="str")


def clean(prompts: pd.DataFrame, models: Iterable[str], *, private: Iterable[str] = ()) -> pd.DataFrame:
    """The prompts whose cases are clean for every one of `models`, so that all rows are measured on the same.

    Args:
        prompts: `prompts.parquet`.
        models: names of rows.
        private: collections that their owner never published: clean for every model.
    """
    keep = pd.Series(True, index=prompts.index)
    for model in models:
        keep &= flag(prompts, model) == "clean"
    return prompts[keep | prompts["collection"].isin(list(private))]
