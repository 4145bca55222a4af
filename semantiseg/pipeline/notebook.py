"""Notebooks as text: sources without outputs, executed notebooks without anything that differs between two runs.

papermill writes times, durations, paths and random cell ids into what it executes; with those in place no rendered
notebook would ever be unchanged, and DVC would see a new output at every run.

Which modules of this package does a notebook run? Read from the source, so nothing is imported to find out.

The pipeline's promise that a result belongs to its code holds only if every module that made it is a dependency of its
stage.

Keep dvc.yaml true: the modules listed for a stage are those that its notebook runs.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nbformat  # noqa: E402
from nbformat import NotebookNode  # noqa: E402

from semantiseg import document
from semantiseg.errors import NotebookError  # noqa: E402

# nbformat imports jsonschema, which compiles a grammar of international URLs if it finds one: seconds per stage, for
# a check that notebooks never ask for. A None here reads as "not installed".
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]


PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}

_ENCODED = ("image/png", "image/jpeg", "application/pdf")

# IPython compiles each cell under a temporary file named by process; warnings quote it.
_CELL_FILE = re.compile(r"\S*ipykernel_\d+[/\\]\d+\.py")


def read(path: Path) -> NotebookNode:
    """Read a notebook of format 4.

    Raises:
        NotebookError: the file is absent or is no notebook.
    """
    try:
        return nbformat.read(path, as_version=4)
    except OSError as error:
        raise NotebookError(f"{path}: expected a notebook, got {error.strerror}. Correct `deps` in dvc.yaml.") from None
    except Exception as error:  # nbformat raises its own, json's and jsonschema's errors
        raise NotebookError(f"{path}: expected a notebook of format 4, got {error}. Restore it from Git.") from None


def write_text(notebook: NotebookNode) -> str:
    """The one spelling of a notebook on disk: sorted keys, one space of indent, a closing newline."""
    return nbformat.writes(notebook, version=4).rstrip("\n") + "\n"


def parameters(path: Path) -> dict[str, Any]:
    """Names and default values of a notebook's parameters, in the order of the cell tagged `parameters`.

    Raises:
        NotebookError: there is not exactly one such cell, or it holds more than plain assignments of literals.
    """
    cells = [
        cell
        for cell in read(path).cells
        if cell.cell_type == "code" and PARAMETERS_TAG in cell.metadata.get("tags", [])
    ]
    if len(cells) != 1:
        raise NotebookError(
            f"{path}: expected exactly one code cell tagged '{PARAMETERS_TAG}', got {len(cells)}. "
            f"Tag the cell that holds the defaults (in JupyterLab: Property Inspector, Cell Tags)."
        )
    try:
        statements = ast.parse(cells[0].source).body
    except SyntaxError as error:
        raise NotebookError(f"{path}: the parameters cell does not parse ({error}). Correct the cell.") from None
    return dict(_assignment(statement, path=path) for statement in statements)


def _assignment(statement: ast.stmt, *, path: Path) -> tuple[str, Any]:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    try:
        if len(targets) != 1 or not isinstance(targets[0], ast.Name):
            raise ValueError
        return targets[0].id, ast.literal_eval(statement.value)  # type: ignore[attr-defined]  # an assignment has one
    except (AttributeError, ValueError):
        raise NotebookError(
            f"{path}: expected only plain assignments such as `steps = 20` in the parameters cell, "
            f"got `{ast.unparse(statement)}`. Move it to a cell of its own."
        ) from None


def strip(notebook: NotebookNode) -> NotebookNode:
    """The notebook as it is kept in Git: no outputs, no counts, ordinal cell ids, only tags as cell metadata."""
    cells = [cell for cell in notebook.cells if INJECTED_TAG not in cell.metadata.get("tags", [])]
    return _assemble([_bare_cell(cell) for cell in cells])


def normalise(executed: NotebookNode, *, replace: Mapping[str, str] | None = None) -> NotebookNode:
    """The executed notebook without what differs between two runs or two machines.

    Dropped: papermill's and Jupyter's times, cell ids, widget state, interpreter version, chunking of printed text,
    and the staging folder (shown as "."). Outputs themselves are kept as they are, except that `replace` substitutes
    text in them (absolute paths that warnings quote).
    """
    cells = []
    for cell in executed.cells:
        bare = _bare_cell(cell)
        if cell.cell_type == "code":
            bare.execution_count = cell.get("execution_count")
            bare.outputs = [_clean(output, replace=replace or {}) for output in _merge_streams(cell.outputs)]
        if INJECTED_TAG in bare.metadata.get("tags", []):
            bare.source = re.sub(r"^staging = .*$", 'staging = "."', bare.source, flags=re.MULTILINE)
        cells.append(bare)
    return _assemble(cells)


def noted(source: Path, note: str) -> str:
    """Text of an unexecuted notebook under a note (Markdown) that says why it is shown so."""
    return write_text(_assemble([nbformat.v4.new_markdown_cell(note), *map(_bare_cell, read(source).cells)]))


def _assemble(cells: list[NotebookNode]) -> NotebookNode:
    for number, cell in enumerate(cells):
        cell.id = f"cell-{number:02d}"
    notebook = nbformat.from_dict({"cells": cells, "metadata": METADATA, "nbformat": 4, "nbformat_minor": 5})
    nbformat.validate(notebook)
    return notebook


def _bare_cell(cell: NotebookNode) -> NotebookNode:
    tags = cell.metadata.get("tags")
    bare = {
        "cell_type": cell.cell_type,
        "id": "",
        "metadata": {"tags": list(tags)} if tags else {},
        "source": cell.source,
    }
    if cell.cell_type == "code":
        bare |= {"execution_count": None, "outputs": []}
    if "attachments" in cell:
        bare["attachments"] = cell.attachments
    return nbformat.from_dict(bare)


def _merge_streams(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """One output per stream between two other outputs: how the kernel cuts and interleaves its text is chance."""
    merged: list[NotebookNode] = []
    run: dict[str, str] = {}

    def close() -> None:
        merged.extend(nbformat.v4.new_output("stream", name=name, text=run[name]) for name in sorted(run, reverse=True))
        run.clear()

    for output in outputs:
        if output.output_type == "stream":
            run[output.name] = run.get(output.name, "") + output.text
        else:
            close()
            merged.append(output)
    close()
    return merged


def _clean(value: Any, *, replace: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        for old, new in replace.items():
            value = value.replace(old, new)
        return _CELL_FILE.sub("cell.py", value)
    if isinstance(value, Mapping):
        # In an encoded picture a path's letters could turn up by chance.
        return nbformat.from_dict({k: v if k in _ENCODED else _clean(v, replace=replace) for k, v in value.items()})
    return [_clean(item, replace=replace) for item in value] if isinstance(value, list) else value


PACKAGE = "semantiseg"


def notebook_source(path: Path) -> str:
    """All code cells of a notebook as one module; IPython's own lines (`%`, `!`) left out."""
    lines: list[str] = []
    for cell in read(path).cells:
        if cell.cell_type == "code":
            lines += [line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))]
    return "\n".join(lines)


def imported_names(source: str) -> set[str]:
    """Dotted names that a piece of source imports, also inside functions; `from a import b` gives `a` and `a.b`."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def modules(source: str, *, root: Path) -> set[Path]:
    """Files of the package, relative to `root`, that running `source` executes, followed through their own imports.

    Importing `a.b.c` executes the packages `a` and `a.b` too. Modules that hold nothing but a docstring and dunder
    constants are left out: they cannot change a result.
    """
    found: set[Path] = set()
    waiting = _files(imported_names(source), root=root)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting |= _files(imported_names((root / path).read_text(encoding="utf-8")), root=root) - found
    return {path for path in found if not is_inert((root / path).read_text(encoding="utf-8"))}


def is_inert(source: str) -> bool:
    """Does a module hold only a docstring, constants such as `__version__`, and names imported when asked for?"""
    return all(
        (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant))
        or (isinstance(statement, ast.FunctionDef) and statement.name == "__getattr__")
        or (
            isinstance(statement, ast.Assign)
            and all(isinstance(target, ast.Name) and target.id.startswith("__") for target in statement.targets)
        )
        for statement in ast.parse(source).body
    )


def uncovered(source: str, *, deps: Iterable[Path], root: Path) -> list[Path]:
    """Modules that `source` runs and that no path of `deps` (files or folders) covers, sorted."""
    covers = [Path(dep) for dep in deps]
    return sorted(
        path for path in modules(source, root=root) if not any(path == dep or dep in path.parents for dep in covers)
    )


def dependencies(source: str, *, root: Path) -> list[Path]:
    """What a stage that runs `source` lists under `deps`: its modules, or a folder where it runs all of it; sorted."""
    used = modules(source, root=root)
    whole = {
        folder for path in used for folder in path.parents if folder.parts[1:] and _runs_all(folder, used, root=root)
    }
    return sorted({min((folder for folder in path.parents if folder in whole), default=path) for path in used})


def _runs_all(folder: Path, used: set[Path], *, root: Path) -> bool:
    held = [path for path in (root / folder).rglob("*.py") if not is_inert(path.read_text(encoding="utf-8"))]
    return len(held) > 1 and all(path.relative_to(root) in used for path in held)


def _files(names: set[str], *, root: Path) -> set[Path]:
    files: set[Path] = set()
    for name in names:
        parts = name.split(".")
        if parts[0] != PACKAGE:
            continue
        for length in range(1, len(parts) + 1):
            base = Path(*parts[:length])
            files |= {path for path in (base / "__init__.py", base.with_suffix(".py")) if (root / path).is_file()}
    return files


def with_dependencies(root: Path) -> tuple[str, list[str]]:
    """dvc.yaml with exactly the modules that each notebook runs as its `deps`, and what that changes."""
    pipeline = document.read_document(root / "dvc.yaml")
    changed = []
    for name, stage in pipeline["stages"].items():
        notebooks = [Path(dep) for dep in stage["deps"] if dep.endswith(".ipynb")]
        if not notebooks or not (root / notebooks[0]).is_file():
            continue
        needed = [path.as_posix() for path in dependencies(notebook_source(root / notebooks[0]), root=root)]
        # Data that a module reads beside it (.csv, .yaml) is listed by hand, as no import names it.
        listed = [dep for dep in stage["deps"] if dep.startswith("semantiseg/") and _holds_code(root / dep)]
        if sorted(listed) != needed:
            changed.append(
                f"{name}: add {sorted(set(needed) - set(listed))}, remove {sorted(set(listed) - set(needed))}"
            )
            others = [dep for dep in stage["deps"] if dep not in listed and not dep.endswith(".ipynb")]
            stage["deps"] = [notebooks[0].as_posix(), *needed, *others]
    return document.document_text(pipeline), changed


def _holds_code(path: Path) -> bool:
    """Is it a module or a folder of modules? A folder of data beside the module that reads it is no import."""
    return path.suffix == ".py" or any(path.glob("**/*.py"))
