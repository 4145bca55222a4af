from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from equal_programs import normal
from hypothesis import given, settings
from hypothesis import strategies as st

from semantiseg.bench.ask.space import compositions, placements
from semantiseg.errors import PromptError
from semantiseg.language.clause import VALUES, Clause
from semantiseg.language.grammar.surface import PARTS, render
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import atom, parse
from semantiseg.language.reader.parser import read

ATOMS = [atom(key) for key in STRUCTURES]
STRUCTURE_LIST = list(STRUCTURES.values())
COMPOSITIONS = [program for _, program in compositions(STRUCTURE_LIST, lateral=True)] + placements(STRUCTURE_LIST)
GRAMMAR = "semantiseg.language.grammar"


def clauses_of(modality: str, count: int, generator: np.random.Generator) -> tuple[Clause, ...]:
    names = [name for name in VALUES if name != ("signal" if modality == "CT" else "density")]
    chosen = generator.choice(names, count, replace=False)
    return tuple(
        sorted(Clause(name, str(generator.choice(VALUES[name] or [str(generator.integers(3, 90))]))) for name in chosen)
    )


@pytest.mark.parametrize("part", PARTS)
def test_every_form_of_every_program_reads_back(part):
    generator = np.random.default_rng(PARTS.index(part))
    wrong = []
    for program in ATOMS + COMPOSITIONS:
        for _ in range(4):
            text = render(program, (), part=part, rng=generator)
            reading = read(text)
            if normal(reading.program) != normal(program) or reading.clauses:
                wrong.append((text, str(program), str(reading.program)))
    assert len(ATOMS + COMPOSITIONS) * 4 > 2_000
    assert wrong == []


@settings(max_examples=300, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), modality=st.sampled_from(["CT", "MR"]), part=st.sampled_from(PARTS))
def test_described_targets_read_back_with_their_clauses(seed, modality, part):
    generator = np.random.default_rng(seed)
    plain = generator.random() < 0.7
    programs = ATOMS if plain else COMPOSITIONS
    program = programs[generator.integers(len(programs))]
    clauses = clauses_of(modality, int(generator.integers(1, 4)) if plain else 1, generator)
    text = render(program, clauses, part=part, rng=generator)
    reading = read(text, modality=modality)
    assert (normal(reading.program), reading.clauses) == (normal(program), clauses), text


@pytest.mark.parametrize("module", ["semantiseg.language.reader.structured", "semantiseg.bench.verify.verifier"])
def test_reader_and_verifier_load_nothing_of_the_grammar(module):
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert module in loaded and not [name for name in loaded if name.startswith(GRAMMAR)]


@pytest.mark.parametrize(
    ("text", "program"),
    [
        (
            "Mass in the right kidney, excluding the cyst",
            "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))",
        ),
        ("Right renal mass.", "side(lesion(kidney_tumour), right)"),
        ("Liver, sparing the metastasis", "minus(organ(liver), lesion(liver_tumour))"),
        ("Show me the liver but without the tumors", "minus(organ(liver), lesion(liver_tumour))"),
        ("Take the tumour out of the pancreas", "minus(organ(pancreas), lesion(pancreatic_tumour))"),
        (
            "kidneys, apart from the tumour and the cyst",
            "minus(organ(kidney), union(lesion(kidney_tumour), lesion(kidney_cyst)))",
        ),
        (
            "Apart from the cyst, the renal lesions",
            "minus(union(lesion(kidney_tumour), lesion(kidney_cyst)), lesion(kidney_cyst))",
        ),
        ("Front part of the spleen", "half(organ(spleen), anterior)"),
        ("posterior half of the left kidney", "half(side(organ(kidney), left), posterior)"),
        ("the biggest tumour in the liver", "largest(within(lesion(liver_tumour), organ(liver)))"),
        ("largest of the lung nodules", "largest(lesion(lung_tumour))"),
        ("tumour-bearing kidney", "containing(organ(kidney), lesion(kidney_tumour))"),
        ("kidney that contains no cyst", "without(organ(kidney), lesion(kidney_cyst))"),
        ("tumor free lung", None),
        ("lung tumour behind the heart", "facing(lesion(lung_tumour), posterior, organ(heart))"),
        ("kidney to the left of the aorta", "facing(organ(kidney), left, organ(aorta))"),
        ("kidney on the left", "side(organ(kidney), left)"),
        ("left half of the left atrium", "half(organ(left_atrium), left)"),
        ("prostate except for the transition zone", "minus(organ(prostate), part(transition_zone))"),
        ("glioma without the surrounding edema", "minus(lesion(brain_tumour), part(brain_oedema))"),
        ("core of the glioma minus its necrosis", "minus(part(tumour_core), part(necrotic_core))"),
        ("cystic renal mass of the left side", "side(lesion(kidney_cyst), left)"),
        ("renal carcinoma", "lesion(kidney_tumour)"),
        ("both lungs", "organ(lung)"),
        ("tumour of the right kidney", "within(lesion(kidney_tumour), side(organ(kidney), right))"),
        ("Please exclude the hepatic vessels from the liver!", "minus(organ(liver), organ(hepatic_vessels))"),
    ],
)  # fmt: skip
def test_free_sentences_are_understood(text, program):
    if program is None:
        with pytest.raises(PromptError):
            read(text)
    else:
        assert normal(read(text).program) == normal(parse(program))


@pytest.mark.parametrize(
    ("text", "modality", "clauses"),
    [
        ("dark liver lesion", "CT", [("density", "hypodense")]),
        ("dark brain tumour", "MR", [("signal", "hypointense")]),
        ("hyperintense glioma", "MR", [("signal", "hyperintense")]),
        ("1.4 cm nodule of the lung", "CT", [("diameter", "14")]),
        ("14-mm pulmonary nodule", "CT", [("diameter", "14")]),
        ("liver tumour, round, with ill-defined margins", "CT", [("margin", "ill_defined"), ("shape", "round")]),
        ("hypodense, well-circumscribed renal lesion", "CT", [("density", "hypodense"), ("margin", "well_defined")]),
        ("heterogeneous mass in the right kidney, excluding the cyst", "CT", [("texture", "heterogeneous")]),
    ],
)
def test_free_descriptions_are_understood(text, modality, clauses):
    assert read(text, modality=modality).clauses == tuple(Clause(*clause) for clause in clauses)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("the spiculated liver tumour", "spiculated"),
        ("kindly segmentise the flurb", "flurb"),
        ("", "nothing"),
        ("segment the", "nothing"),
        ("the tumour", "tumour"),
        ("tumour in front of the heart", "tumour"),
        ("liver excluding", "nothing"),
        ("excluding the tumour", "tumour"),
        ("liver spleen", "spleen"),
        ("liver without the hypodense tumour", "hypodense"),
        ("half of the spleen", "nothing"),
        ("in the right kidney", "nothing"),
        ("the right", "nothing"),
        ("<liver>", "<"),
        ("liver; DROP TABLE", "table"),
        ("\u809d\u81d3", "\u809d"),
    ],
)
def test_texts_that_make_no_sense_are_refused_by_naming_the_words(text, said):
    with pytest.raises(PromptError, match=r"expected .*got ") as caught:
        read(text)
    assert said in str(caught.value)


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            "the liver tumour kidney cyst left right half of in on without excluding with and , largest hypodense "
            "anterior behind free bearing except 14 mm round not from leave out".split()
        ),
        max_size=12,
    )
)
def test_any_word_salad_is_read_or_refused_but_never_crashes(words):
    try:
        reading = read(" ".join(words))
    except PromptError:
        return
    assert parse(str(reading.program)) == reading.program


def test_word_order_decides_between_sentences_of_the_same_words():
    one, other = read("liver tumour in front of the spleen"), read("spleen in front of the liver tumour")
    assert one.program != other.program
    assert read("tumour in the left kidney, without the cyst") != read("cyst in the left kidney, without the tumour")


@pytest.mark.parametrize(
    "text",
    [
        "all but the largest liver tumour", "everything but the liver tumour", "outside the liver",
        "away from the right kidney", "from the liver", "around the liver", "about the liver", "the left right kidney",
        "largest smallest liver tumour", "largest liver tumour, the smallest one", "not all of the liver",
        "anything but the cyst of the kidney", "neither kidney", "not the liver", "without the liver tumour",
        "the kidney but the cyst", "kidney less than 14 mm", "the liver tumour, not the largest",
        "tumour not within the right kidney", "liver tumour that is not hypodense", "non-hypodense liver tumour",
        "All of the spleen but the anterior half", "all liver tumours but the largest", "all kidneys but the left one",
        "the two largest masses of the liver", "the 2 largest liver tumours", "both liver tumours",
        "one of the kidneys",
        "one liver tumour", "liver tumour with an area of 14 mm", "liver tumour with a volume of 14 mm",
        "liver tumour with a greatest diameter of 14 mm", "liver tumour 14 mm behind the spleen", "wide liver",
        "kidney in a patient with a cyst", "outline the kidney, take the tumour", "keep the liver, the tumour",
        "the kidney after the tumour", "liver tumour not shown", "what is left of the liver", "is there a liver tumour",
        "exclude the tumour outside the liver", "round or irregular liver tumour", "kidney left behind the aorta",
        "liver tumour measuring 14 mm and 20 mm",
    ],
)  # fmt: skip
def test_words_that_turn_the_meaning_round_are_never_read_as_if_they_were_not_there(text):
    with pytest.raises(PromptError):
        read(text)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("the spleen but the anterior half", "but"), ("the prostate and not only the transition zone", "not"),
        ("the kidney, not just the left", "not"), ("the kidney on the left in this image", "in this image"),
        ("in this image, the left kidney", "in this image"), ("the kidney on the left on this slice", "on this slice"),
        ("liver tumour with a volume of 14 mm", "volume of"), ("the two largest liver tumours", "two"),
    ],
)  # fmt: skip
def test_a_word_that_cannot_be_accounted_for_is_named(text, word):
    with pytest.raises(PromptError, match=f"got .*'{word}'.* in "):
        read(text)


@pytest.mark.parametrize(
    "text", ["liver in this image", "both kidneys", "left kidney on this slice", "volume of the liver"]
)
def test_the_same_word_is_passed_over_where_it_can_change_nothing(text):
    assert read(text).program in (atom("liver"), atom("kidney"), parse("side(organ(kidney), left)"))


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("out of the liver tumours, the largest", "largest(lesion(liver_tumour))"),
        ("not all of the liver tumours, just the largest", "largest(lesion(liver_tumour))"),
        ("out of the liver, take the tumour", "minus(organ(liver), lesion(liver_tumour))"),
        ("the left kidney, on the left side", "side(side(organ(kidney), left), left)"),
    ],
)
def test_the_same_words_where_they_say_nothing_else_are_still_read(text, program):
    assert str(read(text).program) == program
    assert read("liver tumour around 14 mm").clauses == (Clause("diameter", "14"),)
