"""From raw collections to prepared volumes: every case on one grid in one file, every volume a line of the manifest."""

from __future__ import annotations

import hashlib
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from semantiseg.data import nifti, sides
from semantiseg.data.case import Channel, SourceCase
from semantiseg.data.collections import read_cases, with_patients
from semantiseg.data.grid import Volume, load_volume
from semantiseg.data.intensity import Stated
from semantiseg.data.labels import read_mapping
from semantiseg.data.split import few_patients, split_patients
from semantiseg.data.store import read_manifest, write_case, write_manifest
from semantiseg.errors import DataError, ParameterError
from semantiseg.parallel import for_each

if TYPE_CHECKING:
    import pandas as pd

_SHOWN_FAULTS = 10


def prepare(
    raw: Path,
    volumes: Path,
    *,
    spacing_mm: float,
    test_share: float,
    validation_share: float,
    seed: int,
    mapping: str = "",
    patient_pattern: str = "",
    patient_table: str = "",
    intensity: Stated = "",
    folds: int = 0,
    fold: int = 0,
    workers: int | None = None,
) -> pd.DataFrame:
    """Prepare all cases of all collections below `raw`.

    Everything is written beside `volumes` and moved there at the end, so a failure or a kill leaves an earlier result
    as it was. The bytes written depend on the arguments only, not on the number of workers.

    Args:
        raw: folder with `sources.json` (see `collections.read_cases`).
        volumes: folder to write; an existing one is replaced.
        spacing_mm: edge of the cubic voxels. Single-slice volumes keep their slice and are resampled in its plane only.
        test_share, validation_share, seed: of the split; shares of each collection's patients.
        folds, fold: of a cross-validation, see `split.cross_validation`; 0 folds for one split by the shares.
        mapping: YAML file for labels that the ontology does not know, or empty.
        patient_pattern, patient_table: who is who in users' collections, see `patients.tell_apart`; printed.
        intensity: scale of users' CT, see `intensity.recognise`; "" recognises it.
        workers: processes; all cores by default.

    Returns:
        The manifest, indexed by `volume_id`, sorted.

    Raises:
        ParameterError: a share or the spacing is out of range.
        DataError, OntologyError: with every case that cannot be used, its file and the remedy.
    """
    if not spacing_mm > 0:
        raise ParameterError(
            f"prepare.spacing_mm: expected a positive number of mm, got {spacing_mm}. Correct it in params.yaml."
        )
    cases, told = with_patients(
        read_cases(raw, mapping=read_mapping(mapping)), pattern=patient_pattern, table=patient_table
    )
    splits = split_patients(
        {case.patient_id: case.collection for case in cases},
        test_share=test_share, validation_share=validation_share, seed=seed, folds=folds, fold=fold,
    )  # fmt: skip
    few = few_patients(sum(split == "test" for split in splits.values()))
    for sentence in [*(patients.sentence for patients in told), *([few] if few else [])]:
        print(sentence)
    with _beside(volumes) as partial:
        processes = workers or os.cpu_count() or 1
        rows = _prepare_all(cases, partial, spacing_mm=spacing_mm, stated=intensity, workers=processes)
        require_one_scale(rows)
        _settle(rows, splits)
        write_manifest(partial, rows)
    return read_manifest(volumes)


@contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder that takes the place of `folder` when all went well, and vanishes otherwise."""
    partial = folder.with_name(folder.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        if folder.exists():
            shutil.rmtree(folder)
        os.replace(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def require_one_scale(rows: list[dict[str, Any]]) -> None:
    """Stop where the CT of one collection was taken for several scales: at least one of them was taken wrongly.

    Raises:
        DataError: with a case of each scale and what to set.
    """
    cases: dict[str, dict[str, list[str]]] = {}
    for row in rows:
        if row["modality"] == "CT":
            cases.setdefault(row["collection"], {}).setdefault(row["intensity"], []).append(row["case_id"])
    for collection, scales in cases.items():
        if len(scales) > 1:
            counts = ", ".join(f"{scale} in {len(names)} cases such as {names[0]}" for scale, names in scales.items())
            raise DataError(
                f"{collection}: expected CT on one scale, got {counts}. Say what all are: --set prepare.intensity=HU "
                "(or HU+1024, rescaled, z-scored), or leave the others out."
            )


def _settle(rows: list[dict[str, Any]], splits: Mapping[str, str]) -> None:
    """What only all cases together tell: who is one person, in which split, and whose sides are mirrored."""
    same = duplicated_patients(rows)
    for row in rows:
        row["patient_id"] = same.get(row["patient_id"], row["patient_id"])
        row["split"] = splits[row["patient_id"]]
    _settle_sides(rows)


def _settle_sides(rows: list[dict[str, Any]]) -> None:
    """No side is asked of a case whose one-sided organs say that its affine is mirrored."""
    counts = {row["case_id"]: (row["collection"], row["organ_sides"]) for row in rows if row["lateral"]}
    mirrored = sides.mirrored_cases(counts)
    for row in rows:
        row["lateral"] = row["lateral"] and row["case_id"] not in mirrored
        del row["organ_sides"]


def duplicated_patients(rows: list[dict[str, Any]]) -> dict[str, str]:
    """Patient ids that stand for a person with another id, because both have an image file of equal bytes.

    BraTS 2024 GLI publishes some scans twice under different ids; in different splits they would leak. Each id is
    mapped to the first of its group, and told in a warning.
    """
    groups: dict[str, str] = {}

    def first(patient: str) -> str:
        while groups.get(patient, patient) != patient:
            patient = groups[patient]
        return patient

    owner: dict[str, str] = {}
    for row in rows:
        one, other = first(row["patient_id"]), first(owner.setdefault(row["sha256_image"], row["patient_id"]))
        groups[max(one, other)] = min(one, other)
    same = {patient: first(patient) for patient in groups if first(patient) != patient}
    if same:
        pairs = ", ".join(f"{patient} = {other}" for patient, other in sorted(same.items()))
        warnings.warn(f"images of equal bytes under several patient ids, taken as one patient: {pairs}", stacklevel=2)
    return same


def _prepare_all(
    cases: list[SourceCase], folder: Path, *, spacing_mm: float, stated: Stated, workers: int
) -> list[dict[str, Any]]:
    """Manifest rows of all cases; all faults are gathered first, so that a user mends them in one go."""
    calls = [((case, folder), {"spacing_mm": spacing_mm, "stated": stated}) for case in cases]
    done = for_each(_attempt, calls, workers=workers)
    rows: list[dict[str, Any]] = []
    faults: list[str] = []
    for prepared, fault in tqdm(done, total=len(cases), desc="prepare", unit="case", disable=None):
        rows += prepared
        if fault:
            faults.append(fault)
    if faults:
        more = f"\n... and {len(faults) - _SHOWN_FAULTS} more" if len(faults) > _SHOWN_FAULTS else ""
        count = "" if len(faults) == 1 else f"{len(faults)} of {len(cases)} cases cannot be used:\n"
        raise DataError(count + "\n".join(faults[:_SHOWN_FAULTS]) + more)
    return rows


def _attempt(
    case: SourceCase, folder: Path, *, spacing_mm: float, stated: Stated
) -> tuple[list[dict[str, Any]], str]:
    """Prepare one case; a fault in the data comes back as text with the case's name."""
    try:
        return prepare_case(case, folder, spacing_mm=spacing_mm, stated=stated), ""
    except DataError as error:
        return [], f"case {case.case_id} of {case.collection}: {error}"


def prepare_case(
    case: SourceCase, folder: Path, *, spacing_mm: float, stated: Stated = ""
) -> list[dict[str, Any]]:
    """Write `<case_id>.h5` into `folder`; returns one manifest row a channel, all but the split.

    Raises:
        DataError: the case cannot be used.
    """
    volume = load_volume(case, spacing_mm=spacing_mm, stated=stated)
    file = f"{case.case_id}.h5"
    write_case(
        folder / file,
        images=volume.images,
        labels=volume.labels,
        affine=volume.affine,
        spacing_mm=volume.spacing_mm,
        midline=volume.midline,
        structures=volume.structures,
    )
    hashes = {path: _sha256(path) for path in {case.label, *(channel.path for channel in case.channels)}}
    return [_row(case, channel, volume, file=file, hashes=hashes) for channel in case.channels]


def _row(
    case: SourceCase, channel: Channel, volume: Volume, *, file: str, hashes: Mapping[Path, str]
) -> dict[str, Any]:
    depth, height, width = volume.labels.shape
    found = volume.intensities[channel.name]
    return {
        "volume_id": f"{case.case_id}:{channel.name}",
        "case_id": case.case_id,
        "patient_id": case.patient_id,
        "collection": case.collection,
        "origin": case.origin,
        "modality": channel.modality,
        "channel": channel.name,
        "file": file,
        "depth": depth,
        "height": height,
        "width": width,
        "spacing_mm": volume.spacing_mm,
        "source_spacing_mm": list(volume.source_spacing_mm),
        "source_axes": volume.source_axes,
        "intensity": found.scale,
        "window_low": found.low,
        "window_high": found.high,
        "midline": volume.midline,
        "sha256_image": hashes[channel.path],
        "sha256_label": hashes[case.label],
        "leaves": sorted({volume.structures[number] for number in nifti.present(volume.labels)}),
        "spacing_known": volume.spacing_known,
        "lateral": case.lateral and volume.sides_known,
        "organ_sides": volume.organ_sides,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
