"""Laws of programs and of their words that hold whatever the label map, program or draw."""

from __future__ import annotations

import re
from collections import defaultdict

import numpy as np
import pytest
from equal_programs import normal
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from semantiseg.bench.ask.space import compositions
from semantiseg.language.clause import Clause
from semantiseg.language.evaluate import evaluate
from semantiseg.language.grammar.surface import PARTS, render, texts
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import DIRECTIONS, Program, atom, call, parse
from semantiseg.language.reader.parser import read

KIDNEYS = {1: "kidney_parenchyma", 2: "kidney_tumour", 3: "kidney_cyst"}
KIDNEY, TUMOUR, CYST = (atom(key) for key in ("kidney", "kidney_tumour", "kidney_cyst"))
MAPS = hnp.arrays(
    np.uint8, st.tuples(st.integers(3, 12), st.integers(3, 14)), elements=st.sampled_from([0, 0, 0, 1, 1, 2, 3])
)
MIDLINE = 5.3


def programs(names: list[Program]) -> st.SearchStrategy[Program]:
    """Any program over the names."""
    directions = st.sampled_from(DIRECTIONS)
    pairs = st.sampled_from(("within", "containing", "without", "minus", "union"))
    return st.recursive(
        st.sampled_from(names),
        lambda inner: st.one_of(
            st.builds(lambda x, s: call("side", x, s), inner, st.sampled_from(("left", "right"))),
            st.builds(lambda x, d: call("half", x, d), inner, directions),
            st.builds(lambda o, x: call(o, x), st.sampled_from(("largest", "smallest")), inner),
            st.builds(call, pairs, inner, inner),
            st.builds(lambda x, d, y: call("facing", x, d, y), inner, directions, inner),
        ),
        max_leaves=4,
    )


ANY = programs([KIDNEY, TUMOUR, CYST])


def value(
    program: Program, labels: np.ndarray, *, midline: float = MIDLINE, structures: dict | None = None
) -> np.ndarray:
    return evaluate(program, labels, structures=structures or KIDNEYS, midline=midline)


def equal(labels: np.ndarray, one: Program, other: Program) -> None:
    np.testing.assert_array_equal(value(one, labels), value(other, labels))


# Values


@given(MAPS, ANY, ANY, ANY)
def test_leaving_out_one_after_the_other_is_leaving_out_both(labels, x, y, z):
    equal(labels, call("minus", call("minus", x, y), z), call("minus", x, call("union", y, z)))
    equal(labels, call("minus", call("minus", x, y), z), call("minus", call("minus", x, z), y))


@given(MAPS, ANY, ANY)
def test_nothing_is_left_of_a_thing_without_itself_and_leaving_out_twice_changes_nothing(labels, x, y):
    assert not value(call("minus", x, x), labels).any()
    once = call("minus", x, y)
    equal(labels, call("minus", once, y), once)
    equal(labels, call("union", once, call("minus", x, once)), x)


@given(MAPS, ANY, ANY)
def test_selections_and_placements_never_add_a_pixel(labels, x, y):
    whole = value(x, labels)
    for program in (
        call("side", x, "left"), call("half", x, "anterior"), call("within", x, y), call("containing", x, y),
        call("without", x, y), call("minus", x, y), call("largest", x), call("facing", x, "left", y),
    ):  # fmt: skip
        assert not (value(program, labels) & ~whole).any(), str(program)


@given(MAPS, ANY, ANY)
def test_placing_twice_is_placing_once_and_a_larger_place_holds_no_less(labels, x, y):
    placed = call("within", x, y)
    equal(labels, call("within", placed, y), placed)
    larger = value(call("within", x, call("union", y, CYST)), labels)
    assert not (value(placed, labels) & ~larger).any()
    equal(labels, call("within", x, x), x)


@given(MAPS, ANY)
def test_a_side_taken_twice_is_the_side_and_the_other_side_of_it_is_empty(labels, x):
    right = call("side", x, "right")
    equal(labels, call("side", right, "right"), right)
    assert not value(call("side", right, "left"), labels).any()


@given(MAPS, ANY, st.integers(0, 4), st.integers(0, 4))
def test_moving_the_patient_moves_the_value(labels, x, rows, columns):
    moved = np.pad(labels, ((rows, 1), (columns, 2)))
    found = value(x, moved, midline=MIDLINE + columns)
    inside = (slice(rows, rows + labels.shape[0]), slice(columns, columns + labels.shape[1]))
    np.testing.assert_array_equal(found[inside], value(x, labels))
    assert found.sum() == found[inside].sum()


@given(MAPS, ANY)
def test_label_numbers_are_names_only(labels, x):
    renumbered = np.array([0, 7, 5, 9], dtype=np.uint8)[labels]
    structures = {7: "kidney_parenchyma", 5: "kidney_tumour", 9: "kidney_cyst"}
    np.testing.assert_array_equal(value(x, renumbered, structures=structures), value(x, labels))


# Words


@given(ANY)
def test_blanks_do_not_change_what_a_printed_program_parses_to(program):
    spaced = re.sub(r"([(),])", r" \1 ", str(program))
    assert parse(spaced) == parse(str(program)) == program


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), part=st.sampled_from(PARTS))
def test_what_any_composition_is_worded_as_reads_back_as_itself(seed, part):
    rng = np.random.default_rng(seed)
    program = COMPOSED[int(rng.integers(len(COMPOSED)))][1]
    text = render(program, (), part=part, rng=rng)
    assert normal(read(text).program) == normal(program), text


# Phrasings

COMPOSED = compositions(list(STRUCTURES.values()), lateral=True)
KINDS = ("name", "attribute", "side", "exclusion", "distractor", "spatial", "instance")
EXAMPLES: dict[str, list[Program]] = defaultdict(list)
for _kind, _program in COMPOSED:
    if len(EXAMPLES[_kind]) < 12 and "kidney" in str(_program):
        EXAMPLES[_kind].append(_program)
EXAMPLES |= {"name": [KIDNEY, CYST], "attribute": [CYST]}
HYPODENSE = (Clause("density", "hypodense"),)
NAMES = sorted(
    {name for item in STRUCTURES.values() for name in item.names + item.held_out}
    | {"tumour", "mass", "cyst", "neoplasm", "cystic lesion", "lesion"},
    key=len, reverse=True,
)  # fmt: skip
_NAME = re.compile("|".join(rf"\b{re.escape(name)}(?:s|es)?\b" for name in NAMES))


def skeletons(kind: str, part: str) -> set[str]:
    """How the texts of a kind are built: structures' names replaced by X."""
    clauses = HYPODENSE if kind == "attribute" else ()
    rng = np.random.default_rng(0)
    return {
        _NAME.sub("X", text)
        for program in EXAMPLES[kind]
        for text in texts(program, clauses, part=part, count=300, rng=rng)
    }


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_eight_phrasings_and_test_phrasings_are_others(kind):
    assert EXAMPLES[kind]
    seen, unseen = skeletons(kind, "seen"), skeletons(kind, "unseen_template")
    assert len(seen) >= 8 and len(unseen) >= 6, (len(seen), len(unseen))
    assert not seen & unseen


def test_every_kind_of_composition_is_among_the_examples():
    assert {kind for kind, _ in COMPOSED} == set(KINDS) - {"name", "attribute"}
