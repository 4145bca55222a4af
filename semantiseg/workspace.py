"""A place of its own for a run of the pipeline: other parameters or other images, committed results left alone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from semantiseg import document, files, output
from semantiseg.errors import ParameterError
from semantiseg.params import Parameters, check, profile_text

WORKSPACES = Path("workspaces")
IMAGES = "images"
"""Link, in a workspace, to the user's folder: rendered notebooks then show this name and no path of one machine."""

MAPPING = "mapping.yaml"
"""Copy, in a workspace, of the file that names the user's labels."""

# All that `dvc init --no-scm` would leave, without starting it (seconds).
DVC_CONFIG = """[core]
    no_scm = True
    analytics = false
    autostage = false
    check_update = false
"""


def default_folder(profile: str, *, data: Path | None) -> Path:
    """`workspaces/smoke`, or `workspaces/own-Task101_AbdomenSlices` with images of the user's."""
    return WORKSPACES / (profile if data is None else f"{profile}-{data.resolve().name}")


def create(
    folder: Path, *, project: Path, profile: str, data: Path | None = None, settings: Sequence[str] = ()
) -> Path:
    """Make `folder` a self-contained project in which `dvc repro` runs; an existing one keeps its cache.

    Args:
        folder: where; created if absent.
        project: the checkout that sources, notebooks and dvc.yaml are copied from.
        profile: name of a shipped profile.
        data: folder in Decathlon layout (it holds dataset.json) to use in place of the profile's source.
        settings: changes such as `train.steps=50`, values in YAML.

    Raises:
        OutputError: `folder` holds other files, the checkout or the images.
        ParameterError: an unknown profile or key, a wrong type, no images at `data`; nothing is written then.
    """
    parameters = _parameters(profile, data=data, settings=settings)
    if not (project / "dvc.yaml").is_file():
        raise ParameterError(
            f"expected the project's dvc.yaml in {project.resolve()}, got none. Run this in a checkout of SemantiSeg."
        )
    reads = [project, *([data] if data is not None else [])]
    output.claim(folder, verb="workspace", inputs=reads, own=("*",) if _is_earlier(folder) else ())
    _copy_sources(project, folder)
    mapping = parameters["prepare"]["mapping"]
    if mapping:
        shutil.copy2(mapping, folder / MAPPING)
        parameters["prepare"]["mapping"] = MAPPING
    files.write(folder / "params.yaml", document.text(parameters))
    pipeline = document.load(project / "dvc.yaml")
    _link_images(folder, data=data, pipeline=pipeline)
    if mapping:
        pipeline["stages"]["prepare"]["deps"].append(MAPPING)
    files.write(folder / "dvc.yaml", document.text(pipeline))
    files.write(folder / ".dvc/config", DVC_CONFIG)
    return folder


def _is_earlier(folder: Path) -> bool:
    """Is it a workspace made before workspaces bore a marker?"""
    config = folder / ".dvc/config"
    return config.is_file() and config.read_text(encoding="utf-8", errors="replace") == DVC_CONFIG


def with_settings(profile: str, settings: Sequence[str]) -> Parameters:
    """A shipped profile with changes such as `train.steps=50`.

    Raises:
        ParameterError: an unknown profile or key, or a wrong type.
    """
    parameters = document.parse(profile_text(profile))
    for setting in settings:
        _set(parameters, setting)
    return check(parameters, origin=f"profile {profile} with {list(settings)}")


def _parameters(profile: str, *, data: Path | None, settings: Sequence[str]) -> Any:
    parameters = document.parse(profile_text(profile))
    for setting in settings:
        _set(parameters, setting)
    if data is not None:
        if not (data / "dataset.json").is_file():
            raise ParameterError(
                f"data: expected a folder in Decathlon layout, got no dataset.json in {data}. "
                f"Name the folder that holds dataset.json, imagesTr and labelsTr."
            )
        parameters["fetch"]["source"], parameters["fetch"]["folder"] = "folder", IMAGES
    elif parameters["fetch"]["source"] == "folder" and not parameters["fetch"]["folder"]:
        raise ParameterError(
            f"profile {profile}: expected your images, got none. Give a folder in Decathlon layout (DATA=folder)."
        )
    mapping = parameters["prepare"]["mapping"]
    if mapping and not Path(mapping).is_file():
        raise ParameterError(f"prepare.mapping: expected a YAML file, got none at {mapping}. Correct the path.")
    check(parameters, origin=f"profile {profile} with {list(settings)}")
    return parameters


def _set(parameters: Any, setting: str) -> None:
    path, equals, text = setting.partition("=")
    *sections, last = path.split(".")
    target = parameters
    for section in sections:
        target = target.get(section) if isinstance(target, dict) else None
    if not equals or not isinstance(target, dict) or last not in target:
        raise ParameterError(
            f"set: expected an existing parameter such as train.steps=50, got {setting!r}. See params.yaml."
        )
    try:
        target[last] = YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        raise ParameterError(
            f"set: expected a YAML value after '=', got {setting!r}. Quote text that holds ':' or '['."
        ) from None


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


def _link_images(folder: Path, *, data: Path | None, pipeline: Any) -> None:
    link = folder / IMAGES
    if link.is_symlink():
        link.unlink()
    if data is not None:
        os.symlink(data.resolve(), link, target_is_directory=True)
        # DVC then sees it when the user's images change.
        pipeline["stages"]["fetch"]["deps"].append(IMAGES)
