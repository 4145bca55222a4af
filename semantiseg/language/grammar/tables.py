"""The grammar's tables: constructions and words, each marked as training or held out.

Held-out constructions and words are met by no training text. They were written once, before any model was trained, and
are not tuned.

How a template is written: it is a noun phrase that takes "the" (no mark), a noun phrase with a determiner of its own
(mark `=`), or a whole request (mark `*`). `{x}` and `{y}` are the phrases of the first and second argument, `{X}` and
`{Y}` the same with "the", `{XS}` the plural with "the", `{y1}` a one-word lesion noun that can open a compound.
`[is|are]` agrees with x, `<is|are>` with y.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Part = Literal["seen", "unseen_template", "unseen_synonym", "unseen"]
"""Which entries of the tables a text may use; see `language/grammar/surface.py`."""


@dataclass(frozen=True)
class Table:
    """Training entries and held-out entries."""

    training: tuple[str, ...]
    held_out: tuple[str, ...]


def _table(training: str, held_out: str = "") -> Table:
    return Table(
        *(tuple(line.strip() for line in block.strip().splitlines() if line.strip()) for block in (training, held_out))
    )


def outermost(table: Table, part: Part) -> tuple[str, ...]:
    """The entries that the outermost construction of a part is taken from."""
    return table.held_out if part in ("unseen_template", "unseen") else table.training


def nested(table: Table, part: Part) -> tuple[str, ...]:
    """The entries that a nested construction of a part is taken from."""
    return table.training + (table.held_out if part in ("unseen_template", "unseen") else ())


def synonyms(table: Table, part: Part) -> tuple[str, ...]:
    """The words of a part; where none is held out, there are none for the unseen parts."""
    return table.held_out if part in ("unseen_synonym", "unseen") else table.training


FRAMES = _table(
    """
    * segment {X}
    * outline {X}
    * mark {X}
    * delineate {X}
    * show {X}
    * highlight {X}
    * find {X}
    * please segment {X}
    * please outline {X}
    * mask of {X}
    * contour of {X}
    * segmentation of {X}
    """,
    """
    * trace {X}
    * draw the outline of {X}
    * where [is|are] {X}
    * label every pixel of {X}
    * colour in {X}
    """,
)
"""Requests around a noun phrase. The bare phrase and "the ..." belong to training; they stand beside these for held-out
constructions too."""

OPERATIONS: dict[str, Table] = {
    "minus": _table(
        """
        {x} excluding {Y}
        {x} without {Y}
        {x}, but not {Y}
        {x} minus {Y}
        {x} except {Y}
        {x} except for {Y}
        {x} apart from {Y}
        {x}, leaving out {Y}
        {x} sparing {Y}
        {x} with {Y} excluded
        {x} with {Y} left out
        {x}, not including {Y}
        {x} other than {Y}
        * exclude {Y} from {X}
        * segment {X} but leave out {Y}
        """,
        """
        = all of {X} except for {Y}
        = everything in {X} that is not {Y}
        = what is left of {X} once {Y} <is|are> removed
        {x}, with {Y} taken out
        * leave {Y} out of {X}
        * take {Y} away from {X}
        """,
    ),
    "union": _table(
        """
        {x} and {Y}
        {x} and {y}
        {x} together with {Y}
        {x} as well as {Y}
        {x} plus {Y}
        {x} along with {Y}
        {x} combined with {Y}
        {x} or {y}
        = both {X} and {Y}
        """,
        """
        {x} and also {Y}
        {x} in addition to {Y}
        {x}, joined with {Y}
        = {X} and {Y} alike
        """,
    ),
    "side": _table(
        """
        {d} {x}
        {d}-sided {x}
        {x} on the {d}
        {x} on the {d} side
        {x} on the patient's {d}
        {x} on the patient's {d} side
        {d}-side {x}
        {x}, {d} side
        patient's {d} {x}
        """,
        """
        {x} lying to the patient's {d}
        {x} on the {d}-hand side
        {x} that [sits|sit] in the {d} half of the body
        * of {XS}, the one on the {d}
        """,
    ),
    "half": _table(
        """
        {d} half of {X}
        {x}, {d} half
        {x}, {d} half only
        {x}, only the {d} half
        = only the {d} half of {X}
        = just the {d} half of {X}
        half of {X}, the {d} one
        {d} one of the two halves of {X}
        """,
        """
        {x} cut down to the {d} half
        = everything in the {d} half of {X}
        {d}-facing half of {X}
        * of {X}, only the {d} half
        """,
    ),
    "within": _table(
        """
        {x} in {Y}
        {x} within {Y}
        {x} inside {Y}
        {x} located in {Y}
        {x} lying in {Y}
        {x} situated in {Y}
        {x} found in {Y}
        {x} contained in {Y}
        {x} seen in {Y}
        {x} arising in {Y}
        * in {Y}, {X}
        """,
        """
        {x} confined to {Y}
        {x} that [sits|sit] inside {Y}
        {x} which [lies|lie] within {Y}
        {x} enclosed by {Y}
        """,
    ),
    "containing": _table(
        """
        {x} containing {Y}
        {x} bearing {Y}
        {x} with {Y}
        {x} that [contains|contain] {Y}
        {x} which [contains|contain] {Y}
        {x} that [bears|bear] {Y}
        {x} harbouring {Y}
        {x} affected by {Y}
        {x} holding {Y}
        {y1}-bearing {x}
        {y1}-containing {x}
        """,
        """
        {x} in which {Y} <lies|lie>
        {x} that [has|have] {Y} in it
        {x} where {Y} <sits|sit>
        {x} hosting {Y}
        """,
    ),
    "without": _table(
        """
        {x} free of {Y}
        {x} free of {y}
        {x} free from {y}
        {y1}-free {x}
        {x} with no {y}
        {x} that [contains|contain] no {y}
        {x} that [bears|bear] no {y}
        {x} not containing {Y}
        {x} not bearing {Y}
        {x} not affected by {Y}
        {x} unaffected by {Y}
        """,
        """
        {x} that [has|have] no {y} in it
        {x} in which there is no {y}
        {x} clear of {Y}
        {x} not involved by {Y}
        """,
    ),
    "facing": _table(
        """
        {x} {d} {Y}
        {x} lying {d} {Y}
        {x} located {d} {Y}
        {x} situated {d} {Y}
        {x} found {d} {Y}
        {x} seen {d} {Y}
        {x} that [lies|lie] {d} {Y}
        {x} which [is|are] {d} {Y}
        * {d} {Y}, {X}
        """,
        """
        {x} positioned {d} {Y}
        {x} that [sits|sit] {d} {Y}
        {x} which can be seen {d} {Y}
        """,
    ),
    "largest": _table(
        """
        {d} {x}
        {d} of {XS}
        {d} one of {XS}
        {d} among {XS}
        {d} single {x}
        single {d} {x}
        {x}, the {d} one
        {x}, the {d} only
        = only the {d} {x}
        = just the {d} {x}
        = only the {d} of {XS}
        """,
        """
        {x} that [is|are] {d}
        = whichever of {XS} is {d}
        * out of {XS}, the {d}
        * not all of {XS}, just the {d}
        """,
    ),
}  # fmt: skip
OPERATIONS["smallest"] = OPERATIONS["largest"]
"""Operation -> constructions."""

DESCRIPTIONS = _table(
    """
    {A} {x}
    {x}, {Q}
    {x} that [is|are] {P}
    {x} which [is|are] {P}
    {x}, which [is|are] {P}
    {x} that [appears|appear] {P}
    {x} appearing {P}
    {x} with {W}
    {x} having {W}
    {x} showing {W}
    {x} that [has|have] {W}
    {A} {x} with {W}
    {A} {x}, {Q}
    {A} {x} that [is|are] {P}
    {A} {x} showing {W}
    """,
    """
    {x} described as {P}
    {x} found to be {P}
    {x} characterised by {W}
    {x} featuring {W}
    {A} {x} found to be {P}
    {A} {x} featuring {W}
    """,
)
"""Constructions of an atom with clauses: `{A}` adjectives before the noun, `{P}` after "is", `{Q}` in apposition, `{W}`
after "with"."""

DIRECTION_WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "side": {"left": ("left",), "right": ("right",)},
    "half": {
        "anterior": ("anterior", "front", "ventral"), "posterior": ("posterior", "back", "dorsal"),
        "left": ("left",), "right": ("right",),
    },
    "facing": {
        "anterior": ("anterior to", "in front of", "ventral to"), "posterior": ("posterior to", "behind", "dorsal to"),
        "left": ("to the left of", "left of", "on the left of"),
        "right": ("to the right of", "right of", "on the right of"),
    },
    "largest": {"": ("largest", "biggest")},
    "smallest": {"": ("smallest", "tiniest")},
}  # fmt: skip
"""What `{d}` stands for."""

COLLECTIVE_NOUNS: dict[frozenset[str], Table] = {
    frozenset({"kidney_tumour", "kidney_cyst"}): Table(
        ("renal lesions", "kidney lesions", "focal renal lesions"), ("focal kidney lesions",)
    ),
}
"""Unions that have a name of their own."""

PLURALS = {
    "tumour": "tumours", "lesion": "lesions", "mass": "masses", "cyst": "cysts", "nodule": "nodules",
    "cancer": "cancers", "neoplasm": "neoplasms", "glioma": "gliomas", "kidney": "kidneys", "lung": "lungs",
    "meningioma": "meningiomas",
}  # fmt: skip
"""Head nouns that can be counted."""

PLURAL_HEADS = frozenset("vessels kidneys organs lungs fields glands adrenals suprarenals veins".split())
"""Head nouns of names that are plural already."""
