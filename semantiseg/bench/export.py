"""SemantiBench's files: Parquet tables with fixed schemas, and their description as a Croissant dataset.

Format: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semantiseg.bench import prompt, training_questions
from semantiseg.errors import DataError

_INTEGERS = frozenset(
    {"slice", "level", "target_pixels", "parent_pixels", "present", "drawn", "wanted", "planned", "made", "short"}
)
_LISTS = frozenset({"texts"})

PROMPT_COLUMNS = prompt.COLUMNS
REJECTED_COLUMNS = (*prompt.COLUMNS, "reason")
TRAINING_COLUMNS = training_questions.COLUMNS

DESCRIPTIONS = {
    "prompt_id": "hash of volume, slice, suite, program, clauses and text",
    "volume_id": "single-channel volume, <case_id>:<channel>",
    "case_id": "case; its channels share one label map",
    "patient_id": "patient; splits never divide one",
    "collection": "source collection",
    "origin": "phantom (synthetic), official or user",
    "modality": "CT or MR",
    "channel": "CT, T1, T1c, T2, FLAIR or ADC",
    "split": "train, validation or test, by patient",
    "slice": "axial slice of the prepared volume on which the prompt is asked, counted from inferior",
    "suite": "core, phrasing, triple, paraphrase, counterfactual or absent",
    "group": "shared by the prompts of one triple, paraphrase group or counterfactual pair; else empty",
    "level": "1 name, 2 description, 3 composition; in sums 0 for a probe suite as a whole",
    "kind": "name, attribute, side, exclusion, distractor, spatial or instance",
    "structure": "which of the paper's structures the prompt counts under",
    "program": "program over the label map whose value on the slice is the target mask",
    "parent": "program of what a reader who ignores every qualifier would mark",
    "clauses": "JSON list of attribute clauses",
    "text": "the prompt",
    "phrasing": "part of the grammar: seen, unseen_template, unseen_synonym, or unseen (both)",
    "evidence": "JSON: limits cleared by the program, one measurement for each clause",
    "target_pixels": "pixels of the target on the slice",
    "parent_pixels": "pixels of the parent on the slice",
    "reason": "why the prompt was rejected",
    "texts": "training texts of the question",
    "present": "channel-volumes of the collection",
    "drawn": "channel-volumes of the collection that are asked about",
    "wanted": "prompts that the drawn volumes were wanted to give",
    "planned": "prompts planned before any text is verified",
    "made": "prompts in the benchmark",
    "short": "wanted and not made",
    "reasons": "JSON: code of a reason -> prompts missing for it",
}
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
    """Types of the columns: whole numbers, lists of strings, else strings."""
    return pa.schema([(column, _type(column)) for column in columns])


def _type(column: str) -> pa.DataType:
    if column in _LISTS:
        return pa.list_(pa.string())
    return pa.int64() if column in _INTEGERS else pa.string()


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
    field = {
        "@type": "cr:Field",
        "@id": f"{name}/{column}",
        "name": column,
        "description": DESCRIPTIONS[column],
        "dataType": "sc:Integer" if column in _INTEGERS else "sc:Text",
        "source": {"fileObject": {"@id": f"{name}.parquet"}, "extract": {"column": column}},
    }
    return field | ({"repeated": True} if column in _LISTS else {})


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
