"""What the browser draws of a volume: all slices as one picture, and label maps and masks as run lengths.

Everything leaves this module in radiological convention (`conventions.radiological`): the browser never flips.

One volume of the case explorer: its prompts with their truth, evidence, readings and every model's answers.

Which words of a prompt say which part of its program or which of its clauses, as spans of the text.

The words come from the verifier's lexicon (`language/reader/lexicon.py`), never from the grammar that wrote the prompt.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from semantiseg.bench.measure.labelled_slice import LabelledSlice, read_volume
from semantiseg.conventions import LabelArray, Mask, radiological, records_of
from semantiseg.data.store import VolumeStore
from semantiseg.evaluation import runs
from semantiseg.evaluation.metrics import METRICS
from semantiseg.language import clause
from semantiseg.language.clause import Clause
from semantiseg.language.program import Program, atoms, parse
from semantiseg.language.reader.lexicon import HYPHENATED, LEXICON, SPELLINGS, Kind, Lexeme


def columns_for(depth: int) -> int:
    """Slices in a row of the sheet: nearly square, since browsers limit the edges of a picture."""
    return max(1, math.ceil(math.sqrt(depth)))


def sheet(image: NDArray[np.floating]) -> NDArray[np.uint8]:
    """All slices of a volume `[D, H, W]`, values in [0, 1], side by side in rows of `columns_for(D)`; 8 bits."""
    depth, height, width = image.shape
    columns = columns_for(depth)
    picture = np.zeros((math.ceil(depth / columns) * height, columns * width), dtype=np.uint8)
    for index, axial in enumerate(image):
        row, column = divmod(index, columns)
        tile = np.clip(np.round(radiological(axial) * 255), 0, 255)
        picture[row * height : (row + 1) * height, column * width : (column + 1) * width] = tile
    return picture


def write_sheet(image: NDArray[np.floating], path: Path) -> None:
    """Write the sheet as a PNG without loss; equal images give equal bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(image)).save(path, format="PNG", optimize=True)


def mask_runs(mask: Mask) -> list[int]:
    """Run lengths of a mask `[H, W]` as displayed, starting with background."""
    return runs.encode(np.ascontiguousarray(radiological(mask))).tolist()


def label_runs(labels: LabelArray) -> list[int]:
    """A label slice `[H, W]` as displayed: `label, length, label, length, ...` in row-major order."""
    flat = np.ascontiguousarray(radiological(labels)).ravel()
    bounds = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1, [flat.size]))
    pairs = np.stack([flat[bounds[:-1]].astype(np.int64), np.diff(bounds)], axis=1)
    return pairs.ravel().tolist()


SCORES = (*(metric.key for metric in METRICS), "predicted_mm2", "parent_dice")


class _Masks:
    """Each distinct mask once; prompts name it by its place."""

    def __init__(self) -> None:
        self.places: dict[tuple[int, ...], int] = {}

    def add(self, mask: Any) -> int:
        return self.places.setdefault(tuple(mask_runs(mask)), len(self.places))


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
        for row in records_of(prompts.sort_values(["slice", "level", "suite", "prompt_id"]))
    ]
    depth, height, width = volume.labels.shape
    return {
        "depth": depth,
        "height": height,
        "width": width,
        "columns": columns_for(depth),
        "spacing": volume.spacing_mm,
        "structures": {str(number): leaf for number, leaf in volume.structures.items()},
        "labels": [label_runs(axial) for axial in volume.labels],
        "masks": [list(mask) for mask in masks.places],
        "prompts": shown,
    }


def program_tree(program: Program) -> dict[str, Any]:
    """A program as nested JSON: operation, words and children in their order."""
    arguments = [program_tree(item) if isinstance(item, Program) else item for item in program.arguments]
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
        "spans": [list(span) for span in spans(row["text"], program, said)],
        "program": program_tree(program),
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


Span = tuple[int, int, str]
"""First character, one past the last, and the role: `clause:0`, `structure:kidney`, `operation:minus`."""

_WORD = re.compile(r"(\d+(?:\.\d+)?)[ -]?(mm|cm|millimet\w+|centimet\w+)\b|([a-z]+(?:-[a-z]+)*(?:'s)?)|([,;:])|(\S)")
_DARKER = ("hypo", "iso", "hyper")

_OPERATIONS: dict[Kind, tuple[str, ...]] = {
    Kind.SIDE: ("side", "half", "facing"),
    Kind.DIRECTION: ("half", "facing"),
    Kind.HALF: ("half",),
    Kind.FACING: ("facing",),
    Kind.SELECT: ("largest", "smallest"),
    Kind.PLACE: ("within",),
    Kind.BEAR: ("containing",),
    Kind.BEARING_BEFORE: ("containing",),
    Kind.FREE: ("without",),
    Kind.FREE_BEFORE: ("without",),
    Kind.WITH: ("containing", "minus"),
    Kind.EXCLUDE: ("minus",),
    Kind.EXCLUDED: ("minus",),
    Kind.TAKE: ("minus",),
    Kind.OUT_OF: ("minus",),
    Kind.AND: ("union",),
}
"""What a word of each kind can stand for, first choice first."""


def spans(text: str, program: Program, clauses: Sequence[Clause]) -> list[Span]:
    """The phrases of `text` that carry meaning, in their order, without overlap.

    A word that the lexicon does not know, or that stands for nothing in the program, has no span.
    """
    found = []
    for start, end, lexeme in _phrases(text):
        role = _role(lexeme, program, clauses)
        if role is not None:
            found.append((start, end, role))
    return found


def _words(text: str) -> list[tuple[int, int, str]]:
    """The words as the lexicon spells them, with their places in the text."""
    words = []
    for match in _WORD.finditer(text.lower().replace("\u2019", "'")):
        number, unit, word, _, _ = match.groups()
        if number:
            millimetres = float(number) * (10 if unit.startswith("c") else 1)
            words.append((*match.span(), f"{int(millimetres + 0.5)} mm"))
        elif not word or "-" not in word or word in HYPHENATED:
            words.append((*match.span(), SPELLINGS.get(match[0], match[0])))
        else:
            place = match.start()
            for position, part in enumerate(word.split("-")):
                spelled = f"-{part}" if position and f"-{part}" in LEXICON else SPELLINGS.get(part, part)
                words.append((place, place + len(part), spelled))
                place += len(part) + 1
    return words


def _phrases(text: str) -> Iterator[tuple[int, int, Lexeme]]:
    words = _words(text)
    place = 0
    while place < len(words):
        start, end, word = words[place]
        if word[0].isdigit():
            yield start, end, Lexeme((word,), Kind.ATTRIBUTE, ("diameter", word.removesuffix(" mm")))
            place += 1
            continue
        following = tuple(word for _, _, word in words[place : place + 12])
        lexeme = next((item for item in LEXICON.get(word, ()) if following[: len(item.words)] == item.words), None)
        if lexeme is not None:
            yield start, words[place + len(lexeme.words) - 1][1], lexeme
        place += 1 if lexeme is None else len(lexeme.words)


def _role(lexeme: Lexeme, program: Program, clauses: Sequence[Clause]) -> str | None:
    if lexeme.kind in (Kind.THING, Kind.NOUN):
        named = {item.key for item in atoms(lexeme.value)} if isinstance(lexeme.value, Program) else set(lexeme.value)
        return next((f"structure:{item.key}" for item in atoms(program) if item.key in named), None)
    if lexeme.kind is Kind.ATTRIBUTE:
        return next((f"clause:{place}" for place, clause in enumerate(clauses) if _says(lexeme, clause)), None)
    for operation in _OPERATIONS.get(lexeme.kind, ()):
        for node in program.walk():
            if node.operation == operation and (lexeme.value is None or lexeme.value in (operation, *node.words)):
                return f"operation:{operation}"
    return None


def _says(lexeme: Lexeme, clause: Clause) -> bool:
    attribute, value = lexeme.value
    if attribute == "brightness":
        return clause.attribute in ("density", "signal") and clause.value.startswith(value) and value in _DARKER
    return (attribute, value) == (clause.attribute, clause.value)
