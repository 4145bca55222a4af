"""BiomedParse's port computes what the official network computes, on weights by formula."""

from __future__ import annotations

import fnmatch
from pathlib import Path

import numpy as np
import pytest
import torch

from semantiseg.baselines.ask_picture import formula_tensor
from semantiseg.baselines.baseline import read_picture
from semantiseg.baselines.biomedparse import BiomedParse
from semantiseg.baselines.biomedparse.biomedparse import IGNORED
from semantiseg.baselines.biomedparse.network import BiomedParseNetwork, BiomedParseSizes, similarity

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"
GOLDEN = SHARED / "golden" / "biomedparse_seed0.npz"
PICTURES = SHARED / "text_prompt_demo"
MEAN, DEVIATION = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
close = {"rtol": 1e-3, "atol": 1e-4}
"""Tolerance of issue 5: float32 on another CPU rounds otherwise; the port itself is off by about 1e-5."""

pytestmark = pytest.mark.skipif(
    not GOLDEN.is_file(), reason="the official outputs (../shared/data/golden) are not on this machine"
)


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDEN) as file:
        return dict(file)


@pytest.fixture(scope="module")
def empty():
    """The network of the official sizes, without storage."""
    with torch.device("meta"):
        return BiomedParseNetwork(BiomedParseSizes())


@pytest.fixture(scope="module")
def network(empty):
    """Filled tensor by tensor, so that the weights are in memory once (1.3 GiB)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    filled = empty.to_empty(device="cpu").eval().requires_grad_(False)
    for name, tensor in filled.state_dict().items():
        tensor.copy_(formula_tensor(name, tensor, seed=0))
    yield filled
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def features(network, golden):
    size = int(golden["size"])
    rgb = np.random.default_rng(0).integers(0, 256, (3, size, size)).transpose(1, 2, 0)
    pixels = torch.from_numpy(((rgb - np.array(MEAN)) / np.array(DEVIATION)).astype(np.float32)).permute(2, 0, 1)
    with torch.inference_mode():
        return network.backbone(pixels[None])


@pytest.fixture(scope="module")
def pyramid(network, features):
    with torch.inference_mode():
        return network.sem_seg_head.pixel_decoder(features)


@pytest.fixture(scope="module")
def sentences(network, golden):
    open_clip = pytest.importorskip("open_clip.tokenizer")
    tokenizer = open_clip.SimpleTokenizer()
    start, end = tokenizer.sot_token_id, tokenizer.eot_token_id
    ids = torch.full((len(golden["prompts"]), 77), end)
    for row, text in zip(ids, golden["prompts"], strict=True):
        words = [start, *tokenizer.encode(str(text))]
        row[: len(words)] = torch.tensor(words)
    with torch.inference_mode():
        return network.read(ids)


@pytest.fixture(scope="module")
def answers(network, pyramid, sentences):
    with torch.inference_mode():
        predictor = network.sem_seg_head.predictor
        return predictor(predictor.prepare(pyramid), torch.cat(sentences.tokens))


def test_names_and_ignored_names_are_exactly_the_official_ones(empty, golden):
    official = {str(name) for name in golden["keys"]}
    own = set(empty.state_dict())
    ignored = {name for name in official if any(fnmatch.fnmatchcase(name, rule) for rule in IGNORED)}
    assert own | ignored == official and not own & ignored


def test_backbone_agrees_at_its_first_and_last_stage(features, golden):
    np.testing.assert_allclose(features[0][0, ::16, ::4, ::4], golden["res2"], **close)
    np.testing.assert_allclose(features[3][0, ::32], golden["res5"], **close)


def test_pixel_decoder_agrees(pyramid, golden):
    np.testing.assert_allclose(pyramid.mask_features[0, ::32, ::4, ::4], golden["mask_features"], **close)


def test_text_encoder_agrees(sentences, golden):
    np.testing.assert_allclose(sentences.sentence, golden["class_embedding"], **close)


def test_similarities_agree(answers, sentences, golden):
    np.testing.assert_allclose(similarity(answers.captions, sentences.sentence), golden["similarity"], **close)


def test_mask_logits_of_the_official_choice_agree(answers, golden):
    # Logits reach 7 and cross 0: without AVX-512 one of 3,072 was off by 1.6e-4, where it is 0.02.
    within = close | {"atol": close["atol"] * float(np.abs(golden["mask_logits"]).max())}
    np.testing.assert_allclose(answers.masks[golden["query"]][:, ::2, ::2], golden["mask_logits"], **within)


@pytest.mark.skipif(not PICTURES.is_dir(), reason="the real pictures (../shared/data) are not on this machine")
def test_a_real_picture_and_sentences_lead_to_masks_in_the_original_geometry(network):
    """The masks mean nothing. A quarter of the official size is short enough; `benchmarks/biomedparse.py` runs 1024."""
    picture = read_picture(PICTURES / "demo" / "06_CT_abdomen.png")[:900]
    texts = ["left kidney in abdomen CT", "liver in abdomen CT"]
    probabilities = BiomedParse(network, size=256).ask(picture, texts=texts)
    assert probabilities.shape == (2, 900, 1024) and np.isfinite(probabilities).all()
    assert ((probabilities > 0.5).mean(axis=(1, 2)) > 0).all() and np.abs(
        probabilities[0] - probabilities[1]
    ).max() > 0.1
