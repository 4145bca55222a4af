"""Every verb, as somebody meets it first: its help, and one wrong use, which ends in one clear sentence."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import click
import nibabel as nib
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from small_cohort import save_tiny_model
from tiny_project import surroundings

from semantiseg import cli

__all__ = ["save_tiny_model"]


def walk(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """All verbs, those of groups too."""
    for name, command in group.commands.items():
        yield (*path, name)
        if isinstance(command, click.Group):
            yield from walk(command, (*path, name))


VERBS = {" ".join(path) for path in walk(cli.main)}

WRONG = {
    "segment": ("segment none.nii.gz liver --out m.nii.gz --model {model}", "none.nii.gz: expected a NIfTI file"),
    "segment a picture": ("segment picture.png liver --out m.nii.gz --model {model}", "--modality CT or --modality MR"),
    "segment one of a series": ("segment one.dcm liver --out m.nii.gz --model {model}", "the folder that holds"),
    "segment without a model": ("segment scan.nii.gz liver --out m.nii.gz", "expected the folder of a trained model"),
    "segment nothing": ("segment scan.nii.gz --out m.nii.gz", "Missing argument 'SENTENCE...'"),
    "read": ("read", "expected sentences or --file"),
    "read a missing file": ("read --file none.txt", "none.txt: expected a text file"),
    "score": ("score masks --bench nowhere", "nowhere"),
    "leaderboard": ("leaderboard empty", "empty: expected submissions"),
    "check": ("check nowhere", "expected a folder of images"),
    "reproduce": ("reproduce", "Run this in the project's folder"),
    "reproduce in a profile of no name": ("reproduce --profile demmo", "expected one of"),
    "models": ("models none", "No such command 'none'"),
    "models pack": ("models pack empty mine", "expected a model that says what it has seen"),
    "baselines": ("baselines none", "No such command 'none'"),
    "baselines get": ("baselines get none", "expected one of"),
    "baselines ask": ("baselines ask sam picture.png out", "expected sentences or boxes"),
    "baselines run": ("baselines run none", "expected a baseline or installed model of ['biomedparse'"),
    "baselines run without weights": ("baselines run medsam --boxes oracle_target", "weights are here of none"),
    "baselines table": ("baselines table out", "expected the benchmark's prompts"),
    "bench": ("bench none", "No such command 'none'"),
    "bench rewrite": ("bench rewrite", "Run the stages prompts and verify first"),
    "bench release": ("bench release out", "The whole chain: `dvc repro verify`"),
    "bench attach": ("bench attach empty empty", "expected a release of SemantiBench"),
    "fetch": ("fetch out NoSuchCollection", "expected collections among"),
    "plan": ("plan --cases KiTS23", "expected --cases COLLECTION=N"),
    "train": ("train token", "Run this in the project's folder"),
    "starts": ("starts none", "No such command 'none'"),
    "starts list": ("starts list more", "unexpected extra argument"),
    "starts make": ("starts make none out", "none"),
    "starts verify": ("starts verify none", "none"),
    "ablation": ("ablation", "params.yaml"),
    "verify": ("verify", "Run this in the project's folder"),
    "site": ("site", "Run this in the project's folder"),
    "bundle": ("bundle out.tar", "expected"),
    "release": ("release out.tar.gz", "expected a Git checkout"),
    "record": ("record nowhere --source a --licence b --command c", "nowhere"),
    "badge": ("badge", "Run this in the project's folder"),
    "manifest": ("manifest", "expected a Git checkout"),
    "workspace": ("workspace place", "Run this in a checkout"),
    "profile": ("profile none", "expected one of"),
    "stage": ("stage none", "Run this in the project's folder"),
    "notebooks": ("notebooks none", "No such command 'none'"),
    "notebooks strip": ("notebooks strip none.ipynb", "none.ipynb: expected a notebook"),
    "notebooks deps": ("notebooks deps", "Run this in the project's folder"),
    "fresh": ("fresh", "Run this in the project's folder"),
    "compare-table": ("compare-table none.csv other.csv", "none.csv: expected a table"),
    "publish": ("publish", "expected reports in data/report"),
    "readme": ("readme", "Run this in the project's folder"),
    "info": ("info more", "unexpected extra argument"),
}
"""Wrong use -> its command, and what the answer says. The first words of a key are the verb."""


@pytest.fixture(scope="module")
def model(tmp_path_factory, save_tiny_model):
    folder = tmp_path_factory.mktemp("models") / "token"
    save_tiny_model(folder)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEMANTISEG_WEIGHTS", raising=False)
    for name in ("empty", "masks"):
        (tmp_path / name).mkdir()
    Image.fromarray(np.eye(30, dtype=np.uint8) * 200).save(tmp_path / "picture.png")
    (tmp_path / "one.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"\0" * 500)
    nib.save(nib.Nifti1Image(np.eye(20)[..., None] * 500 - 1000, np.eye(4)), tmp_path / "scan.nii.gz")
    return tmp_path


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_help_is_help_and_nothing_else(verb):
    answer = CliRunner().invoke(cli.main, [*verb.split(), "--help"])
    assert answer.exit_code == 0 and answer.stdout.startswith("Usage:") and answer.stderr == ""
    assert len(answer.stdout.splitlines()) <= 45, "more than a screen: rare options belong behind --help-all"


def test_no_warning_stands_before_any_help():
    lines = ["import sys, contextlib", "from semantiseg.cli import main", "for verb in sys.argv[1:]:",
             "    with contextlib.suppress(SystemExit): main([*verb.split(), '--help'], 'semantiseg')"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "always", "-c", "\n".join(lines), *sorted(VERBS)], env=surroundings(), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    assert done.stderr == "" and done.stdout.count("Usage: semantiseg") == len(VERBS)


@pytest.mark.parametrize("use", WRONG)
def test_a_wrong_use_ends_in_one_clear_sentence(use, place, model):
    command, said = WRONG[use]
    answer = CliRunner().invoke(cli.main, command.format(model=model).split())
    assert answer.exit_code in (1, 2) and isinstance(answer.exception, SystemExit), answer.exception
    assert said in answer.output and "Traceback" not in answer.output, answer.output
    assert answer.output.count("Error") + answer.output.count("ERROR") == 1


def test_every_verb_stands_here_and_in_one_group_of_the_help():
    used = {max((verb for verb in VERBS if f"{use} ".startswith(f"{verb} ")), key=len) for use in WRONG}
    assert used == VERBS
    grouped = [str(verb.name) for verbs in cli.GROUPS.values() for verb in verbs]
    assert sorted(grouped) == sorted(cli.main.commands)


def test_rare_options_of_segment_are_shown_when_asked_for():
    first = CliRunner().invoke(cli.main, ["segment", "--help"]).output
    every = CliRunner().invoke(cli.main, ["segment", "--help-all"]).output
    assert "--overlay" in first and "--base-url" not in first and "--base-url" in every and "--help-all" in first
    assert CliRunner().invoke(cli.main, ["segment", "--help"]).output == first, "asked once, not for ever"


def test_training_without_a_gpu_says_so_before_any_data_are_read(place, monkeypatch):
    (place / "params.yaml").write_text("")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    answer = CliRunner().invoke(cli.main, ["train", "token"])
    assert answer.exit_code == 1 and "expected a GPU" in answer.output and "--accelerator cpu" in answer.output


def test_verify_against_nothing_is_refused_before_it_takes_a_minute(place):
    for name in ("dvc.yaml", "dvc.lock"):
        (place / name).write_text("")
    answer = CliRunner().invoke(cli.main, ["verify", "--against", "nowhere"])
    assert answer.exit_code == 1 and "--against nowhere: expected the folder of a run" in answer.output
