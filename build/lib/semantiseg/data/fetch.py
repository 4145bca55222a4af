"""Bring images into `data/raw`: the phantom cohort, the user's own folders, or official collections that `semantiseg
fetch` brought. Nothing here reaches the network."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

from tqdm import tqdm

from semantiseg.data.layouts.collection_folder import Collection
from semantiseg.data.phantom.cohort import write_cohort
from semantiseg.data.understanding import Choices, report_text, understand_folders
from semantiseg.errors import DataError, ParameterError

SOURCES = ("phantom", "folder", "official")
_SHOWN = 20


def fetch(
    root: Path,
    *,
    source: str,
    folder: str,
    cases: int,
    body_scale: float,
    seed: int,
    choices: Choices | None = None,
    workers: int | None = None,
) -> list[dict[str, object]]:
    """Fill `root` with collections in their upstream layouts and `sources.json`; return the records of the latter.

    Args:
        root: folder to fill; the collections' folders must not exist yet.
        source: "phantom" draws the embedded cohort; "folder" copies the user's images; "official" copies collections.
        folder: for source "folder" a collection (it holds `dataset.json`; layouts in `layouts/`), a folder of several,
            or several folders with blanks between; for "official" the folder that `semantiseg fetch` filled; else
            ignored.
        choices: what the user says of images of their own (section `prepare`); nothing by default.
        cases, body_scale, seed, workers: of the phantoms, see `phantom.cohort.write_cohort`.

    Raises:
        ParameterError: unknown source, or a number out of range.
        DataError: the folder cannot be used.
    """
    if source not in SOURCES:
        raise ParameterError(f"fetch.source: expected one of {SOURCES}, got {source!r}; correct params.yaml")
    root.mkdir(parents=True, exist_ok=True)
    if source == "phantom":
        return write_cohort(root, cases=cases, body_scale=body_scale, seed=seed, workers=workers)
    return copy_official(root, folder) if source == "official" else copy_folder(
        root, folder, choices=choices, workers=workers
    )


def copy_official(root: Path, folder: str) -> list[dict[str, object]]:
    """Copy the official collections that `semantiseg fetch` listed in `folder`/sources.json, what is labelled of them.

    Raises:
        DataError: nothing was fetched there, or a collection of that name lies in `root` already.
    """
    listed = Path(folder or ".") / "sources.json"
    if not folder or not listed.is_file():
        raise DataError(
            f"fetch.folder: expected the folder that `semantiseg fetch` filled, got {folder!r} without sources.json. "
            "Run `semantiseg fetch FOLDER COLLECTION ...`, or `semantiseg fetch FOLDER --from DOWNLOADS` for what you "
            "downloaded by hand, and set fetch.folder to FOLDER in params.yaml."
        )
    records = json.loads(listed.read_text(encoding="utf-8"))
    for record in records:
        name = record["collection"]
        if (root / name).exists():
            raise DataError(f"{root / name}: expected no such folder yet, got one; remove it and fetch again")
    for record in tqdm(records, desc="copy", unit="collection", disable=None):
        name = record["collection"]
        shutil.copytree(listed.parent / name, root / name, copy_function=shutil.copyfile, ignore=_without_masks)
    (root / "sources.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return records


def _without_masks(folder: str, names: list[str]) -> set[str]:
    """Entries of a collection's folder that no prompt can be about: test images, single annotations, macOS files."""
    return {name for name in names if name.startswith(".") or name in ("imagesTs", "instances")}


def copy_folder(
    root: Path, folder: str, *, choices: Choices | None = None, workers: int | None = None
) -> list[dict[str, object]]:
    """Copy one or several collections below `root`, only what belongs to their labelled cases.

    Files are copied, never linked: DVC caches what a stage writes, and a link in its output would make it cache the
    user's own files under a name that moves. Everything is checked, as by `semantiseg check`, before the first file is
    written; what was understood is printed.

    Raises:
        DataError: no such folder, or problems in it: all of them, each with its file and remedy.
    """
    understood = understand_folders(folder, choices or Choices(), workers=workers)
    found = [one.collection for one in understood]
    require_usable(found)
    print(report_text(understood))
    for collection in found:
        if (root / collection.name).exists():
            raise DataError(
                f"{root / collection.name}: expected no such folder yet, got one; remove it and fetch again"
            )
        for warning in collection.warnings:
            warnings.warn(f"{collection.name}: {warning}", stacklevel=2)
    total = sum(len(_files(collection)) for collection in found)
    with tqdm(total=total, desc="copy", unit="file", disable=None) as progress:
        for collection in found:
            for path in _files(collection):
                _copy(path, root / collection.name / path.relative_to(collection.folder))
                progress.update()
    records = [source_record(collection) for collection in found]
    (root / "sources.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return records


def require_usable(collections: list[Collection]) -> None:
    """Stop where anything must be mended first.

    Raises:
        DataError: with the problems of all collections, one a line.
    """
    problems = [problem for collection in collections for problem in collection.problems]
    if problems:
        count = "" if len(problems) == 1 else f"{len(problems)} problems:\n"
        more = f"\n... and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
        raise DataError(count + "\n".join(map(str, problems[:_SHOWN])) + more)


def source_record(collection: Collection) -> dict[str, object]:
    """What `sources.json` says about a user's collection."""
    return {
        "collection": collection.name,
        "layout": collection.layout,
        "origin": "user",
        "licence": collection.licence,
        "scans": len(collection.cases),
    }


def _files(collection: Collection) -> list[Path]:
    """Description, images and label maps, sorted; of a DICOM series its folder."""
    return sorted({collection.described_in, *(path for case in collection.cases for path in case.files)})


def _copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target, copy_function=shutil.copyfile)
    else:
        shutil.copyfile(source, target)
