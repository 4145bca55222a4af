from __future__ import annotations

import re
from itertools import permutations

import numpy as np
import pytest

from semantiseg.bench.ask.space import compositions, placements
from semantiseg.errors import PromptError
from semantiseg.language.clause import VALUES, Clause
from semantiseg.language.grammar import tables
from semantiseg.language.grammar.phrases import WORDINGS, orders
from semantiseg.language.grammar.surface import PARTS, count_forms, render, texts
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import atom, call, parse

ATOMS = [atom(key) for key in STRUCTURES]
STRUCTURE_LIST = list(STRUCTURES.values())
COMPOSITIONS = [program for _, program in compositions(STRUCTURE_LIST, lateral=True)] + placements(STRUCTURE_LIST)
COMMON = [
    parse(text)
    for text in (
        "minus(organ(liver), lesion(liver_tumour))",
        "minus(union(lesion(kidney_tumour), lesion(kidney_cyst)), lesion(kidney_cyst))",
        "side(organ(kidney), right)",
        "half(organ(spleen), anterior)",
        "within(lesion(kidney_tumour), side(organ(kidney), right))",
        "containing(organ(kidney), lesion(kidney_tumour))",
        "without(organ(kidney), lesion(kidney_tumour))",
        "largest(lesion(liver_tumour))",
        "facing(lesion(liver_tumour), anterior, organ(hepatic_vessels))",
        "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))",
    )
]
CLAUSES = (Clause("density", "hypodense"), Clause("shape", "round"), Clause("diameter", "14"))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def sample(count: int, seed: int = 0) -> list[str]:
    """Texts of all parts over all programs."""
    generator = rng(seed)
    programs = ATOMS + COMPOSITIONS
    return [
        render(programs[generator.integers(len(programs))], (), part=PARTS[generator.integers(4)], rng=generator)
        for _ in range(count)
    ]


@pytest.mark.parametrize("part", PARTS)
def test_every_structure_and_composition_has_words_in_every_part(part):
    without_words = [str(program) for program in ATOMS + COMPOSITIONS if count_forms(program, (), part=part) == 0]
    assert without_words == []


def test_seen_and_each_unseen_part_share_no_text():
    generator, owners = rng(), {}
    described = [(program, CLAUSES[:count]) for program in ATOMS for count in (1, 2, 3)]
    for program, clauses in [(program, ()) for program in ATOMS + COMPOSITIONS] + described:
        for part in PARTS:
            for text in texts(program, clauses, part=part, count=25, rng=generator):
                owners.setdefault(text, set()).add(part)
    shared = {text: parts for text, parts in owners.items() if len(parts) > 1}
    assert len(owners) > 40_000
    assert shared == {}


def test_exhausted_small_programs_share_no_text_between_any_two_parts():
    for program in ATOMS + COMMON[2:4]:
        sets = [set(texts(program, (), part=part, count=10_000, rng=rng())) for part in PARTS]
        assert sum(map(len, sets)) == len(set.union(*sets))


def test_tables_hold_enough_constructions_and_no_entry_twice():
    for operation, table in tables.OPERATIONS.items():
        assert len(table.training) >= 8 and len(table.held_out) >= 3, operation
    assert len(tables.DESCRIPTIONS.training) >= 10 and len(tables.DESCRIPTIONS.held_out) >= 3
    one_clause = [text for text in tables.DESCRIPTIONS.training if len(re.findall(r"\{[APQW]\}", text)) == 1]
    assert len(one_clause) >= 10
    for table in [*tables.OPERATIONS.values(), tables.DESCRIPTIONS, tables.FRAMES]:
        entries = table.training + table.held_out
        assert len(entries) == len(set(entries))


def test_held_out_names_and_adjectives_are_no_training_words():
    training = {name for item in STRUCTURES.values() for name in item.names}
    held_out = {name for item in STRUCTURES.values() for name in item.held_out}
    assert not training & held_out
    for wording in WORDINGS.values():
        for table in (wording.before, wording.after_is, wording.apposition, wording.after_with):
            assert not set(table.training) & set(table.held_out)
            assert not table.training or table.held_out


def test_every_attribute_value_has_words_of_both_parts():
    for attribute, values in VALUES.items():
        for value in values or ("14",):
            for part in PARTS:
                assert count_forms(atom("liver_tumour"), (Clause(attribute, value),), part=part) > 0


def test_training_forms_number_thousands():
    generator = rng()
    distinct = {text for program in COMMON for text in texts(program, (), part="seen", count=400, rng=generator)}
    assert len(distinct) > 2_560
    assert all(count_forms(program, (), part="seen") >= 300 for program in COMMON)
    assert all(count_forms(program, (), part="seen") >= 40 for program in ATOMS)


@pytest.mark.parametrize("part", PARTS)
def test_count_is_the_number_of_distinct_texts(part):
    for program in [*ATOMS, *COMMON, *COMPOSITIONS[::10]]:
        count = count_forms(program, (), part=part)
        if count < 4_000:
            assert len(texts(program, (), part=part, count=4_000, rng=rng())) == count
    count = count_forms(atom("spleen"), CLAUSES[:2], part=part)
    assert len(texts(atom("spleen"), CLAUSES[:2], part=part, count=count, rng=rng())) == count


def test_texts_are_distinct_and_as_many_as_asked():
    drawn = texts(COMMON[0], (), part="seen", count=500, rng=rng())
    assert len(drawn) == len(set(drawn)) == 500


def test_equal_seeds_give_equal_texts_and_different_seeds_different_ones():
    one, same, other = (texts(COMMON[-1], (), part="seen", count=40, rng=rng(seed)) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_orders_of_clauses_are_dealt_between_training_and_held_out():
    for count in (1, 2, 3):
        clauses = CLAUSES[:count]
        training, held_out = (orders(clauses, part=part) for part in ("seen", "unseen_template"))
        if count == 1:
            assert training == held_out == [clauses]
        else:
            assert sorted(training + held_out) == sorted(permutations(clauses))
            assert len(training) == len(held_out)
        assert orders(clauses, part="unseen_synonym") == training
        assert orders(clauses, part="unseen") == held_out


def test_order_in_which_clauses_are_given_does_not_matter():
    for part in PARTS:
        forward, backward = (
            set(texts(atom("spleen"), clauses, part=part, count=10**6, rng=rng()))
            for clauses in (CLAUSES[:2], CLAUSES[1::-1])
        )
        assert forward == backward


def test_texts_are_tidy_english():
    for text in sample(4_000):
        assert not re.search(r"\bthe (the|all|both|only|just|what|everything|whichever)\b", text), text
        assert not re.search(r"  | ,|[{}\[\]<>|*=]", text), text
        assert text == text.strip()


def test_verbs_agree_with_their_subject():
    singular = r"(kidney|tumour|cyst|lesion|liver|spleen)"
    plural = r"(kidneys|vessels|organs|lungs|veins|fields|tumours|lesions|masses|cysts)"
    for text in sample(4_000, seed=1):
        # Without "of the ..." and "with its ...": the head noun decides, not the one next to the verb.
        plain = re.sub(r" (of the|with its) \w+", "", re.sub(r"everything in the .+? that", "everything that", text))
        assert not re.search(rf"{plural} (that|which) (is|has|contains|bears|lies|sits|appears)\b", plain), text
        assert not re.search(rf"{singular} (that|which) (are|have|contain|bear|lie|sit)\b", plain), text
        assert not re.search(rf"where is the \w+ {plural}$|where are the {singular}$", plain), text
        assert not re.search(r"\b(left|right|left-sided|largest|smallest) (kidneys|lungs|renal organs)\b", plain), text


def test_spelling_is_british_and_digits_are_diameters():
    for text in sample(3_000, seed=2):
        assert not re.search(r"tumor\b|edema(?<!oedema)|\d", text), text
    generator = rng()
    for _ in range(500):
        text = render(atom("liver_tumour"), CLAUSES, part="seen", rng=generator)
        assert re.findall(r"\d+", text) == ["14"] and "14 mm" in text


def test_sides_are_spoken_of_only_when_the_program_has_them():
    generator = rng()
    for program in COMPOSITIONS:
        says = bool(re.search(r"\b(left|right)\b", re.sub(r"left_atrium", "", str(program))))
        for part in PARTS:
            text = re.sub(r"left (atri|cardiac|out)|what is left", "", render(program, (), part=part, rng=generator))
            assert bool(re.search(r"\b(left|right)\b", text)) == says, (str(program), text)


def test_most_texts_have_2_to_18_words():
    lengths = np.array([len(text.split()) for text in sample(4_000, seed=3)])
    assert np.mean((lengths >= 2) & (lengths <= 18)) > 0.95


def test_short_nouns_stand_only_beside_their_organ():
    inside = texts(COMMON[0], (), part="seen", count=3_000, rng=rng())
    assert any(re.search(r"(?<!hepatic )(?<!liver )(?<!focal )\b(tumour|mass|lesion)$", text) for text in inside)
    generator = rng()
    for key in ("liver_tumour", "kidney_tumour", "lung_tumour"):
        for text in texts(atom(key), (), part="seen", count=500, rng=generator):
            assert re.search(r"liver|hepatic|kidney|renal|lung|pulmonary", text), text


@pytest.mark.parametrize(
    "program",
    [
        call("within", call("largest", atom("liver_tumour")), atom("liver")),
        call("side", call("half", atom("kidney"), "anterior"), "left"),
        call("half", call("minus", atom("liver"), atom("liver_tumour")), "anterior"),
        call("within", atom("liver_tumour"), call("minus", atom("liver"), atom("hepatic_vessels"))),
        call("largest", call("minus", atom("liver_tumour"), atom("hepatic_vessels"))),
    ],
)
def test_nestings_that_english_would_misread_are_refused(program):
    with pytest.raises(PromptError, match="expected a"):
        count_forms(program, (), part="seen")


def test_repeated_exclusion_is_worded_as_one():
    twice = parse("minus(minus(organ(kidney), lesion(kidney_tumour)), lesion(kidney_cyst))")
    once = parse("minus(organ(kidney), union(lesion(kidney_tumour), lesion(kidney_cyst)))")
    assert count_forms(twice, (), part="seen") == count_forms(once, (), part="seen")


def test_unknown_part_is_refused():
    with pytest.raises(PromptError, match="held_out"):
        render(atom("liver"), (), part="held_out", rng=rng())
