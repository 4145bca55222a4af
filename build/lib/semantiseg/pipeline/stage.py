"""Run one stage of the pipeline: `python -m semantiseg.pipeline.stage train@token`.

What a stage may read and must write stands in dvc.yaml, and only there; this runner holds the stage to it. It checks
the parameters against the notebook's own, executes the notebook into a staging folder, makes the executed notebook the
same at every run, and moves the outputs to their final names only when all exist and no input changed meanwhile.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dvc.dependency.param import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo

from semantiseg import files, measure
from semantiseg.errors import SemantiSegError, StageError, system_message
from semantiseg.params import check, read_yaml
from semantiseg.pipeline import execution, mending, notebook

STAGING = Path("data/.staging")
FAILED = Path("data/failed")
RENDERED = Path("data/rendered")
LOG = Path("logs/stages.jsonl")

_LOCK_READINGS, _LOCK_SECONDS = 20, 0.25
"""DVC writes dvc.lock in place, in some milliseconds."""


@dataclass(frozen=True)
class Stage:
    """A stage as dvc.yaml declares it. Paths are relative to the project, parameters those that the stage lists."""

    name: str
    source: Path
    rendered: Path
    deps: tuple[Path, ...]
    outs: tuple[Path, ...]
    item: Mapping[str, str]
    listed: Mapping[str, Any]


def load_stage(name: str, *, root: Path) -> Stage:
    """Read a stage through DVC.

    Raises:
        StageError: no such stage, or it does not declare one notebook and its rendered form.
        ParameterError: params.yaml as a whole is not valid.
    """
    check(read_yaml(root / "params.yaml"), origin="params.yaml")
    declared = _declared(name, root=root)
    listed = [dep.read_params(flatten=False) for dep in declared.deps if isinstance(dep, ParamsDependency)]
    deps = tuple(Path(dep.def_path) for dep in declared.deps if not isinstance(dep, ParamsDependency))
    outs = tuple(Path(out.def_path) for out in declared.outs)
    sources = [path for path in deps if path.suffix == ".ipynb"]
    rendered = [path for path in outs if path.parent == RENDERED]
    if len(sources) != 1 or len(rendered) != 1:
        raise StageError(
            f"stage {name}: expected one notebook among `deps` and one {RENDERED}/*.ipynb among `outs`, "
            f"got {len(sources)} and {len(rendered)}. Correct dvc.yaml."
        )
    item = _item(name, matrix=read_yaml(root / "dvc.yaml")["stages"][name.partition("@")[0]].get("matrix", {}))
    return Stage(name, sources[0], rendered[0], deps, outs, item=item, listed=listed[0] if listed else {})


def _declared(name: str, *, root: Path) -> Any:
    """The stage as DVC reads it; read again while a lane beside this one is half through writing dvc.lock."""
    readings = 0
    while True:
        try:
            # DVC reads the names of stages from the working directory.
            with contextlib.chdir(root), Repo() as repo:
                return repo.stage.load_one("dvc.yaml", name)
        except DvcException as error:
            readings += 1
            if "dvc.lock" not in str(error) or readings == _LOCK_READINGS:
                raise StageError(
                    f"stage {name}: expected a stage of dvc.yaml, got: {error}. See `dvc stage list`."
                ) from None
            time.sleep(_LOCK_SECONDS)


def _item(name: str, *, matrix: Mapping[str, Any]) -> dict[str, str]:
    if len(matrix) > 1:
        raise StageError(
            f"stage {name}: expected a matrix of one list, got {sorted(matrix)}. Name the stage by one key."
        )
    return {key: name.partition("@")[2] for key in matrix}


def notebook_arguments(stage: Stage, *, defaults: Mapping[str, Any]) -> dict[str, Any]:
    """What is injected into the notebook: the stage's parameters, flattened, and its matrix item and staging folder.

    Raises:
        StageError: a name or type differs from the notebook's parameters cell, or a value is not JSON.
    """
    values: dict[str, Any] = {}
    for key, value in [*stage.listed.items(), *stage.item.items(), ("staging", (STAGING / stage.name).as_posix())]:
        for name, leaf in value.items() if isinstance(value, Mapping) else [(key, value)]:
            if name in values:
                raise StageError(
                    f"stage {stage.name}: parameter {name!r} is listed twice. Correct `params` in dvc.yaml."
                )
            values[name] = leaf
    missing, unknown = sorted(set(defaults) - set(values)), sorted(set(values) - set(defaults))
    if missing or unknown:
        raise StageError(
            f"stage {stage.name}: expected the names in the parameters cell of {stage.source}, "
            f"got none for {missing} and unknown {unknown}. Make `params` in dvc.yaml and the cell agree."
        )
    return {
        name: _typed(values[name], default, where=f"stage {stage.name}: parameter {name!r}")
        for name, default in defaults.items()
    }


def _typed(value: Any, default: Any, *, where: str) -> Any:
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise StageError(
            f"{where}: expected {type(default).__name__} as in the notebook, got {value!r}. "
            f"Correct params.yaml or the notebook."
        )
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise StageError(f"{where}: expected a finite JSON value, got {value!r}. Correct params.yaml.") from None
    return value


def run(name: str, *, root: Path) -> None:
    """Run a stage; on return its outputs are complete, on an error there is nothing new under their names.

    Raises:
        SemantiSegError: the stage could not start, failed, or did not keep to its declaration.
    """
    stage = load_stage(name, root=root)
    values = notebook_arguments(stage, defaults=notebook.parameters(root / stage.source))
    before = _inputs(stage, root=root)
    mending.keep(root)
    staging, failed = root / STAGING / name, root / FAILED / f"{name}.ipynb"
    for path in (staging, failed, *(root / out for out in stage.outs)):
        files.remove(path)
    executed = staging / stage.rendered
    for out in stage.outs:
        (staging / out).parent.mkdir(parents=True, exist_ok=True)
    status = "failed"
    try:
        with measure.Meter() as meter:
            execution.execute(
                root / stage.source,
                executed,
                values,
                root=root,
                title=name,
                expected_seconds=last_seconds(name, root=root),
            )
            _finish(stage, before=before, root=root)
        status = "done"
    except (SemantiSegError, OSError) as error:
        raise StageError(
            f"{_told(error)}\nStage {name} wrote nothing. {_kept(executed, failed, root=root)} "
            f"Mend the cause and run `dvc repro` again."
        ) from None
    finally:
        with contextlib.suppress(OSError):
            files.remove(staging)
        _log(name, status=status, meter=meter, root=root)
    print(f"stage {name}: done in {execution.clock(meter.seconds)}", file=sys.stderr)


def _told(error: SemantiSegError | OSError) -> str:
    """The error as the user should read it: a full disk or a read-only folder by its name."""
    if isinstance(error, SemantiSegError):
        return str(error)
    return system_message(error)


def _kept(executed: Path, failed: Path, *, root: Path) -> str:
    """Puts the notebook of a failed stage aside and says where; on a full disk it may have no place."""
    try:
        if executed.is_file():
            files.replace(executed, failed)
            return f"The notebook up to the error is {failed.relative_to(root)}."
    except OSError as error:
        return f"The notebook up to the error could not be kept ({error.strerror})."
    return "It did not come as far as a notebook."


def _inputs(stage: Stage, *, root: Path) -> dict[Path, str]:
    uncovered = notebook.uncovered(notebook.notebook_source(root / stage.source), deps=stage.deps, root=root)
    if uncovered:
        raise StageError(
            f"stage {stage.name}: expected every module that {stage.source} runs among `deps` in dvc.yaml, "
            f"got none for {[path.as_posix() for path in uncovered]}. Add them: otherwise old results pass for new."
        )
    prints = {dep: files.fingerprint(root / dep) for dep in stage.deps}
    absent = [dep.as_posix() for dep, value in prints.items() if value is None]
    if absent:
        raise StageError(
            f"stage {stage.name}: expected its inputs, got none at {absent}. Run `dvc repro` to make them."
        )
    return {dep: value for dep, value in prints.items() if value is not None}


def _finish(stage: Stage, *, before: Mapping[Path, str], root: Path) -> None:
    staging = root / STAGING / stage.name
    executed = staging / stage.rendered
    # The environment may lie inside the project, and the project inside the home folder: innermost first.
    paths = {sys.prefix: "<python>", str(root.resolve()): ".", str(Path.home()): "~"}
    files.write(executed, notebook.write_text(notebook.normalise(notebook.read(executed), replace=paths)))
    absent = [out.as_posix() for out in stage.outs if not (staging / out).exists()]
    if absent:
        raise StageError(
            f"{stage.source}: expected it to write every output that dvc.yaml declares, got none at {absent}. "
            f"Write them below the parameter `staging`, and do not leave the notebook early."
        )
    changed = [dep.as_posix() for dep, value in before.items() if files.fingerprint(root / dep) != value]
    if changed:
        raise StageError(f"inputs changed while the stage ran: {changed}. Leave them alone until it ends.")
    for out in stage.outs:
        files.replace(staging / out, root / out)


def last_seconds(name: str, *, root: Path) -> float | None:
    """Seconds that the stage took when it last succeeded here, if it did."""
    return next(
        (
            entry["seconds"]
            for entry in reversed(read_log(root=root))
            if (entry["stage"], entry["status"]) == (name, "done")
        ),
        None,
    )


def read_log(*, root: Path) -> list[dict[str, Any]]:
    """Whole entries of logs/stages.jsonl, oldest first; what is torn or cannot be read counts as absent.

    A log says what a run cost and never decides whether a stage runs.
    """
    path = root / LOG
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else []
    except OSError:
        return []
    return [entry for line in lines if (entry := _entry(line)) is not None]


def _entry(line: str) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return entry if isinstance(entry, dict) and {"stage", "status", "seconds", "peak_mib"} <= set(entry) else None


def _log(name: str, *, status: str, meter: measure.Meter, root: Path) -> None:
    entry = {
        "stage": name,
        "status": status,
        "ended": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "seconds": round(meter.seconds, 2),
        "cpu_seconds": round(meter.cpu_seconds, 2),
        "peak_mib": round(meter.peak_mib),
        **measure.machine(),
    }
    try:
        _append(root / LOG, json.dumps(entry))
    except OSError as error:
        print(f"{LOG}: not written ({error.strerror}); the cost of {name} is lost, nothing else.", file=sys.stderr)


def _append(path: Path, line: str) -> None:
    """Append a line of its own, also after a half line that a full disk left."""
    path.parent.mkdir(exist_ok=True)
    with path.open("ab+") as log:
        log.seek(max(0, log.seek(0, 2) - 1))
        torn = log.read() not in (b"", b"\n")
        log.write(("\n" if torn else "").encode() + line.encode() + b"\n")


def main(argv: list[str]) -> int:
    """Entry of `python -m semantiseg.pipeline.stage NAME`, run in the project's folder; 0 if the stage succeeded."""
    if len(argv) != 1:
        print("usage: python -m semantiseg.pipeline.stage STAGE (see `dvc stage list`)", file=sys.stderr)
        return 2
    try:
        run(argv[0], root=Path.cwd())
    except (SemantiSegError, OSError) as error:
        print(f"\nERROR in stage {argv[0]}:\n{_told(error)}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
