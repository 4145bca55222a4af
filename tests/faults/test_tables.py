"""Tables: a Parquet file with flipped, lost or foreign bytes is named, by every reader"""

from __future__ import annotations

import ast
import io
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pytest
import tiny_project
from faults.registry import Fault, tried
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semantiseg.bench.release.tables import VOLUMES, read_volumes
from semantiseg.data.store import MANIFEST, read_manifest
from semantiseg.errors import DataError, SemantiSegError
from semantiseg.evaluation.baseline import read_prompts
from semantiseg.files import read_table
from semantiseg.models.text import texts_of
from semantiseg.paper.table1 import read_results
from semantiseg.scoring.benchmark import Benchmark
from semantiseg.scoring.predictions import MaskTable
from semantiseg.training.questions import read_questions

TEST = {f"p{number}": None for number in range(20)}


def whole() -> bytes:
    stream = io.BytesIO()
    rows = [(name, 30, 20, [100, 200, 300], "test", "the liver") for name in TEST]
    pd.DataFrame(rows, columns=["prompt_id", "height", "width", "runs", "split", "text"]).to_parquet(stream)
    return stream.getvalue()


WHOLE = whole()


def _mask_table(path):
    return list(MaskTable(path, SimpleNamespace(test=TEST)).batches(TEST))  # type: ignore[arg-type]


READERS = {
    "manifest": (MANIFEST, read_manifest),
    "prompts": ("bench/prompts.parquet", read_prompts),
    "prompts to score": ("bench/prompts.parquet", lambda root: Benchmark(root).prompts),
    "texts": ("a.parquet", lambda root: texts_of(prompts=root / "a.parquet", training=root / "a.parquet")),
    "questions": ("a.parquet", lambda root: read_questions(root / "a.parquet", split="train")),
    "results": ("m/results.parquet", lambda root: read_results(root, ["m"])),
    "masks": ("a.parquet", lambda root: _mask_table(root / "a.parquet")),
    "release": (VOLUMES, read_volumes),
}
AGAIN = "run the stage it names, or get the file anew"


@pytest.mark.parametrize("reader", READERS)
@tried(
    *(
        Fault(f"A Parquet file {how}", "an error that names the file", AGAIN, content)
        for how, content in {
            "is empty": b"",
            "is cut in the middle": WHOLE[: len(WHOLE) // 2],
            "is a picture": b"\x89PNG\r\n\x1a\n" + WHOLE[8:],
            "is a pointer of Git LFS": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
            "has a footer of zeros": WHOLE[:-400] + bytes(392) + WHOLE[-8:],
            "has zeros in place of its rows": WHOLE[:4] + bytes(800) + WHOLE[804:],
            "says its footer is 2 GB long": WHOLE[:-8] + b"\xff\xff\xff\x7fPAR1",
        }.items()
    )
)
def test_a_reader_names_a_spoiled_table(tmp_path, reader, fault):
    name, read = READERS[reader]
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_bytes(fault.inject)
    with pytest.raises(SemantiSegError) as caught:
        read(tmp_path)
    assert str(tmp_path) in str(caught.value)


FLIPS = st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(1, 255)), min_size=1, max_size=4)


@given(FLIPS, st.integers(0, 200))
@settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))
@tried(Fault("Flipped bytes anywhere in a Parquet file", "its rows or an error that names the file", AGAIN))
def test_flipped_bytes_end_in_rows_or_a_typed_error_in_little_memory(tmp_path, flips, cut):
    spoiled = bytearray(WHOLE)
    for place, change in flips:
        spoiled[place] ^= change
    path = tmp_path / "a.parquet"
    path.write_bytes(bytes(spoiled[: len(spoiled) - (cut if cut > 150 else 0)]))
    for read in (lambda: read_table(path, what="rows", remedy="Make it again."), lambda: _mask_table(path)):
        try:
            read()
        except DataError as error:
            assert "a.parquet" in str(error)
    assert pa.default_memory_pool().max_memory() < 512 << 20


DOORS = {"files.py", "bench/records/generation.py", "bench/release/tables.py", "scoring/predictions.py"}


def test_no_module_reads_parquet_past_a_door():
    calls = {"read_parquet", "ParquetFile", "ParquetDataset"}
    found = set()
    for path in sorted((tiny_project.ROOT / "semantiseg").rglob("*.py")):
        nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if any(isinstance(node, ast.Attribute) and node.attr in calls for node in nodes):
            found.add(path.relative_to(tiny_project.ROOT / "semantiseg").as_posix())
    assert found - DOORS == set()
