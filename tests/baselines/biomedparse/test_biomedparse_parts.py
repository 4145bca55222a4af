"""BiomedParse's parts: shape laws, hand-worked cases, agreement with another implementation."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semantiseg.baselines.ask_picture import fill_by_formula
from semantiseg.baselines.biomedparse.decoders import CrossAttention, PixelDecoder, _hidden, sine_positions
from semantiseg.baselines.biomedparse.network import FocalModulation, FocalNet
from semantiseg.baselines.biomedparse.text_encoder import QueryTextEncoder


def test_backbone_halves_the_grid_and_doubles_the_channels_at_each_stage():
    network = fill_by_formula(FocalNet(width=8, depths=(1, 1, 1, 1), levels=2, window=3), seed=0)
    for height, width in ((64, 64), (32, 96)):
        features = network(torch.zeros(2, 3, height, width))
        assert [tuple(stage.shape) for stage in features] == [
            (2, 8 * 2**i, height // (4 * 2**i), width // (4 * 2**i)) for i in range(4)
        ]


def test_focal_modulation_agrees_with_the_one_in_transformers():
    transformers = pytest.importorskip("transformers")
    from transformers.models.focalnet.modeling_focalnet import FocalNetModulation

    config = transformers.FocalNetConfig(
        focal_levels=[3], focal_windows=[3], normalize_modulator=True, use_post_layernorm_in_modulation=False
    )
    theirs = FocalNetModulation(config, index=0, dim=8).eval()
    names = {"projection_in": "f", "projection_context": "h", "projection_out": "proj"}
    ours = FocalModulation(8, levels=3, window=3)
    renamed = {name: ".".join(names.get(part, part) for part in name.split(".")) for name in theirs.state_dict()}
    ours.load_state_dict({renamed[name]: value for name, value in theirs.state_dict().items()})
    x = torch.randn(2, 6, 5, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        torch.testing.assert_close(ours(x), theirs(x), rtol=1e-4, atol=1e-5)


def test_pixel_decoder_gives_the_three_coarsest_levels_and_mask_features_at_a_quarter():
    decoder = fill_by_formula(PixelDecoder((8, 16, 32, 64), channels=32, heads=4, hidden=64, depth=1), seed=0)
    stages = [torch.ones(1, 8 * 2**i, 16 // 2**i, 24 // 2**i) for i in range(4)]
    pyramid = decoder(stages)
    assert [tuple(level.shape) for level in pyramid.levels] == [(1, 32, 2, 3), (1, 32, 4, 6), (1, 32, 8, 12)]
    assert pyramid.mask_features.shape == (1, 32, 16, 24)


def test_sine_positions_agree_with_those_of_maskformer_in_transformers():
    pytest.importorskip("transformers")
    from transformers.models.maskformer.modeling_maskformer import MaskFormerSinePositionEmbedding

    theirs = MaskFormerSinePositionEmbedding(num_position_features=8, normalize=True)
    expected = theirs((1, 16, 3, 5), torch.device("cpu"), torch.float32)
    torch.testing.assert_close(sine_positions(3, 5, channels=16), expected.reshape(16, 3, 5), rtol=1e-4, atol=1e-5)


def test_a_sentence_reads_nothing_after_its_end():
    encoder = fill_by_formula(QueryTextEncoder(vocabulary=50, context=9, width=8, heads=2, depth=2), seed=0)
    short, long = torch.tensor([[48, 3, 7, 49]]), torch.tensor([[48, 3, 7, 49, 49, 49], [48, 5, 6, 8, 9, 49]])
    alone, among = encoder(short), encoder(long)
    assert [len(words) for words in among.tokens] == [4, 6]
    torch.testing.assert_close(among.tokens[0], alone.tokens[0])
    torch.testing.assert_close(among.sentence[:1], alone.sentence)
    torch.testing.assert_close(alone.tokens[0][-1], alone.sentence[0])


def test_apart_each_sentence_keeps_its_own_words():
    encoder = fill_by_formula(QueryTextEncoder(vocabulary=50, context=9, width=8, heads=2, depth=1), seed=0)
    sentences = encoder(torch.tensor([[48, 3, 49, 49], [48, 5, 6, 49]]))
    for number, one in enumerate(sentences.apart()):
        assert torch.equal(torch.cat(one.tokens), sentences.tokens[number])
        assert torch.equal(one.sentence[0], sentences.sentence[number])


def test_a_query_looks_where_its_mask_is_and_everywhere_if_its_mask_is_empty():
    masks = torch.tensor([[[5.0, -5.0], [-5.0, -5.0]], [[-5.0, -5.0], [-5.0, -5.0]], [[0.0, 5.0], [5.0, -1.0]]])
    expected = np.array([[0, 1, 1, 1], [0, 0, 0, 0], [0, 0, 0, 1]], dtype=bool)  # a logit of 0 is seen
    np.testing.assert_array_equal(_hidden(masks).numpy(), expected)


def test_looking_with_prepared_keys_is_multi_head_attention():
    look = fill_by_formula(CrossAttention(16, heads=4), seed=0)
    random = torch.Generator().manual_seed(0)
    x, positions, keys, values = (torch.randn(count, 16, generator=random) for count in (5, 5, 9, 9))
    hidden = torch.rand(5, 9, generator=random) < 0.5
    hidden[:, 0] = False
    ours = look(x, positions, projected=look.project(keys, values), hidden=hidden)
    seen = look.multihead_attn(x + positions, keys, values, attn_mask=hidden, need_weights=False)[0]
    torch.testing.assert_close(ours, look.norm(x + seen))
