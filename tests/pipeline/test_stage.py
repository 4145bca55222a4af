"""The runner: what it refuses, and that what it writes is complete, the same at every run, or not there at all."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_project import TINY_CODE, TINY_END, TINY_PARAMETERS, run, surroundings

from semantiseg import files
from semantiseg.errors import NotebookError, ParameterError, StageError
from semantiseg.pipeline import stage

OUTPUTS = ("data/made", "data/number.txt", "data/rendered/01_make.ipynb")


def prints(root: Path) -> dict[str, str | None]:
    return {name: files.fingerprint(root / name) for name in OUTPUTS}


def assert_nothing_written(root: Path) -> None:
    assert [name for name in OUTPUTS if (root / name).exists()] == []
    assert not (root / "data/.staging/make").exists()


def test_two_runs_give_identical_bytes_and_the_rendered_notebook_shows_its_results(tiny):
    root = tiny()
    stage.run("make", root=root)
    first = prints(root)
    (root / "data/made/stray.txt").write_text("left over")
    stage.run("make", root=root)
    assert None not in first.values() and prints(root) == first
    rendered = (root / "data/rendered/01_make.ipynb").read_text()
    assert 'staging = \\".\\"' in rendered and ".staging" not in rendered
    assert "made 2\\n" in rendered and "128" in rendered
    assert sorted(path.name for path in (root / "data/made").iterdir()) == ["kidney.txt", "liver.txt"]
    log = [json.loads(line) for line in (root / "logs/stages.jsonl").read_text().splitlines()]
    assert [entry["status"] for entry in log] == ["done", "done"]
    assert log[0]["seconds"] > 0 and log[0]["peak_mib"] > 10 and log[0]["cores"] >= 1


def test_the_notebook_runs_under_this_interpreter_with_the_package_of_the_working_directory(tiny):
    show = "import os, sys, semantiseg\nassert semantiseg.MARK == 'here'\nprint(sys.prefix, os.getcwd())\n"
    show += "assert os.environ['TQDM_DISABLE'] == '1' and 'OMP_NUM_THREADS' not in os.environ"
    root = tiny(show, TINY_CODE, TINY_END)
    (root / "semantiseg").mkdir()
    (root / "semantiseg/__init__.py").write_text("MARK = 'here'\n")
    text = (root / "dvc.yaml").read_text().replace("words.txt]", "words.txt, semantiseg]")
    (root / "dvc.yaml").write_text(text)
    before = dict(os.environ)
    stage.run("make", root=root)
    assert dict(os.environ) == before
    rendered = (root / "data/rendered/01_make.ipynb").read_text()
    assert "<python> .\\n" in rendered and str(root) not in rendered


def test_a_failing_cell_is_shown_with_stage_line_and_error_and_nothing_is_written(tiny):
    root = tiny(TINY_CODE, "x = 1\nraise ValueError('expected a liver, got none')", TINY_END)
    answer = run("-m", "semantiseg.pipeline.stage", "make", cwd=root)
    assert answer.returncode == 1
    for part in (
        "stage make",
        "notebooks/01_make.ipynb",
        "line 2",
        "raise ValueError(",
        "ValueError: expected a liver, got none",
    ):
        assert part in answer.stderr
    assert "data/failed/make.ipynb" in answer.stderr and "dvc repro" in answer.stderr
    assert (root / "data/failed/make.ipynb").is_file()
    assert_nothing_written(root)
    (root / "notebooks/01_make.ipynb").write_text(
        (root / "notebooks/01_make.ipynb").read_text().replace("raise ValueError", "str")
    )
    assert run("-m", "semantiseg.pipeline.stage", "make", cwd=root).returncode == 0
    assert not (root / "data/failed/make.ipynb").exists() and (root / "data/number.txt").is_file()


def test_a_notebook_that_leaves_early_is_refused_although_papermill_calls_it_a_success(tiny):
    root = tiny(TINY_CODE, "import sys\nsys.exit(0)", TINY_END)
    with pytest.raises(StageError, match=r"every output.*data/number.txt"):
        stage.run("make", root=root)
    assert_nothing_written(root)


def test_an_input_that_changes_during_the_run_is_named(tiny):
    root = tiny(TINY_CODE, "Path('words.txt').write_text('spleen')", TINY_END)
    with pytest.raises(StageError, match=r"inputs changed.*words.txt"):
        stage.run("make", root=root)
    assert_nothing_written(root)


def test_a_dead_kernel_is_reported_as_such(tiny):
    root = tiny("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
    with pytest.raises(StageError, match="memory"):
        stage.run("make", root=root)
    assert_nothing_written(root)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ('seed = 1\nstaging = "."', r"unknown \['text_encoder'\]"),
        (TINY_PARAMETERS + "\nsteps = 3", r"none for \['steps'\]"),
        ('seed = "1"\ntext_encoder = "none"\nstaging = "."', "'seed': expected str"),
        ('seed = True\ntext_encoder = "none"\nstaging = "."', "'seed': expected bool"),
    ],
)
def test_parameters_that_disagree_with_the_notebook_stop_the_stage(tiny, parameters, message):
    root = tiny(parameters=parameters)
    with pytest.raises(StageError, match=message):
        stage.run("make", root=root)
    assert_nothing_written(root)


def test_a_whole_number_is_fine_where_the_notebook_has_a_fraction(tiny):
    root = tiny(parameters='seed = 1.5\ntext_encoder = "none"\nstaging = "."')
    made = stage.load_stage("make", root=root)
    values = stage.notebook_arguments(made, defaults={"seed": 1.5, "text_encoder": "none", "staging": "."})
    assert values["seed"] == 0.0 and type(values["seed"]) is float


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_json_stop_the_stage(value):
    made = stage.Stage("make", Path("a.ipynb"), Path("b.ipynb"), (), (), {}, {"seed": value})
    with pytest.raises(StageError, match="finite"):
        stage.notebook_arguments(made, defaults={"seed": 0.5, "staging": "."})


def test_a_parameter_listed_twice_stops_the_stage():
    made = stage.Stage("make", Path("a.ipynb"), Path("b.ipynb"), (), (), {}, {"train": {"seed": 1}, "seed": 0})
    with pytest.raises(StageError, match="twice"):
        stage.notebook_arguments(made, defaults={"seed": 0, "staging": "."})


def test_a_notebook_without_parameters_cell_stops_with_the_remedy(tiny):
    root = tiny(parameters=None)
    with pytest.raises(
        NotebookError, match=r"01_make.ipynb: expected exactly one code cell tagged 'parameters', got 0.*Tag"
    ):
        stage.run("make", root=root)
    assert_nothing_written(root)


def test_an_unknown_profile_key_stops_every_stage_naming_file_and_key(tiny):
    root = tiny()
    (root / "params.yaml").write_text((root / "params.yaml").read_text().replace("  steps:", "  stepps:"))
    with pytest.raises(ParameterError, match=r"params.yaml.*train.steps.*train.stepps"):
        stage.run("make", root=root)


def test_an_unknown_stage_is_named_with_the_remedy(tiny):
    with pytest.raises(StageError, match="stage mkae.*dvc stage list"):
        stage.load_stage("mkae", root=tiny())


def test_a_lock_that_another_lane_is_half_through_writing_is_read_again(tiny):
    root = tiny()
    lock = root / "dvc.lock"
    lock.write_text("schema: '2.0'\nstages:\n  mak")
    writer = threading.Timer(0.6, lock.unlink)
    writer.start()
    assert stage.load_stage("make", root=root).source == Path("notebooks/01_make.ipynb")
    writer.join()


def test_a_lock_that_stays_broken_is_named(tiny, monkeypatch):
    root = tiny()
    monkeypatch.setattr(stage, "_LOCK_SECONDS", 0.0)
    (root / "dvc.lock").write_text("schema: '2.0'\nstages:\n  mak")
    with pytest.raises(StageError, match="dvc.lock"):
        stage.load_stage("make", root=root)


def test_a_module_that_no_dependency_covers_stops_the_stage(tiny):
    root = tiny("from semantiseg.secret import VALUE", TINY_CODE, TINY_END)
    (root / "semantiseg").mkdir()
    (root / "semantiseg/secret.py").write_text("VALUE = 1\n")
    with pytest.raises(StageError, match=r"semantiseg/secret.py.*Add them"):
        stage.run("make", root=root)


MATRIX_STAGES = """
stages:
  make:
    matrix:
      model: ${models}
    cmd: python -m semantiseg.pipeline.stage make@${item.model}
    deps: [notebooks/01_make.ipynb]
    params: [seed, encode]
    outs:
      - data/made/${item.model}
      - data/rendered/01_make-${item.model}.ipynb
"""


def test_a_matrix_stage_gets_its_item_and_only_the_parameters_it_lists(tiny):
    root = tiny(stages=MATRIX_STAGES)
    made = stage.load_stage("make@box", root=root)
    assert made.item == {"model": "box"} and made.listed == {"seed": 0, "encode": {"text_encoder": "minilm"}}
    defaults = {"seed": 1, "text_encoder": "none", "model": "token", "staging": "."}
    assert stage.notebook_arguments(made, defaults=defaults) == {
        "seed": 0, "text_encoder": "minilm", "model": "box", "staging": "data/.staging/make@box"
    }  # fmt: skip


def test_an_absent_input_is_named(tiny):
    root = tiny()
    (root / "words.txt").unlink()
    with pytest.raises(StageError, match=r"got none at \['words.txt'\]"):
        stage.run("make", root=root)


def kill_when(ready: Callable[[], bool], *arguments: str, cwd: Path) -> None:
    """Start `python ARGUMENTS`, SIGKILL it and everything in its process group once `ready`."""
    running = subprocess.Popen(
        [sys.executable, *arguments], cwd=cwd, env=surroundings(), start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not ready():
        assert running.poll() is None and time.monotonic() < deadline, "the run ended before it could be killed"
        time.sleep(0.01)
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()


PAUSE = "import os, time\nopen('reached', 'w').close()\nif os.path.exists('pause'):\n    time.sleep(60)"


@pytest.mark.parametrize(
    ("arguments", "cells"),
    [
        (("-m", "dvc", "repro", "-q"), (TINY_CODE, PAUSE, TINY_END)),
        (("-m", "semantiseg.pipeline.stage", "make"), (PAUSE, TINY_CODE, TINY_END)),
        (("-m", "semantiseg.pipeline.stage", "make"), (TINY_CODE, TINY_END, PAUSE)),
    ],
    ids=["dvc, half written", "runner, before writing", "runner, all written"],
)
def test_killed_in_the_middle_and_run_again_gives_the_same_bytes(tiny, arguments, cells):
    root = tiny(*cells)
    (root / "pause").touch()
    kill_when((root / "reached").exists, *arguments, cwd=root)
    assert [name for name in OUTPUTS if (root / name).exists()] == []
    (root / "pause").unlink()
    assert run(*arguments, cwd=root).returncode == 0
    interrupted = prints(root)
    for name in OUTPUTS:
        files.remove(root / name)
    stage.run("make", root=root)
    assert None not in interrupted.values() and prints(root) == interrupted


def test_killed_while_outputs_are_moved_and_run_again_gives_the_same_bytes(tiny, monkeypatch):
    root = tiny()
    stage.run("make", root=root)
    whole = prints(root)
    move, moved = files.replace, []

    def dies(source: Path, target: Path) -> None:
        if moved:
            raise KeyboardInterrupt
        moved.append(move(source, target))

    monkeypatch.setattr(files, "replace", dies)
    with pytest.raises(KeyboardInterrupt):
        stage.run("make", root=root)
    assert prints(root) != whole
    monkeypatch.undo()
    stage.run("make", root=root)
    assert prints(root) == whole
