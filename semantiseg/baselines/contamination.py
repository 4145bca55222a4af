"""Names of the baselines' rows: MODEL for what reads text, MODEL@PROTOCOL for what reads boxes.

Which test cases a baseline is known to have seen in training, and the cases on which a comparison is clean.

What each has seen stands in its entry of `catalogue.py`. Where a collection was trained on but the held-out cases are
not known, a case is "unknown", which is never counted as clean.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from semantiseg.baselines.boxes import GROUNDED, ORACLE_PARENT, ORACLE_TARGET
from semantiseg.baselines.catalogue import CATALOGUE, Seen
from semantiseg.conventions import records_of
from semantiseg.errors import ParameterError
from semantiseg.recipes import RECIPES

_COMPOSED = "+composed"
_DEFAULT_READER = "strict"


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
        return "text, passed around its closed vocabulary" if _closed(model) else "text"
    if protocol == ORACLE_TARGET:
        return "oracle box of the target"
    if protocol == ORACLE_PARENT:
        return "oracle box of the parent structure"
    if protocol.startswith(GROUNDED) and protocol != GROUNDED:
        return f"box from text, drawn by {protocol.removeprefix(GROUNDED)}"
    raise ParameterError(
        f"row {row!r}: expected a protocol {ORACLE_TARGET}, {ORACLE_PARENT} or {GROUNDED}MODEL, got {protocol!r}."
    )


def members(row: str) -> tuple[str, ...]:
    """The models behind a row: the one it is named for, and the one that drew its boxes, if one did."""
    model, _, protocol = row.partition("@")
    model = model.partition(_COMPOSED)[0]
    return (model, protocol.removeprefix(GROUNDED)) if protocol.startswith(GROUNDED) else (model,)


def contamination_label(row: str) -> str | None:
    """A baseline's label; None for a row of another model."""
    name = members(row)[0]
    return CATALOGUE[name].card.label if name in CATALOGUE else None


def _closed(model: str) -> bool:
    return model in CATALOGUE and CATALOGUE[model].closed_vocabulary


_WORST_FIRST: tuple[Seen, ...] = ("training", "unknown", "clean")

_MADE_HERE = ("phantom",)
"""Origins that no official model can have seen: made by this project."""


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
    if origin in _MADE_HERE or model in RECIPES:
        return "clean"
    return CATALOGUE[model].seen(collection, case_id) if model in CATALOGUE else "unknown"


def flag(prompts: pd.DataFrame, model: str) -> pd.Series:
    """`seen` for each row of `prompts.parquet`, in its order."""
    keys = records_of(prompts[["collection", "case_id", "origin"]])
    found = [seen(model, **key) for key in keys]
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
