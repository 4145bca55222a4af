"""The program teaches the reading: every training sentence comes with the program that it means.

From E_text alone a linear head has to tell which words the program is made of (`minus`, `right`, `kidney_tumour`).
Antonyms are neighbours in a sentence encoder's space ("left half" and "right half": cosine 0.97); this pulls them apart
before the masks can.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_WORD = re.compile(r"[a-z_]+")


class ProgramWords(nn.Module):
    """A linear head over E_text `[P, D]`, used in training only.

    Args:
        programs: printed programs of the training questions; their words are the vocabulary.
        width: D.
    """

    def __init__(self, programs: Sequence[str], *, width: int) -> None:
        super().__init__()
        self.words = sorted({word for program in set(programs) for word in _WORD.findall(program)})
        self.head = nn.Linear(width, len(self.words))
        self._position = {word: position for position, word in enumerate(self.words)}

    def targets(self, programs: Sequence[str]) -> Tensor:
        """1 where a word occurs in a program, `[P, words]`."""
        found = torch.zeros(len(programs), len(self.words))
        for row, program in enumerate(programs):
            found[row, [self._position[word] for word in set(_WORD.findall(program))]] = 1.0
        return found

    def loss(self, sentence: Tensor, programs: Sequence[str]) -> Tensor:
        """Cross-entropy of every prompt, summed over words, `[P]`."""
        logits = self.head(sentence).float()  # sums in half precision would lose digits
        targets = self.targets(programs).to(logits.device)
        return F.binary_cross_entropy_with_logits(logits, targets, reduction="none").sum(dim=1)
