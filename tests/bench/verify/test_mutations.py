"""Mutants are false, and known to be so without the verifier; what is not false is never planted."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from semantiseg.bench.build import make_candidates
from semantiseg.bench.verify.mutations import CONTROL, KINDS, Mutator, exchanged
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ProgramError
from semantiseg.language.clause import Clause, from_json, to_json
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import call, parse

CASE = "kidneys_2:CT"
SLICE = 7
PLACED = "within(lesion(kidney_tumour), side(organ(kidney), right))"


@pytest.fixture(scope="module")
def store(volumes):
    with VolumeStore(volumes) as opened:
        yield opened


@pytest.fixture(scope="module")
def mutator(store):
    return Mutator(store, CASE, seed=0)


def row(
    program: str, text: str, *clauses: Clause, pixels: int = 50, parent: str = "organ(kidney)", index=SLICE
) -> dict:
    return {
        "prompt_id": text, "slice": index, "program": program, "parent": parent, "clauses": to_json(clauses),
        "text": text, "phrasing": "seen", "target_pixels": pixels,
    }  # fmt: skip


def texts_by_kind(mutator: Mutator, prompt: dict) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for mutant in mutator.of(prompt):
        found[mutant.kind].append(mutant.text)
    return found


def test_the_prompt_itself_is_the_control_and_comes_first(mutator):
    prompt = row(PLACED, "tumour in the right kidney")
    first = next(mutator.of(prompt))
    assert (first.kind, first.row, first.text) == (CONTROL, prompt, prompt["text"])


def test_words_are_edited_as_a_slip_would_edit_them(mutator):
    said = texts_by_kind(mutator, row(PLACED, "tumour in the right kidney"))
    assert "tumour in the left kidney" in said["side swapped"]
    clause = Clause("density", "hypodense")
    said = texts_by_kind(mutator, row("lesion(kidney_cyst)", "low-density renal cyst", clause))
    assert "high-density renal cyst" in said["density flipped"]
    clause = Clause("diameter", "8")
    said = texts_by_kind(mutator, row("lesion(kidney_cyst)", "renal cyst measuring 8 mm", clause))
    assert "renal cyst measuring 14 mm" in said["size exaggerated"]


@pytest.mark.parametrize(
    ("program", "kind", "said"),
    [
        ("side(organ(kidney), right)", "all but", "all kidneys but the right one"),
        ("half(organ(kidney), anterior)", "all but", "all of the kidney except the anterior half"),
        ("minus(organ(kidney), lesion(kidney_tumour))", "all but", None),
        ("minus(organ(kidney), lesion(kidney_tumour))", "not only", "all of the kidney, not just the kidney tumour"),
        ("lesion(kidney_tumour)", "not only", "all of the kidney, and not only the kidney tumour"),
        ("lesion(kidney_tumour)", "number of instances", "one of the kidney tumours"),
        ("largest(lesion(kidney_tumour))", "number of instances", "the two largest kidney tumours"),
        ("side(organ(kidney), right)", "side of the image", "the kidney on the right in this image"),
        ("organ(kidney)", "side of the image", None), ("organ(kidney)", "another quantity", None),
    ],
)  # fmt: skip
def test_what_turns_a_sentence_by_a_few_words_is_planted_where_it_is_false(mutator, program, kind, said):
    texts = texts_by_kind(mutator, row(program, "a prompt"))[kind]
    assert said in texts if said else not texts


def test_the_true_diameter_is_said_of_another_quantity(mutator):
    clauses = (Clause("diameter", "8"), Clause("shape", "round"))
    planted = [mutant for mutant in mutator.of(row("lesion(kidney_cyst)", "round renal cyst, 8 mm across", *clauses))
               if mutant.kind == "another quantity"]  # fmt: skip
    assert "kidney cyst with an area of 8 mm" in [mutant.text for mutant in planted]
    assert {from_json(mutant.row["clauses"]) for mutant in planted} == {clauses[:1]}


def test_slips_of_function_words_are_drawn_from_the_words_that_are_there(mutator):
    seen = set()
    for seed in range(40):
        other = Mutator.__new__(Mutator)
        vars(other).update(vars(mutator) | {"seed": seed})
        seen |= set(texts_by_kind(other, row(PLACED, "tumour in the right kidney"))["function word"])
    assert {"tumour near the right kidney", "all but tumour in the right kidney",
            "tumour in not only the right kidney"} <= seen  # fmt: skip
    assert "tumour in the right kidney" not in seen


def test_counterfactual_pairs_exchange_their_words():
    one, other = (
        row("organ(liver)", text) | {"suite": "counterfactual", "group": "pair 1"} for text in ("left", "right")
    )
    alone = row("organ(liver)", "alone") | {"suite": "counterfactual", "group": "pair 2"}
    assert [(mutant.row["text"], mutant.text) for mutant in exchanged([one, alone, other])] == [
        ("left", "right"), ("right", "left")
    ]  # fmt: skip


def test_sides_that_are_part_of_a_name_or_of_a_phrase_are_no_sides(mutator):
    said = texts_by_kind(mutator, row(PLACED, "tumour of the right kidney with the cyst left out"))
    edited = [text for text in said["side swapped"] if text.endswith("left out")]
    assert edited == ["tumour of the left kidney with the cyst left out"]


def test_equal_meanings_are_not_planted(mutator):
    # "As dark as" is the same claim as "as bright as", and a lesion alone is not made false by naming its only side.
    said = texts_by_kind(mutator, row("lesion(kidney_cyst)", "cyst as bright as the surroundings",
                                      Clause("density", "isodense")))  # fmt: skip
    assert "cyst as dark as the surroundings" not in said["density flipped"]
    both = call("union", parse("side(organ(kidney), right)"), parse("side(organ(kidney), left)"))
    assert texts_by_kind(mutator, row(str(both), "both kidneys"))["side swapped"] == []


def test_absent_targets_have_no_contradiction_of_the_mask(mutator):
    prompt = row("lesion(kidney_cyst)", "renal cyst", pixels=0)
    assert [mutant.kind for mutant in mutator.of(prompt)] == [CONTROL]


def test_exaggerated_sizes_are_beyond_the_whole_target(mutator, store):
    labels = store.labels(CASE)[SLICE]
    rows, columns = np.nonzero(labels == 2)
    for mutant in mutator.of(row(PLACED, "tumour in the right kidney")):
        if mutant.kind == "size exaggerated":
            (diameter,) = (int(clause.value) for clause in from_json(mutant.row["clauses"]))
            assert diameter > np.hypot(np.ptp(rows), np.ptp(columns))


@pytest.fixture(scope="module")
def planted(volumes, store, tmp_path_factory):
    """All mutants of the test volumes, with their store."""
    out = tmp_path_factory.mktemp("mutated")
    made = make_candidates(
        volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=2, seed=1, workers=1
    ).prompts
    found = []
    for volume_id, rows in made[made["split"] == "test"].groupby("volume_id"):
        mutator, originals = Mutator(store, volume_id, seed=0), rows.to_dict("records")
        found += [(volume_id, original, mutant) for original in originals for mutant in mutator.of(original)]
        found += [(volume_id, mutant.row, mutant) for mutant in exchanged(originals)]
    return found


def test_every_kind_is_planted_by_hundreds_on_a_few_volumes(planted):
    counts = {kind: sum(mutant.kind == kind for _, _, mutant in planted) for kind in KINDS}
    assert min(counts.values()) >= 5 and sum(counts.values()) > 500, counts


def test_what_an_absent_structure_or_a_vacuous_exclusion_names_is_not_on_the_slice(planted, store):
    for volume_id, original, mutant in planted:
        if mutant.row["program"] == original["program"] or mutant.kind not in ("absent structure", "vacuous exclusion"):
            continue
        program = parse(mutant.row["program"])
        named = program.children[1] if mutant.kind == "vacuous exclusion" else program
        structures = store.structures(volume_id)
        try:
            mask = evaluate(named, store.labels(volume_id)[mutant.row["slice"]], structures=structures,
                            midline=store.midline(volume_id))  # fmt: skip
        except ProgramError as error:
            assert "expected a collection that labels" in str(error)
        else:
            assert not mask.any()


def test_the_same_seed_gives_the_same_words(store):
    prompt = row(PLACED, "tumour in the right kidney")
    one, same, other = (list(Mutator(store, CASE, seed=seed).of(prompt)) for seed in (1, 1, 2))
    assert one == same and one != other
