"""Every command and every file that docs/bring_your_data.md shows is used as it stands, on tiny folders of its names.

A run ends here after `prepare`, where all is settled that the page is about; `test_any_images.py` goes to the end.
"""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import whole_run
from click.testing import CliRunner
from PIL import Image
from tiny_images import Folder, box
from tiny_project import ROOT

from semantiseg import cli
from semantiseg.commands import project
from semantiseg.data.layouts.reader import named_folders
from semantiseg.data.understanding import Choices, understand_folder
from semantiseg.pipeline import runner

PAGE = (ROOT / "docs/bring_your_data.md").read_text(encoding="utf-8")
LIVER = {1: box(18, 10, 0, size=(16, 16, 7)), 2: box(22, 14, 2, size=(7, 7, 4))}


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)


COMMANDS = [line for block in blocks("console") for line in block.splitlines()]
DECATHLON, NNUNET, PICTURES = blocks("json")


@pytest.fixture
def folders(tmp_path, monkeypatch) -> Path:
    """The folders that the page names, in the folder where commands are called."""
    _organs(tmp_path / "Task100_Organs", [f"case{number}x" for number in range(4)])
    gliomas = Folder(tmp_path / "Dataset200_Gliomas", ["glioma"], channels=["T1Gd", "FLAIR"], nnunet=True)
    for number in range(6):
        gliomas.add(f"case_{number}", {1: box(8, 8)})
    (gliomas.path / "dataset.json").write_text(NNUNET)
    visits = [f"P{number}_{visit}" for number in (1, 2, 3) for visit in ("pre", "post")]
    _organs(tmp_path / "Task300_Visits", visits, stated=False)
    _organs(tmp_path / "Task400_Stored", [f"case{number}x" for number in range(4)], offset=1024)
    _organs(tmp_path / "Task500_Namen", [f"case{number}x" for number in range(4)], names=["Leber", "Tisch"])
    (tmp_path / "patients.csv").write_text(blocks("text")[0])
    (tmp_path / "names.yaml").write_text(blocks("yaml")[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(project, "ROOT", ROOT)
    return tmp_path


def _organs(
    path: Path, cases: list[str], *, names: tuple[str, ...] | list[str] = ("liver", "liver tumour"), offset: int = 0,
    stated: bool = True,
) -> None:  # fmt: skip
    folder = Folder(path, names, offset=offset)
    for case in cases:
        folder.add(case, LIVER)
    if not stated:
        content = json.loads((path / "dataset.json").read_text())
        for entry in content["training"]:
            del entry["patient"]
        (path / "dataset.json").write_text(json.dumps(content))


def run_to_prepare(root: Path) -> dict:
    """In place of `runner.reproduce`."""
    later = set(whole_run.stages(root)) - {"fetch", "prepare"}
    whole_run.run_all(root, without=later, published=False)
    cost = {"stage": "prepare", "seconds": 1, "peak_mib": 1}
    return {"stages": [cost], "seconds": 1, "peak_gib": 0.1}


@pytest.mark.parametrize("line", COMMANDS)
def test_commands_of_the_page_do_what_it_says(line, folders, monkeypatch):
    monkeypatch.setattr(runner, "reproduce", run_to_prepare)
    program, verb, *arguments = shlex.split(line)
    assert program == "semantiseg"
    done = CliRunner().invoke(cli.main, [verb, *arguments])
    assert done.exit_code == 0, done.output
    if verb == "reproduce":
        manifest = pd.read_parquet(next(Path("workspaces").glob("own-*/data/volumes/manifest.parquet")))
        assert set(manifest["collection"]) == {name.name for name in map(Path, named_folders(arguments[3]))}
        if "Visits" in line:
            assert manifest["patient_id"].nunique() == 3
        if "Stored" in line:
            assert set(manifest["intensity"]) == {"HU+1024"}
        if "Namen" in line:
            assert set(manifest["leaves"].explode()) == {"liver_parenchyma"}
    elif "--picture" in line:
        assert Image.open("slices.png").size > (100, 100)


def test_names_that_may_be_read_in_two_ways_stop_with_the_line_to_paste(folders):
    done = CliRunner().invoke(cli.main, ["check", "Task300_Visits"])
    assert done.exit_code == 1 and "prepare.patient_pattern" in done.output


def test_an_unknown_name_stops_with_the_mapping_to_write(folders):
    done = CliRunner().invoke(cli.main, ["check", "Task500_Namen"])
    assert done.exit_code == 1 and "'Leber'" in done.output and "prepare.mapping" in done.output


def test_the_descriptions_of_the_page_are_read_as_it_says(tmp_path):
    described = {"a": ("decathlon", DECATHLON, 2), "b": ("pictures", PICTURES, 3)}
    _organs(tmp_path / "a", ["case_0", "case_1"])
    for name in ("images", "masks"):
        (tmp_path / "b" / name).mkdir(parents=True)
        for number in range(3):
            mask = np.zeros((40, 36), np.uint8)
            mask[10:25, 8 + number : 20] = 1
            values = mask if name == "masks" else 90 * mask + np.arange(36, dtype=np.uint8)
            Image.fromarray(values).save(tmp_path / "b" / name / f"x{number}.png")
    for name, (layout, text, cases) in described.items():
        (tmp_path / name / "dataset.json").write_text(text)
        found = understand_folder(tmp_path / name, Choices(patient_pattern="" if name == "a" else ".+")).collection
        assert (found.layout, len(found.cases), found.problems) == (layout, cases, ())


def test_the_page_is_about_these_commands_only_and_its_lines_are_short():
    assert len(COMMANDS) >= 10 and {line.split()[0] for line in COMMANDS} == {"semantiseg"}
    assert "make reproduce PROFILE=own DATA=Task100_Organs" in PAGE
    assert '--data "$(DATA)"' in (ROOT / "Makefile").read_text()
    assert [line for line in PAGE.splitlines() if len(line) > 120 and not line.startswith("semantiseg")] == []
