"""What a training needs, by counting."""

from __future__ import annotations

import pytest
import timm
import torch
from torch.utils.flop_counter import FlopCounterMode

from semantiseg.params import Train
from semantiseg.training.cost import Cost, measure_cost

PARAMETERS = Train(
    steps=1, images_per_step=1, prompts_per_image=1, learning_rate=0.003, weight_decay=0.05, dice_weight=1.0,
    location_weight=0.5, reading_weight=0.05, dhn_weight=1.0, dhn_gamma=2.0, dhn_negatives=True, augmentation=0.0,
)  # fmt: skip


@pytest.fixture(scope="module")
def costs() -> dict[int, Cost]:
    return {
        prompts: measure_cost(model="token", width="paper_tiny", image_size=128, prompts=prompts, parameters=PARAMETERS)
        for prompts in (1, 9)
    }


def test_an_image_is_encoded_once_whatever_is_asked(costs):
    assert costs[1].flops_encode == costs[9].flops_encode
    assert costs[1].flops_step < costs[9].flops_step < 9 * costs[1].flops_step
    assert costs[1].saved_bytes < costs[9].saved_bytes


def test_the_image_tower_is_most_of_the_encoding(costs):
    tower = timm.create_model("vit_tiny_patch16_224", num_classes=0).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        tower(torch.rand(1, 3, 224, 224))
    assert 1 < costs[1].flops_encode / counter.get_total_flops() < 1.2


def test_three_blocks_the_frequency_stream_and_the_rest_are_trained(costs):
    block = 12 * 192**2 + 13 * 192  # attention 4 d^2 + 4 d, MLP 8 d^2 + 5 d, two norms 4 d
    frozen = costs[1].parameters - costs[1].trained
    tower = sum(value.numel() for value in timm.create_model("vit_tiny_patch16_224", num_classes=0).parameters())
    assert frozen == tower + 32 * 192 - 3 * block


def test_hours_and_memory_by_hand():
    cost = Cost(parameters=100, trained=10, flops_encode=1.0, flops_step=2e12, saved_bytes=2**30)
    assert cost.hours(steps=3600, images=4, gpus=2, peak=1e13, share=0.5) == pytest.approx(0.8)
    assert cost.memory_gib(images=3, bytes_per_value=2) == pytest.approx(1.5, abs=1e-6)
