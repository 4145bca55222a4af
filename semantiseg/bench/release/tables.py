"""Under what terms each collection stands, and what that means for prompts about it.

Sources: medicaldecathlon.com and the `licence` entry of each `dataset.json` (MSD); the README of the KiTS23 repository;
the terms that BraTS 2024's users state (its own lie behind a login).

The tables of a release: prompts and training questions by split, rejections, volumes by checksum, what was measured
on their regions, and the account of what was wanted. No voxels.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from semantiseg.bench.tables import ACCOUNT_COLUMNS, PROMPT_COLUMNS, REJECTED_COLUMNS, TRAINING_COLUMNS, schema_of
from semantiseg.conventions import SPLITS
from semantiseg.data.case import SourceCase
from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.files import read_table


@dataclass(frozen=True)
class Licence:
    """Terms of a collection's images and labels.

    Attributes:
        name: SPDX identifier, or a phrase where there is none.
        terms: what a user must know.
        reference: the paper to cite.
    """

    name: str
    terms: str
    reference: str


RELEASE_LICENCE = "CC-BY-NC-SA-4.0"
RELEASE_LICENCE_URL = "https://creativecommons.org/licenses/by-nc-sa/4.0/"
"""Of prompts, programs and measurements as a whole: the strictest share-alike terms of what they are derived from."""

_PHANTOM = Licence("CC0-1.0", "Synthetic images, made by this software; no patient.", "This software.")
_USER = Licence("the owner's", "A user's own images: ask their owner before you pass prompts about them on.", "None.")
_BY_PREFIX = {
    "Task": Licence(
        "CC-BY-SA-4.0", "Medical Segmentation Decathlon: credit it and share alike.",
        "Antonelli et al., The Medical Segmentation Decathlon, Nature Communications 13, 4128 (2022).",
    ),
    "KiTS23": Licence(
        "CC-BY-NC-SA-4.0", "Kidney and kidney tumour segmentation 2023: no commercial use, credit it, share alike.",
        "Heller et al., The KiTS21 Challenge, arXiv:2307.01984.",
    ),
    "BraTS2024": Licence(
        "CC-BY-NC-4.0", "Brain tumour segmentation 2024: login and accepted terms; images must not be passed on.",
        "de Verdier et al., The 2024 BraTS Challenge: Glioma Segmentation on Post-treatment MRI, arXiv:2405.18368.",
    ),
}  # fmt: skip


def licence_of(collection: str, origin: str) -> Licence:
    """Terms of a collection by its name and origin (phantom, official, rendered or user)."""
    if origin == "phantom":
        return _PHANTOM
    found = next((terms for prefix, terms in _BY_PREFIX.items() if collection.startswith(prefix)), None)
    return found if found is not None and origin != "user" else _USER


VOLUMES = "volumes.parquet"
PREPARED = "volumes"
"""Folder of a release in which `bench attach` puts the user's own images, prepared."""
VOLUME_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "volume_id": (pa.string(), "single-channel volume, <case_id>:<channel>"),
    "case_id": (pa.string(), "case; its channels share one label map"),
    "patient_id": (pa.string(), "patient; splits never divide one"),
    "collection": (pa.string(), "source collection"),
    "origin": (pa.string(), "phantom (synthetic), official or user"),
    "licence": (pa.string(), "terms of the collection's images"),
    "modality": (pa.string(), "CT or MR"),
    "channel": (pa.string(), "CT, T1, T1c, T2, FLAIR or ADC"),
    "channel_index": (pa.int64(), "position along the fourth axis of the image file, -1 for a 3D file"),
    "channels_in_file": (pa.int64(), "length of that axis, 1 for a 3D file"),
    "split": (pa.string(), "train, validation or test, by patient"),
    "sha256_image": (pa.string(), "SHA-256 of the image file as published"),
    "sha256_label": (pa.string(), "SHA-256 of the label file as published"),
    "structures": (pa.string(), "JSON: label number in the file -> ontology leaf"),
    "ignored": (pa.string(), "JSON: label numbers that count as background"),
    "lateral": (pa.bool_(), "whether left and right are asked"),
    "source_axes": (pa.string(), "directions of the file's axes, such as LAS"),
    "spacing_mm": (pa.float64(), "voxel edge of the prepared grid that prompts speak of"),
    "depth": (pa.int64(), "axial slices of the prepared grid"),
    "height": (pa.int64(), "rows of the prepared grid"),
    "width": (pa.int64(), "columns of the prepared grid"),
    "midline": (pa.float64(), "column of the mid-sagittal plane"),
}
"""Column -> type and what it holds."""
ATTRIBUTE_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "volume_id": (pa.string(), "single-channel volume, <case_id>:<channel>"),
    "structure": (pa.string(), "structure of the ontology that the region is a piece of"),
    "region": (pa.int64(), "rank of the piece by volume, 1 the largest; 0 for the structure as a whole"),
    "attribute": (pa.string(), "what was measured; formulas stand in semantiseg/bench/measure/regions.py"),
    "number": (pa.float64(), "its number"),
    "unit": (pa.string(), "unit of the number"),
    "value": (pa.string(), "word that the number earns; empty where it earns none"),
    "margin": (pa.float64(), "distance of the number to the nearest limit of the word, in its unit; 0 without a word"),
}
"""Column of `attributes.parquet` -> type and what it holds."""


def write_tables(out: Path, bench: Path, volumes: Path, cases: list[SourceCase]) -> dict[str, int]:
    """Write all tables below `out`; file name without suffix -> rows. Equal content gives equal bytes.

    Raises:
        DataError: a table of the bench is missing, or prompts ask about a volume that is not there.
    """
    table = volume_table(volumes, cases)
    written = {VOLUMES.removesuffix(".parquet"): _write(out / VOLUMES, table, _schema(VOLUME_COLUMNS))}
    for name, part, columns in _bench_tables(bench):
        if unknown := sorted(set(part["volume_id"]) - set(table["volume_id"])):
            raise DataError(f"{bench}: expected prompts about prepared volumes, got {unknown[:3]}. Verify again.")
        written[name] = _write(out / f"{name}.parquet", part[list(columns)], schema_of(columns))
    sums = _read(bench / "account.parquet", stage="verify")
    written["account"] = _write(out / "account.parquet", sums[list(ACCOUNT_COLUMNS)], schema_of(ACCOUNT_COLUMNS))
    measured = _read(bench / "attributes.parquet", stage="prompts")[list(ATTRIBUTE_COLUMNS)]
    measured = measured.assign(value=measured["value"].fillna(""))
    written["attributes"] = _write(out / "attributes.parquet", measured, _schema(ATTRIBUTE_COLUMNS))
    return written


def volume_table(volumes: Path, cases: list[SourceCase]) -> pd.DataFrame:
    """One row a volume with what is needed to find and prepare it again; columns as `VOLUME_COLUMNS`.

    Raises:
        DataError: a prepared volume is no channel of a raw case.
    """
    with VolumeStore(volumes) as store:
        manifest = store.manifest.reset_index()
    known = {(case.case_id, channel.name): (case, channel) for case in cases for channel in case.channels}
    rows = []
    for fact in manifest.to_dict("records"):
        found = known.get((fact["case_id"], fact["channel"]))
        if found is None:
            raise DataError(f"{volumes}: expected {fact['volume_id']} among the raw cases, got none. Prepare again.")
        case, channel = found
        rows.append(
            {name: fact[name] for name in VOLUME_COLUMNS if name in fact}
            | {
                "licence": licence_of(fact["collection"], fact["origin"]).name,
                "channel_index": -1 if channel.index is None else channel.index,
                "channels_in_file": channel.channels_in_file,
                "structures": json.dumps({str(number): leaf for number, leaf in sorted(case.structures.items())}),
                "ignored": json.dumps(sorted(case.ignored)),
            }
        )
    return pd.DataFrame(rows, columns=list(VOLUME_COLUMNS)).sort_values("volume_id", ignore_index=True)


def _bench_tables(bench: Path) -> Iterator[tuple[str, pd.DataFrame, tuple[str, ...]]]:
    for name, columns in (("prompts", PROMPT_COLUMNS), ("training", TRAINING_COLUMNS), ("rejected", REJECTED_COLUMNS)):
        table = _read(bench / f"{name}.parquet", stage="verify")
        if name == "rejected":
            yield name, table, columns
            continue
        for split in SPLITS:
            part = table[table["split"] == split]
            # Training questions have no test split, by design.
            if name == "prompts" or len(part):
                yield f"{name}/{split}", part, columns


def _write(path: Path, table: pd.DataFrame, schema: pa.Schema) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    arrow = pa.Table.from_pandas(table, schema=schema, preserve_index=False).replace_schema_metadata(None)
    partial = path.with_name(path.name + ".partial")
    pq.write_table(arrow, partial, compression="zstd")
    os.replace(partial, path)
    return arrow.num_rows


def _schema(columns: Mapping[str, tuple[pa.DataType, str]]) -> pa.Schema:
    return pa.schema([(name, kind) for name, (kind, _) in columns.items()])


def _read(path: Path, *, stage: str) -> pd.DataFrame:
    return read_table(path, what="a bench's table", remedy=f"Run the stage {stage} first.")


def read_volumes(release: Path) -> list[dict[str, Any]]:
    """Rows of a release's volume table.

    Raises:
        DataError: it is not there.
    """
    try:
        return pq.read_table(release / VOLUMES).to_pylist()
    except Exception as error:  # as `files.read_table`; here lists stay lists
        raise DataError(f"{release}: expected a release of SemantiBench, got {error}. Unpack it anew.") from None


def read_prompts(release: Path) -> pd.DataFrame:
    """Prompts of a release, all splits.

    Raises:
        DataError: it is none, or a table of it is spoiled.
    """
    paths = sorted((release / "prompts").glob("*.parquet"))
    if not paths:
        raise DataError(f"{release}: expected a release of SemantiBench, got no prompts/*.parquet. Unpack it anew.")
    return pd.concat(
        [read_table(path, what="prompts of a release", remedy="Unpack it anew.") for path in paths], ignore_index=True
    )
