"""A release described as a Croissant dataset, core and responsible-AI fields.

Formats: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html, and its RAI vocabulary
1.0, https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.

The dataset card: what a reader sees first, and what the Hugging Face library reads to find the files.

A bench made public: one folder of Parquet tables, Croissant description, card and licences.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semantiseg import __version__, files, markup
from semantiseg.bench.ask.draw import REASONS
from semantiseg.bench.release.tables import (
    ATTRIBUTE_COLUMNS,
    PREPARED,
    RELEASE_LICENCE,
    RELEASE_LICENCE_URL,
    VOLUME_COLUMNS,
    VOLUMES,
    licence_of,
    write_tables,
)
from semantiseg.bench.tables import CONTEXT, DESCRIPTIONS
from semantiseg.data.collections import read_cases
from semantiseg.data.labels import read_mapping
from semantiseg.errors import OutputError

_DESCRIPTIONS = {("attributes", name): text for name, (_, text) in ATTRIBUTE_COLUMNS.items()} | {
    ("volumes", name): text for name, (_, text) in VOLUME_COLUMNS.items()
}
"""Descriptions that hold in one table only; all others are those of `DESCRIPTIONS`."""
_TYPES = {pa.int64(): "sc:Integer", pa.float64(): "sc:Float", pa.bool_(): "sc:Boolean"}

RESPONSIBLE_AI: dict[str, str | list[str]] = {
    "dataCollection": "No image was collected for this dataset. Prompts were generated from label maps of public "
    "collections, or of synthetic phantoms, by a grammar; each states what was measured on the image.",
    "dataCollectionType": ["Secondary Data Analysis", "Software Collection"],
    "dataCollectionRawData": "Images and label maps of the collections named in volumes.parquet, under their own "
    "terms; none of them is contained.",
    "dataPreprocessingProtocol": [
        "Volumes are brought to canonical axes and cubic voxels, CT is windowed in HU, MR between percentiles.",
        "Attributes are measured against the parent organ or a shell; values within a dead band make no statement.",
    ],
    "dataAnnotationProtocol": [
        "Every text carries a program over the label map, whose value on the slice is the target mask.",
        "An independent reader turns each text back into a program and checks it pixel by pixel and clause by clause; "
        "what fails is reworded, then dropped with the reason (rejected.parquet).",
    ],
    "machineAnnotationTools": ["SemantiBench grammar, reader and verifier"],
    "annotationsPerItem": "One program, one target mask by reference, one measurement for each clause.",
    "dataUseCases": [
        "Testing how text-prompted segmentation models answer names, descriptions and compositions.",
        "Training such models on the training split. Not for diagnosis or any use on patients.",
    ],
    "dataLimitations": [
        "English only; vocabulary of the grammar's tables.", "Targets are asked on single axial slices.",
        "Only what masks and intensities can prove is asked.",
    ],
    "dataBiases": [
        "Patients, scanners and diseases are those of the source collections, most of them from few hospitals.",
        "Collections that label one structure allow few kinds of composition, so halves are frequent among them.",
    ],
    "personalSensitiveInformation": ["None: no image, no name, no date; case ids are those of the public files."],
    "dataSocialImpact": "Shows where language misleads a segmentation model, before one is relied upon.",
    "dataReleaseMaintenancePlan": "Versioned with the software that makes it; equal inputs give equal files.",
}  # fmt: skip
"""RAI property -> value."""


def write_release_croissant(
    out: Path, *, rows: Mapping[str, int], version: str, summary: str, published: str = ""
) -> None:
    """Write `croissant.json` for the Parquet files of a release.

    Args:
        out: folder of the release.
        rows: file name without suffix -> number of rows, as written.
        version: of the software and of the release.
        summary: what it is about, in a sentence or two.
        published: date, YYYY-MM-DD; left out if empty, since equal inputs shall give equal files.
    """
    document: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "@id": "semantibench",
        "name": "SemantiBench",
        "description": summary,
        "conformsTo": ["http://mlcommons.org/croissant/1.0", "http://mlcommons.org/croissant/RAI/1.0"],
        "license": RELEASE_LICENCE_URL,
        "url": "https://semantibench.invalid",
        "version": version,
        "inLanguage": "en",
        "keywords": ["medical image segmentation", "text prompts", "robustness", "benchmark"],
        "citeAs": "Beyond 'Segment Anything': Quantifying and Mitigating Semantic Collapse in Medical Image Parsing",
        **({"datePublished": published} if published else {}),
        **{f"rai:{name}": value for name, value in RESPONSIBLE_AI.items()},
        "distribution": [_file(out, f"{name}.parquet") for name in sorted(rows)],
        "recordSet": [_record_set(out, name) for name in sorted(rows)],
    }
    (out / "croissant.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def _file(out: Path, name: str) -> dict[str, Any]:
    path = out / name
    return {
        "@type": "cr:FileObject", "@id": name, "name": name, "contentUrl": name,
        "contentSize": f"{path.stat().st_size} B", "encodingFormat": "application/x-parquet",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
    }  # fmt: skip


def _record_set(out: Path, name: str) -> dict[str, Any]:
    title = name.replace("/", "_")
    schema = pq.read_schema(out / f"{name}.parquet")
    fields = [_field(title, f"{name}.parquet", field) for field in schema]
    return {"@type": "cr:RecordSet", "@id": title, "name": title, "field": fields}


def _field(title: str, file: str, field: pa.Field) -> dict[str, Any]:
    repeated = {"repeated": True} if pa.types.is_list(field.type) else {}
    description = _DESCRIPTIONS.get((title, field.name)) or DESCRIPTIONS[field.name]
    return {
        "@type": "cr:Field", "@id": f"{title}/{field.name}", "name": field.name,
        "description": description, "dataType": _TYPES.get(field.type, "sc:Text"),
        "source": {"fileObject": {"@id": file}, "extract": {"column": field.name}}, **repeated,
    }  # fmt: skip


def summary_of(volumes: pd.DataFrame, rows: Mapping[str, int]) -> str:
    """What the release is about, phantoms named as such."""
    prompts = sum(count for name, count in rows.items() if name.startswith("prompts/"))
    asked = ", ".join(f"{collection} ({origin})" for collection, origin in _origins(volumes))
    return (
        f"{prompts:,} executable prompts for text-prompted medical image segmentation: every text comes with a program "
        "over the label map, whose value is the target mask, and with the measurements that make it true. No image is "
        f"contained. Collections asked about: {asked}."
    )


def dataset_card(volumes: pd.DataFrame, rows: Mapping[str, int], *, version: str) -> str:
    """README.md of a release."""
    licences = [(collection, origin, licence_of(collection, origin)) for collection, origin in _origins(volumes)]
    counts = volumes.groupby("collection").size()
    return "\n".join(
        [
            *_front_matter(rows),
            f"# SemantiBench {version}",
            "",
            summary_of(volumes, rows),
            "",
            *_table(("file", "rows"), [(f"`{name}.parquet`", f"{count:,}") for name, count in sorted(rows.items())]),
            "",
            "## Opening it",
            "",
            "    pandas.read_parquet('prompts/test.parquet')",
            "    duckdb.sql(\"select level, count(*) from 'prompts/*.parquet' group by level\")",
            "    datasets.load_dataset('path/to/this/folder', 'prompts', split='test')",
            "",
            "## Your own copy of the images",
            "",
            "Prompts are about files that you fetch yourself. `semantiseg bench attach THIS_FOLDER YOUR_FOLDER` "
            "finds them by checksum, whatever they are called, prepares them in `volumes/` and checks every target. "
            "Then `semantiseg score YOUR_MASKS --bench THIS_FOLDER` scores any model's masks.",
            "",
            "## Columns of the prompts",
            "",
            *_table(("column", "what it holds"), [(_code(name), text) for name, text in DESCRIPTIONS.items()]),
            "",
            "## What was measured on the images",
            "",
            "`attributes.parquet`, one row a region (connected piece of a structure) and attribute:",
            "",
            *_table(
                ("column", "what it holds"), [(_code(name), text) for name, (_, text) in ATTRIBUTE_COLUMNS.items()]
            ),
            "",
            "## What could not be made",
            "",
            "`account.parquet` says for every collection, suite and level how many prompts were wanted of the drawn "
            "volumes, made, and short, and counts the reasons; the codes are those of `rejected.parquet` and:",
            "",
            *_table(("code", "reason"), [(_code(code), text) for code, text in REASONS.items()]),
            "",
            "## Licences",
            "",
            f"The tables are released under {RELEASE_LICENCE}. The images are not contained; their terms are:",
            "",
            *_table(
                ("collection", "origin", "volumes", "licence", "terms", "reference"),
                [
                    (name, origin, f"{counts[name]:,}", terms.name, terms.terms, terms.reference)
                    for name, origin, terms in licences
                ],
            ),
            "",
        ]
    )


def _origins(volumes: pd.DataFrame) -> list[tuple[str, str]]:
    return sorted(set(zip(volumes["collection"], volumes["origin"], strict=True)))


def _front_matter(rows: Mapping[str, int]) -> list[str]:
    """YAML that names a configuration for each table, with its splits."""
    lines = ["---", "license: cc-by-nc-sa-4.0", "language: [en]", "pretty_name: SemantiBench", "configs:"]
    for config in ("prompts", "training"):
        lines += [f"- config_name: {config}", "  data_files:"]
        for name in (name for name in rows if name.startswith(f"{config}/")):
            lines += [f"  - split: {name.partition('/')[2]}", f"    path: {name}.parquet"]
    for config in ("volumes", "rejected", "attributes", "account"):
        # The library cannot open a table without rows, which that of rejections may well be.
        if rows[config]:
            lines += [f"- config_name: {config}", f"  data_files: {config}.parquet"]
    return [*lines, "---", ""]


def _code(name: str) -> markup.Markdown:
    return markup.Markdown(f"`{name}`")


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    return markup.markdown_table(head, rows)


VERB = "bench release"


def write_release(
    raw: Path, volumes: Path, bench: Path, out: Path, *, mapping: str = "", published: str = ""
) -> dict[str, int]:
    """Write a release; it appears under its name only when complete, and an earlier one is replaced.

    Args:
        raw: folder of the raw collections (only descriptions are read).
        volumes: folder of prepared volumes (only the manifest is read).
        bench: folder with `prompts`, `training` and `rejected` (Parquet).
        out: folder to write.
        mapping: as in `prepare`.
        published: date of publication, or empty.

    Returns:
        File name without suffix -> rows.

    Raises:
        OutputError: `out` is a folder of something else, or a release with images attached.
        DataError: something is missing.
    """
    files.check_folder(out, verb=VERB, inputs=[raw, volumes, bench])
    if (out / PREPARED).exists():
        raise OutputError(
            f"{out}: expected no release with images attached, got one whose {PREPARED}/ would be lost. Name another "
            "folder, or remove it; nothing was written."
        )
    partial = out.with_name(f".{out.name}.partial")
    files.renew(partial, verb=VERB)
    rows = write_tables(partial, bench, volumes, read_cases(raw, mapping=read_mapping(mapping)))
    table = files.read_table(partial / VOLUMES, what="the volumes just written", remedy="Write the release again.")
    write_release_croissant(
        partial, rows=rows, version=__version__, summary=summary_of(table, rows), published=published
    )
    files.write(partial / "README.md", dataset_card(table, rows, version=__version__))
    files.replace(partial, out)  # its marker with it
    return rows
