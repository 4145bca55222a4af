"""Contradictions of true prompts: mutants that say something false of their slice, of eighteen kinds.

What is false is known from how a mutant was made and, where masks decide, from the masks of both meanings, never from
the verifier's reading. Words come from the grammar (the false meaning put into words) and from edits of the true text,
as a language model's slip would make them.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semantiseg.conventions import Mask
from semantiseg.data.store import VolumeStore
from semantiseg.errors import PromptError
from semantiseg.language.clause import VALUES, Clause, from_json, to_json
from semantiseg.language.evaluate import evaluate, is_defined
from semantiseg.language.grammar.phrases import pluralised
from semantiseg.language.grammar.surface import render
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import Program, atom, call, parent, parse, subject
from semantiseg.randomness import stream

Row = dict[str, Any]

CONTROL = "control"
PAIR = "pair exchanged"
KINDS = (
    "side swapped", PAIR, "qualifiers dropped", "exclusion dropped", "exclusion inverted", "density flipped",
    "attribute flipped", "size exaggerated", "wrong parent", "absent structure", "vacuous exclusion", "all but", "but",
    "not only", "number of instances", "side of the image", "another quantity", "function word",
)  # fmt: skip
"""Kinds of contradiction."""
EXAGGERATIONS = (1.5, 2.0, 3.0)
"""Factors by which a diameter is overstated, and two millimetres more."""
GAP_PIXELS = 1
"""Pixels in which the masks of the true and the false meaning must differ."""

_TURNED = {"left": "right", "right": "left"}
_SIDE_WORD = re.compile(r"\b(left|right)\b(?! (?:atri|cardiac|out\b|aside\b|of\b))")
_FLIPS = (
    ("hypo", "hyper"), ("low", "high"), ("dark", "bright"), ("darker", "brighter"), ("reduced", "raised"),
    ("less dense", "denser"), ("lower", "higher"),
)  # fmt: skip
_FLIPPED = {one: other for pair in _FLIPS for one, other in (pair, pair[::-1])}
_DENSITY_WORD = re.compile(
    r"\b(less dense|denser|hypo(?=dense|atten|intense)|hyper(?=dense|atten|intense)|low(?=[- ])|high(?=[- ])|"
    r"darker|brighter|dark|bright(?!er)|reduced|raised|lower|higher)"
)
_DIAMETER = re.compile(r"\b(\d+)(?= mm)")
_QUANTITIES = (
    "{} with an area of {} mm", "{} with a volume of {} mm", "{} with a wall thickness of {} mm", "{}, {} mm deep",
    "{} {} mm from the skin",
)  # fmt: skip
"""What {} mm may measure beside a diameter; "width" is the first phrasing's word for a diameter."""
_SLIPS: tuple[tuple[re.Pattern[str], tuple[str, ...]], ...] = tuple(
    (re.compile(pattern), tuple(new.split("|")))
    for pattern, new in (
        (r"\b(?:without|excluding|except for|except|minus|sparing)\b", "|near|hardly without|not without|with only"),
        (r"\b(?:left out|excluded|removed|taken out|taken away)\b", "|not removed|half removed"),
        (r"\b(?:in|within|inside)\b", "near|outside|towards|beside"),
        (r"\bof\b", "beside|near|without"),
        (r"\bwith\b", "near|before|unlike"),
        (r"\band\b", "nor|versus|but not"),
        (r"\bthe\b", "no|another|half the|not only the|near the|every other"),
        (r"^", "not |all but |anything but |almost |hardly |beyond "),
    )
)
"""Function words -> what a slip puts in their place; each turns what is said, or leaves nothing that can be meant."""
SLIPS = 4
"""Slips of one prompt."""


@dataclass(frozen=True)
class Mutant:
    """A prompt to be judged.

    Attributes:
        kind: one of `KINDS`, or `CONTROL`.
        row: the prompt as it would stand in the table; `text` aside.
        text: its words.
    """

    kind: str
    row: Row
    text: str


class Mutator:
    """Makes the mutants of a volume's prompts.

    Args:
        store: prepared volumes.
        volume_id: the volume that all prompts are about.
        seed: of the words.
    """

    def __init__(self, store: VolumeStore, volume_id: str, *, seed: int) -> None:
        self.seed = seed
        self.structures, self.midline = store.structures(volume_id), store.midline(volume_id)
        self._spacing_mm, self._labels = store.spacing_mm(volume_id), store.labels(volume_id)
        self._masks: dict[int, dict[Program, Mask]] = {}

    def of(self, row: Row) -> Iterator[Mutant]:
        """The prompt itself as control, then its contradictions (none for a prompt whose target is absent)."""
        yield Mutant(CONTROL, row, row["text"])
        if row["target_pixels"] == 0:
            return
        program, clauses = parse(row["program"]), from_json(row["clauses"])
        for make in (self._sides, self._qualifiers, self._exclusions, self._densities, self._attributes, self._sizes,
                     self._parents, self._absences, self._vacuous, self._complements, self._exceptions,
                     self._instances, self._image_sides, self._quantities, self._function_words):  # fmt: skip
            yield from make(row, program, clauses)

    def _sides(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        turned = _replaced_words(program, _TURNED)
        if not self._differ(program, turned, row["slice"]):
            return
        yield from self._said("side swapped", row, turned, clauses)
        edited = _SIDE_WORD.sub(lambda found: _TURNED[found[1]], row["text"])
        if edited != row["text"] and "what is left" not in row["text"]:
            yield Mutant("side swapped", row, edited)

    def _qualifiers(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        whole = parse(row["parent"])
        if not program.is_atom and self._differ(program, whole, row["slice"]):
            yield from self._said("qualifiers dropped", row, whole, ())

    def _exclusions(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        if program.operation != "minus":
            return
        kept, removed = program.children
        yield from self._said("exclusion dropped", row, kept, clauses)
        for inverted in (removed, call("union", kept, removed), call("minus", removed, kept)):
            if self._differ(program, inverted, row["slice"]):
                yield from self._said("exclusion inverted", row, inverted, ())

    def _densities(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        for place, clause in enumerate(clauses):
            if clause.attribute not in ("density", "signal"):
                continue
            values = VALUES[clause.attribute]
            false = Clause(clause.attribute, values[0] if values.index(clause.value) else values[-1])
            flipped = (*clauses[:place], false, *clauses[place + 1 :])
            yield from self._said("density flipped", row, program, flipped)
            yield from self._said("density flipped", row | {"clauses": to_json(flipped)}, program, flipped)
            edited = _DENSITY_WORD.sub(lambda found: _FLIPPED[found[1]], row["text"])
            # "As bright as" and "as dark as" say the same.
            if edited != row["text"] and not clause.value.startswith("iso"):
                yield Mutant("density flipped", row, edited)

    def _attributes(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """Texture, shape or margin turned round, in the words or in words and statement: then only the image can
        object."""
        for place, clause in enumerate(clauses):
            if clause.attribute not in ("texture", "shape", "margin"):
                continue
            values = VALUES[clause.attribute]
            false = Clause(clause.attribute, values[0] if values.index(clause.value) else values[-1])
            turned = (*clauses[:place], false, *clauses[place + 1 :])
            for stated in (clauses, turned):
                yield from self._said("attribute flipped", row | {"clauses": to_json(stated)}, program, turned)

    def _sizes(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """A stated diameter overstated in the words, or in words and statement; on a prompt that states none, one
        that no component of the target comes near."""
        stated = next((int(clause.value) for clause in clauses if clause.attribute == "diameter"), None)
        others = tuple(clause for clause in clauses if clause.attribute != "diameter")
        if stated is None and (STRUCTURES[subject(program).key].kind == "organ" or not _takes_adjective(program)):
            return
        true = stated if stated is not None else self._reach_mm(program, row["slice"])
        for factor in EXAGGERATIONS:
            false = str(round(true * factor) + 2)
            exaggerated = (*others, Clause("diameter", false))
            yield from self._said("size exaggerated", row | {"clauses": to_json(exaggerated)}, program, exaggerated)
            if stated is not None:
                yield from self._said("size exaggerated", row, program, exaggerated)
                yield Mutant("size exaggerated", row, _DIAMETER.sub(false, row["text"]))

    def _parents(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """A lesion placed in an organ that is not its own; another parent stated."""
        others = [key for key, item in STRUCTURES.items() if item.kind == "organ"]
        rng = stream(self.seed, "wrong parent", row["prompt_id"])
        draw = [others[place] for place in rng.permutation(len(others))]
        own = STRUCTURES[subject(program).key].parent
        if program.operation == "within" and own is not None:
            for key in [key for key in draw if key != own and key not in str(program)][:2]:
                yield from self._said("wrong parent", row, call("within", program.children[0], atom(key)), clauses)
        expected = parse(row["parent"])
        labelled = [atom(key) for key in STRUCTURES if is_defined(atom(key), self.structures)]
        for other in labelled:
            if self._differ(other, expected, row["slice"]):
                yield Mutant("wrong parent", row | {"parent": str(other)}, row["text"])

    def _absences(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """Something asked for that is not on the slice: in the words, or in words and statement."""
        for wrong in self._absent(row, "absent structure", sided=True):
            yield from self._said("absent structure", row, wrong, ())
            changed = {"program": str(wrong), "parent": str(parent(wrong)), "clauses": "[]"}
            yield from self._said("absent structure", row | changed, wrong, ())

    def _vacuous(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """Something left out of the words, or of words and statement, that is not there to be left out."""
        if program.operation in ("minus", "union"):
            return
        for missing in self._absent(row, "vacuous exclusion", sided=False):
            excluding = call("minus", program, missing)
            yield from self._said("vacuous exclusion", row, excluding, clauses)
            yield from self._said("vacuous exclusion", row | {"program": str(excluding)}, excluding, clauses)

    def _complements(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """ "All kidneys but the left one" for the left one; "the prostate, not only the transition zone" for one of
        both."""
        chosen = _chosen_of(program)
        if chosen is None:
            return
        whole, some, every, one = chosen
        if self._differ(program, call("minus", whole, some), row["slice"]):
            for words in (f"{every} but {one}", f"{every} except {one}", f"{every} other than {one}"):
                yield Mutant("all but", row, words)
        if self._differ(program, whole, row["slice"]):
            for joint in ("and not only", "not just", "not merely"):
                yield Mutant("not only", row, f"{every}, {joint} {one}")

    def _exceptions(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The true words and, after a "but", something that the target overlaps."""
        every = [atom(key) for key in STRUCTURES if is_defined(atom(key), self.structures)]
        parts = [item for item in every if self._differ(call("minus", program, item), program, row["slice"])]
        if parts and program.operation != "minus":
            other = parts[int(stream(self.seed, "but", row["prompt_id"]).integers(len(parts)))]
            for joint in ("but not the", "but without the", "but only the"):
                yield Mutant("but", row, f"{row['text']}, {joint} {_noun(other)}")

    def _instances(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """One, two or the second of what the prompt asks for all or the largest of."""
        select = program.operation if program.operation in ("largest", "smallest") else ""
        item = program.children[0] if select else program
        several = pluralised(_noun(item)) if item.is_atom and item.operation != "part" else None
        if several is None:
            return
        texts = [f"one of the {several}", f"at most one {_noun(item)}", f"the two {select} {several}"]
        for words in (*texts, f"the {select} 3 {several}", f"the second {select or 'largest'} {_noun(item)}"):
            yield Mutant("number of instances", row, " ".join(words.split()))

    def _image_sides(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The patient's left is the right of an image in radiological convention."""
        if not self._differ(program, _replaced_words(program, _TURNED), row["slice"]):
            return
        words = {"side": "{}", "within": "the {1} in {0}", "minus": "{} without the {}", "containing": "{} with the {}"}
        nodes = [program] if program.operation == "side" else program.children
        sided = [node for node in nodes if node.operation == "side" and node.children[0].is_atom]
        others = [_noun(node) for node in nodes if node.is_atom]
        if program.operation in words and sided and len(sided) + len(others) == len(nodes):
            for image in ("in this image", "of the image", "of the picture", "on the screen"):
                place = f"the {_noun(sided[0].children[0])} on the {sided[0].words[0]} {image}"
                yield Mutant("side of the image", row, words[program.operation].format(place, *others))

    def _quantities(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The true diameter said of something else."""
        stated = next((clause for clause in clauses if clause.attribute == "diameter"), None)
        if stated is not None and program.is_atom:
            for words in _QUANTITIES:
                true = row | {"clauses": to_json([stated])}
                yield Mutant("another quantity", true, words.format(_noun(program), stated.value))

    def _function_words(self, row: Row, program: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The true words with a function word lost, put in or exchanged."""
        text, slipped = row["text"], []
        for pattern, replacements in _SLIPS:
            for found in pattern.finditer(text):
                slipped += [text[: found.start()] + new + text[found.end() :] for new in replacements]
        rng = stream(self.seed, "function word", row["prompt_id"])
        for place in sorted(rng.permutation(len(slipped))[:SLIPS]):
            yield Mutant("function word", row, " ".join(slipped[place].split()))

    def _absent(self, row: Row, kind: str, *, sided: bool) -> list[Program]:
        """One thing that the collection labels and the slice does not show, and one that is not labelled; with
        `sided`, also a lesion on a side without it."""
        rng = stream(self.seed, kind, row["prompt_id"])
        every = [atom(key) for key in STRUCTURES]
        labelled = [item for item in every if is_defined(item, self.structures)]
        one_sided = [call("side", item, side) for item in labelled if item.operation == "lesion" for side in _TURNED]
        pools = (
            [item for item in labelled if not self._present(item, row["slice"])],
            [item for item in one_sided if sided and not self._present(item, row["slice"])],
            [item for item in every if item not in labelled],
        )
        return [pool[int(rng.integers(len(pool)))] for pool in pools if pool]

    def _said(self, kind: str, row: Row, meaning: Program, clauses: tuple[Clause, ...]) -> Iterator[Mutant]:
        """The row in words of the meaning and clauses, if English has them."""
        rng = stream(self.seed, kind, row["prompt_id"], str(meaning), to_json(clauses))
        try:
            text = render(meaning, clauses, part=row["phrasing"], rng=rng)
        except PromptError:
            return
        yield Mutant(kind, row, text)

    def _mask(self, program: Program, index: int) -> Mask:
        return evaluate(
            program, self._labels[index], structures=self.structures, midline=self.midline,
            memo=self._masks.setdefault(index, {}),
        )  # fmt: skip

    def _present(self, program: Program, index: int) -> bool:
        return is_defined(program, self.structures) and bool(self._mask(program, index).any())

    def _differ(self, one: Program, other: Program, index: int) -> bool:
        """Whether two meanings are different masks on the slice; what is not labelled has no mask and differs."""
        if not (is_defined(one, self.structures) and is_defined(other, self.structures)):
            return True
        return int((self._mask(one, index) ^ self._mask(other, index)).sum()) >= GAP_PIXELS

    def _reach_mm(self, program: Program, index: int) -> float:
        """Diagonal of the target's bounding box: no diameter is larger."""
        rows, columns = np.nonzero(self._mask(program, index))
        return float(np.hypot(np.ptp(rows) + 1, np.ptp(columns) + 1) * self._spacing_mm)


def _replaced_words(program: Program, words: dict[str, str]) -> Program:
    """The program with words exchanged in all its nodes."""
    arguments = [
        _replaced_words(argument, words) if isinstance(argument, Program) else words.get(argument, argument)
        for argument in program.arguments
    ]
    return program if program.is_atom else Program(program.operation, tuple(arguments))


def _takes_adjective(program: Program) -> bool:
    return program.is_atom or program.operation in ("side", "within", "largest", "smallest")


def exchanged(rows: Sequence[Row]) -> Iterator[Mutant]:
    """Each prompt of a counterfactual pair in the other's words."""
    pairs: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        if row["suite"] == "counterfactual" and row["group"]:
            pairs[row["group"]].append(row)
    for one, other in (pair for pair in pairs.values() if len(pair) == 2):
        yield Mutant(PAIR, one, other["text"])
        yield Mutant(PAIR, other, one["text"])


def _noun(item: Program) -> str:
    return STRUCTURES[item.key].names[0]


def _chosen_of(program: Program) -> tuple[Program, Program, str, str] | None:
    """What a program chooses from, what it chooses or leaves out, and both in words; None where it is no choice."""
    if program.is_atom:
        container = STRUCTURES[program.key].parent
        if container is None:
            return None
        return atom(container), program, f"all of the {STRUCTURES[container].names[0]}", f"the {_noun(program)}"
    first = program.children[0]
    if not first.is_atom:
        return None
    whole = f"all of the {_noun(first)}"
    if program.operation == "half":
        return first, program, whole, f"the {program.words[0]} half"
    if program.operation in ("side", "largest", "smallest"):
        word = program.words[0] if program.operation == "side" else program.operation
        several = pluralised(_noun(first))
        return (first, program, f"all {several}", f"the {word} one") if several else None
    if program.operation == "minus" and program.children[1].is_atom:
        return first, program.children[1], whole, f"the {_noun(program.children[1])}"
    return None
