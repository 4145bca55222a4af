"""Bring images into `data/raw`: the phantom cohort, the user's own folder in Decathlon layout, or official collections
that `semantiseg fetch` brought. Nothing here reaches the network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tqdm import tqdm

from semantiseg.data.phantom.cohort import write_cohort
from semantiseg.errors import DataError, ParameterError

SOURCES = ("phantom", "folder", "official")


def fetch(
    root: Path,
    *,
    source: str,
    folder: str,
    cases: int,
    body_scale: float,
    seed: int,
    workers: int | None = None,
) -> list[dict[str, object]]:
    """Fill `root` with collections in their upstream layouts and `sources.json`; return the records of the latter.

    Args:
        root: folder to fill; the collections' folders must not exist yet.
        source: "phantom" draws the embedded cohort; "folder" copies the user's images; "official" copies collections.
        folder: for source "folder" a Decathlon task (it holds `dataset.json`) or a folder of several; for "official"
            the folder that `semantiseg fetch` filled; else ignored.
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
    return copy_official(root, folder) if source == "official" else copy_folder(root, folder)


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


def copy_folder(root: Path, folder: str) -> list[dict[str, object]]:
    """Copy one or several Decathlon tasks below `root`, only what their `dataset.json` lists for training.

    Files are copied, never linked: DVC caches what a stage writes, and a link in its output would make it cache the
    user's own files under a name that moves. Everything is checked before the first file is written.

    Raises:
        DataError: no such folder, no or an unusable `dataset.json`, a listed file is missing or outside the folder.
    """
    plans = [(task, listed_files(task)) for task in task_folders(folder)]
    for task, _ in plans:
        if (root / task.name).exists():
            raise DataError(f"{root / task.name}: expected no such folder yet, got one; remove it and fetch again")
    total = sum(len(names) for _, names in plans)
    with tqdm(total=total, desc="copy", unit="file", disable=None) as progress:
        for task, names in plans:
            for name in names:
                target = root / task.name / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(task / name, target)
                progress.update()
    records = [record(task) for task, _ in plans]
    (root / "sources.json").write_text(json.dumps(records, indent=1) + "\n", encoding="utf-8")
    return records


def task_folders(folder: str) -> list[Path]:
    """The Decathlon tasks in a folder, sorted: the folder itself or its subfolders, whichever hold `dataset.json`.

    Raises:
        DataError: no folder is named, it does not exist, or there is no `dataset.json` in it or one level below.
    """
    if not folder:
        raise DataError("fetch.folder: expected a folder in Decathlon layout, got an empty name; set it in params.yaml")
    # Resolved, so that a link to the folder (workspaces make one) does not name the collection.
    path = Path(folder).resolve()
    if not path.is_dir():
        raise DataError(f"fetch.folder: expected a folder in Decathlon layout, got nothing at {path}; correct the path")
    if (path / "dataset.json").is_file():
        return [path]
    tasks = sorted(file.parent for file in path.glob("*/dataset.json"))
    if not tasks:
        raise DataError(
            f"fetch.folder: expected dataset.json in {path} or its subfolders, got none; "
            "name the folder that holds dataset.json, imagesTr and labelsTr"
        )
    return tasks


def description(task: Path) -> dict[str, object]:
    """The content of a task's `dataset.json`.

    Raises:
        DataError: it is not JSON, or has no list "training".
    """
    path = task / "dataset.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: expected JSON, got {error}; correct the file") from None
    if not isinstance(content, dict) or not isinstance(content.get("training"), list):
        raise DataError(
            f"{path}: expected an object with a list 'training', got none; list image and label of each case"
        )
    return content


def listed_entries(task: Path) -> list[dict[str, str]]:
    """Training entries of a task; AppleDouble files (`._*`) of the original tars are no images.

    Raises:
        DataError: an entry does not name image and label.
    """
    entries = description(task)["training"]
    for entry in entries:
        if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
            raise DataError(
                f"{task / 'dataset.json'}: expected entries with 'image' and 'label', got {entry!r}; correct them"
            )
    return [entry for entry in entries if not Path(entry["image"]).name.startswith("._")]


def listed_files(task: Path) -> list[str]:
    """Relative names of `dataset.json` and of every training image and label, sorted; all of them exist.

    Raises:
        DataError: an entry is malformed, or names a file that is missing or lies outside the folder.
    """
    names = {"dataset.json", *(entry[key] for entry in listed_entries(task) for key in ("image", "label"))}
    clean = sorted(Path(name).as_posix() for name in names)
    outside = [name for name in clean if Path(name).is_absolute() or ".." in Path(name).parts]
    if outside:
        raise DataError(
            f"{task / 'dataset.json'}: expected files below this folder, got {outside[0]}; move them into it"
        )
    missing = [name for name in clean if not (task / name).is_file()]
    if missing:
        shown = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        raise DataError(
            f"{task}: expected every file that dataset.json lists, got no {shown}; add the files or remove the entries"
        )
    return clean


def record(task: Path) -> dict[str, object]:
    """What `sources.json` says about a user's task; the licence is the one that it states, spelled either way."""
    content = description(task)
    return {
        "collection": task.name,
        "layout": "decathlon",
        "origin": "user",
        "licence": str(content.get("licence") or content.get("license") or "not stated"),
        "scans": len(listed_entries(task)),
    }
