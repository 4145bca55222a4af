"""Gates against Eq. 2 and 3 written out by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from semantiseg.models.gate import HEAD_WIDTH, ChannelGate, NoGate, ScalarGate, StageFeatures, TokenGate
from semantiseg.models.prompts import PromptBatch

B, P, T, C, D, H, W = 2, 3, 5, 4, 6, 3, 7
OWNER = torch.tensor([1, 0, 1])
STATE = torch.randn(P, C, H, W, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def stage() -> StageFeatures:
    generator = torch.Generator().manual_seed(0)
    return StageFeatures(
        semantic=torch.randn(B, C, H, W, generator=generator),
        frequency=torch.randn(B, C, H, W, generator=generator),
        context=torch.randn(B, D, generator=generator),
    )


@pytest.fixture
def prompts() -> PromptBatch:
    generator = torch.Generator().manual_seed(1)
    mask = torch.ones(P, T, dtype=torch.bool)
    mask[0, 3:] = False
    return PromptBatch(
        tokens=torch.randn(P, T, D, generator=generator),
        mask=mask,
        pooled=torch.randn(P, D, generator=generator),
        boxes=torch.zeros(P, 4),
        ids=torch.zeros(P, T, dtype=torch.int64),
    )


def _gelu(x: np.ndarray) -> np.ndarray:
    from scipy.special import erf

    return 0.5 * x * (1 + erf(x / np.sqrt(2)))


def test_scalar_gate_is_equations_2_and_3_evaluated_by_hand(stage, prompts):
    gate = ScalarGate(channels=C, width=D).eval()
    fused, alpha = gate(stage, OWNER, prompts, STATE)
    first, second = gate.mlp[0], gate.mlp[2]
    for p, image in enumerate(OWNER.tolist()):
        product = (prompts.pooled[p] * stage.context[image]).numpy()  # E_text * GlobalAvgPool(F_sem)
        hidden = _gelu(first.weight.detach().numpy() @ product + first.bias.detach().numpy())
        logit = (second.weight.detach().numpy() @ hidden + second.bias.detach().numpy()).item()
        expected = 1 / (1 + np.exp(-logit))
        assert alpha[p].item() == pytest.approx(expected, abs=1e-6)
        by_hand = stage.semantic[image].numpy() + (1 + expected) * stage.frequency[image].numpy()
        np.testing.assert_allclose(fused[p].detach().numpy(), by_hand, atol=1e-6)


def test_channel_gate_is_equations_2_and_3_with_an_alpha_for_each_channel(stage, prompts):
    gate = ChannelGate(channels=C, width=D)
    fused, alpha = gate(stage, OWNER, prompts, STATE)
    assert alpha.shape == (P, C, 1, 1) and len(alpha[0].unique()) == C
    for channel in range(C):
        one = ScalarGate(channels=C, width=D)
        one.mlp[0].load_state_dict(gate.mlp[0].state_dict())
        row = slice(channel, channel + 1)
        one.mlp[2].load_state_dict({name: value[row] for name, value in gate.mlp[2].state_dict().items()})
        scalar, value = one(stage, OWNER, prompts, STATE)
        torch.testing.assert_close(alpha[:, row], value)
        torch.testing.assert_close(fused[:, channel], scalar[:, channel])


def test_no_gate_is_a_1x1_convolution_of_the_concatenation(stage, prompts):
    gate = NoGate(channels=C, width=D)
    fused, alpha = gate(stage, OWNER, prompts, STATE)
    text = prompts.pooled[:, :, None, None].expand(-1, -1, H, W)
    concatenated = torch.cat([stage.semantic[OWNER], stage.frequency[OWNER], text], dim=1)
    kernel = torch.cat([gate.image.weight, gate.text.weight[:, :, None, None]], dim=1)
    torch.testing.assert_close(
        fused, torch.nn.functional.conv2d(concatenated, kernel, gate.image.bias), atol=1e-5, rtol=1e-5
    )
    assert alpha is None


def test_token_gate_is_attention_written_pixel_by_pixel(stage, prompts):
    heads = 2
    gate = TokenGate(channels=C, width=D, heads=heads)
    fused, alpha = gate(stage, OWNER, prompts, STATE)
    for p, row, column in ((0, 0, 0), (1, 2, 6), (2, 1, 3)):
        image = OWNER[p]
        pixel = torch.cat([stage.semantic[image, :, row, column], stage.frequency[image, :, row, column]])
        query = gate.image_query(pixel) + gate.state_query(STATE[p, :, row, column])
        words = prompts.tokens[p][prompts.mask[p]]
        keys, values = (part.view(len(words), heads, HEAD_WIDTH) for part in gate.key_value(words).chunk(2, dim=1))
        context = torch.cat(
            [
                torch.softmax(keys[:, head] @ query.view(heads, HEAD_WIDTH)[head] / HEAD_WIDTH**0.5, dim=0)
                @ values[:, head]
                for head in range(heads)
            ]
        )
        context = context + gate.sentence(prompts.pooled[p])
        steering = gate.out(torch.cat([context, context * query]))
        expected = torch.sigmoid(steering[:C])
        torch.testing.assert_close(alpha[p, :, row, column], expected, atol=1e-5, rtol=1e-5)
        by_hand = (
            stage.semantic[image, :, row, column]
            + (1 + expected) * stage.frequency[image, :, row, column]
            + steering[C:]
        )
        torch.testing.assert_close(fused[p, :, row, column], by_hand, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("gate", [kind(channels=C, width=D) for kind in (ScalarGate, ChannelGate, NoGate)])
def test_gates_of_one_vector_do_not_look_at_the_state(gate, stage, prompts):
    assert torch.equal(gate(stage, OWNER, prompts, STATE)[0], gate(stage, OWNER, prompts, STATE + 1)[0])


def test_token_gate_gives_padded_tokens_no_weight_at_all(stage, prompts):
    gate = TokenGate(channels=C, width=D, heads=2)
    noisy = PromptBatch(
        tokens=torch.where(prompts.mask[..., None], prompts.tokens, 50.0),
        mask=prompts.mask,
        pooled=prompts.pooled,
        boxes=prompts.boxes,
        ids=prompts.ids,
    )
    assert torch.equal(gate(stage, OWNER, prompts, STATE)[0], gate(stage, OWNER, noisy, STATE)[0])


@pytest.mark.parametrize(
    "gate",
    [ScalarGate(channels=C, width=D), ChannelGate(channels=C, width=D), TokenGate(channels=C, width=D, heads=2)],
)
def test_alpha_lies_between_0_and_1(gate, stage, prompts):
    _, alpha = gate(stage, OWNER, prompts, STATE)
    assert alpha.min() >= 0 and alpha.max() <= 1
    assert torch.broadcast_shapes(alpha.shape, (P, C, H, W)) == (P, C, H, W)
