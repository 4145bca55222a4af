"""Where work on many cases runs: on this machine's cores, or on a Dask cluster that one variable names.

The address of a cluster is no parameter of `params.yaml`: results do not depend on it, and DVC would make every stage
again for another one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

from joblib import Parallel, delayed, parallel_config

from semantiseg.errors import DataError, ParameterError

VARIABLE = "SEMANTISEG_SCHEDULER"
"""Environment variable with the address of a Dask scheduler (`tcp://host:8786`); unset or empty: this machine."""
PATIENCE_S = 30


def for_each(
    work: Callable[..., Any], calls: Sequence[tuple[tuple[Any, ...], dict[str, Any]]], *, workers: int | None
) -> Iterator[Any]:
    """`work(*args, **kwargs)` for every call, in parallel; results come in the order of the calls.

    Args:
        work: a function of a module that the workers can import; what it reads and writes lies on a disk they share.
        calls: arguments of each call.
        workers: processes on this machine, all cores by default; a cluster uses all of its own.

    Raises:
        ParameterError: the address is none.
        DataError: no scheduler answers there.
    """
    address = os.environ.get(VARIABLE, "")
    processes = max(min(workers or os.cpu_count() or 1, len(calls)), 1)
    with _on(address) if address else nullcontext():
        runner = Parallel(n_jobs=-1 if address else processes, return_as="generator")
        yield from runner(delayed(work)(*args, **kwargs) for args, kwargs in calls)


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
