"""Where work on many cases runs: on this machine's cores, or on a Dask cluster that one variable names.

The address of a cluster is no parameter of `params.yaml`: results do not depend on it, and DVC would make every stage
again for another one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import contextmanager, nullcontext
from typing import Any

from joblib import Parallel, delayed, parallel_config

from semantiseg.errors import DataError, ParameterError

VARIABLE = "SEMANTISEG_SCHEDULER"
"""Environment variable with the address of a Dask scheduler (`tcp://host:8786`); unset or empty: this machine."""
PATIENCE_S = 30
_LOOK_S = 1.0


Call = tuple[tuple[Any, ...], dict[str, Any]]
"""Arguments of one call, by place and by name."""


def for_each(
    work: Callable[..., Any], calls: Iterable[Call], *, workers: int | None
) -> Iterator[Any]:
    """`work(*args, **kwargs)` for every call, in parallel; results come in the order of the calls.

    The one door to processes: those of this machine end with the one that started them, also if that one is killed.

    Args:
        work: a function of a module that the workers can import; what it reads and writes lies on a disk they share.
        calls: arguments of each call; an iterator is asked for a few at a time.
        workers: processes on this machine, all cores by default; a cluster uses all of its own.

    Raises:
        ParameterError: the address is none.
        DataError: no scheduler answers there.
    """
    address = os.environ.get(VARIABLE, "")
    processes = workers or os.cpu_count() or 1
    if isinstance(calls, Sized):
        processes = max(min(processes, len(calls)), 1)
    tied = {} if address else {"initializer": _end_with, "initargs": (os.getpid(),)}
    with _on(address) if address else nullcontext():
        runner = Parallel(n_jobs=-1 if address else processes, return_as="generator", **tied)
        yield from runner(delayed(work)(*args, **kwargs) for args, kwargs in calls)


def _end_with(parent: int) -> None:
    """End this process when `parent` has ended: joblib's own wait for work for ever after a kill."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_S)
        os._exit(1)

    threading.Thread(target=watch, name="end with parent", daemon=True).start()


@contextmanager
def _on(address: str) -> Iterator[None]:
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE_S)
    except (OSError, TimeoutError):
        raise DataError(
            f"{VARIABLE}: expected a Dask scheduler at {address}, got no answer in {PATIENCE_S} s. Start one with "
            "`dask scheduler` and workers with `dask worker` in the project's folder, or unset the variable."
        ) from None
    except ValueError as error:
        raise ParameterError(
            f"{VARIABLE}: expected an address such as tcp://host:8786, got {address!r} ({error})."
        ) from None
    with client, parallel_config(backend="dask", wait_for_workers_timeout=PATIENCE_S):
        yield
