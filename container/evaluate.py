"""The entry point of the scorer's container: a participant's masks and a hidden truth in, one file of numbers out.

| platform | masks | truth | written |
|---|---|---|---|
| grand-challenge | /input | /opt/ml/input/data/ground_truth | /output/metrics.json |
| Codabench | /app/input/res | /app/input/ref | /app/output/scores.json |

The truth is a release that images were attached to. Only numbers over all prompts are written: nothing tells a
participant how a single prompt was answered.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semantiseg import files
from semantiseg.errors import DataError, SemantiSegError
from semantiseg.scoring.leaderboard import submitted_numbers
from semantiseg.scoring.scorecard import Entrant, Scorecard, score


@dataclass(frozen=True)
class Platform:
    """Where a platform puts what is read, and what it reads."""

    masks: Path
    truth: Path
    written: Path


PLATFORMS = (
    Platform(Path("/input"), Path("/opt/ml/input/data/ground_truth"), Path("/output/metrics.json")),
    Platform(Path("/app/input/res"), Path("/app/input/ref"), Path("/app/output/scores.json")),
)


def flat(numbers: Mapping[str, Any], before: str = "") -> dict[str, float | None]:
    """Every value by its path, `core_l3` for the Dice of level 3, with the ends of its interval."""
    found: dict[str, float | None] = {}
    for name, entry in numbers.items():
        if "value" in entry:
            found |= {f"{before}{name}{end}": entry[key] for key, end in _ENDS.items()}
        else:
            found |= flat(entry, f"{before}{name}_")
    return found


_ENDS = {"value": "", "low": "_low", "high": "_high"}


def measured(card: Scorecard) -> dict[str, float | str | None]:
    """What a platform's leaderboard may show."""
    summary = card.metrics["models"][card.entry.model]
    given = {"benchmark": card.metrics["benchmark"], "prompts": summary["prompts"], "missing": len(card.missing)}
    return given | flat(submitted_numbers(summary))


def main(arguments: Sequence[str]) -> None:
    """Score; write the numbers as `{"aggregates": ...}` for grand-challenge, flat for Codabench.

    Raises:
        SystemExit: 1 with a sentence if masks or truth cannot be used; nothing is written then.
    """
    here = next((place for place in PLATFORMS if place.masks.is_dir()), PLATFORMS[0])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("masks", "truth", "written"):
        parser.add_argument(f"--{name}", type=Path, default=getattr(here, name))
    chosen = parser.parse_args(arguments)
    try:
        card = score(_given(chosen.masks), chosen.truth, entry=Entrant("submission"), missing="worst")
    except SemantiSegError as error:
        raise SystemExit(f"not scored: {error}") from None
    numbers = measured(card)
    shaped = {"aggregates": numbers} if chosen.written.name == "metrics.json" else numbers
    files.write(chosen.written, json.dumps(shaped, indent=1, allow_nan=False) + "\n")
    print(f"{len(card.results)} prompts scored, {len(card.missing)} without an answer counted as the worst possible")


def _given(folder: Path) -> Path:
    """The masks: a folder of files, or the one Parquet table in it."""
    tables = sorted(folder.glob("*.parquet"))
    if len(tables) > 1:
        raise DataError(f"{folder}: expected masks or one table of them, got {len(tables)} tables. Hand in one.")
    return tables[0] if tables else folder


if __name__ == "__main__":
    main(sys.argv[1:])
