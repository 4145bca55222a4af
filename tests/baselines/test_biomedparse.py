"""BiomedParse as a segmenter, on a tiny network with weights by formula: laws that need no official file."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semantiseg.baselines.ask_picture import fill_by_formula
from semantiseg.baselines.biomedparse.biomedparse import BiomedParse, JointBiomedParse, build_biomedparse, load_network
from semantiseg.baselines.biomedparse.network import BiomedParseSizes
from semantiseg.errors import ModelError, PromptError

TINY = BiomedParseSizes(
    width=8, depths=(1, 1, 2, 1), channels=32, heads=4, hidden=64, encoder_depth=1, decoder_depth=3, queries=7,
    text_depth=2,
)  # fmt: skip
PROMPTS = ["liver in abdomen CT", "left kidney", "the part of the tumor that does not enhance", "spleen"]
close = {"rtol": 1e-3, "atol": 1e-4}


@pytest.fixture(scope="module")
def network():
    return fill_by_formula(build_biomedparse(TINY), seed=0)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (40, 56, 3), dtype=np.uint8)


def asked(network, picture, texts, *, model=BiomedParse, **options):
    return model(network, size=64, **options).ask(picture, texts=texts)


def test_masks_have_the_pictures_own_shape(network, picture):
    for resizing in ("demo", "evaluation"):
        answers = asked(network, picture, PROMPTS, resizing=resizing)
        assert answers.shape == (4, 40, 56) and answers.dtype == np.float32
        assert 0 <= answers.min() < answers.max() <= 1


def test_one_by_one_a_prompts_answer_does_not_depend_on_the_others(network, picture):
    together = asked(network, picture, PROMPTS)
    for number, text in enumerate(PROMPTS):
        np.testing.assert_allclose(together[number], asked(network, picture, [text])[0], **close)


def test_jointly_prompts_change_each_other_but_their_order_does_not_matter(network, picture):
    order = [2, 0, 3, 1]
    together = asked(network, picture, PROMPTS, model=JointBiomedParse)
    shuffled = asked(network, picture, [PROMPTS[number] for number in order], model=JointBiomedParse)
    np.testing.assert_allclose(shuffled, together[order], **close)
    assert np.abs(together - asked(network, picture, PROMPTS)).max() > 0.01


def test_jointly_any_number_of_prompts_see_each_other(network, picture):
    texts = [f"structure {number}" for number in range(20)]
    first = asked(network, picture, texts, model=JointBiomedParse)[0]
    assert np.abs(first - asked(network, picture, texts[:16], model=JointBiomedParse)[0]).max() > 1e-3


def test_a_single_prompt_is_the_same_both_ways(network, picture):
    alone = asked(network, picture, PROMPTS[:1])
    np.testing.assert_array_equal(asked(network, picture, PROMPTS[:1], model=JointBiomedParse), alone)


def test_the_picture_is_encoded_once_for_nine_prompts(network, picture):
    seen = []
    hook = network.backbone.register_forward_hook(lambda *_: seen.append(1))
    asked(network, picture, [f"structure {number}" for number in range(9)])
    hook.remove()
    assert len(seen) == 1


def test_grey_rgb_and_16_bit_pictures_of_the_same_content_get_the_same_answer(network, picture):
    grey = picture[..., 0].copy()
    grey[0, :2] = 0, 255
    rgb = np.repeat(grey[..., None], 3, axis=2)
    expected = asked(network, rgb, PROMPTS[:1])
    for same in (grey, grey.astype(np.uint16) * 257):
        np.testing.assert_array_equal(asked(network, same, PROMPTS[:1]), expected)


def test_a_scan_is_answered_in_its_own_geometry(network):
    values = np.random.default_rng(1).normal(40, 80, (48, 30))
    model = BiomedParse(network, size=64)
    encoded = model.encode_scan(values, modality="CT", site="abdomen")
    assert model.answer(encoded, texts=PROMPTS[:2]).shape == (2, 48, 30)


def test_a_slice_of_the_benchmark_is_asked_anterior_up_and_answered_as_it_lies(network):
    image = np.random.default_rng(2).random((40, 56)).astype(np.float32)
    model = BiomedParse(network, size=64)
    answers = model.segment(image, PROMPTS[:2]).probabilities
    np.testing.assert_array_equal(answers[:, ::-1, ::-1], model.ask(image[::-1, ::-1], texts=PROMPTS[:2]))


def test_what_cannot_be_asked_is_refused(network, picture):
    with pytest.raises(PromptError, match="at most 77"):
        asked(network, picture, ["liver " * 80])
    with pytest.raises(PromptError, match="expected sentences"):
        asked(network, picture, ["liver", " "])
    with pytest.raises(ModelError, match="expected prompts by text, got box"):
        BiomedParse(network, size=64).ask(picture, boxes=np.array([[0, 0, 5, 5]]))
    with pytest.raises(ModelError, match="multiple of 32, got 60"):
        BiomedParse(network, size=60)


def saved(network, path, change=lambda state: None):
    state = {name: value.clone() for name, value in network.state_dict().items()}
    change(state)
    torch.save(state, path)
    return path


def test_an_official_file_with_all_it_may_hold_is_loaded_whole(network, tmp_path):
    def add_unread(state):
        for name in ("dilation_kernel", "criterion.empty_weight", "sem_seg_head.predictor.pn_indicator.weight"):
            state[name] = torch.ones(3)
        state["sem_seg_head.predictor.lang_encoder.biomed_encoder.embeddings.word_embeddings.weight"] = torch.ones(2, 2)

    loaded = load_network(saved(network, tmp_path / "w.pt", add_unread), sizes=TINY)
    for name, value in network.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], value), name


def test_all_differences_of_a_wrong_file_are_listed(network, tmp_path):
    def spoil(state):
        del state["backbone.norm2.bias"], state["sem_seg_head.predictor.class_embed"]
        state["backbone.patch_embed.proj.bias"] = torch.ones(9)
        state["sem_seg_head.predictor.query_other.weight"] = torch.ones(1)

    with pytest.raises(ModelError) as error:
        load_network(saved(network, tmp_path / "w.pt", spoil), sizes=TINY)
    for part in (
        "w.pt", "backbone.norm2.bias", "sem_seg_head.predictor.class_embed", "query_other",
        "backbone.patch_embed.proj.bias (9,) instead of (8,)",
    ):  # fmt: skip
        assert part in str(error.value)


def test_a_file_of_version_2_or_of_another_model_is_refused_by_name(network, tmp_path):
    def second_version(state):
        state["sem_seg_head.predictor.language_encoder.lang_proj"] = torch.ones(2, 2)

    with pytest.raises(ModelError, match="BiomedParse v2"):
        load_network(saved(network, tmp_path / "v2.ckpt", second_version), sizes=TINY)
    torch.save({"model": {"image_encoder.blocks.0.Adapter.norm.weight": torch.ones(2)}}, tmp_path / "other.pth")
    with pytest.raises(ModelError, match="got those of SAM-Med2D"):
        load_network(tmp_path / "other.pth", sizes=TINY)


def test_a_truncated_file_is_refused(network, tmp_path):
    path = saved(network, tmp_path / "w.pt")
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(ModelError, match="cannot be read"):
        load_network(path, sizes=TINY)
