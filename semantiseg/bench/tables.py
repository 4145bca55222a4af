"""SemantiBench's files: Parquet tables with fixed schemas, and their description as a Croissant dataset.

Format: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.

The account of a bench: what was wanted of the drawn volumes, what was made of it, and why the rest was not.

Counted on the written tables alone, so anybody can count again. Every missing prompt has one reason: what the volume
did not allow (codes of `shortage.py`), or what verification found (the code that opens a reason of `rejected.parquet`).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semantiseg.bench.ask.candidates import PlannedRow
from semantiseg.bench.ask.draw import code_of
from semantiseg.bench.ask.questions import PromptRow, RejectedRow
from semantiseg.bench.ask.training import TrainingRow
from semantiseg.bench.verify.verification import REDRAWS
from semantiseg.conventions import LEVELS, records_of
from semantiseg.errors import DataError


@dataclass(frozen=True)
class AccountRow:
    """What was wanted and made of a collection, suite and level (0: a probe suite): a row of `account.parquet`."""

    collection: Annotated[str, "source collection"]
    suite: Annotated[str, "core, phrasing, triple, paraphrase, counterfactual or absent"]
    level: Annotated[int, "1 name, 2 description, 3 composition; in sums 0 for a probe suite as a whole"]
    present: Annotated[int, "channel-volumes of the collection"]
    drawn: Annotated[int, "channel-volumes of the collection that are asked about"]
    wanted: Annotated[int, "prompts that the drawn volumes were wanted to give"]
    made: Annotated[int, "prompts in the benchmark"]
    short: Annotated[int, "wanted and not made"]
    reasons: Annotated[str, "JSON: code of a reason -> prompts missing for it"]


def _columns(row: type) -> dict[str, tuple[pa.DataType, str]]:
    """Column -> its type in the file and what it holds, from the fields of a row."""
    hints = get_type_hints(row, include_extras=True)
    return {name: (_ARROW[hint.__origin__], hint.__metadata__[0]) for name, hint in hints.items()}


_ARROW: Mapping[Any, pa.DataType] = {str: pa.string(), int: pa.int64(), list[str]: pa.list_(pa.string())}
_DATA_TYPES = {pa.string(): "sc:Text", pa.int64(): "sc:Integer", pa.list_(pa.string()): "sc:Text"}
_COLUMNS = {
    name: column
    for row in (RejectedRow, TrainingRow, PlannedRow, AccountRow)
    for name, column in _columns(row).items()
}

PROMPT_COLUMNS = tuple(_columns(PromptRow))
REJECTED_COLUMNS = tuple(_columns(RejectedRow))
TRAINING_COLUMNS = tuple(_columns(TrainingRow))
PLANNED_COLUMNS = tuple(_columns(PlannedRow))
ACCOUNT_COLUMNS = tuple(_columns(AccountRow))

DESCRIPTIONS = {name: text for name, (_, text) in _COLUMNS.items()}
"""Column -> what it holds."""


def write_table(
    rows: Iterable[Mapping[str, Any]], path: Path, *, columns: Sequence[str], sort: Sequence[str]
) -> pd.DataFrame:
    """Write rows as Parquet: fixed columns and types, sorted, so equal rows give equal bytes; in place only when
    complete.

    Raises:
        DataError: a row lacks a column or has one too many.
    """
    rows = list(rows)
    for row in rows:
        if set(row) != set(columns):
            raise DataError(
                f"{path}: expected the columns {sorted(columns)}, differing in {sorted(set(row) ^ set(columns))}."
            )
    table = pd.DataFrame(rows, columns=list(columns)).sort_values(list(sort), kind="stable", ignore_index=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    schema = schema_of(columns)
    # Without pandas' own metadata: it would record library versions and the index.
    arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
    pq.write_table(arrow, partial, compression="zstd")
    os.replace(partial, path)
    return table


def schema_of(columns: Sequence[str]) -> pa.Schema:
    """Types of the columns, as the fields of their rows have them."""
    return pa.schema([(column, _COLUMNS[column][0]) for column in columns])


def write_croissant(folder: Path, *, tables: Mapping[str, Sequence[str]], origins: Mapping[str, str]) -> None:
    """Describe the Parquet files of `folder` in `croissant.json`.

    Args:
        folder: holds the files, and receives the description.
        tables: file name without suffix -> its columns.
        origins: collection -> phantom, official or user: what the prompts are about.
    """
    asked = ", ".join(f"{collection} ({origin})" for collection, origin in sorted(origins.items()))
    document = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "@id": "semantibench",
        "name": "SemantiBench",
        "description": (
            "Executable prompts for text-prompted medical image segmentation: every text comes with a program over the "
            "label map, whose value is the target mask, and with the measurements that make it true. No image is "
            "contained. "
            f"Collections asked about: {asked or 'none'}."
        ),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "https://creativecommons.org/licenses/by-nc-sa/4.0/",
        "url": "https://semantibench.invalid",
        "version": "1.0.0",
        "citeAs": "Beyond 'Segment Anything': Quantifying and Mitigating Semantic Collapse in Medical Image Parsing",
        "distribution": [_file_object(folder / f"{name}.parquet") for name in sorted(tables)],
        "recordSet": [_record_set(name, columns) for name, columns in sorted(tables.items())],
    }
    path = folder / "croissant.json"
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    os.replace(partial, path)


def _file_object(path: Path) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": path.name,
        "name": path.name,
        "contentUrl": path.name,
        "contentSize": f"{path.stat().st_size} B",
        "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }


def _record_set(name: str, columns: Sequence[str]) -> dict[str, Any]:
    return {"@type": "cr:RecordSet", "@id": name, "name": name, "field": [_field(name, column) for column in columns]}


def _field(name: str, column: str) -> dict[str, Any]:
    kind, description = _COLUMNS[column]
    field = {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": column,
        "description": description,
        "dataType": _DATA_TYPES[kind],
        "source": {"fileObject": {"@id": f"{name}.parquet"}, "extract": {"column": column}},
    }
    return field | ({"repeated": True} if pa.types.is_list(kind) else {})


CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


AFTERWARDS = ("balance", "group")
"""Codes of rejections that follow from another prompt's."""

Key = tuple[str, str, int]


def account(
    manifest: pd.DataFrame, planned: pd.DataFrame, prompts: pd.DataFrame, rejected: pd.DataFrame
) -> list[dict[str, Any]]:
    """Rows of `account.parquet` for every collection of the manifest; `wanted` is `made` and `short` in each.

    Args:
        manifest: of the prepared volumes.
        planned: rows of `planned.parquet`, which name the drawn volumes.
        prompts, rejected: as verification wrote them.

    Raises:
        DataError: the tables do not belong together: a prompt that nobody planned, or a loss without reason.
    """
    made, lost = _made(prompts), _lost(rejected)
    sums: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    reasons: dict[tuple[str, str, int], Counter[str]] = defaultdict(Counter)
    for goal in records_of(planned):
        key = (goal["volume_id"], goal["suite"], goal["level"])
        count = made.pop(key, 0)
        row = (goal["collection"], goal["suite"], goal["level"])
        sums[row].update(wanted=goal["wanted"], made=count)
        reasons[row].update(_explained(goal, lost[key], short=goal["wanted"] - count))
    if made:
        raise DataError(f"expected prompts that were planned, got {sorted(made)[:3]}. Run the stage verify again.")
    present = manifest["collection"].value_counts()
    drawn = planned.groupby("collection")["volume_id"].nunique()
    undrawn = {(collection, "core", level) for collection in set(present.index) - set(drawn.index) for level in LEVELS}
    return [
        {
            **dict(zip(("collection", "suite", "level"), row, strict=True)),
            "present": int(present[row[0]]),
            "drawn": int(drawn.get(row[0], 0)),
            "wanted": sums[row]["wanted"],
            "made": sums[row]["made"],
            "short": sums[row]["wanted"] - sums[row]["made"],
            "reasons": json.dumps(dict(sorted(reasons[row].items()))),
        }
        for row in sorted({*sums, *undrawn})
    ]


def totals(rows: pd.DataFrame) -> pd.DataFrame:
    """The account over all collections, one row a suite and level."""
    summed = rows.groupby(["suite", "level"])[["wanted", "made", "short"]].sum()
    merged = rows.groupby(["suite", "level"])["reasons"].agg(_merged)
    return summed.assign(reasons=merged).reset_index()


def _merged(reasons: pd.Series) -> str:
    return json.dumps(dict(sorted(sum((Counter(json.loads(one)) for one in reasons), Counter()).items())))


def _made(prompts: pd.DataFrame) -> Counter[Key]:
    return Counter(_key(row) for row in records_of(prompts[["volume_id", "suite", "level"]]))


def _key(row: dict[str, Any]) -> Key:
    return row["volume_id"], row["suite"], row["level"] if row["suite"] == "core" else 0


def _lost(rejected: pd.DataFrame) -> dict[Key, tuple[list[str], list[str]]]:
    """Codes of the candidates that no words could save, and of those lost because of another, by volume, suite and
    level."""
    lost: dict[Key, tuple[list[str], list[str]]] = defaultdict(lambda: ([], []))
    refused: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in records_of(rejected[["prompt_id", "volume_id", "suite", "level", "reason"]]):
        code = code_of(row["reason"])
        if code in AFTERWARDS:
            lost[_key(row)][1].append(code)
        else:
            refused[row["prompt_id"]].append(row)
    for _, rows in sorted(refused.items()):
        if len(rows) > REDRAWS:
            codes = Counter(code_of(row["reason"]) for row in rows)
            lost[_key(rows[0])][0].append(min(codes, key=lambda code: (-codes[code], code)))
    return lost


def _explained(goal: dict[str, Any], lost: tuple[list[str], list[str]], *, short: int) -> Counter[str]:
    """Reason -> missing prompts of one volume, suite and level.

    A refused candidate that the reserve replaced is no loss; these come first, and only as many reasons count as
    prompts are missing.
    """
    before = [code for code, count in json.loads(goal["reasons"]).items() for _ in range(count)]
    codes = [*lost[0], *before, *lost[1]]
    if not 0 <= short <= len(codes):
        raise DataError(
            f"{goal['volume_id']}, suite {goal['suite']}: expected a reason for each of {short} missing prompts, got "
            f"{len(codes)}. Run the stages prompts and verify again."
        )
    return Counter(codes[len(codes) - short :])
