"""Execute one notebook with papermill in surroundings that are the same on every machine."""

from __future__ import annotations

import json
import os
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semantiseg.errors import StageError, system_message

if TYPE_CHECKING:
    from papermill.exceptions import PapermillExecutionError

KERNEL = "python3"

FIXED_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    "NO_ALBUMENTATIONS_UPDATE": "1",
    # A thread that waits for another gives its core away. Where it does not, two threads beside another process took
    # twelve times as long as one (60 steps of pretrain on two busy cores: 242 s and 20 s).
    "OMP_WAIT_POLICY": "PASSIVE",
    "PYTHONHASHSEED": "0",
    "PYTHONNOUSERSITE": "1",
    # tqdm complains at import that the lock has no notebook widgets.
    "PYTHONWARNINGS": "ignore:IProgress not found",
    "TQDM_DISABLE": "1",
}

# Threads are a parameter of the run (params.yaml), not of the shell that started it.
REMOVED_FROM_ENVIRONMENT = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")

_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ERRNO = re.compile(r"\[Errno (\d{1,3})\]")
_FILES, _LEAST_FILES = 1024, 64
_CELL_LINE = re.compile(r"Cell In\[\d+\], line (\d+)")


def execute(
    source: Path,
    executed: Path,
    arguments: Mapping[str, Any],
    *,
    root: Path,
    title: str,
    expected_seconds: float | None = None,
) -> None:
    """Run notebook `source` with `arguments` in the working directory `root`; write it with its outputs to `executed`.

    Raises:
        StageError: a cell raised, or the kernel died; `executed` then holds the notebook up to that cell.
    """
    import papermill  # a second; and only now that semantiseg.pipeline.notebook has kept nbformat's own import short
    from nbclient.exceptions import DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    require_surroundings()
    with kernel_environment(root), ProgressLine(title, expected_seconds=expected_seconds) as progress:
        try:
            papermill.execute_notebook(
                str(source), str(executed), parameters=dict(arguments), kernel_name=KERNEL, cwd=str(root),
                progress_bar=False, start_timeout=120,
                on_notebook_start=progress.started, on_cell_start=progress.cell_started,
            )  # fmt: skip
        except PapermillExecutionError as error:
            raise StageError(describe_failure(error, source=source.relative_to(root))) from None
        except DeadKernelError:
            raise StageError(
                f"{source.relative_to(root)}: expected the kernel to live to the end, got its death; most "
                f"often the machine ran out of memory. Free memory or use a smaller profile."
            ) from None
        except RuntimeError as error:  # of a kernel that says nothing
            raise StageError(
                f"{source.relative_to(root)}: expected an answer of the kernel, got: {error}. Let other programs end "
                "and processes of this machine talk to each other, then run again."
            ) from None


def require_surroundings() -> None:
    """Can a kernel be started and talked to here? Asked first: it would be silent for two minutes, then end in a
    traceback. The limit of open files is raised as far as the system lets a process.

    Raises:
        StageError: too few open files are allowed.
        OSError: no connection within this machine.
    """
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if most == resource.RLIM_INFINITY else min(_FILES, most)
    if allowed != resource.RLIM_INFINITY and allowed < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))
        allowed = wanted
    if allowed != resource.RLIM_INFINITY and allowed < _LEAST_FILES:
        raise StageError(
            f"open files: expected a limit of at least {_LEAST_FILES} a process, got {allowed}. Raise it (`ulimit -n "
            f"{_FILES}`), then run again."
        )
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=10).close()


def describe_failure(error: PapermillExecutionError, *, source: Path) -> str:
    """Where in which cell a notebook failed, with the line of code and the error as the user should read it."""
    trace = _ANSI.sub("", "\n".join(error.traceback))
    number = _CELL_LINE.search(trace)
    lines = error.source.splitlines() or [""]
    line = int(number.group(1)) if number and int(number.group(1)) <= len(lines) else 1
    where = f"{source}, cell [{error.exec_count}], line {line}"
    refused = _ERRNO.match(error.evalue)  # by the operating system: a full disk, too many open files
    remedy = f"\n{system_message(OSError(int(refused[1]), os.strerror(int(refused[1]))))}" if refused else ""
    return f"{where}:\n    {lines[line - 1].strip()}\n{error.ename}: {error.evalue}{remedy}"


def environment() -> dict[str, str]:
    """Environment in which `python` is the running interpreter, also when its venv is not activated."""
    folder = str(Path(sys.executable).parent)
    return os.environ | {"PATH": os.pathsep.join([folder, os.environ.get("PATH", "")])}


def dvc(*arguments: str, root: Path, capture: bool = False) -> subprocess.CompletedProcess[str]:
    """Run a DVC command in the project `root`."""
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(
        command, cwd=root, env=environment(), text=True, stdout=subprocess.PIPE if capture else None, check=False
    )


@contextmanager
def kernel_environment(root: Path) -> Iterator[None]:
    """Variables under which kernels start: the running interpreter, the package found in `root`, no user settings."""
    with tempfile.TemporaryDirectory(prefix="semantiseg-") as folder:
        _write_kernel(Path(folder) / "kernels" / KERNEL)
        changes = FIXED_ENVIRONMENT | {
            "JUPYTER_PATH": folder,
            "IPYTHONDIR": str(Path(folder) / "ipython"),
            # Where one cannot be written, matplotlib makes a folder of a random name and warns of it in the notebook.
            **({} if all(map(_writable, _matplotlib_folders())) else {"MPLCONFIGDIR": f"{folder}/matplotlib"}),
            "PYTHONPATH": os.pathsep.join(filter(None, [str(root.resolve()), os.environ.get("PYTHONPATH")])),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
        }
        if style := _matplotlib_defaults():
            changes["MATPLOTLIBRC"] = str(style)
        before = {name: os.environ.get(name) for name in (*changes, *REMOVED_FROM_ENVIRONMENT)}
        try:
            for name in REMOVED_FROM_ENVIRONMENT:
                os.environ.pop(name, None)
            os.environ.update(changes)
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _write_kernel(folder: Path) -> None:
    # A kernel of the same name in the user's home may belong to another Python; JUPYTER_PATH is searched before it.
    folder.mkdir(parents=True)
    arguments = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
    text = json.dumps({"argv": arguments, "display_name": "Python 3", "language": "python"})
    (folder / "kernel.json").write_text(text, encoding="utf-8")


def _matplotlib_folders() -> list[Path]:
    """Where matplotlib keeps settings and its list of fonts; the user's, since that list takes seconds to make."""
    if chosen := os.environ.get("MPLCONFIGDIR"):
        return [Path(chosen)]
    bases = (("XDG_CONFIG_HOME", "~/.config"), ("XDG_CACHE_HOME", "~/.cache"))
    return [Path(os.environ.get(name) or os.path.expanduser(usual)) / "matplotlib" for name, usual in bases]


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def _matplotlib_defaults() -> Path | None:
    spec = find_spec("matplotlib")
    return Path(spec.origin).parent / "mpl-data" / "matplotlibrc" if spec and spec.origin else None


class ProgressLine:
    """One line on a terminal, refreshed every second: cell k of n, time so far, time last time. Silent elsewhere."""

    def __init__(self, title: str, *, expected_seconds: float | None = None) -> None:
        self.title = title
        self.expected = f" (last run {clock(expected_seconds)})" if expected_seconds else ""
        self.cell, self.cells = 0, 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._refresh, daemon=True)

    def __enter__(self) -> ProgressLine:
        self._started = time.perf_counter()
        if sys.stderr.isatty():
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)

    def started(self, notebook: Any) -> None:
        self.cells = len(notebook.cells)

    def cell_started(self, cell: Any, cell_index: int) -> None:
        self.cell = cell_index + 1

    def _refresh(self) -> None:
        while not self._stop.wait(1.0):
            elapsed = clock(time.perf_counter() - self._started)
            text = f"{self.title}: cell {self.cell} of {self.cells or '?'}, {elapsed}{self.expected}"
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """Seconds as a person reads them: `12 s`, `3 min 05 s`."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
