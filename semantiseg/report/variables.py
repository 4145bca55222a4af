"""Every number that a manuscript would quote, by name: `variables.json` for programs, `variables.tex` for LaTeX.

A name is made of the number's place in `metrics.json`, so that `\\TokenCoreLOne` is `models.token.core.l1`. LaTeX
allows letters alone in a command's name, so that digits are spelled.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from semantiseg.report.table_text import number

_DIGITS = ("Zero", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
_PERCENT = ("collapse_rate", "counterfactual.response", "absent.rate")
_BOUNDS = {"value": "", "low": "Low", "high": "High"}


def command(place: str) -> str:
    """The name of a LaTeX command for a place such as `models.token.core.l1.low`."""
    words = re.findall(r"[A-Za-z]+|\d", place.removeprefix("models."))
    if words and words[-1] in _BOUNDS:
        words[-1] = _BOUNDS[words[-1]]
    return "".join(_DIGITS[int(word)] if word.isdigit() else word[:1].upper() + word[1:] for word in words)


def _leaves(value: Any, place: str) -> Iterator[tuple[str, float | int]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{place}.{key}" if place else str(key))
    elif isinstance(value, list):
        # A row of a list is named by its words, as its place may change; lists of words hold no numbers.
        for row in (item for item in value if isinstance(item, Mapping)):
            name = "_".join(item for _, item in sorted(row.items()) if isinstance(item, str))
            yield from _leaves(row, f"{place}.{name}")
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield place, value


def text(place: str, value: float | int) -> str:
    """A number as it is quoted: counts whole with thousands, shares in per cent, PSS with three digits, p values
    with four, others two."""
    if isinstance(value, int):
        return f"{value:,}"
    if any(f".{name}" in place for name in _PERCENT):
        return f"{number(100 * value, digits=1)}%"
    if place.endswith((".p", ".p_holm")):
        return number(value, digits=4)
    return number(value, digits=3 if ".pss" in place else 2)


def variables(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Name -> {value, text, place}, sorted by name.

    Args:
        metrics: the content of `metrics.json`; undefined numbers (None) have no name.

    Raises:
        ValueError: two places give one name; rename a model.
    """
    found: dict[str, dict[str, Any]] = {}
    for place, value in _leaves(metrics, ""):
        name = command(place)
        if name in found:
            raise ValueError(
                f"expected one place for \\{name}, got {found[name]['place']} and {place}. Rename a model."
            )
        found[name] = {"value": value, "text": text(place, value), "place": place}
    return dict(sorted(found.items()))


def write(metrics: Mapping[str, Any], folder: Path) -> dict[str, dict[str, Any]]:
    """Write `variables.json` and `variables.tex` into `folder`."""
    found = variables(metrics)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "variables.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    lines = [
        f"\\newcommand{{\\{name}}}{{{item['text'].replace('%', chr(92) + '%')}}} % {item['place']}"
        for name, item in found.items()
    ]
    (folder / "variables.tex").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return found
