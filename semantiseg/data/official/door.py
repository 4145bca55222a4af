"""What `semantiseg fetch` does, line by line of its answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from semantiseg.data.official.adopt import adopt
from semantiseg.data.official.fetch import fetch_collections
from semantiseg.data.official.ledger import Ledger
from semantiseg.data.official.registry import CHALLENGES, COLLECTIONS, DECATHLON_TASKS, KITS23_CASES, LICENCES, family
from semantiseg.errors import DataError
from semantiseg.output import claim


def run(
    folder: Path, collections: Sequence[str], *, limit: int | None, jobs: int, by_hand: Path | None, verify: bool
) -> Iterator[str]:
    """List, fetch, adopt or verify, as the options say; yields lines to print.

    Raises:
        DataError, ParameterError: as the functions called; with `verify` also when a file is not as recorded.
    """
    if verify:
        wrong = Ledger(folder).verify()
        if wrong:
            raise DataError(
                f"{folder}: expected every file as recorded when it was fetched, got {len(wrong)} other or missing: "
                f"{', '.join(wrong[:5])}. Remove them and fetch again."
            )
        yield f"{folder}: every fetched file is as recorded"
    elif by_hand is not None:
        _claim(folder, inputs=[by_hand])
        yield from _told(folder, adopt(folder, by_hand))
    elif collections:
        _claim(folder, inputs=[])
        yield from _told(folder, fetch_collections(folder, collections, limit=limit, jobs=jobs))
    else:
        for name in COLLECTIONS:
            yield f"{name:<22} {_cases(name):>5} cases  {LICENCES[family(name)]}"
        yield f"Name those to fetch: semantiseg fetch {folder} {COLLECTIONS[0]} KiTS23"


def _claim(folder: Path, *, inputs: Sequence[Path]) -> None:
    claim(folder, verb="fetch", inputs=inputs, own=(*COLLECTIONS, "sources.json", "fetched.json", ".*"))


def _told(folder: Path, records: Sequence[dict[str, object]]) -> Iterator[str]:
    for record in records:
        yield f"{folder / str(record['collection'])}: {record['layout']}, licence {record['licence']}"
    yield f"Use it: set fetch.source to official and fetch.folder to {folder} in params.yaml"


def _cases(name: str) -> str:
    if name in DECATHLON_TASKS:
        return str(DECATHLON_TASKS[name].cases)
    if name == "KiTS23":
        return str(len(KITS23_CASES))
    return str(CHALLENGES[name].cases or "?")
