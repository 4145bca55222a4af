"""Notebooks as text: sources without outputs, executed notebooks without anything that differs between two runs.

papermill writes times, durations, paths and random cell ids into what it executes; with those in place no rendered
notebook would ever be unchanged, and DVC would see a new output at every run.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# nbformat imports jsonschema, which compiles a grammar of international URLs if it finds one: seconds per stage, for
# a check that notebooks never ask for. A None here reads as "not installed".
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

import nbformat  # noqa: E402
from nbformat import NotebookNode  # noqa: E402

from semantiseg.errors import NotebookError  # noqa: E402

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
