"""A place of its own for a run of the pipeline: other parameters or other images, committed results left alone.

The pipeline as a whole: run it, say what it cost, clear leftovers, tell whether it is up to date.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from semantiseg import document, files, measure
from semantiseg.data.layouts.reader import collection_folders, named_folders
from semantiseg.data.split import few_patients
from semantiseg.errors import ParameterError, StageError
from semantiseg.params import changed_profile, check, load
from semantiseg.pipeline import mending, notebook
from semantiseg.pipeline.execution import clock, dvc, require_surroundings
from semantiseg.pipeline.stage import load_stage, read_log

WORKSPACES = Path("workspaces")
IMAGES = "images"
"""In a workspace the link to the user's folder, or the folder of links to several: rendered notebooks then show this
name and no path of one machine."""

COPIES = {"mapping": "mapping.yaml", "patient_table": "patients.csv"}
"""Keys of `prepare` that name a user's file -> its copy in a workspace."""

# All that `dvc init --no-scm` would leave, without starting it (seconds).
DVC_CONFIG = """[core]
    no_scm = True
    analytics = false
    autostage = false
    check_update = false
"""


def default_folder(profile: str, *, data: str | Path | None) -> Path:
    """`workspaces/smoke`, or with images of the user's `workspaces/own-Task04`; `own-A+B` with several folders."""
    names = [] if data is None else ["+".join(Path(name).resolve().name for name in named_folders(os.fspath(data)))]
    return WORKSPACES / "-".join([profile, *names])


def create(
    folder: Path, *, project: Path, profile: str, data: str | Path | None = None, settings: Sequence[str] = ()
) -> Path:
    """Make `folder` a self-contained project in which `dvc repro` runs; an existing one keeps its cache.

    Args:
        folder: where; created if absent.
        project: the checkout that sources, notebooks and dvc.yaml are copied from.
        profile: name of a shipped profile.
        data: the user's images in place of the profile's source: a folder with dataset.json, a folder of such
            folders, or several with blanks between.
        settings: changes such as `train.steps=50`, values in YAML.

    Raises:
        OutputError: `folder` holds other files, the checkout or the images.
        ParameterError: an unknown profile or key, a wrong type, a file that is named and absent.
        DataError: no images at `data`. Nothing is written then, either.
        StageError: a run is at work there.
    """
    collections = [] if data is None else collection_folders(os.fspath(data))
    parameters = _parameters(profile, collections=collections, settings=settings)
    if not (project / "dvc.yaml").is_file():
        raise ParameterError(
            f"expected the project's dvc.yaml in {project.resolve()}, got none. Run this in a checkout of SemantiSeg."
        )
    files.claim(folder, verb="workspace", inputs=[project, *collections], own=("*",) if _is_earlier(folder) else ())
    with mending.alone(folder):  # a run there would read what is replaced here
        _copy_sources(project, folder)
        pipeline = document.read_document(project / "dvc.yaml")
        _link_images(folder, collections, pipeline=pipeline)
        for key, copy in COPIES.items():
            if parameters["prepare"][key]:
                shutil.copy2(parameters["prepare"][key], folder / copy)
                parameters["prepare"][key] = copy
                for stage in ("fetch", "prepare"):
                    pipeline["stages"][stage]["deps"].append(copy)
        files.write(folder / "params.yaml", document.document_text(parameters))
        files.write(folder / "dvc.yaml", document.document_text(pipeline))
        files.write(folder / ".dvc/config", DVC_CONFIG)
    return folder


def _is_earlier(folder: Path) -> bool:
    """Is it a workspace made before workspaces bore a marker?"""
    config = folder / ".dvc/config"
    return config.is_file() and config.read_text(encoding="utf-8", errors="replace") == DVC_CONFIG


def _parameters(profile: str, *, collections: Sequence[Path], settings: Sequence[str]) -> Any:
    parameters = changed_profile(profile, settings)
    if collections:
        parameters["fetch"]["source"], parameters["fetch"]["folder"] = "folder", IMAGES
    elif parameters["fetch"]["source"] == "folder" and not parameters["fetch"]["folder"]:
        raise ParameterError(
            f"profile {profile}: expected your images, got none. Give the folder that holds dataset.json (DATA=folder)."
        )
    for key in COPIES:
        named = parameters["prepare"][key]
        if named and not Path(named).is_file():
            raise ParameterError(f"prepare.{key}: expected a file, got none at {named}. Correct the path.")
    check(parameters, origin=f"profile {profile} with {list(settings)}")
    return parameters


def _copy_sources(project: Path, folder: Path) -> None:
    for name in ("semantiseg", "notebooks"):
        files.remove(folder / name)
    shutil.copytree(project / "semantiseg", folder / "semantiseg", ignore=shutil.ignore_patterns("__pycache__", ".*"))
    (folder / "notebooks").mkdir()
    for source in sorted((project / "notebooks").glob("*.ipynb")):
        shutil.copy2(source, folder / "notebooks")
    for name in ("claims.yaml", ".dvcignore"):
        if (project / name).is_file():
            shutil.copy2(project / name, folder)


def _link_images(folder: Path, collections: Sequence[Path], *, pipeline: Any) -> None:
    links = [IMAGES] if len(collections) == 1 else [f"{IMAGES}/{collection.name}" for collection in collections]
    files.remove(folder / IMAGES)
    for link, collection in zip(links, collections, strict=True):
        (folder / link).parent.mkdir(exist_ok=True)
        os.symlink(collection, folder / link, target_is_directory=True)
        # DVC then sees it when the user's images change.
        pipeline["stages"]["fetch"]["deps"].append(link)


SHARED, LANES = ("encode", "pretrain"), ("train", "evaluate")
"""What every model needs first, and the stages that make up one model's lane."""

RUN_RECORD = Path("logs/demo_run.json")
ABSENT = ("deleted", "not in cache")
"""What `dvc status` says of data that a fresh clone does not hold."""


def reproduce(root: Path) -> dict[str, Any]:
    """Bring the pipeline in `root` up to date; return (and write to logs/) the cost of every stage.

    Raises:
        ParameterError: params.yaml is not valid, or dvc.lock is torn beyond mending.
        StageError: a stage failed; its own message has been printed before.
    """
    profile = load(root / "params.yaml").profile
    require_surroundings()
    with mending.alone(root):
        for line in mending.mend(root):
            print(line, file=sys.stderr)
        prune(root)
        seen = len(read_log(root=root))
        with measure.Meter() as meter:
            code = _side_by_side(root) or dvc("repro", root=root).returncode
        if not code:
            mending.forget(root)
            mending.keep(root)
    if code:
        raise StageError(
            f"`dvc repro` in {root}: expected success, got exit code {code}. The stage's own error stands above."
        )
    ran = {entry["stage"]: entry for entry in read_log(root=root)[seen:]}
    record = {
        "profile": profile,
        "lock": hashlib.sha256((root / "dvc.lock").read_bytes()).hexdigest(),
        "complete": set(notebook_stages(root)) <= set(ran),
        "seconds": round(meter.seconds, 1),
        "peak_gib": round(meter.peak_mib / 1024, 2),
        **measure.machine(),
        "stages": [
            {"stage": name, "seconds": ran.get(name, {}).get("seconds"), "peak_mib": ran.get(name, {}).get("peak_mib")}
            for name in notebook_stages(root)
        ],
    }
    files.write(root / RUN_RECORD, json.dumps(record, indent=1) + "\n")
    return record


def adopt(name: str, *, root: Path, made_by: str) -> None:
    """Take what the command `made_by` wrote as the outputs of a stage: in the cache, replaced by no later run.

    The stage's rendered notebook then says that it was not executed. Without dvc.yaml there is no pipeline to tell.

    Raises:
        StageError: no such stage, or DVC did not take them; they are left where they are.
    """
    if not (root / "dvc.yaml").is_file():
        return
    stage = load_stage(name, root=root)
    shown = notebook.noted(root / stage.source, f"*Not executed: `{made_by}` made the outputs of this stage.*")
    files.write(root / stage.rendered, shown)
    if dvc("--wait-for-lock", "commit", "--force", name, root=root).returncode:
        raise StageError(
            f"stage {name}: expected DVC to take its outputs into the cache, got the error above. They are in "
            f"{', '.join(map(str, stage.outs))}; run `dvc commit --force {name}` before any `dvc repro`."
        )
    mending.keep(root)


def _side_by_side(root: Path) -> int:
    """Train and evaluate the models side by side, one lane each; 0, or the exit code of the first lane that failed.

    `dvc repro` runs one stage after the other, and small networks leave a second core idle. The bytes are the same
    either way. Only stale models get a lane; what comes before and after is left to `dvc repro`.
    """
    names = [name for name in stages(root) if name.partition("@")[0] in LANES]
    if not names:
        return 0
    if code := dvc("repro", *SHARED, root=root).returncode:
        return code
    changed = json.loads(dvc("status", "--json", root=root, capture=True).stdout or "{}")
    lanes: dict[str, list[str]] = {}
    for name in filter(changed.__contains__, names):
        lanes.setdefault(name.partition("@")[2], []).append(name)

    def run(lane: list[str]) -> int:
        return dvc("--wait-for-lock", "repro", "--single-item", *lane, root=root).returncode

    with ThreadPoolExecutor(max_workers=measure.usable_cores()) as pool:
        codes = list(pool.map(run, lanes.values()))
    return next(filter(None, codes), 0)


def run_summary(record: dict[str, Any], *, root: Path) -> str:
    """What `semantiseg reproduce` ends with: Table 1, where to look, what it cost."""
    table = root / "figures" / "table1.md"
    lines = [table.read_text(encoding="utf-8").rstrip()] if table.is_file() else []
    lines += [
        *_few_patients(root / "figures" / "metrics.json"),
        "",
        f"Figures and tables:   {os.path.relpath(root / 'figures')}",
        f"Rendered notebooks:   {os.path.relpath(root / 'notebooks/rendered')}",
        "",
    ]
    width = max(len(entry["stage"]) for entry in record["stages"])
    for entry in record["stages"]:
        cost = "cached" if entry["seconds"] is None else f"{clock(entry['seconds']):>12}  {entry['peak_mib']:>6} MiB"
        lines.append(f"  {entry['stage']:<{width}}  {cost:>12}")
    lines.append(f"  {'all':<{width}}  {clock(record['seconds']):>12}  {record['peak_gib'] * 1024:>6.0f} MiB")
    return "\n".join(lines)


def _few_patients(metrics: Path) -> list[str]:
    from semantiseg.paper.table1 import tested  # a second to import

    words = few_patients(tested(json.loads(metrics.read_text(encoding="utf-8")))) if metrics.is_file() else ""
    return ["", words] if words else []


def stages(root: Path) -> dict[str, Any]:
    """Every stage of dvc.yaml, matrix expanded, by name, as DVC's own objects."""
    from dvc.repo import Repo  # two seconds to import

    with Repo(str(root)) as repo:
        return {stage.name: stage for stage in repo.index.stages}


def notebook_stages(root: Path) -> list[str]:
    """Names of the stages that execute a notebook, in the order of dvc.yaml."""
    return [name for name, stage in stages(root).items() if any(dep.def_path.endswith(".ipynb") for dep in stage.deps)]


def prune(root: Path) -> list[str]:
    """Remove what no stage makes any more: results of a model taken off the list, and dead entries of dvc.lock.

    A folder that several stages write and a later one reads whole (data/results) must hold nothing else, or the later
    stage would depend on leftovers. Returns what was removed.
    """
    known = stages(root)
    outs = {Path(out.def_path) for stage in known.values() for out in stage.outs}
    shared = {Path(dep.def_path) for stage in known.values() for dep in stage.deps} & {out.parent for out in outs}
    leftovers = [
        child.relative_to(root)
        for folder in sorted(shared)
        if folder.parts[0] == "data" and (root / folder).is_dir()
        for child in sorted((root / folder).iterdir())
        if child.relative_to(root) not in outs and not child.name.startswith(".")
    ]
    for leftover in leftovers:
        files.remove(root / leftover)
    lock = root / "dvc.lock"
    entries = document.read_document(lock) if lock.is_file() else {"stages": {}}
    dead = sorted(set(entries["stages"]) - set(known))
    if dead:
        mending.forget(root)
        for name in dead:
            del entries["stages"][name]
        files.write(lock, document.document_text(entries))
    return [path.as_posix() for path in leftovers] + dead


def lock_problems(root: Path) -> list[str]:
    """Where dvc.lock does not cover exactly the stages of dvc.yaml, matrix expanded."""
    lock = root / "dvc.lock"
    if not lock.is_file():
        return ["dvc.lock: absent, no stage was ever run"]
    locked, known = mending.locked_stages(lock), set(stages(root))
    return [f"{name}: in dvc.yaml but never run" for name in sorted(known - locked)] + [
        f"{name}: in dvc.lock but no stage of dvc.yaml" for name in sorted(locked - known)
    ]


def stale(root: Path) -> list[str]:
    """Why what is committed is not the result of the code beside it; empty if it is.

    Works on a clone without data: an absent cached output (or an input that is one) is no reason, since dvc.lock still
    ties it to its code. `dvc repro --dry` and `dvc status --quiet` cannot tell the two apart.
    """
    for name in ("dvc.yaml", "dvc.lock", "params.yaml"):
        if (root / name).is_file():
            document.values(root / name, fast=True)  # DVC would end in a traceback
    answer = dvc("status", "--json", root=root, capture=True)
    if answer.returncode:
        raise StageError(
            f"`dvc status` in {root}: expected an answer, got exit code {answer.returncode}. Its error stands above."
        )
    cached = [Path(out.def_path) for stage in stages(root).values() for out in stage.outs if out.use_cache]
    partial = _partial_folders(root, cached=cached)
    reasons = lock_problems(root)
    for name, changes in json.loads(answer.stdout).items():
        for change in changes:
            reasons += _reasons(name, change, cached=cached, partial=partial)
    return reasons


def _partial_folders(root: Path, *, cached: list[Path]) -> set[Path]:
    """Folders of several stages' outputs (data/models) of which only some are here, after `dvc pull data/models/token`.

    DVC calls such a folder modified. Each output that is here is judged by its own stage, and a folder that holds
    anything else is not partial.
    """
    partial = set()
    for folder in {out.parent for out in cached}:
        wanted = {out for out in cached if out.parent == folder}
        here = {item.relative_to(root) for item in (root / folder).glob("*")}
        if here and here < wanted:
            partial.add(folder)
    return partial


def _reasons(name: str, change: str | dict[str, Any], *, cached: list[Path], partial: set[Path]) -> list[str]:
    if isinstance(change, str):
        return [f"{name}: {change}"]
    return [
        f"{name}: {kind}, {path} {state if isinstance(state, str) else json.dumps(state)}"
        for kind, paths in change.items()
        for path, state in paths.items()
        if not (
            state in ABSENT
            and any(Path(path) == out or Path(path) in out.parents or out in Path(path).parents for out in cached)
        )
        and not (state == "modified" and Path(path) in partial)
    ]
