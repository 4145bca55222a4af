"""The same bytes from this machine's processes and from a Dask cluster of two workers."""

from __future__ import annotations

import numpy as np
import pytest

from semantiseg import files, parallel
from semantiseg.bench.build import make_candidates
from semantiseg.bench.measure.cases import write_attributes
from semantiseg.data.prepare import prepare
from semantiseg.errors import DataError, ParameterError


@pytest.fixture
def two_workers(monkeypatch):
    """A scheduler and two worker processes on this machine; the variable names it while the test runs."""
    distributed, dask = pytest.importorskip("distributed"), pytest.importorskip("dask")
    # Dask's profiler looks at a worker's frames and keeps what they hold alive: HDF5 then closes a dataset later, and
    # lays the same values out in another order (docs/collections.md).
    with (
        dask.config.set({"distributed.worker.profile.enabled": False}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", silence_logs=50
        ) as started,
    ):
        yield started, lambda: monkeypatch.setenv(parallel.VARIABLE, started.scheduler_address)


def make(raw, out):
    prepare(raw, out / "volumes", spacing_mm=1.0, test_share=0.3, validation_share=0.2, seed=0, workers=1)
    make_candidates(out / "volumes", out / "bench", minimum_pixels=4, slices_per_volume=1, texts_per_question=1,
                    seed=0, workers=1)  # fmt: skip
    write_attributes(out / "volumes", out / "attributes.parquet", workers=1)
    return {name: files.fingerprint(out / name) for name in ("volumes", "bench", "attributes.parquet")}


def test_a_cluster_of_two_workers_makes_the_same_bytes(collection, tmp_path, two_workers):
    task = collection()
    for number in range(5):
        image = np.random.default_rng(number).normal(40, 9, (24, 20, 8)).astype(np.int16)
        label = np.zeros(image.shape, np.uint8)
        label[5:15, 6:16, 2:6] = 1
        task.add(f"c{number}", image, label)
    here = make(tmp_path / "raw", tmp_path / "here")
    started, name_it = two_workers
    name_it()
    assert make(tmp_path / "raw", tmp_path / "there") == here
    assert started.scheduler.transition_counter > 15, "the scheduler has seen the work"


def test_an_address_without_scheduler_is_told(monkeypatch):
    monkeypatch.setattr(parallel, "PATIENCE_S", 1)
    monkeypatch.setenv(parallel.VARIABLE, "tcp://127.0.0.1:9")
    with pytest.raises(DataError, match="expected a Dask scheduler at tcp://127.0.0.1:9, got no answer"):
        list(parallel.for_each(print, [((), {})], workers=1))


def test_what_is_no_address_is_told(monkeypatch):
    monkeypatch.setenv(parallel.VARIABLE, "nonsense://x")
    with pytest.raises(ParameterError, match="expected an address such as"):
        list(parallel.for_each(print, [((), {})], workers=1))
