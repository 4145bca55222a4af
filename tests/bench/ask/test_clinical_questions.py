from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from semantiseg.bench.ask import clinical as questions
from semantiseg.bench.ask.clinical import read_sentences, sentences
from semantiseg.bench.ask.scene import scenes_of
from semantiseg.bench.measure.attributes import holds
from semantiseg.bench.tables import PROMPT_COLUMNS
from semantiseg.data.store import VolumeStore
from semantiseg.language.clause import from_json
from semantiseg.language.evaluate import evaluate
from semantiseg.language.program import parse


@pytest.fixture(scope="module")
def asked(volumes: Path) -> pd.DataFrame:
    return questions.clinical_questions(volumes, minimum_pixels=10, seed=0)


def given(*entries: tuple[str, str, str]):
    parts = [
        f"  - program: {program}\n    clauses: {{{clauses}}}\n    sentences: ['{text}']"
        for program, clauses, text in entries
    ]
    return read_sentences("version: 1\nprograms:\n" + "\n".join(parts), origin="test")


def test_every_question_has_a_target_that_differs_from_its_parent(asked, volumes):
    with VolumeStore(volumes) as store:
        for row in asked.itertuples():
            context = {"structures": store.structures(row.volume_id), "midline": store.midline(row.volume_id)}
            labels = store.label_slice(row.volume_id, row.slice)
            target, parent = (evaluate(parse(text), labels, **context) for text in (row.program, row.parent))
            assert target.sum() == row.target_pixels >= 10
            assert row.level < 3 or (target != parent).any()


def test_questions_are_prompts_about_test_volumes_in_the_sentences_own_words(asked):
    assert list(asked.columns) == list(PROMPT_COLUMNS) and asked["prompt_id"].is_unique
    assert set(asked["split"]) == {"test"} and set(asked["suite"]) == {"clinical"}
    meant = {item.text: str(item.program) for item in sentences()}
    assert [meant[text] for text in asked["text"]] == asked["program"].tolist()
    assert asked.groupby("volume_id").size().max() <= questions.PER_VOLUME
    assert set(asked["collection"]) == {"KiTS23", "BraTS2024-GLI"}


def test_sentences_take_turns_over_the_volumes_of_one_kind(asked):
    brain = asked[asked["collection"] == "BraTS2024-GLI"]
    assert brain["text"].nunique() > questions.PER_VOLUME


def test_what_a_described_sentence_says_is_true_of_the_picture(volumes):
    pool = given(
        ("lesion(kidney_cyst)", "density: hypodense", "Dark cystic change."),
        ("lesion(kidney_cyst)", "density: hyperdense", "Bright cystic change."),
    )
    found = questions.clinical_questions(volumes, minimum_pixels=10, seed=0, given=pool)
    assert set(found["text"]) == {"Dark cystic change."} and set(found["level"]) == {2}
    with VolumeStore(volumes) as store:
        for row in found.itertuples():
            scene = next(scene for scene in scenes_of(store, row.case_id) if scene.volume_id == row.volume_id)
            measured, _ = scene.measure(parse(row.program), row.slice)
            assert all(holds(clause, measured) for clause in from_json(row.clauses))


def test_what_a_channel_does_not_show_or_a_case_does_not_have_is_not_asked(volumes, asked):
    assert set(asked.loc[asked["program"] == "part(necrotic_core)", "channel"]) == {"T1c"}
    absent = given(("part(resection_cavity)", "", "Surgical bed."), ("organ(spleen)", "", "Splenic size."))
    assert questions.clinical_questions(volumes, minimum_pixels=10, seed=0, given=absent).empty


def test_the_verifier_has_the_last_word(volumes, monkeypatch):
    monkeypatch.setattr(questions.Judge, "reasons", lambda self, row, text: ["parent: not askable"])
    none = questions.clinical_questions(volumes, minimum_pixels=10, seed=0)
    assert none.empty and list(none.columns) == list(PROMPT_COLUMNS)


def test_the_same_volumes_give_the_same_questions(asked, volumes):
    again = questions.clinical_questions(volumes, minimum_pixels=10, seed=0)
    assert again.equals(asked) and np.all(again["volume_id"].to_numpy()[:-1] <= again["volume_id"].to_numpy()[1:])
