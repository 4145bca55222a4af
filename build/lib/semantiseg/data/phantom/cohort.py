"""Write phantom scans to disk as the collections come from upstream: phantoms and real data then take one path."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform
from numpy.typing import NDArray
from tqdm import tqdm

from semantiseg.data.phantom.collection import COLLECTIONS, PhantomCollection
from semantiseg.data.phantom.scan import Case, RenderedScan
from semantiseg.errors import DataError, ParameterError
from semantiseg.parallel import for_each

LICENCE = "CC0-1.0"
"""Phantoms are drawn by this package and hold no patient's data; the collections' own licences do not apply to them."""

FIRST_GLI_PATIENT = 2071
RESCANNED = 4
"""Every fourth GLI patient (the second, the sixth ...) comes with two time points, as many do upstream."""

_INT16_MAX = float(np.iinfo(np.int16).max)


def write_cohort(
    root: Path, *, cases: Mapping[str, int] | int, body_scale: float, seed: int, workers: int | None = None
) -> list[dict[str, object]]:
    """Draw and write phantom cohorts below `root`, one folder a collection; return the records of `sources.json`.

    Args:
        root: where the collections' folders and `sources.json` go; none of these folders may exist yet.
        cases: scans by collection name, or one number for all: multi-channel collections then get somewhat fewer
            (`Collection.share`) and KiTS23 a few more. 40 gives 404 scans, 568 single-channel volumes.
        body_scale: linear size of the miniature body (trunk; head, heart and pelvis are a little larger, see `VIEWS`);
            0.4 gives fields of view of about 12 cm. Every measurement on a phantom is one of the miniature.
        seed: of everything random; a scan depends on it and on its own name, never on `workers` or on other scans.
        workers: processes that draw; all cores by default.

    Raises:
        ParameterError: unknown collection, or a number out of range.
        DataError: a folder to be written exists already.
    """
    counts = counted(cases)
    if not 0.2 <= body_scale <= 1.0:
        raise ParameterError(f"expected body_scale in 0.2 .. 1.0, got {body_scale}; use 0.4 for the demo")
    workers = workers or os.cpu_count() or 1
    if workers < 1:
        raise ParameterError(f"expected workers of at least 1, got {workers}; set the number of processes to use")
    for name in counts:
        if (root / name).exists():
            raise DataError(f"expected to write a new folder, got an existing one: {root / name}; remove it first")
    jobs = [case for name, count in counts.items() for case in cohort_cases(COLLECTIONS[name], count, body_scale, seed)]
    facts = write_cases(root, jobs, workers=workers)
    for name in counts:
        write_description(root, COLLECTIONS[name], [c for c in jobs if c.collection == name], facts)
    records = [
        {
            "collection": name,
            "layout": COLLECTIONS[name].layout,
            "origin": "phantom",
            "licence": LICENCE,
            "scans": count,
            "body_scale": body_scale,
        }
        for name, count in counts.items()
    ]
    write_json(root / "sources.json", records)
    return records


def counted(cases: Mapping[str, int] | int) -> dict[str, int]:
    """Scans by collection, in the collections' order.

    Raises:
        ParameterError: a collection is unknown or a number is below 1.
    """
    if isinstance(cases, int):
        if cases < 1:
            raise ParameterError(f"expected cases of at least 1, got {cases}; 40 is the demo's number")
        return {name: max(1, round(cases * collection.share)) for name, collection in COLLECTIONS.items()}
    unknown = sorted(set(cases) - set(COLLECTIONS))
    if unknown:
        raise ParameterError(f"expected collections among {sorted(COLLECTIONS)}, got {unknown}; correct the names")
    few = {name: count for name, count in cases.items() if count < 1}
    if few:
        raise ParameterError(f"expected at least 1 case of every collection named, got {few}; leave the name out")
    return {name: cases[name] for name in COLLECTIONS if name in cases}


def cohort_cases(collection: PhantomCollection, count: int, body_scale: float, seed: int) -> list[Case]:
    """The first `count` cases of a collection under its own naming scheme."""
    if collection.layout == "brats2024-gli":
        return gli_cases(collection, count, body_scale, seed)
    width, first = (5, 0) if collection.layout == "kits23" else (3, 1)
    names = [f"{collection.prefix}_{first + index:0{width}d}" for index in range(count)]
    return [Case(collection.name, name, name, index, 0, body_scale, seed) for index, name in enumerate(names)]


def gli_cases(collection: PhantomCollection, count: int, body_scale: float, seed: int) -> list[Case]:
    """GLI scans `BraTS-GLI-<patient>-<time point>`; some patients come twice (time points 100 and 101)."""
    cases: list[Case] = []
    index = 0
    while len(cases) < count:
        patient = f"{collection.prefix}-{FIRST_GLI_PATIENT + index:05d}"
        for time_point in range(2 if index % RESCANNED == 1 else 1):
            name = f"{patient}-{100 + time_point}"
            cases.append(Case(collection.name, name, patient, index, time_point, body_scale, seed))
        index += 1
    return cases[:count]


def write_cases(root: Path, cases: list[Case], *, workers: int) -> dict[str, dict[str, object]]:
    """Write all cases, the four-channel ones first, so that no worker is left with a long one; return facts by case."""
    order = sorted(cases, key=lambda case: (-len(COLLECTIONS[case.collection].modality), case.collection, case.case_id))
    done = for_each(write_scan, [((root, case), {}) for case in order], workers=workers)
    return dict(tqdm(done, total=len(order), desc="phantoms", unit="case", disable=None))


def write_scan(root: Path, case: Case) -> tuple[str, dict[str, object]]:
    """Draw one scan and write its files; return its name and facts."""
    collection = COLLECTIONS[case.collection]
    scan = collection.draw(case)
    folder = root / case.collection
    if collection.layout == "decathlon":
        image = (
            np.stack(list(scan.channels.values()), axis=-1)
            if len(scan.channels) > 1
            else scan.channels[collection.modality[0]]
        )
        write_nifti(folder / "imagesTr" / f"{case.case_id}.nii.gz", image, scan)
        write_nifti(folder / "labelsTr" / f"{case.case_id}.nii.gz", scan.label, scan)
    elif collection.layout == "kits23":
        write_nifti(folder / case.case_id / "imaging.nii.gz", scan.channels["CT"], scan)
        write_nifti(folder / case.case_id / "segmentation.nii.gz", scan.label, scan)
    else:
        for channel, image in scan.channels.items():
            write_nifti(folder / case.case_id / f"{case.case_id}-{channel}.nii.gz", image, scan)
        write_nifti(folder / case.case_id / f"{case.case_id}-seg.nii.gz", scan.label, scan)
    return case.case_id, scan.facts


def write_nifti(path: Path, array: NDArray, scan: RenderedScan) -> None:
    """Store a RAS array `[X, Y, Z]` or `[X, Y, Z, C]` along the scan's axes as gzipped NIfTI-1 with stable bytes."""
    turn = ornt_transform(axcodes2ornt("RAS"), axcodes2ornt(scan.axes))
    affine = scan.affine @ inv_ornt_aff(turn, array.shape[:3])
    stored = np.ascontiguousarray(apply_orientation(array, turn))
    if stored.dtype == np.float32 and stored.max() <= _INT16_MAX:
        stored = stored.astype(np.int16)  # whole numbers by construction of render_mr
    image = nib.Nifti1Image(stored, affine)
    image.header.set_xyzt_units("mm")
    image.set_sform(affine, code=2)
    image.set_qform(affine, code=0 if scan.axes == "IPL" else 1)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "wb") as file, gzip.GzipFile(filename="", mode="wb", fileobj=file, compresslevel=1, mtime=0) as out:
        out.write(image.to_bytes())


def write_description(
    root: Path, collection: PhantomCollection, cases: list[Case], facts: Mapping[str, dict[str, object]]
) -> None:
    """Write what the collection says about itself: `dataset.json` (MSD) or `kits23.json`; BraTS has no such file."""
    folder = root / collection.name
    if collection.layout == "decathlon":
        write_json(folder / "dataset.json", dataset_json(collection, cases))
    elif collection.layout == "kits23":
        write_json(folder / "kits23.json", [{"case_id": case.case_id, **facts[case.case_id]} for case in cases])


def dataset_json(collection: PhantomCollection, cases: list[Case]) -> dict[str, object]:
    """A Decathlon description under the upstream schema; the text says that these are phantoms, and their scale."""
    return {
        "name": collection.name.split("_", 1)[1],
        "description": f"PHANTOM in the layout of {collection.name}: drawn, not scanned; miniature body, "
        f"trunk at {cases[0].body_scale:g} of natural size",
        "reference": "SemantiSeg phantom cohort",
        "licence": LICENCE,
        "release": "1.0",
        "tensorImageSize": "4D" if len(collection.modality) > 1 else "3D",
        "modality": {str(index): name for index, name in enumerate(collection.modality)},
        "labels": {str(index): name for index, name in enumerate(collection.labels)},
        "numTraining": len(cases),
        "numTest": 0,
        "training": [
            {"image": f"./imagesTr/{case.case_id}.nii.gz", "label": f"./labelsTr/{case.case_id}.nii.gz"}
            for case in cases
        ],
        "test": [],
    }


def write_json(path: Path, value: object) -> None:
    """JSON with a stable layout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value, indent=1, allow_nan=False) + "\n", encoding="utf-8")
