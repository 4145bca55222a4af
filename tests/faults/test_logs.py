"""Logs: they say what a run cost, and never decide whether a stage runs."""

from __future__ import annotations

import errno
import json
import os

import pytest
from faults.registry import Fault, tried

from semantiseg.errors import StageError
from semantiseg.pipeline import stage

WHOLE = json.dumps({"stage": "make", "status": "done", "seconds": 2.0, "peak_mib": 9})


def _log(root, content: bytes) -> None:
    (root / "logs").mkdir(exist_ok=True)
    (root / stage.LOG).write_bytes(content)


@tried(
    *(
        Fault(name, "the entry counts as absent, the stage runs", "nothing", content)
        for name, content in {
            "A half line in logs/stages.jsonl": b'{"stage": "make", "sta',
            "Bytes that are no UTF-8 in logs/stages.jsonl": b"\xff\xfe\x00",
            "A number in place of an entry of logs/stages.jsonl": b"17",
            "An entry of logs/stages.jsonl without its cost": b'{"stage": "make", "status": "done"}',
            "100,000 brackets in logs/stages.jsonl": b"[" * 100_000,
        }.items()
    )
)
def test_a_torn_line_is_skipped_and_the_others_are_read(tmp_path, fault):
    _log(tmp_path, WHOLE.encode() + b"\n" + fault.inject + b"\n" + WHOLE.encode() + b"\n")
    assert len(stage.read_log(root=tmp_path)) == 2
    assert stage.last_seconds("make", root=tmp_path) == 2.0


@tried(Fault("logs/stages.jsonl is a folder", "a line says that the cost is lost; the stage runs", "remove the folder"))
def test_a_log_that_cannot_be_written_is_said_and_no_error(tiny, capsys):
    root = tiny()
    (root / stage.LOG).mkdir(parents=True)
    stage.run("make", root=root)
    assert (root / "data/number.txt").is_file()
    assert "not written (Is a directory)" in capsys.readouterr().err


def test_a_new_entry_stands_on_a_line_of_its_own_after_a_half_one(tiny):
    root = tiny()
    _log(root, b'{"stage": "make", "sta')
    stage.run("make", root=root)
    assert [entry["stage"] for entry in stage.read_log(root=root)] == ["make"]


@tried(
    Fault(
        "The disk is full while the log is appended",
        "the stage's own error is shown; a line says that the cost is lost",
        "mend the stage's error; make room",
    )
)
def test_a_full_disk_under_the_log_does_not_hide_the_stage_s_error(tiny, monkeypatch, capsys):
    root = tiny("raise ValueError('the liver is missing')")

    def full(path, line):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(stage, "_append", full)
    with pytest.raises(StageError, match="the liver is missing"):
        stage.run("make", root=root)
    assert "No space left" in capsys.readouterr().err


@tried(
    Fault(
        "The disk is full while a stage's outputs are moved to their names",
        "the stage fails and says so; its log entry reads failed",
        "make room, run again",
    )
)
def test_a_full_disk_under_the_outputs_is_the_stage_s_error(tiny, monkeypatch):
    root = tiny()

    def full(source, target):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(target))

    monkeypatch.setattr(stage.files, "replace", full)
    with pytest.raises(StageError, match="No space left on device"):
        stage.run("make", root=root)
    assert [entry["status"] for entry in stage.read_log(root=root)] == ["failed"]
