"""Notebook sources: stripped, one parameters cell, no logic, no second home for results."""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

import pytest
import tiny_project
from papermill.translators import PythonTranslator

from semantiseg.pipeline import notebook

ROOT = tiny_project.ROOT
SOURCES = sorted((ROOT / "notebooks").glob("*.ipynb"))
RENDERED = sorted((ROOT / "notebooks/rendered").glob("*.ipynb"))
ALLOWED = {"semantiseg", "numpy", "pandas", "matplotlib", "IPython", *sys.stdlib_module_names}

each_source = pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.stem)
each_rendered = pytest.mark.parametrize("path", RENDERED, ids=lambda path: path.stem)


def code(path: Path) -> list[str]:
    return [cell.source for cell in notebook.read(path).cells if cell.cell_type == "code"]


@each_source
def test_a_source_is_kept_stripped(path):
    assert notebook.write_text(notebook.strip(notebook.read(path))) == path.read_text(encoding="utf-8"), (
        "run `semantiseg notebooks strip`"
    )


@each_source
def test_a_source_has_one_parameters_cell_with_the_staging_folder_and_a_comment_on_each_line(path):
    assert notebook.parameters(path)["staging"] == "."
    cell = next(cell for cell in notebook.read(path).cells if "parameters" in cell.metadata.get("tags", []))
    assert [line for line in cell.source.splitlines() if line and "#" not in line and not line[0].isspace()] == []


@each_source
def test_papermill_understands_every_parameter(path):
    cell = next(cell for cell in notebook.read(path).cells if "parameters" in cell.metadata.get("tags", []))
    understood = {parameter.name for parameter in PythonTranslator.inspect(cell)}
    assert understood == set(notebook.parameters(path)), "a comment that Papermill cannot parse is warned about in logs"


@each_source
def test_a_source_imports_the_package_and_what_shows_results_only(path):
    names = {name.partition(".")[0] for name in notebook.imported_names(notebook.notebook_source(path))}
    assert names - ALLOWED == set()


@each_source
def test_a_source_holds_no_logic(path):
    """Functions and classes belong into the package, and a cell stays readable."""
    for source in code(path):
        tree = ast.parse("\n".join(line for line in source.splitlines() if not line.lstrip().startswith(("%", "!"))))
        assert not any(
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) for node in ast.walk(tree)
        )
        assert len(source.splitlines()) <= 30


@each_source
def test_a_source_opens_with_a_question(path):
    first = notebook.read(path).cells[0]
    assert first.cell_type == "markdown" and first.source.startswith("# ") and "?" in first.source


@each_rendered
def test_a_rendered_notebook_belongs_to_a_source(path):
    assert any(path.stem == source.stem or path.stem.startswith(f"{source.stem}-") for source in SOURCES)


@each_rendered
def test_a_rendered_notebook_is_normalised_and_shows_no_error_path_or_address(path):
    made = notebook.read(path)
    assert notebook.write_text(notebook.normalise(made)) == path.read_text(encoding="utf-8")
    for cell in made.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error"
            text = str({key: value for key, value in output.get("data", {}).items() if not key.startswith("image/")})
            text += output.get("text", "")
            assert not re.search(r" at 0x[0-9a-f]{6,}|(?<![\w.])/(?:home|root|tmp|work|Users)/", text)
