"""Programs print, parse and know their parts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semantiseg.errors import ProgramError
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import DIRECTIONS, Program, atom, atoms, call, parent, parse, subject


def programs() -> st.SearchStrategy[Program]:
    """Any program, a few levels deep."""
    names = st.sampled_from(sorted(STRUCTURES)).map(atom)
    directions = st.sampled_from(DIRECTIONS)
    return st.recursive(
        names,
        lambda inner: st.one_of(
            st.builds(lambda x, s: call("side", x, s), inner, st.sampled_from(("left", "right"))),
            st.builds(lambda x, d: call("half", x, d), inner, directions),
            st.builds(lambda o, x: call(o, x), st.sampled_from(("largest", "smallest")), inner),
            st.builds(
                lambda o, x, y: call(o, x, y),
                st.sampled_from(("within", "containing", "without", "minus", "union")),
                inner,
                inner,
            ),
            st.builds(lambda x, d, y: call("facing", x, d, y), inner, directions, inner),
        ),
        max_leaves=6,
    )


@given(programs())
def test_a_printed_program_parses_to_itself(program):
    assert parse(str(program)) == program


@given(programs())
def test_the_subject_is_the_first_atom_and_the_parent_is_made_of_known_parts(program):
    assert subject(program) == next(atoms(program))
    assert parse(str(parent(program))) == parent(program)


@given(programs())
def test_a_walk_meets_every_node_that_is_printed_once_with_its_parts_before_it(program):
    nodes = list(program.walk())
    assert nodes[-1] is program
    assert len(nodes) == str(program).count("(")
    met = []
    for node in nodes:
        assert all(any(part is earlier for earlier in met) for part in node.children)
        met.append(node)


def test_a_node_names_its_own_sides_and_directions_and_an_atom_names_none():
    program = parse("facing(side(organ(kidney), left), anterior, lesion(liver_tumour))")
    assert [node.words for node in program.walk()] == [(), ("left",), (), ("anterior",)]


@pytest.mark.parametrize(
    "text",
    [
        "", "kidney", "organ()", "organ(kidneys)", "lesion(kidney)", "organ(kidney, right)", "side(organ(kidney))",
        "side(organ(kidney), up)", "side(kidney, right)", "half(organ(liver), right) + 1", "minus(organ(liver))",
        "largest(organ(liver), organ(liver))", "organ(key=kidney)", "__import__(os)", "minus(organ(liver), 'spleen')",
        "(" * 500,
    ],
)  # fmt: skip
def test_what_is_no_program_is_refused_with_the_text(text):
    with pytest.raises(ProgramError, match="expected a program such as"):
        parse(text)


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        ("part(necrotic_core)", "lesion(brain_tumour)"),
        ("organ(spleen)", "organ(spleen)"),
        ("minus(organ(liver), lesion(liver_tumour))", "organ(liver)"),
        ("half(side(organ(kidney), right), anterior)", "organ(kidney)"),
        ("within(lesion(kidney_tumour), side(organ(kidney), right))", "organ(kidney)"),
        ("minus(within(lesion(kidney_tumour), side(organ(kidney), left)), lesion(kidney_cyst))", "organ(kidney)"),
        ("minus(union(lesion(kidney_tumour), lesion(kidney_cyst)), lesion(kidney_cyst))",
         "union(lesion(kidney_tumour), lesion(kidney_cyst))"),
        ("largest(lesion(lung_tumour))", "lesion(lung_tumour)"),
    ],
)  # fmt: skip
def test_the_parent_is_what_a_reader_without_qualifiers_would_mark(program, expected):
    assert str(parent(parse(program))) == expected


def test_a_wrong_node_is_refused_when_it_is_built():
    with pytest.raises(ProgramError, match="expected one of"):
        Program("rotate", (atom("liver"),))
    with pytest.raises(ProgramError, match="expected 2 arguments, got 1"):
        call("minus", atom("liver"))
    with pytest.raises(ProgramError, match="expected an atom"):
        _ = call("largest", atom("liver_tumour")).key
