"""Keep dvc.yaml true: the modules listed for a stage are those that its notebook runs."""

from __future__ import annotations

from pathlib import Path

from semantiseg import document, importgraph


def with_dependencies(root: Path) -> tuple[str, list[str]]:
    """dvc.yaml with exactly the modules that each notebook runs as its `deps`, and what that changes."""
    pipeline = document.load(root / "dvc.yaml")
    changed = []
    for name, stage in pipeline["stages"].items():
        notebooks = [Path(dep) for dep in stage["deps"] if dep.endswith(".ipynb")]
        if not notebooks or not (root / notebooks[0]).is_file():
            continue
        needed = [
            path.as_posix()
            for path in importgraph.dependencies(importgraph.notebook_source(root / notebooks[0]), root=root)
        ]
        # Data that a module reads beside it (.csv) is listed by hand, as no import names it.
        listed = [dep for dep in stage["deps"] if dep.startswith("semantiseg/") and Path(dep).suffix in ("", ".py")]
        if sorted(listed) != needed:
            changed.append(
                f"{name}: add {sorted(set(needed) - set(listed))}, remove {sorted(set(listed) - set(needed))}"
            )
            others = [dep for dep in stage["deps"] if dep not in listed and not dep.endswith(".ipynb")]
            stage["deps"] = [notebooks[0].as_posix(), *needed, *others]
    return document.text(pipeline), changed
