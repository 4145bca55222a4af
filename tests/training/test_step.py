"""The program as the teacher of its sentence."""

from __future__ import annotations

import pytest
import torch

from semantiseg.training.step import ProgramWords

PROGRAMS = ("organ(kidney)", "side(organ(kidney), right)", "minus(organ(liver), lesion(liver_tumour))")


def test_the_vocabulary_is_what_the_programs_are_made_of():
    words = ProgramWords(PROGRAMS, width=4)
    assert words.words == ["kidney", "lesion", "liver", "liver_tumour", "minus", "organ", "right", "side"]


def test_a_target_marks_the_words_of_its_program():
    words = ProgramWords(PROGRAMS, width=4)
    marked = [words.words[column] for column in words.targets(PROGRAMS[1:2])[0].nonzero()[:, 0]]
    assert marked == ["kidney", "organ", "right", "side"]


def test_the_loss_is_the_cross_entropy_summed_over_words():
    words = ProgramWords(PROGRAMS, width=4)
    torch.nn.init.zeros_(words.head.weight)
    torch.nn.init.zeros_(words.head.bias)
    # Every word at even odds: log 2 each, whatever is true.
    assert words.loss(torch.randn(2, 4), PROGRAMS[:2]).tolist() == pytest.approx([8 * 0.693147] * 2, abs=1e-4)


def test_antonyms_that_start_as_neighbours_are_pulled_apart():
    torch.manual_seed(0)
    programs = ("half(organ(liver), left)", "half(organ(liver), right)")
    words = ProgramWords(programs, width=4)
    project = torch.nn.Linear(4, 4)
    base = torch.randn(4)
    sentences = torch.stack([base, base + 0.1 * torch.randn(4)])
    optimiser = torch.optim.Adam([*words.parameters(), *project.parameters()], lr=0.05)
    for _ in range(400):
        optimiser.zero_grad()
        words.loss(project(sentences), programs).sum().backward()
        optimiser.step()
    assert torch.equal(words.head(project(sentences)) > 0, words.targets(programs) > 0.5)
