"""What a notebook runs is found from its source, through every kind of import."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_project import tiny_notebook

from semantiseg.pipeline import notebook
from semantiseg.pipeline.notebook import write_text


@pytest.fixture
def package(tmp_path):
    sources = {
        "__init__.py": '"""Doc."""\n__version__ = "1"\n',
        "a.py": "from semantiseg.deep import b\n",
        "deep/__init__.py": "FLAG = 1\n",
        "deep/b.py": "def f():\n    import semantiseg.c\n",
        "c.py": "import semantiseg.a\nX = 1\n",
        "unused.py": "X = 1\n",
    }
    for name, text in sources.items():
        (tmp_path / "semantiseg" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "semantiseg" / name).write_text(text)
    return tmp_path


ALL = {Path("semantiseg") / name for name in ("a.py", "deep/__init__.py", "deep/b.py", "c.py")}


@pytest.mark.parametrize(
    "source", ["import semantiseg.a", "from semantiseg import a", "from semantiseg.a import b as x"]
)
def test_imports_are_followed_through_packages_functions_and_cycles(package, source):
    assert notebook.modules(source, root=package) == ALL


def test_other_packages_are_none_of_its_business(package):
    assert notebook.modules("import numpy.linalg, semantisegment", root=package) == set()


def test_folders_and_files_cover(package):
    deps = [Path("semantiseg/a.py"), Path("semantiseg/deep")]
    assert notebook.uncovered("import semantiseg.a", deps=deps, root=package) == [Path("semantiseg/c.py")]
    assert notebook.uncovered("import semantiseg.a", deps=[*deps, Path("semantiseg/c.py")], root=package) == []


def test_magic_lines_of_a_notebook_are_passed_over(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text(write_text(tiny_notebook("%matplotlib inline\nimport semantiseg.a\n!ls")))
    assert "semantiseg.a" in notebook.imported_names(notebook.notebook_source(path))


@pytest.mark.parametrize(
    ("source", "inert"), [("", True), ("'doc'\n__version__ = '1'", True), ("X = 1", False), ("import os", False)]
)
def test_only_modules_that_do_nothing_are_inert(source, inert):
    assert notebook.is_inert(source) is inert
