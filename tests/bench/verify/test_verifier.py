from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from semantiseg.bench.measure.labelled_slice import LabelledSlice
from semantiseg.bench.verify.verifier import Verifier
from semantiseg.errors import PromptError
from semantiseg.language.clause import Clause
from semantiseg.language.grammar.surface import PARTS, render
from semantiseg.language.program import Program, call, parse

STRUCTURES = {
    1: "liver_parenchyma", 2: "liver_tumour", 3: "kidney_parenchyma", 4: "kidney_tumour", 5: "kidney_cyst", 6: "spleen",
    7: "hepatic_vessels", 8: "lung_tumour",
}  # fmt: skip
HOUNSFIELD = {0: -60, 1: 60, 2: 20, 3: 40, 4: 75, 5: 0, 6: 90, 7: 120}
WINDOW = (-160.0, 240.0)
MIDLINE = 60.0
SIDES = {"left": "right", "right": "left", "anterior": "posterior", "posterior": "anterior"}


def disc(labels: np.ndarray, row: int, column: int, radius: float, number: int) -> None:
    rows, columns = np.indices(labels.shape)
    labels[(rows - row) ** 2 + (columns - column) ** 2 <= radius**2] = number


def abdomen() -> np.ndarray:
    """A slice `[H, W]`, rows to anterior, columns to the patient's right: liver and lesions right, spleen left."""
    labels = np.zeros((110, 120), dtype=np.uint8)
    disc(labels, 75, 88, 25, 1)
    disc(labels, 80, 95, 6, 2)
    disc(labels, 65, 80, 3, 2)
    disc(labels, 82, 76, 3, 7)
    disc(labels, 62, 94, 3, 7)
    disc(labels, 70, 22, 15, 6)
    disc(labels, 25, 88, 13, 3)
    disc(labels, 25, 30, 13, 3)
    disc(labels, 28, 92, 5, 4)
    disc(labels, 18, 84, 3.5, 5)
    return labels


def picture(labels: np.ndarray) -> np.ndarray:
    """CT of the slice in [0, 1], with noise of 4 HU and a slight blur."""
    values = np.vectorize(HOUNSFIELD.get)(labels).astype(float)
    noisy = ndimage.gaussian_filter(values, 0.5) + np.random.default_rng(0).normal(0, 4, labels.shape)
    return np.clip((noisy - WINDOW[0]) / (WINDOW[1] - WINDOW[0]), 0, 1)


def context(**changes) -> dict:
    labels = abdomen()
    return {
        "image": picture(labels), "labels": labels, "structures": STRUCTURES, "midline": MIDLINE, "spacing_mm": 1.0,
        "modality": "CT", "channel": "CT", "window": WINDOW, "lateral": True, "minimum_pixels": 20,
    } | changes  # fmt: skip


def verifier_of(**changes) -> Verifier:
    """The verifier of the abdomen, but for some changes."""
    facts = context(**changes)
    minimum = facts.pop("minimum_pixels")
    return Verifier(LabelledSlice(**facts), minimum_pixels=minimum)


@pytest.fixture(scope="module")
def verifier() -> Verifier:
    return verifier_of()


TRUE = [
    "organ(liver)", "organ(spleen)", "organ(kidney)", "lesion(liver_tumour)", "lesion(kidney_cyst)",
    "organ(hepatic_vessels)", "minus(organ(liver), lesion(liver_tumour))",
    "minus(organ(kidney), union(lesion(kidney_tumour), lesion(kidney_cyst)))",
    "minus(side(organ(kidney), right), lesion(kidney_tumour))",
    "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))",
    "minus(union(lesion(kidney_tumour), lesion(kidney_cyst)), lesion(kidney_cyst))", "side(organ(kidney), left)",
    "side(organ(kidney), right)", "half(organ(spleen), anterior)", "half(organ(liver), posterior)",
    "half(organ(liver), left)", "half(side(organ(kidney), left), posterior)",
    "within(lesion(kidney_tumour), side(organ(kidney), right))", "within(lesion(liver_tumour), organ(liver))",
    "containing(organ(kidney), lesion(kidney_tumour))", "without(organ(kidney), lesion(kidney_cyst))",
    "largest(lesion(liver_tumour))", "smallest(lesion(liver_tumour))",
    "facing(lesion(liver_tumour), right, organ(hepatic_vessels))",
    "facing(organ(kidney), left, organ(hepatic_vessels))",
]  # fmt: skip
"""Programs that this slice answers."""


def ask(program: str, seed: int = 0, part: str = "seen", clauses: tuple[Clause, ...] = ()) -> str:
    return render(parse(program), clauses, part=part, rng=np.random.default_rng(seed))


def codes(reasons: list[str]) -> set[str]:
    return {reason.split(":")[0] for reason in reasons}


def swapped(program: Program) -> Program:
    """The program with every side and direction turned round."""
    arguments = [
        swapped(argument) if isinstance(argument, Program) else SIDES.get(argument, argument)
        for argument in program.arguments
    ]
    return program if program.is_atom else Program(program.operation, tuple(arguments))


def dropped(program: Program) -> Program:
    """The program without its exclusions."""
    if program.is_atom:
        return program
    if program.operation == "minus":
        return dropped(program.children[0])
    return call(
        program.operation, *[dropped(item) if isinstance(item, Program) else item for item in program.arguments]
    )


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("program", TRUE)
def test_true_prompts_are_accepted_in_all_words(verifier, program, part):
    for seed in range(6):
        text = ask(program, seed, part)
        assert verifier.verify(text, parse(program), ()) == [], text


def rejected_share(verifier: Verifier, pairs: list[tuple[str, Program, tuple[Clause, ...]]]) -> float:
    return float(np.mean([bool(verifier.verify(text, program, clauses)) for text, program, clauses in pairs]))


def test_swapped_sides_are_rejected(verifier):
    spoken = [parse(text) for text in TRUE if swapped(parse(text)) != parse(text)]
    pairs = [(ask(str(swapped(program)), seed), program, ()) for program in spoken for seed in range(20)]
    assert len(pairs) >= 200
    assert rejected_share(verifier, pairs) >= 0.99
    reasons = verifier.verify("left kidney", parse("side(organ(kidney), right)"), ())
    assert codes(reasons) == {"side"}


def test_one_swapped_word_is_rejected(verifier):
    pairs = []
    for program in (text for text in TRUE if "side(" in text):
        for seed in range(30):
            text = ask(program, seed)
            for one, other in (("left", "right"), ("right", "left")):
                if one in text.split():
                    pairs.append((text.replace(one, other), parse(program), ()))
                    break
    assert len(pairs) >= 100
    assert rejected_share(verifier, pairs) >= 0.99


def test_dropped_exclusions_are_rejected(verifier):
    excluding = [parse(text) for text in TRUE if "minus" in text]
    pairs = [(ask(str(dropped(program)), seed), program, ()) for program in excluding for seed in range(40)]
    assert len(pairs) >= 120
    assert rejected_share(verifier, pairs) >= 0.99
    reasons = verifier.verify("liver", parse("minus(organ(liver), lesion(liver_tumour))"), ())
    assert codes(reasons) == {"exclusion"}


def test_an_exclusion_is_part_of_the_meaning_even_where_the_mask_is_the_same_without(verifier):
    placed = parse("within(lesion(kidney_tumour), side(organ(kidney), right))")
    excluding = call("minus", placed, parse("lesion(kidney_cyst)"))
    assert verifier.verify(ask(str(excluding)), excluding, ()) == []
    assert codes(verifier.verify(ask(str(placed)), excluding, ())) == {"exclusion"}
    assert codes(verifier.verify(ask(str(excluding)), placed, ())) == {"exclusion"}


def test_added_exclusions_are_rejected(verifier):
    assert codes(verifier.verify("liver excluding the tumour", parse("organ(liver)"), ())) == {"exclusion"}


def test_true_clauses_are_accepted_and_flipped_ones_rejected(verifier):
    flipped = {"hypodense": "hyperdense", "hyperdense": "hypodense"}
    true = {
        "largest(lesion(liver_tumour))": "hypodense",
        "lesion(kidney_tumour)": "hyperdense",
        "lesion(kidney_cyst)": "hypodense",
    }
    wrong = []
    for program, value in true.items():
        clause, false = Clause("density", value), Clause("density", flipped[value])
        for seed in range(40):
            assert verifier.verify(ask(program, seed, clauses=(clause,)), parse(program), (clause,)) == []
            text = ask(program, seed, clauses=(false,))
            wrong += [(text, parse(program), (false,)), (text, parse(program), (clause,))]
    assert rejected_share(verifier, wrong) >= 0.99
    reasons = verifier.verify("hyperdense renal cyst", parse("lesion(kidney_cyst)"), (Clause("density", "hyperdense"),))
    assert codes(reasons) == {"clause"}
    assert "hypodense" in reasons[0]


def test_clauses_of_text_and_prompt_must_be_the_same(verifier):
    cyst, clause = parse("lesion(kidney_cyst)"), Clause("density", "hypodense")
    assert codes(verifier.verify("renal cyst", cyst, (clause,))) == {"clause-missing"}
    assert codes(verifier.verify("hypodense renal cyst", cyst, ())) == {"clause-unstated"}


def test_diameters_are_measured(verifier):
    cyst = parse("lesion(kidney_cyst)")
    measured = [
        n for n in range(1, 30) if not verifier.verify(f"{n} mm renal cyst", cyst, (Clause("diameter", str(n)),))
    ]
    assert len(measured) == 1 and 6 <= measured[0] <= 10


def test_signal_is_no_attribute_of_ct(verifier):
    reasons = verifier.verify("hyperintense spleen", parse("organ(spleen)"), (Clause("signal", "hyperintense"),))
    assert codes(reasons) == {"clause"}


def test_absent_targets_are_rejected_unless_absence_is_asked(verifier):
    program = parse("lesion(lung_tumour)")
    for seed in range(20):
        text = ask(str(program), seed)
        assert codes(verifier.verify(text, program, ())) == {"empty"}
        assert verifier.verify(text, program, (), must_be_absent=True) == []
    absent = parse("within(lesion(kidney_tumour), side(organ(kidney), left))")
    assert verifier.verify(ask(str(absent)), absent, (), must_be_absent=True) == []
    assert codes(verifier.verify("liver", parse("organ(liver)"), (), must_be_absent=True)) == {"present"}


def test_absent_targets_are_compared_by_meaning_since_all_empty_masks_are_equal(verifier):
    program = parse("side(lesion(lung_tumour), left)")
    assert codes(verifier.verify("right lung tumour", program, (), must_be_absent=True)) == {"side"}
    assert codes(verifier.verify("lung tumour", program, (), must_be_absent=True)) == {"side"}


def test_unlabelled_structures_are_rejected(verifier):
    for program in ("organ(pancreas)", "lesion(brain_tumour)", "minus(organ(pancreas), lesion(pancreatic_tumour))"):
        for seed in range(10):
            assert codes(verifier.verify(ask(program, seed), parse(program), ())) == {"unlabelled"}


def test_wrong_parents_are_rejected(verifier):
    program = parse("within(lesion(kidney_tumour), side(organ(kidney), right))")
    for seed in range(20):
        text = ask(str(program), seed)
        assert verifier.verify(text, program, (), stated_parent=parse("organ(kidney)")) == []
        for wrong in ("organ(liver)", "organ(spleen)", "lesion(kidney_tumour)", "organ(pancreas)"):
            assert codes(verifier.verify(text, program, (), stated_parent=parse(wrong))) == {"parent"}
        misplaced = text.replace("kidney", "spleen").replace("renal", "splenic")
        assert verifier.verify(misplaced, program, ())


def test_compositions_that_change_nothing_are_rejected():
    labels = abdomen()
    labels[:, :60] = 0
    only_right = verifier_of(labels=labels, image=picture(labels))
    for seed in range(20):
        assert codes(
            only_right.verify(ask("side(organ(kidney), right)", seed), parse("side(organ(kidney), right)"), ())
        ) == {"parent"}


def test_vacuous_exclusions_are_rejected(verifier):
    for program in (
        "minus(side(organ(kidney), left), lesion(kidney_tumour))",
        "minus(organ(spleen), lesion(lung_tumour))",
        "minus(organ(spleen), organ(liver))",
    ):
        for seed in range(20):
            assert "exclusion-vacuous" in codes(verifier.verify(ask(program, seed), parse(program), ())), program
    labels = abdomen()
    labels[labels == 5] = 3
    disc(labels, 25, 30, 3.5, 5)
    elsewhere = verifier_of(labels=labels, image=picture(labels))
    program = "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))"
    assert codes(elsewhere.verify(ask(program), parse(program), ())) == {"exclusion-vacuous"}


def test_sides_need_a_patient_whose_sides_are_known():
    blind = verifier_of(lateral=False)
    for program in (
        "side(organ(kidney), left)",
        "half(organ(liver), right)",
        "facing(organ(kidney), left, organ(liver))",
    ):
        assert codes(blind.verify(ask(program), parse(program), ())) == {"laterality"}
    assert blind.verify(ask("half(organ(liver), anterior)"), parse("half(organ(liver), anterior)"), ()) == []


def test_structures_are_asked_only_on_channels_that_show_them():
    labels = np.zeros((60, 60), dtype=np.uint8)
    disc(labels, 30, 30, 16, 1)
    disc(labels, 30, 30, 10, 2)
    disc(labels, 30, 30, 5, 3)
    brain = {1: "brain_oedema", 2: "enhancing_tumour", 3: "necrotic_core"}
    for channel, expected in (("T1c", set()), ("FLAIR", {"channel"})):
        seen = verifier_of(labels=labels, image=labels / 3, structures=brain, modality="MR", channel=channel)
        assert codes(seen.verify("necrotic core", parse("part(necrotic_core)"), ())) == expected


def test_unreadable_texts_are_rejected_with_their_words(verifier):
    reasons = verifier.verify("the spiculated liver", parse("organ(liver)"), ())
    assert codes(reasons) == {"unread"} and "spiculated" in reasons[0]


def test_targets_below_the_minimum_are_rejected():
    strict = verifier_of(minimum_pixels=2_000)
    assert codes(strict.verify("renal cyst", parse("lesion(kidney_cyst)"), ())) == {"empty"}


def test_reasons_name_where_text_and_program_part(verifier):
    def said(text: str, program: str) -> set[str]:
        return codes(verifier.verify(text, parse(program), ()))

    assert said("posterior half of the spleen", "half(organ(spleen), anterior)") == {"direction"}
    assert said("smallest liver tumour", "largest(lesion(liver_tumour))") == {"selection"}
    assert said("spleen", "organ(liver)") == {"structure"}
    assert said("liver tumour", "organ(liver)") == {"structure"}


def test_different_trees_of_equal_value_are_accepted():
    labels = abdomen()
    disc(labels, 30, 28, 4, 4)
    both = verifier_of(labels=labels, image=picture(labels))
    inside = parse("within(lesion(kidney_tumour), side(organ(kidney), right))")
    outside = parse("side(lesion(kidney_tumour), right)")
    for text in (ask(str(inside)), ask(str(outside))):
        assert both.verify(text, inside, ()) == both.verify(text, outside, ()) == []


def test_a_verifier_that_was_asked_before_answers_as_a_new_one():
    many = verifier_of()
    for text, program in (("left kidney", "side(organ(kidney), right)"), ("spleen", "organ(spleen)")):
        once = verifier_of().verify(text, parse(program), ())
        assert once == many.verify(text, parse(program), ()) == many.verify(text, parse(program), ())


def test_image_and_labels_must_be_one_slice():
    with pytest.raises(PromptError, match=r"got \(110, 120\) and \(110, 119\)"):
        verifier_of(labels=abdomen()[:, 1:])
