"""The pictures of prompts show the masks that are scored, and call phantoms phantoms."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from semantiseg.bench.build import make_candidates  # noqa: E402
from semantiseg.bench.inspection import examples, masks_of, prompt_gallery  # noqa: E402
from semantiseg.data.store import VolumeStore  # noqa: E402


@pytest.fixture(scope="module")
def prompts(volumes, tmp_path_factory):
    out = tmp_path_factory.mktemp("gallery")
    return make_candidates(
        volumes, out, minimum_pixels=16, slices_per_volume=1, texts_per_question=1, seed=0, workers=1
    ).prompts


def test_every_value_has_its_examples_and_the_draw_is_fixed(prompts):
    chosen = examples(prompts, by="kind", count=2)
    assert set(chosen.kind) == set(prompts.kind)
    assert chosen.groupby("kind").size().max() <= 2
    assert list(chosen.prompt_id) == list(
        examples(prompts.sample(frac=1, random_state=0), by="kind", count=2).prompt_id
    )


def test_a_page_shows_words_program_and_outlines(prompts, volumes):
    chosen = examples(prompts[prompts.suite == "core"], by="kind")
    with VolumeStore(volumes) as store:
        figure = prompt_gallery(store, chosen, columns=3)
        target, parent = masks_of(store, chosen.iloc[0])
    drawn = [panel for panel in figure.axes if panel.images]
    assert len(drawn) == len(chosen)
    for panel, (_, prompt) in zip(drawn, chosen.iterrows(), strict=True):
        caption = panel.texts[0].get_text().replace("\n", " ")
        assert prompt.text in caption and "phantom" in panel.get_title()
    assert target.sum() == chosen.iloc[0].target_pixels and parent.sum() == chosen.iloc[0].parent_pixels
    # Radiological: the picture is the stored slice turned by half a turn.
    with VolumeStore(volumes) as store:
        stored = store.image_slice(chosen.iloc[0].volume_id, int(chosen.iloc[0].slice))
    np.testing.assert_array_equal(drawn[0].images[0].get_array(), stored[::-1, ::-1])


def test_no_prompts_make_an_empty_page(prompts, volumes):
    with VolumeStore(volumes) as store:
        assert not [panel for panel in prompt_gallery(store, prompts.iloc[:0]).axes if panel.images]
