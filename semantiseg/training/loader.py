"""Batches made ahead of the step that needs them, so that reading and deforming hide behind computing."""

from __future__ import annotations

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from semantiseg.models.features import TextFeatures
from semantiseg.recipes import Reading
from semantiseg.training.batch import Augmentation, Batch, Deform, Drawn, Sampler, assemble
from semantiseg.training.hardware import Hardware
from semantiseg.training.questions import Questions

AHEAD = 2
"""Steps that are made ahead; for each worker, where there are several."""


@dataclass(frozen=True)
class BatchPart:
    """Some images of a step."""

    step: int
    first: int
    """Number of its first image in the step."""
    drawn: tuple[Drawn, ...]


@dataclass(frozen=True)
class Loaded:
    """What one process works on in one step, and how to go on after it."""

    batches: tuple[Batch, ...]
    state: dict[str, Any] | None
    """Of sampler and augmentation after this step, in JSON's types, where it was asked for."""


class Assembly(Dataset):
    """Makes parts of steps into batches, in this process or in a worker."""

    def __init__(
        self,
        questions: Questions,
        *,
        features: TextFeatures,
        reading: Reading,
        needs_box: bool,
        augmentation: Augmentation,
        by_position: bool,
    ) -> None:
        self._questions, self.augmentation, self._by_position = questions, augmentation, by_position
        self._how: dict[str, Any] = {"features": features, "reading": reading, "needs_box": needs_box}

    def __getitem__(self, plan: tuple[tuple[BatchPart, ...], dict[str, Any] | None]) -> Loaded:
        parts, state = plan
        batches = tuple(
            assemble(list(part.drawn), self._questions, augmentation=self._deform(part), **self._how) for part in parts
        )
        if state is not None:
            state = state | {"augmentation": None if self._by_position else self.augmentation.state()}
        return Loaded(batches=batches, state=state)

    def _deform(self, part: BatchPart) -> Deform:
        if not self._by_position:
            return self.augmentation
        numbers = itertools.count(part.first)

        def deform(image: NDArray, masks: NDArray) -> tuple[NDArray, NDArray]:
            self.augmentation.seek(part.step, next(numbers))
            return self.augmentation(image, masks)

        return deform


class Loader:
    """Iterates over what process `rank` works on, from a step on. Use it as a context manager: it ends its thread."""

    def __init__(
        self,
        assembly: Assembly,
        sampler: Sampler,
        *,
        steps: range,
        rank: int,
        hardware: Hardware,
        keep_state: Callable[[int], bool],
    ) -> None:
        """
        Args:
            assembly: makes the batches.
            sampler: draws the whole step, the same in every process; it stands at the first of `steps`.
            steps: numbers of the steps, the first is 1.
            rank: of this process.
            hardware: how many share a step.
            keep_state: steps after which the state is kept, for checkpoints.
        """
        self._assembly, self._sampler, self._steps = assembly, sampler, steps
        self._rank, self._hardware, self._keep_state = rank, hardware, keep_state
        self.waited = 0.0
        """Seconds that the training waited for a batch."""
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Loader:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def __iter__(self) -> Iterator[Loaded]:
        made = self._by_workers() if self._hardware.workers else self._by_thread()
        while True:
            started = time.perf_counter()
            item = next(made, None)
            self.waited += time.perf_counter() - started
            if item is None:
                return
            yield item

    def _plans(self) -> Iterator[tuple[tuple[BatchPart, ...], dict[str, Any] | None]]:
        """The parts of this process, step after step; they interleave, so that a step's parts make up the step."""
        draws = iter(self._sampler)
        ranks, parts = self._hardware.processes, self._hardware.accumulate
        for step in self._steps:
            drawn = next(draws)
            size = len(drawn) // (ranks * parts)
            firsts = [(number * ranks + self._rank) * size for number in range(parts)]
            plan = tuple(
                BatchPart(step=step, first=first, drawn=tuple(drawn[first : first + size])) for first in firsts
            )
            yield plan, {"sampler": self._sampler.state()} if self._keep_state(step) else None

    def _by_workers(self) -> Iterator[Loaded]:
        loader = DataLoader(
            self._assembly,
            sampler=self._plans(),
            batch_size=None,
            num_workers=self._hardware.workers,
            prefetch_factor=AHEAD,
            worker_init_fn=_start_worker,
        )
        return iter(loader)

    def _by_thread(self) -> Iterator[Loaded]:
        made: queue.Queue[Loaded | BaseException | None] = queue.Queue(maxsize=AHEAD)
        threads = torch.get_num_threads()

        def put(item: Loaded | BaseException | None) -> None:
            while not self._stop.is_set():
                try:
                    return made.put(item, timeout=0.1)
                except queue.Full:
                    continue

        def work() -> None:
            torch.set_num_threads(threads)
            torch.set_flush_denormal(True)  # both belong to a thread, and the bytes depend on them
            try:
                for plan in self._plans():
                    if self._stop.is_set():
                        return
                    put(self._assembly[plan])
                put(None)
            except BaseException as error:  # handed to the training, which raises it
                put(error)

        self._thread = threading.Thread(target=work, name="loader", daemon=True)
        self._thread.start()
        while (item := made.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item


def _start_worker(_: int) -> None:
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
