"""Masks that lie the wrong way round are noticed before they are scored.

True masks that were transposed, flipped, turned, inverted or written column by column score 0.0 to 0.3, and nothing in
such a number says why. A sample of the answers is held against its targets in every such view; one that fits far better
than the masks as they lie stops the run, with the numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from semantiseg.conventions import Mask
from semantiseg.errors import DataError
from semantiseg.evaluation import metrics
from semantiseg.scoring.benchmark import Benchmark
from semantiseg.scoring.predictions import MaskTable, Predictions, mask

SAMPLE, LEAST = 96, 12
"""Answers that are looked at, and fewest that say anything."""
FIRST = 8192
"""The sample is drawn from so many answers at the beginning: a table is read from there."""
FITS, FAR_BETTER = 0.5, 0.15
"""Least mean Dice of a view that is believed, and by how much it must exceed that of the masks as they lie."""

View = Callable[[Mask], Mask]

VIEWS: Mapping[str, tuple[View, str]] = {
    "flipped from front to back": (lambda answer: answer[::-1], "Reverse the rows: they run to anterior."),
    "flipped from left to right": (
        lambda answer: answer[:, ::-1], "Reverse the columns: they run to the patient's right.",
    ),
    "turned by half a turn": (lambda answer: answer[::-1, ::-1], "Reverse rows and columns."),
    "inverted": (lambda answer: ~answer, "Write 1 where the structure is, 0 elsewhere."),
}  # fmt: skip
"""What may have been done to masks -> what undoes it, and the remedy."""

SQUARE_VIEWS: Mapping[str, tuple[View, str]] = {
    "transposed": (lambda answer: answer.T, "Swap rows and columns."),
    "turned by a quarter to the left": (lambda answer: np.rot90(answer, -1), "Turn them by a quarter to the right."),
    "turned by a quarter to the right": (lambda answer: np.rot90(answer), "Turn them by a quarter to the left."),
}
"""The same of masks with as many rows as columns; of others the shape tells."""

COLUMNS = "written column by column"


def by_columns(answer: Mask) -> Mask:
    """The mask of the same shape whose runs, read column by column, are those of `answer` read row by row."""
    return answer.ravel().reshape(answer.shape, order="F")


def require_upright(given: Predictions, benchmark: Benchmark) -> None:
    """Hold a sample of the answers against its targets, as they lie and in every other view.

    Raises:
        DataError: another view fits far better; says which, with both numbers and the remedy.
    """
    scores: dict[str, list[tuple[float, float]]] = {}  # view -> Dice as the masks lie, and in it
    views = {**VIEWS, **SQUARE_VIEWS}
    if isinstance(given, MaskTable) and not given.by_column:
        views = {COLUMNS: (by_columns, "Say so: --order column."), **views}
    for answer, target in _sample(given, benchmark):
        as_it_lies = metrics.dice(answer, target)
        for name, (view, _) in views.items():
            if name not in SQUARE_VIEWS or answer.shape[0] == answer.shape[1]:
                scores.setdefault(name, []).append((as_it_lies, metrics.dice(view(answer), target)))
    for name in sorted(scores, key=lambda name: -np.mean([dice for _, dice in scores[name]])):
        now, then = np.mean(scores[name], axis=0)
        if len(scores[name]) >= LEAST and then >= FITS and then - now >= FAR_BETTER:
            raise DataError(
                f"{given.path}: expected masks on the prepared slice (rows to anterior, columns to the patient's "
                f"right), got masks that look {name}: over {len(scores[name])} of them mean Dice is {now:.2f} as they "
                f"lie and {then:.2f} when that is undone. {views[name][1]} If they are right as they are, add --as-is "
                "(as_is=True)."
            )


def _sample(given: Predictions, benchmark: Benchmark) -> list[tuple[Mask, Mask]]:
    """Answers and targets of up to `SAMPLE` prompts whose target is there; a mask that cannot be used is left to the
    scoring, which names it."""
    asked = [prompt_id for prompt_id in given.ids[:FIRST] if benchmark.test[prompt_id].target_pixels > 0]
    wanted = set(asked[:: max(1, len(asked) // SAMPLE)][:SAMPLE])
    found: list[tuple[Mask, Mask]] = []
    for items in given.batches(wanted):
        for item in items:
            try:
                answer = mask(item, benchmark)
            except DataError:
                continue
            found.append((answer, benchmark.shown(item[0]).mask(benchmark.test[item[0]].program)))
        if len(found) >= len(wanted):
            break
    return found
