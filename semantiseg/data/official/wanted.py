"""What a collection needs from the network, and what is done with it when it is there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from semantiseg.data.official.line import Remote


@dataclass(frozen=True)
class Item:
    """A file to fetch to `target`; with `recorded` its checksum enters the ledger (archives are removed afterwards)."""

    remote: Remote
    target: Path
    recorded: bool = True


def _nothing() -> Sequence[Path]:
    return ()


@dataclass(frozen=True)
class Wanted:
    """A collection to fetch.

    Attributes:
        collection: its name in the registry and below the folder.
        layout: as in `sources.json`.
        items: what to fetch; what the ledger holds already is left out.
        finish: unpacks what was fetched; returns the files that it wrote, which enter the ledger.
        room: bytes that `finish` writes at most, as far as known.
        complete: fetched before, nothing to do.
    """

    collection: str
    layout: str
    items: Sequence[Item] = ()
    finish: Callable[[], Sequence[Path]] = field(default=_nothing)
    room: int = 0
    complete: bool = False
