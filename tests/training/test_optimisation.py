"""The objective against values worked by hand and against MONAI where they coincide."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from monai.losses import DiceLoss, FocalLoss

from semantiseg.training.optimisation import SMOOTH, dhn_loss, dice_loss, objective


def logit(p: float) -> float:
    return math.log(p / (1 - p))


# Two by two pixels: p = 0.8, 0.4 on the foreground, 0.3, 0.1 on the background.
LOGITS = torch.tensor([[[logit(0.8), logit(0.4)], [logit(0.3), logit(0.1)]]])
TARGETS = torch.tensor([[[1.0, 1.0], [0.0, 0.0]]])


def test_dice_loss_on_four_pixels():
    # overlap 0.8 + 0.4 = 1.2; sums 1.6 and 2
    assert dice_loss(LOGITS, TARGETS).item() == pytest.approx(1 - (2.4 + SMOOTH) / (3.6 + SMOOTH), abs=1e-6)


def test_dhn_as_printed_on_four_pixels():
    # (1 - 0.8)^2 ln(1/0.8) + (1 - 0.4)^2 ln(1/0.4); the background does not count
    expected = 0.04 * math.log(1 / 0.8) + 0.36 * math.log(1 / 0.4)
    assert dhn_loss(LOGITS, TARGETS, gamma=2.0, negatives=False).item() == pytest.approx(expected, abs=1e-6)


def test_dhn_as_printed_never_penalises_a_false_positive_and_the_mirrored_one_does():
    worse = LOGITS.clone()
    worse[0, 1] = 6.0
    printed = [dhn_loss(logits, TARGETS, gamma=2.0, negatives=False).item() for logits in (LOGITS, worse)]
    mirrored = [dhn_loss(logits, TARGETS, gamma=2.0, negatives=True).item() for logits in (LOGITS, worse)]
    assert printed[0] == printed[1]
    assert mirrored[1] > mirrored[0] + 5


def test_dhn_with_negatives_on_four_pixels():
    expected = 0.04 * math.log(1 / 0.8) + 0.36 * math.log(1 / 0.4) + 0.09 * math.log(1 / 0.7) + 0.01 * math.log(1 / 0.9)
    assert dhn_loss(LOGITS, TARGETS, gamma=2.0, negatives=True).item() == pytest.approx(expected, abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), gamma=st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]))
def test_dhn_with_negatives_is_monais_focal_loss(seed, gamma):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, 5, 4, generator=generator)
    targets = (torch.rand(3, 5, 4, generator=generator) > 0.6).float()
    focal = FocalLoss(gamma=gamma, reduction="none")(logits[:, None], targets[:, None]).sum(dim=(1, 2, 3))
    torch.testing.assert_close(dhn_loss(logits, targets, gamma=gamma, negatives=True), focal, atol=1e-5, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_dice_loss_is_monais(seed):
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(3, 5, 4, generator=generator)
    targets = (torch.rand(3, 5, 4, generator=generator) > 0.6).float()
    monai = DiceLoss(sigmoid=True, smooth_nr=SMOOTH, smooth_dr=SMOOTH, reduction="none")(
        logits[:, None], targets[:, None]
    )
    torch.testing.assert_close(dice_loss(logits, targets), monai.flatten())


def test_gamma_0_with_negatives_is_cross_entropy():
    expected = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, TARGETS, reduction="sum")
    assert dhn_loss(LOGITS, TARGETS, gamma=0.0, negatives=True).item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("negatives", [False, True])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_certain_and_wrong_logits_keep_the_loss_and_its_gradient_finite(gamma, negatives):
    logits = torch.tensor([[[-200.0, 200.0], [-200.0, 200.0]]], requires_grad=True)
    loss = objective(logits, TARGETS, dice_weight=1.0, dhn_weight=1.0, dhn_gamma=gamma, dhn_negatives=negatives).sum()
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(logits.grad).all()
    assert loss.item() > 20  # the missed pixel costs about its logit


def test_an_empty_answer_to_an_empty_target_costs_nothing():
    nothing = torch.full((1, 4, 4), -40.0)
    loss = objective(nothing, torch.zeros(1, 4, 4), dice_weight=1.0, dhn_weight=1.0, dhn_gamma=2.0, dhn_negatives=True)
    assert loss.item() == pytest.approx(0, abs=1e-6)


def test_weights_add_the_two_terms():
    dice = dice_loss(LOGITS, TARGETS)
    dhn = dhn_loss(LOGITS, TARGETS, gamma=2.0, negatives=False) / 4
    total = objective(LOGITS, TARGETS, dice_weight=0.5, dhn_weight=3.0, dhn_gamma=2.0, dhn_negatives=False)
    torch.testing.assert_close(total, 0.5 * dice + 3 * dhn)
