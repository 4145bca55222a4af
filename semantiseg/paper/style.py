"""One look for every figure: colours that stay apart for colour-blind readers and in grey, and settings that give
equal bytes."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from semantiseg.data.split import few_patients
from semantiseg.recipes import RECIPES, recipe_of

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe & Ito, "Color Universal Design" (2008). Luminance differs too, and line styles differ where lines meet.
ORANGE = "#E69F00"
SKY = "#56B4E9"
GREEN = "#009E73"
YELLOW = "#F0E442"
BLUE = "#0072B2"
VERMILION = "#D55E00"
PURPLE = "#CC79A7"
GREY = "#6E6E6E"
_PALETTE: Mapping[str, str] = {
    "orange": ORANGE, "sky": SKY, "green": GREEN, "yellow": YELLOW, "blue": BLUE, "vermilion": VERMILION,
    "purple": PURPLE, "grey": GREY,
}  # fmt: skip

TRUTH = YELLOW
ANSWER = SKY
PARENT = ORANGE

ORIGIN_NAMES = {"phantom": "phantoms", "user": "own images", "official": "official images"}
"""How the origin of the images is written wherever a number from them is shown."""

_SMALL = 5.2
"""Points, of words below a figure."""

_Value = TypeVar("_Value")

_SETTINGS: dict[Any, object] = {
    "figure.dpi": 100,
    "savefig.dpi": 300,
    "font.family": "DejaVu Sans",  # ships with matplotlib: the same glyphs on every machine
    "font.size": 7,
    "axes.titlesize": 7,
    "axes.linewidth": 0.6,
    "lines.linewidth": 1.0,
    "legend.frameon": False,
    "image.interpolation": "nearest",
    "hatch.linewidth": 0.4,
    "svg.hashsalt": "semantiseg",  # element ids would otherwise be random
    "svg.fonttype": "path",
    "pdf.fonttype": 42,
    "pdf.compression": 6,
    "path.simplify": False,
    "text.parse_math": False,  # sentences and names of models are shown as they stand, dollars too
}

_METADATA: dict[str, dict[str, str | None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}


@contextmanager
def applied() -> Iterator[None]:
    """The project's settings, on top of matplotlib's own defaults whatever the user's style."""
    import matplotlib as mpl  # late: tables need no figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write a figure as `stem.png`, `stem.pdf` and `stem.svg` without dates; equal figures give equal bytes."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    written = []
    with applied():
        for suffix, metadata in _METADATA.items():
            path = stem.with_suffix(f".{suffix}")
            figure.savefig(path, metadata=metadata)
            written.append(path)
    return written


def say_few_patients(figure: Figure, patients: int) -> None:
    """Write below a figure of test results that they are of few patients, where they are; see `split.few_patients`."""
    letters = int(figure.get_figwidth() * 72 / (0.5 * _SMALL))  # a letter is half as wide as it is high
    if words := few_patients(patients):
        figure.supxlabel("\n".join(textwrap.wrap(words, letters)), x=0.005, ha="left", fontsize=_SMALL)


def origin_name(origins: list[str]) -> str:
    """Words for the origin of a set of images, such as "phantoms"."""
    return " and ".join(ORIGIN_NAMES.get(origin, origin) for origin in sorted(origins))


def colour(model: str) -> str:
    """The colour in which a model is drawn everywhere."""
    return _PALETTE[recipe_of(model).colour]


def beside(count: int) -> list[float]:
    """Where seaborn puts `count` models that share one place of a categorical axis."""
    return [(number - (count - 1) / 2) * 0.8 / count for number in range(count)]


def patients(
    axes: Axes, means: pd.DataFrame, *, x: str, y: str, order: Sequence[object], models: Iterable[str]
) -> None:
    """A pale point a patient, each model beside the others (`beside`), below what is drawn next.

    Args:
        means: one row a point: `model`, `dice`, and a category; `x` and `y` name the last two.
        order: the categories, as they stand on the axis.
        models: which have a place.
    """
    import seaborn  # late: a second

    if not len(means):  # it would make one place of all
        return
    names = list(models)
    seaborn.stripplot(
        means, x=x, y=y, hue="model", order=order, hue_order=names, palette={name: colour(name) for name in names},
        dodge=True, jitter=False, size=2, alpha=0.25, linewidth=0, legend=False, zorder=1, ax=axes,
        orient="x" if y == "dice" else "y",
    )  # fmt: skip


def ordered(models: Mapping[str, _Value]) -> dict[str, _Value]:
    """Models in the order of `RECIPES`, then any others by name."""
    known = list(RECIPES)
    return dict(
        sorted(models.items(), key=lambda item: (known.index(item[0]) if item[0] in known else len(known), item[0]))
    )
