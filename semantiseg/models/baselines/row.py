"""Names of the baselines' rows: MODEL for what reads text, MODEL@PROTOCOL for what reads boxes."""

from __future__ import annotations

from collections.abc import Mapping

from semantiseg.errors import ParameterError

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
    may be asked through its sentences' programs instead, as a reader of `models/readers.py` reads them. Who reads
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
