from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from perfect_segmenter import LEAVES, Perfect, kidneys

from semantiseg.composition.composed import Composed, compose, estimate_midline, read_program
from semantiseg.data.store import VolumeStore
from semantiseg.errors import ModelError, PromptError
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse
from semantiseg.models import registry
from semantiseg.models.text import encode_texts
from semantiseg.recipes import RECIPES

UNREADABLE = "the wibbly thing"


SENTENCES = {
    "right kidney without the tumour": "minus(side(organ(kidney), right), lesion(kidney_tumour))",
    "the renal mass in the right kidney": "within(lesion(kidney_tumour), side(organ(kidney), right))",
    "anterior half of the left kidney": "half(side(organ(kidney), left), anterior)",
    "the kidney containing the cyst": "containing(organ(kidney), lesion(kidney_cyst))",
}


def test_a_perfect_segmenter_composed_gives_the_programs_value_in_one_encoding():
    labels = kidneys()[1]
    model = Perfect(labels, LEAVES)
    answer = compose(model).segment(labels / 3.0, list(SENTENCES), midline=14.5)
    for mask, program in zip(answer.probabilities, SENTENCES.values(), strict=True):
        wanted = evaluate(parse(program), labels, structures=LEAVES, midline=14.5)
        assert wanted.any() and (mask == wanted).all()
    assert len(model.asked) == 1 and sorted(model.asked[0]) == ["kidney", "kidney cyst", "kidney tumour"]


def test_a_volume_is_asked_slice_by_slice_and_combined_as_a_volume():
    labels = kidneys()
    model = Perfect(labels, LEAVES)
    answer = compose(model).segment(labels / 3.0, list(SENTENCES), midline=14.5, features=encode_texts(["x"]))
    assert answer.probabilities.shape == (4, 3, 20, 30) and len(model.asked) == 3
    for mask, program in zip(answer.probabilities, SENTENCES.values(), strict=True):
        assert (mask == evaluate(parse(program), labels, structures=LEAVES, midline=14.5)).all()
    # The cyst is not on the lowest slice, the kidney that contains it is: only the volume knows.
    assert answer.probabilities[3, 0].any()


def test_what_is_not_read_goes_to_the_model_as_it_stands_and_is_counted():
    labels = kidneys()[1]
    model = Perfect(labels, LEAVES)
    composed = compose(model)
    answer = composed.segment(labels / 3.0, ["kidney", UNREADABLE, "left kidney"], midline=14.5)
    assert model.asked == [["kidney", UNREADABLE]]
    assert answer.probabilities[1].max() == 0 and answer.probabilities[2].any()
    assert (composed.tally.composed, composed.tally.fallbacks) == (2, 1)
    assert composed.tally.parsed_share == pytest.approx(2 / 3)
    assert "wibbly" in composed.tally.reasons[UNREADABLE]


def test_another_reader_such_as_a_language_model_is_a_callable():
    labels = kidneys()[1]
    composed = compose(Perfect(labels, LEAVES), read=lambda text: parse("side(organ(kidney), left)"))
    mask = composed.segment(labels / 3.0, [UNREADABLE], midline=14.5).probabilities[0]
    assert (mask == evaluate(parse("side(organ(kidney), left)"), labels, structures=LEAVES, midline=14.5)).all()


def test_features_of_nouns_are_added_to_those_given():
    labels = kidneys()[1]
    model = Perfect(labels, LEAVES)
    given = encode_texts([UNREADABLE])
    compose(model).segment(labels / 3.0, ["renal tumour", UNREADABLE], midline=14.5, features=given)
    both = model.given[0]
    assert (both[UNREADABLE].pooled == given[UNREADABLE].pooled).all()
    alone = encode_texts(["kidney tumour"])["kidney tumour"]
    assert np.abs(both["kidney tumour"].tokens.astype(float) - alone.tokens).max() < 1e-2


def test_a_box_model_no_prompt_and_an_empty_prompt_are_refused():
    labels = kidneys()[1]
    with pytest.raises(ModelError, match="reads text"):
        compose(Perfect(labels, LEAVES, needs_box=True))
    with pytest.raises(ModelError, match="at least one"):
        compose(Perfect(labels, LEAVES)).segment(labels / 3.0, [])
    with pytest.raises(PromptError, match="expected a sentence"):
        compose(Perfect(labels, LEAVES)).segment(labels / 3.0, [" "])
    with pytest.raises(ModelError, match="no boxes"):
        compose(Perfect(labels, LEAVES)).segment(labels / 3.0, ["kidney"], boxes=np.zeros((1, 4)))


@pytest.mark.parametrize("model", [name for name in RECIPES if not RECIPES[name].needs_box])
def test_every_model_of_the_registry_that_reads_text_can_be_composed(model):
    torch.manual_seed(0)
    network = registry.build(model, width="tiny", image_size=64, text_width=384).eval()
    image = np.random.default_rng(0).random((40, 48), dtype=np.float32)
    composed = compose(network)
    answer = composed.segment(image, ["right kidney", "liver without the tumour", UNREADABLE])
    assert answer.probabilities.shape == (3, 40, 48)
    plain = network.segment(image, ["kidney", "liver", "liver tumour", UNREADABLE]).probabilities
    assert np.abs(answer.probabilities[2] - plain[3]).max() < 1e-5
    volume = composed.segment(np.stack([image, image]), ["liver"]).probabilities
    assert volume.shape == (1, 2, 40, 48)


def test_the_midline_of_an_image_is_the_middle_of_its_body():
    image = np.zeros((20, 30), np.float32)
    image[4:16, 6:21] = 0.5
    assert estimate_midline(image) == estimate_midline(np.stack([image] * 3)) == 13.0


def test_composition_loads_nothing_of_the_grammar():
    """The reader knows words; no template, of training or of test, can reach it."""
    code = "import sys, semantiseg.composition.composed; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    hidden = {f"semantiseg.bench.{name}" for name in ("grammar", "templates", "noun_phrase", "forms", "description")}
    assert "semantiseg.language.reader.parser" in loaded and not hidden & set(loaded)


def test_a_perfect_segmenter_answers_every_test_prompt_of_the_demo_exactly(root: Path):
    bench = root / "data" / "bench" / "prompts.parquet"
    if not bench.is_file():
        pytest.skip("the demo's data are not here: run `dvc repro verify`")
    test = pd.read_parquet(bench).query("split == 'test'")
    wrong, composed = [], 0
    with VolumeStore(root / "data" / "volumes") as store:
        for (volume_id, index), asked in test.groupby(["volume_id", "slice"]):
            labels, structures = store.label_slice(volume_id, int(index)), store.structures(volume_id)
            wrapped = Composed(_Defined(labels, structures))
            midline = store.midline(volume_id)
            soft = wrapped.segment(np.zeros(labels.shape), asked["text"].tolist(), midline=midline).probabilities
            for row, mask in zip(asked.itertuples(), soft, strict=True):
                target = evaluate(parse(row.program), labels, structures=structures, midline=midline)
                if row.text not in wrapped.tally.reasons and (mask != target).any():
                    wrong.append((row.text, row.program))
            composed += wrapped.tally.composed
    assert wrong == [] and composed >= 0.99 * len(test)


class _Defined(Perfect):
    """Nothing for structures that the collection does not label."""

    def _mask(self, program, labels):
        from semantiseg.language.evaluate import is_defined

        return super()._mask(program if program and is_defined(program, self.structures) else None, labels)


def test_the_reader_is_the_verifiers():
    assert read_program("left kidney") == parse("side(organ(kidney), left)")
