"""A release joined with a user's own copy of the images: files found by checksum, prepared, every target checked."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd
from tqdm import tqdm

from semantiseg.bench.measure.labelled_slice import read_slice
from semantiseg.bench.release.tables import PREPARED, read_prompts, read_volumes
from semantiseg.conventions import groups_of, rows_of
from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.prepare import prepare_case
from semantiseg.data.store import VolumeStore, write_manifest
from semantiseg.errors import DataError
from semantiseg.files import check_folder, mark
from semantiseg.language.program import parse
from semantiseg.parallel import Call, for_each

Row = dict[str, Any]

VERB, OWN = "bench attach", ("*.h5", "manifest.parquet")


@dataclass(frozen=True)
class Attached:
    """What was found.

    Attributes:
        cases: cases that were found and prepared.
        missing: volumes without an image or label file of their checksum.
        prompts: prompts about the volumes that were found.
        differing: ids of prompts whose target is not the released one; empty if all is well.
    """

    cases: int
    missing: list[str]
    prompts: int
    differing: list[str]


def attach(release: Path, copy: Path, *, workers: int = 1) -> Attached:
    """Find, prepare and check; the prepared volumes go into the release's folder `volumes/`, which `score` reads.

    Args:
        release: folder of a release.
        copy: folder below which the user's files lie, under whatever names.
        workers: processes.

    Raises:
        OutputError: `volumes/` of the release is or holds what is read, or is a folder of something else.
        DataError: the release is none, or none of its files is found.
    """
    out = release / PREPARED
    check_folder(out, verb=VERB, inputs=[copy], own=OWN)
    volumes = read_volumes(release)
    wanted = {row[name] for row in volumes for name in ("sha256_image", "sha256_label")}
    found = find(copy, wanted, workers=workers)
    missing = [row["volume_id"] for row in volumes if not {row["sha256_image"], row["sha256_label"]} <= set(found)]
    present = [row for row in volumes if row["volume_id"] not in set(missing)]
    if not present:
        raise DataError(f"{copy}: expected files that the release speaks of, got none. Name the images' folder.")
    mark(out, verb=VERB)
    calls: Iterator[Call] = (((case, out, rows), {}) for case, rows in _cases(present, found))
    done = for_each(_prepare, calls, workers=workers)
    manifest = [row for rows in tqdm(done, unit="case", desc="prepare", disable=None) for row in rows]
    write_manifest(out, manifest)
    prompts = read_prompts(release)
    prompts = prompts[prompts["volume_id"].isin([row["volume_id"] for row in present])]
    return Attached(len({row["case_id"] for row in present}), missing, len(prompts), differing(out, prompts))


def find(copy: Path, wanted: set[str], *, workers: int = 1) -> dict[str, Path]:
    """SHA-256 -> file, of the NIfTI files below `copy` whose checksum is wanted; the first by name of equal ones."""
    paths = sorted(path for pattern in ("*.nii.gz", "*.nii") for path in copy.rglob(pattern) if path.is_file())
    done = for_each(_sha256, [((path,), {}) for path in paths], workers=workers)
    sums = tqdm(done, total=len(paths), desc="checksums", disable=None)
    found: dict[str, Path] = {}
    for path, checksum in zip(paths, sums, strict=True):
        if checksum in wanted:
            found.setdefault(checksum, path)
    return found


def differing(volumes: Path, prompts: pd.DataFrame) -> list[str]:
    """Ids of prompts whose program has another number of pixels on these volumes than the prompt states."""
    wrong: list[str] = []
    with VolumeStore(volumes) as store:
        for (volume_id, index), rows in groups_of(prompts, ["volume_id", "slice"]):
            shown = read_slice(store, volume_id, int(index), seen=False)
            for row in rows_of(rows):
                if shown.pixels(parse(row.program)) != row.target_pixels:
                    wrong.append(row.prompt_id)
    return sorted(wrong)


def _cases(volumes: list[Row], found: dict[str, Path]) -> Iterator[tuple[SourceCase, list[Row]]]:
    by_case: dict[str, list[Row]] = defaultdict(list)
    for row in volumes:
        by_case[row["case_id"]].append(row)
    for case_id, rows in sorted(by_case.items()):
        first = rows[0]
        yield SourceCase(
            case_id=case_id, patient_id=first["patient_id"], collection=first["collection"], origin=first["origin"],
            channels=tuple(_channel(row, found) for row in sorted(rows, key=lambda row: row["channel_index"])),
            label=found[first["sha256_label"]],
            structures={int(number): leaf for number, leaf in json.loads(first["structures"]).items()},
            ignored=frozenset(json.loads(first["ignored"])), described_in="the release", lateral=first["lateral"],
        ), rows  # fmt: skip


def _channel(row: Row, found: dict[str, Path]) -> Channel:
    index = None if row["channel_index"] < 0 else row["channel_index"]
    return Channel(row["channel"], row["modality"], found[row["sha256_image"]], index, row["channels_in_file"])


def _prepare(case: SourceCase, out: Path, rows: list[Row]) -> list[Row]:
    splits = {row["volume_id"]: row["split"] for row in rows}
    made = prepare_case(case, out, spacing_mm=rows[0]["spacing_mm"])
    # Whose sides are known is the release's to say, not this copy's.
    own = [{name: value for name, value in row.items() if name != "organ_sides"} for row in made]
    return [row | {"split": splits[row["volume_id"]]} for row in own]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
