"""Clinicians' sentences: what is asked for is assembled from what the sentence says; what might turn it is refused."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from semantiseg.cli import main
from semantiseg.errors import PromptError
from semantiseg.language.reader.parser import read
from semantiseg.language.reader.structured import corrected, read_structured, understand

BODY = "minus(organ(hippocampus), part(anterior_hippocampus))"
HEAD = "minus(organ(hippocampus), part(posterior_hippocampus))"
HIPPOCAMPAL_HEAD = "part(anterior_hippocampus)"
RESECTED = "minus(organ(liver), lesion(liver_tumour))"


@pytest.mark.parametrize(
    ("text", "program"),
    [
        ("Hippocampus without its head", BODY), ("Hippocampus, head excluded", BODY),
        ("Please contour the hippocampus; do not include the head.", BODY), ("Hippocampus, head spared.", BODY),
        ("Can you outline the hippocampus, sparing the hippocampal head?", BODY),
        ("Contour the hippocampus. Leave the head out.", BODY), ("Hippocampus less body and tail", HEAD),
        ("Hippocampus w/o body and tail, please.", HEAD), ("Liver, tumour excluded", RESECTED),
        ("Tumor subtracted from liver", RESECTED), ("Healthy liver parenchyma", RESECTED),
        ("Known liver tumour; outline the liver and leave out the tumour", RESECTED),
        ("55-year-old woman with temporal lobe epilepsy, outline the hippocampus.", "organ(hippocampus)"),
        ("History of HCC. Segment the spleen.", "organ(spleen)"), ("Hippocampus for volumetry", "organ(hippocampus)"),
        ("Please outline the dominant hepatic metastasis prior to ablation", "largest(lesion(liver_tumour))"),
        ("Largest renal tumor in a 62-year-old man", "largest(lesion(kidney_tumour))"),
        ("Lt kidney", "side(organ(kidney), left)"), ("kidney (L)", "side(organ(kidney), left)"),
        ("WT less oedema", "minus(lesion(brain_tumour), part(brain_oedema))"),
        ("Prostate gland exclusive of TZ", "minus(organ(prostate), part(transition_zone))"),
        ("Outline the hipocampus", "organ(hippocampus)"), ("Front half of the speen", "half(organ(spleen), anterior)"),
        ("all liver tumours other than the largest", "minus(lesion(liver_tumour), largest(lesion(liver_tumour)))"),
        ("All of the spleen but the anterior half", "minus(organ(spleen), half(organ(spleen), anterior))"),
        ("all kidneys but the left one", "minus(organ(kidney), side(organ(kidney), left))"),
        ("Liver, spleen and stomach", "union(union(organ(liver), organ(spleen)), organ(stomach))"),
        ("Prostate (whole gland) for brachytherapy", "organ(prostate)"), ("Hippocampus, head only", HIPPOCAMPAL_HEAD),
        ("Left kidney as a whole incl. its mass.", "side(organ(kidney), left)"),
        ("Show me where the liver is", "organ(liver)"),
        ("Liver free of tumour", RESECTED), ("Kidney without a cyst", "without(organ(kidney), lesion(kidney_cyst))"),
        ("Renal parenchyma without the mass", "minus(organ(kidney), lesion(kidney_tumour))"),
        ("Liver on the portal venous phase, as avoidance structure", "organ(liver)"),
        ("34F with lymphoma, splenic contour please", "organ(spleen)"),
        (
            "RCC in the right kidney, cyst excluded",
            "minus(within(lesion(kidney_tumour), side(organ(kidney), right)), lesion(kidney_cyst))",
        ),
    ],
)  # fmt: skip
def test_what_clinicians_write_is_assembled_to_its_program(text, program):
    assert str(understand(text).program) == program


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("stomach tumour", ""), ("splenic vein", "vein"), ("second largest lung nodule", "second"),
        ("one of the kidneys", "one"), ("the kidney on the left in this image", "in this image"),
        ("pancreas without its head", ""), ("is there a tumour in the liver?", "is"), ("the under spleen", "under"),
        ("liver parenchyma", "liver parenchyma"), ("largest kidney masses", "largest"),
        ("the tumour or the right kidney", "or"), ("kidney long axis", "long axis"), ("liver, at most two", "two"),
        ("pancreatic tumour without its pancreas", ""),
        ("prostate and not only the transition zone", "not"), ("spleen of the other patient", "other"), ("", ""),
    ],
)  # fmt: skip
def test_what_might_turn_the_meaning_is_refused_by_its_word(text, word):
    found = understand(text)
    assert found.program is None and found.confidence == 0 and found.reason
    assert not word or word in found.not_understood
    with pytest.raises(PromptError):
        read_structured(text)


def test_confidence_falls_with_every_guess():
    strict, structured, misspelt = map(understand, ("liver", "liver for volumetry", "livver for volumetry"))
    assert 1 > strict.confidence > structured.confidence > misspelt.confidence > 0
    assert misspelt.corrections == (("livver", "liver"),)


def test_what_the_strict_reader_reads_is_read_the_same():
    for text in ("left kidney", "anterior half of the spleen", "hypodense liver tumour, round"):
        assert (understand(text).program, understand(text).clauses) == (read(text).program, read(text).clauses)


def test_only_one_near_word_is_a_correction():
    words = frozenset({"liver", "hyperdense", "hypodense", "spleen"})
    assert corrected("livver", words) == "liver"
    assert corrected("hyperdnse", words) == "hyperdense" and corrected("hyprdense", words) is None
    assert corrected("sliver", words) is None and corrected("live", words) is None
    assert corrected("kidnee", frozenset({"kidney", "kidned"})) is None


def test_the_command_tells_program_confidence_and_words_one_object_a_sentence(tmp_path):
    (tmp_path / "asked.txt").write_text("Lt kidney\n\nsplenic vein\n")
    told = CliRunner().invoke(main, ["read", "liver", "--file", str(tmp_path / "asked.txt"), "--json"])
    objects = [json.loads(line) for line in told.output.splitlines()]
    assert [item["program"] for item in objects] == ["organ(liver)", "side(organ(kidney), left)", None]
    assert objects[0]["confidence"] == 0.99 and "vein" in objects[2]["not_understood"]
    assert "words not understood: " in CliRunner().invoke(main, ["read", "splenic vein"]).output


@pytest.mark.parametrize("arguments", [[], ["--file", "nowhere.txt"]])
def test_nothing_to_read_is_refused_without_a_traceback(arguments):
    told = CliRunner().invoke(main, ["read", *arguments])
    assert told.exit_code == 1 and told.output.startswith("Error: ") and "expected" in told.output
