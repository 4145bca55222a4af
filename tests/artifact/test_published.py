"""Publishing copies exactly what is produced, or nothing."""

from __future__ import annotations

import pytest

from semantiseg.artifact.published import publish
from semantiseg.errors import StageError


def write(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)


def listing(root, *folders):
    return sorted(
        path.relative_to(root).as_posix() for folder in folders for path in (root / folder).rglob("*") if path.is_file()
    )


def test_published_folders_become_exact_copies_and_notebook_sources_stay(tmp_path):
    write(tmp_path, "data/report/table1.md", "data/rendered/01_a.ipynb", "data/report/.gitignore")
    write(tmp_path, "figures/old.png", "notebooks/rendered/02_old.ipynb", "notebooks/01_a.ipynb")
    publish(root=tmp_path)
    expected = ["figures/table1.md", "notebooks/01_a.ipynb", "notebooks/rendered/01_a.ipynb"]
    assert listing(tmp_path, "figures", "notebooks") == expected
    assert (tmp_path / "figures/table1.md").read_text() == "data/report/table1.md"


def test_without_reports_nothing_is_published(tmp_path):
    write(tmp_path, "data/report/table1.md", "figures/old.png", "notebooks/rendered/02_old.ipynb")
    with pytest.raises(StageError, match=r"data/rendered.*dvc repro"):
        publish(root=tmp_path)
    assert listing(tmp_path, "figures", "notebooks") == ["figures/old.png", "notebooks/rendered/02_old.ipynb"]
