"""Stress suites at the reader: sentences made from programs, so that the truth of each is exact and no model is needed.

Variants say the same as the grammar's own words: misspelt, abbreviated, with the patient's story around them, or as one
rung of a ladder of specificity. Pairs say something else: words in another order, a clause deleted, a negation
flipped, the sentence of another question. A variant counts if it has the mask of its program, a pair if both sentences
have the masks of their own. Presence on absent targets and empty slices needs a model and is asked elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from reader import same

from semantiseg.bench.ask.feasible import compositions
from semantiseg.language.grammar.surface import has_words, render
from semantiseg.language.ontology import PAPER_STRUCTURES, STRUCTURES, Structure
from semantiseg.language.program import CLAUSE_VALUES, Clause, Program, atom, call, parse
from semantiseg.language.reader.structured import understand
from semantiseg.randomness import stream

RIGHTLY, FOLLOWED = 95.0, 90.0
"""Least share of variants read rightly and of pairs of which both are, percent."""
TEXTS = 2
"""Drawn texts of a program."""
ABBREVIATED = {
    "left atrium": "LA", "transition zone": "TZ", "peripheral zone": "PZ", "tumour core": "TC",
    "enhancing tumour": "ET", "necrotic core": "NCR", "resection cavity": "RC", "excluding": "excl.",
    "including": "incl.", "without": "w/o", "left": "lt", "right": "rt", "anterior": "ant.",
    "inferior vena cava": "IVC",
}  # fmt: skip
STORIES = (
    "62-year-old man with haematuria. {}", "{} for radiotherapy planning", "Known diabetes; {}", "{} prior to surgery",
    "History of lymphoma. {}", "{}, thank you", "Query recurrence: {}", "Dear colleagues, please see to this: {}",
)  # fmt: skip
OPPOSITES = {"left": "right", "right": "left", "anterior": "posterior", "posterior": "anterior"}
Asked = tuple[str, Program, tuple[Clause, ...]]


def variants(root: Path) -> Iterator[dict[str, Any]]:
    """Shares of variants that are read rightly, and how many are read wrongly."""
    made: dict[str, list[Asked]] = {
        "misspelling": [(_misspelt(text), program, ()) for text, program in _texts("misspelling")],
        "abbreviation": [(short, program, ()) for text, program in _texts("abbreviation")
                         if (short := _abbreviated(text)) != text],
        "context": [(STORIES[number % len(STORIES)].format(text), program, ())
                    for number, (text, program) in enumerate(_texts("context"))],
        "ladder": [rung for item in _structures() for rung in _ladder(item)],
    }  # fmt: skip
    for name, asked in made.items():
        judged = [_judged(*item) for item in asked]
        yield {
            "name": f"stress_reader_{name}", "value": _percent(judged.count("right"), len(judged)), "unit": "%",
            "target": RIGHTLY, "better": "higher", "sentences": len(judged),
            "wrong": _percent(judged.count("wrong"), len(judged)),
        }  # fmt: skip


def pairs(root: Path) -> Iterator[dict[str, Any]]:
    """Shares of pairs in which both sentences are read as their own."""
    makers: dict[str, Callable[[], Iterator[tuple[Asked, Asked]]]] = {
        "word_order": _reordered, "clause_deleted": _undescribed, "negation": _negated, "swap": _swapped,
    }  # fmt: skip
    for name, make in makers.items():
        followed = [_judged(*one) == _judged(*other) == "right" for one, other in make()]
        yield {
            "name": f"stress_reader_{name}", "value": _percent(sum(followed), len(followed)), "unit": "%",
            "target": FOLLOWED, "better": "higher", "pairs": len(followed),
        }  # fmt: skip


def _judged(text: str, program: Program, clauses: tuple[Clause, ...]) -> str:
    signal = any(clause.attribute == "signal" for clause in clauses)
    found = understand(text, modality="MR" if signal else "CT")
    if found.program is None:
        return "refused"
    alike = found.program == program or same(found.program, program)
    return "right" if found.clauses == clauses and alike else "wrong"


def _structures() -> list[Structure]:
    return [item for item in STRUCTURES.values() if item.main in PAPER_STRUCTURES]


def _said(program: Program, clauses: tuple[Clause, ...] = (), *, seed: str = "pair") -> str | None:
    if not has_words(program, clauses, part="seen"):
        return None
    return render(program, clauses, part="seen", rng=stream("stress", seed, str(program), len(clauses)))


def _texts(suite: str) -> Iterator[tuple[str, Program]]:
    """Drawn words of every program of the benchmark about the paper's structures."""
    programs = [program for _, program in compositions(_structures(), lateral=True)]
    for program in [*(atom(item.key) for item in _structures()), *programs]:
        texts = (_said(program, seed=f"{suite}{number}") for number in range(TEXTS))
        yield from ((text, program) for text in texts if text is not None)


def _misspelt(text: str) -> str:
    """One slip of the pen in the longest word: a letter lost, doubled, or exchanged with the next."""
    rng = stream("misspelling", text)
    words = text.split()
    place = max(range(len(words)), key=lambda place: len(words[place]))
    word, at, slip = words[place], int(rng.integers(1, len(words[place]) - 2)), int(rng.integers(3))
    slips = (
        word[:at] + word[at + 1 :],
        word[: at + 1] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    return " ".join([*words[:place], slips[slip], *words[place + 1 :]])


def _abbreviated(text: str) -> str:
    for long, short in ABBREVIATED.items():
        if f" {long} " in f" {text} " and not (long == "left" and "left atri" in text):
            return f" {text} ".replace(f" {long} ", f" {short} ").strip()
    return text


def _ladder(item: Structure) -> Iterator[Asked]:
    """The name, its side, the largest there, and that without what it holds."""
    rungs = [atom(item.key)]
    if item.paired or item.kind == "lesion":
        rungs.append(call("side", rungs[-1], "left"))
    if item.kind == "lesion":
        rungs.append(call("largest", rungs[-1]))
    inside = next((other for other in STRUCTURES.values() if other.parent == item.key), None)
    if inside is not None and item.kind == "organ":
        rungs.append(call("minus", rungs[-1], atom(inside.key)))
    for rung in rungs:
        if (text := _said(rung, seed="ladder")) is not None:
            yield text, rung, ()


def _pair(one: Program, other: Program, clauses: tuple[Clause, ...] = (), others: tuple[Clause, ...] = ()
          ) -> Iterator[tuple[Asked, Asked]]:  # fmt: skip
    first, second = _said(one, clauses), _said(other, others)
    if first is not None and second is not None:
        yield (first, one, clauses), (second, other, others)


def _reordered() -> Iterator[tuple[Asked, Asked]]:
    """The same words, the other way round: what is kept and what is left out, what faces what."""
    for one, other in (("liver", "spleen"), ("enhancing tumour", "resection cavity"), ("renal tumour", "renal cyst"),
                       ("liver tumour", "hepatic vessels"), ("tumour core", "resection cavity")):  # fmt: skip
        keys = [understand(name).program for name in (one, other)]
        if None in keys:
            raise AssertionError(f"expected names that are read, got {one!r} and {other!r}")
        first, second = (key for key in keys if key is not None)
        for words, operation in (("{} without the {}", "minus"), ("{} excluding the {}", "minus"),
                                 ("{} but not the {}", "minus"), ("{} minus the {}", "minus")):  # fmt: skip
            yield ((words.format(one, other), call(operation, first, second), ()),
                   (words.format(other, one), call(operation, second, first), ()))  # fmt: skip
        for words, direction in (("{} in front of the {}", "anterior"), ("{} behind the {}", "posterior"),
                                 ("{} to the left of the {}", "left")):  # fmt: skip
            yield ((words.format(one, other), call("facing", first, direction, second), ()),
                   (words.format(other, one), call("facing", second, direction, first), ()))  # fmt: skip


def _undescribed() -> Iterator[tuple[Asked, Asked]]:
    """A described structure, and the same without its description."""
    for item in _structures():
        brightness = "signal" if item.main in ("prostate", "hippocampus", "brain_tumour", "left_atrium") else "density"
        for attribute in (brightness, "texture", "shape", "margin", "diameter"):
            for value in CLAUSE_VALUES[attribute] or ("14",):
                yield from _pair(atom(item.key), atom(item.key), (Clause(attribute, value),))


def _negated() -> Iterator[tuple[Asked, Asked]]:
    """With and without, borne and free."""
    for program in (program for _, program in compositions(_structures(), lateral=True)):
        if program.operation == "without":
            yield from _pair(program, call("containing", *program.children))
        elif program.operation == "minus":
            yield from _pair(program, program.children[0])


def _swapped() -> Iterator[tuple[Asked, Asked]]:
    """The sentence of one question, and that of another which differs in one word."""
    for program in (program for _, program in compositions(_structures(), lateral=True)):
        text = str(program)
        if program.operation in ("largest", "smallest"):
            yield from _pair(
                program, call({"largest": "smallest"}.get(program.operation, "largest"), *program.children)
            )
        elif (word := next((word for word in OPPOSITES if f", {word}" in text), None)) is not None:
            yield from _pair(program, parse(text.replace(f", {word}", f", {OPPOSITES[word]}")))


def _percent(part: int, total: int) -> float:
    return round(100 * part / max(total, 1), 2)


BENCHMARKS = (variants, pairs)
