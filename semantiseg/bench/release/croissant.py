"""A release described as a Croissant dataset, core and responsible-AI fields.

Formats: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html, and its RAI vocabulary
1.0, https://docs.mlcommons.org/croissant/docs/croissant-rai-spec.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from semantiseg.bench.export import CONTEXT, DESCRIPTIONS
from semantiseg.bench.release.licences import RELEASE_LICENCE_URL
from semantiseg.bench.release.tables import ATTRIBUTE_COLUMNS, VOLUME_COLUMNS

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


def write_croissant(out: Path, *, rows: Mapping[str, int], version: str, summary: str, published: str = "") -> None:
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
