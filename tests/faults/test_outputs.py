"""Outputs: no verb destroys a folder, a file or an input, whatever place it is told to write to"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from faults.registry import Fault, tried

from semantiseg import files
from semantiseg.cli import main

ROOT = Path(__file__).parents[2]

FOLDERS = {
    "site": "site --output PLACE",
    "workspace": "workspace --profile smoke PLACE",
    "fetch": "fetch PLACE KiTS23",
    "bench rewrite": "bench rewrite --output PLACE",
    "bench release": "bench release PLACE",
    "ablation": "ablation --output PLACE",
    "baselines ask": "baselines ask sam picture.png --box 1 1 9 9 PLACE",
    "baselines table": "baselines table PLACE",
    "score": "score read --bench data --out PLACE",
}
"""Verbs that write a folder of the user's choice; what they read lies in `project`."""

FILES = {
    "badge": "badge --output PLACE",
    "release": "release PLACE.tar.gz",
    "bundle": "bundle PLACE.tar",
    "segment --out": "segment scan.nii.gz liver --model model --out PLACE.nii.gz",
    "segment --overlay": "segment scan.nii.gz liver --model model --out new.nii.gz --overlay PLACE",
}

READS = {
    "baselines ask": ("picture.png", "weights"),
    "score": ("read", "data"),
    "fetch": ("images",),
}
"""Of the verbs whose inputs the user names; the others read the project's folder itself."""

NO_PLACE = {
    *("verify --against", "plan", "leaderboard folder", "compare-table old", "compare-table new"),
    *("compare-table --exact-on", "baselines --weights", "bench attach release", "bench attach images"),
    *("score predictions", "score --bench", "segment image", "segment --model", "fetch --from"),
    *("baselines ask picture", "reproduce --data", "workspace --data", "check folders", "read --file"),
    *("record workspace", "reproduce --from"),  # read
    "check --picture",  # a folder that holds files of other names
    *("segment --reader-weights", "baselines run --reader-weights"),  # read
    *("segment --answers", "baselines run --answers"),  # adds answers under names of their own, replaces none
    "notebooks strip paths",  # changed in place, which is what the verb is for
}


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project with something of the user's in every folder."""
    root = tmp_path / "project"
    for name in ("read", "images", "data/bench", "model", "weights", "notebooks", "semantiseg"):
        (root / name).mkdir(parents=True)
        (root / name / "thesis.tex").write_text("years of work")
    for name in ("scan.nii.gz", "picture.png", "note.md"):
        (root / name).write_text("years of work")
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copyfile(ROOT / name, root / name)
    monkeypatch.chdir(root)
    monkeypatch.setenv("SEMANTISEG_WEIGHTS", "weights")
    return root


def _refused(words: str, root: Path) -> None:
    before = files.fingerprint(root.parent), sorted(root.parent.rglob("*"))
    answer = CliRunner().invoke(main, words.split())
    assert answer.exit_code == 1 and answer.output.startswith("Error: "), answer.output
    assert isinstance(answer.exception, SystemExit), answer.exception
    assert re.search(r"expected (a folder|a file|an absent|the name of a file)", answer.output), answer.output
    assert (files.fingerprint(root.parent), sorted(root.parent.rglob("*"))) == before


def _a_folder_of_files(root: Path) -> str:
    (root / "mine").mkdir()
    (root / "mine/thesis.tex").write_text("years of work")
    return "mine"


def _a_link(root: Path) -> str:
    (root.parent / "elsewhere").mkdir()
    (root / "linked").symlink_to(root.parent / "elsewhere")
    return "linked"


@pytest.mark.parametrize("verb", FOLDERS)
@tried(
    *(
        Fault(f"A verb is told to write a folder into {name}", "refused before anything is read", remedy, place)
        for name, remedy, place in (
            ("the folder it is called in", "name another folder", lambda root: "."),
            ("the folder above the project", "name another folder", lambda root: ".."),
            ("the clone's own folder of code", "name another folder", lambda root: "semantiseg"),
            ("a folder with other files", "name another folder", _a_folder_of_files),
            ("a file", "name a folder", lambda root: "note.md"),
            ("a link to a folder", "name the folder itself", _a_link),
        )
    )
)
def test_a_verb_that_writes_a_folder_leaves_what_is_not_its_own(project, verb, fault):
    _refused(FOLDERS[verb].replace("PLACE", fault.inject(project)), project)


@pytest.mark.parametrize(("verb", "read"), [(verb, read) for verb in READS for read in READS[verb]])
@tried(
    *(
        Fault(f"A verb is told to write over what it reads, {name}", "refused, nothing is written", remedy, spelt)
        for name, remedy, spelt in (
            ("by its name", "name another place", lambda root, read: read),
            ("by a way round", "name another place", lambda root, read: f"data/../{read}"),
            ("by its whole path", "name another place", lambda root, read: str(root / read)),
            ("through a link", "name another place", lambda root, read: _linked(root, read)),
        )
    )
)
def test_no_verb_writes_over_its_inputs(project, verb, read, fault):
    words = FOLDERS[verb].replace("PLACE", fault.inject(project, read))
    _refused(words.replace("KiTS23", "--from images"), project)


def _linked(root: Path, read: str) -> str:
    (root / "linked").symlink_to(root / read)
    return "linked"


@pytest.mark.parametrize("verb", FILES)
@tried(Fault("A verb is told to write a file over a folder", "refused", "name a file"))
def test_a_verb_that_writes_a_file_leaves_a_folder_of_that_name(project, verb):
    for ending in ("", ".tar", ".tar.gz", ".nii.gz"):
        (project / f"place{ending}").mkdir(exist_ok=True)
    _refused(FILES[verb].replace("PLACE", "place"), project)


@pytest.mark.parametrize("option", ["--out", "--overlay"])
@tried(
    *(
        Fault(f"`segment` is told to write over {name}", "refused, the scan stays", "name another file", place)
        for name, place in {
            "the scan": lambda root: "scan.nii.gz",
            "the scan by a way round": lambda root: "model/../scan.nii.gz",
            "the scan through a link": lambda root: _scan_linked(root, hard=False),
            "the scan through a hard link": lambda root: _scan_linked(root, hard=True),
            "the model's weights": lambda root: _weights(root),
        }.items()
    )
)
def test_segment_leaves_scan_and_model(project, option, fault):
    place = fault.inject(project)
    out = place if option == "--out" else f"new.nii.gz --overlay {place}"
    _refused(f"segment scan.nii.gz liver --model model --out {out}", project)


def _scan_linked(root: Path, *, hard: bool) -> str:
    link = root / "linked.nii.gz"
    link.hardlink_to(root / "scan.nii.gz") if hard else link.symlink_to(root / "scan.nii.gz")
    return link.name


def _weights(root: Path) -> str:
    (root / "model/weights.nii.gz").write_text("hours on GPUs")
    return "model/weights.nii.gz"


@tried(Fault("`segment` is given one name for mask and picture", "refused", "name two files"))
def test_mask_and_picture_have_two_names(project):
    _refused("segment scan.nii.gz liver --model model --out new.nii.gz --overlay model/../new.nii.gz", project)


@tried(Fault("`badge`, `release` or `bundle` is told to write over a document", "refused", "name another file"))
@pytest.mark.parametrize("words", ["badge --output note.md", "release note.tar.gz", "bundle note.tar"])
def test_an_archive_or_appendix_never_replaces_another_document(project, words):
    for name in ("note.tar.gz", "note.tar"):
        (project / name).write_text("years of work")
    _refused(words, project)


@tried(Fault("`bench attach` finds other files in the release's volumes/", "refused, read nothing", "move them away"))
def test_attach_leaves_a_folder_of_volumes_with_other_files(project):
    _a_folder_of_files(project)
    shutil.move(project / "mine", project / "read/volumes")
    _refused("bench attach read images", project)


@tried(Fault("`train` finds other files in data/models/MODEL", "refused before training", "move them away"))
def test_train_leaves_a_folder_with_other_files(project):
    _a_folder_of_files(project)
    shutil.move(project / "mine", project / "data/models/token")
    _refused("train token --accelerator cpu --precision 32-true", project)


def _paths(command: click.Command, words: str = ""):
    for name, inner in getattr(command, "commands", {}).items():
        yield from _paths(inner, f"{words} {name}".strip())
    for parameter in command.params:
        if isinstance(parameter.type, click.Path):
            yield f"{words} {parameter.opts[-1] if parameter.opts[-1].startswith('--') else parameter.name}"


def test_every_place_that_a_verb_takes_stands_in_a_list_here():
    placed = {"workspace folder", "fetch folder", "bench release output", "release output", "bundle output"}
    placed |= {"baselines ask output", "baselines table output", "site --output", "bench rewrite --output"}
    placed |= {"ablation --output", "score --out", "badge --output", "segment --out", "segment --overlay"}
    assert set(_paths(main)) - placed <= NO_PLACE
    assert {place.rpartition(" ")[0] for place in placed} == {
        *FOLDERS, *(verb.partition(" --")[0] for verb in FILES)
    }  # fmt: skip
