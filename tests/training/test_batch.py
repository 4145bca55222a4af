"""What a step sees: balanced, reproducible, and true to the label map."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pytest

from semantiseg.data.store import VolumeStore
from semantiseg.errors import DataError
from semantiseg.models.features import TextFeatures
from semantiseg.training.batch import ABSENT_SHARE, Augmentation, Sampler, assemble, validation_draws
from semantiseg.training.questions import Questions, read_questions

S = 32


@pytest.fixture
def store(project):
    with VolumeStore(project / "volumes") as opened:
        yield opened


@pytest.fixture
def questions(project, store) -> Questions:
    return Questions(read_questions(project / "training.parquet", split="train"), store=store, size=S, parents=True)


def batch_of(questions, project, *, needs_box=False, augmentation=None, prompts=4, seed=0):
    drawn = next(iter(Sampler(questions, images=5, prompts=prompts, seed=seed)))
    features = TextFeatures.load(project / "features.h5")
    return drawn, assemble(
        drawn, questions, features=features, reading="contextual", needs_box=needs_box, augmentation=augmentation
    )


def test_targets_are_what_the_programs_denote(questions):
    for number, rows in enumerate(questions.sheets):
        sheet = questions.sheet(number)
        named = {
            questions.name(row).partition(": ")[2]: mask > 127 for row, mask in zip(rows, sheet.masks, strict=True)
        }
        kidney, right, tumour, rest = (
            named[key]
            for key in (
                "organ(kidney)",
                "side(organ(kidney), right)",
                "lesion(kidney_tumour)",
                "minus(organ(kidney), lesion(kidney_tumour))",
            )
        )
        assert kidney.any() and right.any()
        assert not right[:, : S // 2].any() and (kidney[:, S // 2 :] == right[:, S // 2 :]).all()
        assert (rest == (kidney & ~tumour)).all()
        # 0.2 + 0.2 * label, before any resizing error at the border
        assert sheet.image[rest & (sheet.image > 0.3)].mean() == pytest.approx(0.4, abs=0.03)


def test_absent_targets_are_drawn_with_their_share_however_many_there_are(questions):
    firsts = [item.rows[0] for step in islice(Sampler(questions, images=10, prompts=1, seed=0), 300) for item in step]
    assert (~questions.shown[firsts]).mean() == pytest.approx(ABSENT_SHARE, abs=0.02)


def test_levels_are_balanced_and_structures_within_a_level(questions):
    firsts = [item.rows[0] for step in islice(Sampler(questions, images=10, prompts=1, seed=0), 300) for item in step]
    levels = Counter(questions.level[firsts].tolist())
    assert all(abs(count - 1000) < 120 for count in levels.values()) and set(levels) == {1, 2, 3}
    named = Counter(questions.structure[row] for row in firsts if questions.level[row] == 1 and questions.shown[row])
    assert abs(named["kidney"] - named["liver"]) < 150


def test_prompts_of_an_image_are_of_its_slice_and_differ_while_they_can(questions):
    for step in islice(Sampler(questions, images=4, prompts=5, seed=1), 20):
        for item in step:
            assert set(item.rows) == set(questions.sheets[item.sheet])
    (item, *_) = next(iter(Sampler(questions, images=1, prompts=9, seed=1)))
    assert len(item.rows) == 9 and set(item.rows) == set(questions.sheets[item.sheet])


def test_texts_are_drawn_afresh(questions):
    drawn = {
        text
        for step in islice(Sampler(questions, images=4, prompts=4, seed=1), 40)
        for item in step
        for row, text in zip(item.rows, item.texts, strict=True)
        if row == 0
    }
    assert drawn == set(questions.texts[0]) and len(drawn) == 3


def test_the_order_of_images_and_texts_depends_on_the_seed_alone(questions, project, store):
    without_parents = Questions(
        read_questions(project / "training.parquet", split="train"), store=store, size=S, parents=False
    )
    streams = [
        list(islice(Sampler(which, images=3, prompts=4, seed=seed), 10))
        for which, seed in ((questions, 4), (without_parents, 4), (questions, 5))
    ]
    assert streams[0] == streams[1] != streams[2]


def test_models_with_and_without_boxes_see_the_same_images_and_targets(questions, project):
    augmentation = [Augmentation(distortion=0.5, seed=0) for _ in range(2)]
    _, text = batch_of(questions, project, augmentation=augmentation[0])
    _, box = batch_of(questions, project, needs_box=True, augmentation=augmentation[1])
    assert (text.images == box.images).all()
    assert ((text.targets - box.targets).abs() < 0.04).all()  # see test_augmentation on more than four masks
    assert not text.prompts.boxes.any()


def test_boxes_are_those_of_the_parents(questions, project):
    drawn, batch = batch_of(questions, project, needs_box=True)
    position = 0
    for item in drawn:
        places = np.searchsorted(questions.sheets[item.sheet], item.rows)
        for parent in questions.sheet(item.sheet).parents[places] > 127:
            top, left, bottom, right = (batch.prompts.boxes[position] * S).round().int().tolist()
            assert parent[top:bottom, left:right].sum() == parent.sum()
            if parent.any():
                assert (
                    parent[top].any()
                    and parent[bottom - 1].any()
                    and parent[:, left].any()
                    and parent[:, right - 1].any()
                )
            position += 1


def test_a_batch_is_stacked_in_order(questions, project):
    drawn, batch = batch_of(questions, project)
    assert batch.images.shape == (5, 1, S, S) and batch.targets.shape == (20, S, S)
    assert batch.owner.tolist() == [image for image in range(5) for _ in range(4)]
    assert batch.texts == tuple(text for item in drawn for text in item.texts)
    assert batch.rows == tuple(row for item in drawn for row in item.rows)


def test_validation_draws_are_of_distinct_slices(questions):
    held = validation_draws(questions, images=10, prompts=2, seed=0)
    assert len(held) == len(questions.sheets) == len({item.sheet for item in held})


def test_without_a_validation_patient_there_are_no_validation_draws(project, change_training):
    table = read_questions(change_training(lambda table: table[table["split"] == "train"]), split="validation")
    with VolumeStore(project / "volumes") as store:
        none = Questions(table, store=store, size=32, parents=True)
        assert validation_draws(none, images=10, prompts=2, seed=0) == none.sheets == []


def test_a_split_without_questions_and_a_foreign_table_are_refused(project, change_training):
    with pytest.raises(DataError, match="split 'train'.*shares of the splits"):
        read_questions(change_training(lambda table: table[table["split"] == "validation"]), split="train")
    with pytest.raises(DataError, match=r"(?s)training\.parquet.*Run the stage 'verify' again"):
        read_questions(change_training(lambda table: table.drop(columns="texts")), split="train")
    with pytest.raises(DataError, match="absent"):
        read_questions(project / "absent.parquet", split="train")


def test_the_cache_of_slices_keeps_to_its_bound_and_changes_nothing(project, store, questions, monkeypatch):
    held = [questions.sheet(number) for number in range(len(questions.sheets))]
    assert questions.sheet(0) is held[0]
    table = read_questions(project / "training.parquet", split="train")
    bounded = Questions(table, store=store, size=S, parents=True)
    monkeypatch.setattr("semantiseg.training.questions.CACHE_MIB", 2.5 * held[0].nbytes / 2**20)
    for number, sheet in [*enumerate(held), *enumerate(held)]:
        again = bounded.sheet(number)
        assert (again.image == sheet.image).all() and (again.masks == sheet.masks).all()
        assert len(bounded._cache) <= 2
    kept = bounded.sheet(1)
    assert bounded.sheet(1) is kept
