"""Names and sentences of others in Markdown and LaTeX: they stay in their cell and are read, never run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_BREAKS = re.compile(r"[\s\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]+")
"""White space, line and paragraph breaks of all kinds, and signs that turn the direction of what follows."""

_MARKDOWN = (
    (re.compile(r"\\(?=[]|`\\])"), r"\\\\"),  # or it would undo the escapes that follow
    (re.compile(r"([|`])"), r"\\\1"),
    (re.compile(r"<(?=[A-Za-z/!?])"), "&lt;"),  # "p < 0.5" opens no tag
    (re.compile(r"\](?=[(\[:])"), r"\\]"),
)

_LATEX = {
    "\\": r"\textbackslash{}", "%": r"\%", "&": r"\&", "_": r"\_", "#": r"\#", "$": r"\$", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--",
}  # fmt: skip


class Markdown(str):
    """Text that is Markdown already, by the hand of this project: it is not escaped again."""


def markdown(text: object) -> str:
    """Text as Markdown that shows it on one line: no cell, code, tag or link can begin or end in it."""
    if isinstance(text, Markdown):
        return text
    shown = _one_line(str(text))
    for pattern, replacement in _MARKDOWN:
        shown = pattern.sub(replacement, shown)
    return shown


def markdown_row(cells: Iterable[object]) -> str:
    """A line of a pipe table, each cell escaped."""
    return f"| {' | '.join(map(markdown, cells))} |"


def markdown_table(head: Sequence[object], rows: Iterable[Iterable[object]]) -> list[str]:
    """The lines of a pipe table, each cell escaped."""
    return [markdown_row(head), f"|{'---|' * len(head)}", *map(markdown_row, rows)]


def latex(text: object) -> str:
    """Text as LaTeX that shows it, on one line: no command, comment or cell can begin in it."""
    return "".join(_LATEX.get(sign, sign) for sign in _one_line(str(text)))


def _one_line(text: str) -> str:
    # A lone surrogate cannot be written to any file.
    whole = text.encode("utf-8", errors="replace").decode("utf-8")
    return _BREAKS.sub(" ", whole) if _BREAKS.search(whole) else whole
