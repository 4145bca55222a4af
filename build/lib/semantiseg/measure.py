"""What a run cost, and on what: wall time, peak memory, processor, versions. Goes to logs, never into results."""

from __future__ import annotations

import os
import platform
import threading
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

NUMERIC_LIBRARIES = (
    "torch", "torchvision", "timm", "open_clip_torch", "monai", "numpy", "scipy", "scikit-image", "albumentations",
    "PyWavelets", "pytorch-wavelets", "pandas", "matplotlib",
)  # fmt: skip
"""Libraries whose version can change a digit of a result."""


class Meter:
    """Context manager: seconds, processor seconds and peak memory of this process and everything it starts.

    `cpu_seconds` counts processes that ended meanwhile, on all cores; unlike `seconds` it hardly depends on other load.

    `peak_mib` is the largest sum of resident sizes seen, sampled `interval` seconds apart, in MiB. Pages shared by two
    processes count twice, so it is an upper bound of what the machine had to hold.
    """

    def __init__(self, *, interval: float = 0.25) -> None:
        self.interval = interval
        self.seconds = 0.0
        self.cpu_seconds = 0.0
        self.peak_mib = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Meter:
        self._started, self._cpu_started = time.perf_counter(), sum(os.times()[:4])
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds, self.cpu_seconds = time.perf_counter() - self._started, sum(os.times()[:4]) - self._cpu_started
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        this = psutil.Process()
        while True:
            self.peak_mib = max(self.peak_mib, sum(map(_resident_mib, [this, *this.children(recursive=True)])))
            if self._stop.wait(self.interval):
                return


def _resident_mib(process: psutil.Process) -> float:
    try:
        return process.memory_info().rss / 2**20
    except psutil.Error:  # it ended between listing and asking
        return 0.0


def machine() -> dict[str, Any]:
    """Processor, usable cores and versions: all that may change the last digit of a result computed on CPU."""
    versions = {"python": platform.python_version()}
    for name in NUMERIC_LIBRARIES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "absent"
    return {"cpu": _processor(), "cores": usable_cores(), "versions": versions}


def _processor() -> str:
    """Model name and widest vector unit; PyTorch chooses its kernels by the latter."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    parted = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    fields = {name.strip(): value.strip() for name, colon, value in parted if colon}
    flags = set(fields.get("flags", "").split())
    vector = next((flag for flag in ("avx512f", "avx2", "avx") if flag in flags), "no avx")
    return f"{fields.get('model name', platform.machine())}, {vector}"


def usable_cores() -> int:
    """Cores this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
