"""Records: JSON, notebooks and CSV that a kill or a hand has spoiled are named, and `verify` always ends in a page"""

from __future__ import annotations

import json

import pytest
from faults.registry import Fault, tried

from semantiseg.artifact import numbers, verify
from semantiseg.errors import SemantiSegError
from semantiseg.llm import asking
from semantiseg.paper.published import read_published
from semantiseg.pipeline import notebook
from semantiseg.scoring import leaderboard

READERS = {
    "figures/metrics.json": lambda root, path: numbers.read_metrics(root),
    "benchmarks/demo_run.json": lambda root, path: verify.read_run(root),
    "submission.json": lambda root, path: leaderboard.read(path),
    "answers/ab/abc.json": lambda root, path: asking._read(path),
    "01_fetch.ipynb": lambda root, path: notebook.parameters(path),
    "published.csv": lambda root, path: read_published(path),
}
SPOILED = {
    "nothing": b"",
    "100,000 brackets": b"[" * 100_000,
    "bytes that are no UTF-8": b"\xff\xfe\x00",
    "zeros": bytes(400),
    "half of an object": b'{"cells": [{"cell_type": "code"',
}


@pytest.mark.parametrize("name", READERS)
@tried(
    *(
        Fault(f"A record or notebook holds {what}", "an error that names the file", "restore it", content)
        for what, content in SPOILED.items()
    )
)
def test_a_reader_names_a_spoiled_record(tmp_path, name, fault):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(fault.inject)
    with pytest.raises(SemantiSegError) as error:
        READERS[name](tmp_path, path)
    assert name in str(error.value) and len(str(error.value)) < 20_000


def _notebook(**cell):
    whole = {"cell_type": "code", "id": "one", "source": "seed = 1", "metadata": {}, "outputs": []}
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [whole | cell]}).encode()


@tried(
    *(
        Fault(f"A notebook has a cell {name}", "an error that names the notebook", "correct the cell", content)
        for name, content in {
            "of no type": _notebook(cell_type=None),
            "whose source is a number": _notebook(source=1),
            "whose metadata is a list": _notebook(metadata=[]),
            "of half a line of Python": _notebook(source="print('"),
            "with a zero byte": _notebook(source="seed = 1\0"),
        }.items()
    )
)
def test_a_spoiled_cell_is_named(tmp_path, fault):
    path = tmp_path / "01_fetch.ipynb"
    path.write_bytes(fault.inject)
    with pytest.raises(SemantiSegError, match="01_fetch.ipynb"):
        notebook.notebook_source(path)


@tried(
    *(
        Fault(f"A committed file that `verify` reads holds {name}", "that question is answered NO", "restore", content)
        for name, content in {"null": b"null", "a list": b"[]", "other kinds": b'{"stages": [1], "lock": 7}'}.items()
    )
)  # fmt: skip
@pytest.mark.parametrize("name", ["benchmarks/demo_run.json", "figures/metrics.json"])
def test_a_question_of_the_reviewer_always_has_an_answer(tmp_path, name, fault):
    for other in ("benchmarks/demo_run.json", "figures/metrics.json", "params.yaml", "dvc.lock"):
        (tmp_path / other).parent.mkdir(exist_ok=True)
        (tmp_path / other).write_bytes(b"{}")
    (tmp_path / name).write_bytes(fault.inject)
    for look in (verify.cost, numbers.tables, numbers.verdicts):
        found = verify.answered("name", "question", lambda look=look: look(tmp_path))
        assert found.passed is False and found.details
