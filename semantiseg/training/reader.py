"""Training of the reader that learns (`composition/readers.py`), from the sentences of training questions alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from semantiseg.composition.readers import ProgramClassifier
from semantiseg.conventions import rows_of
from semantiseg.errors import DataError
from semantiseg.files import read_table
from semantiseg.models.features import TextFeatures
from semantiseg.models.prompts import PromptBatch, collate
from semantiseg.training.optimisation import Optimiser, deterministic

# Chosen on training sentences alone: words were held out with every sentence that holds them, and the reader was asked
# for the meaning of these.
SENTENCES = 96
"""Of a step."""
PASSES = 8
"""How often all sentences would be seen, if they were drawn evenly; programs are."""
LEAST_STEPS = 60
HIDDEN = 0.3
"""Share of a sentence's words that a step does not show: who needs every word is lost at the first unknown one."""
LEARNING_RATE, WEIGHT_DECAY = 0.003, 0.05


def training_phrases(training: Path) -> dict[str, str]:
    """Texts of the training split with their programs; a text that stands for two programs is left out.

    Args:
        training: `training.parquet`.
    """
    columns = ["split", "program", "texts"]
    table = read_table(training, what="training questions", remedy="Run the stage 'verify' again.", columns=columns)
    meanings: dict[str, set[str]] = {}
    for row in rows_of(table[table["split"] == "train"]):
        for text in row.texts:
            meanings.setdefault(text, set()).add(row.program)
    return {text: next(iter(programs)) for text, programs in meanings.items() if len(programs) == 1}


def train_reader(phrases: Mapping[str, str], features: TextFeatures, *, seed: int, threads: int) -> ProgramClassifier:
    """A classifier that tells the programs of `phrases` from one another. Equal arguments give equal weights.

    Args:
        phrases: texts and their printed programs, see `training_phrases`.
        features: of these texts.
        seed: of weights, order and what is hidden.
        threads: PyTorch threads.

    Raises:
        DataError: no phrases.
    """
    if not phrases:
        raise DataError("phrases: expected at least one with its program, got none. Run the stage 'verify' again.")
    texts: dict[str, list[str]] = {}
    for text, program in sorted(phrases.items()):
        texts.setdefault(program, []).append(text)
    programs = sorted(texts)
    steps = max(LEAST_STEPS, PASSES * len(phrases) // SENTENCES)
    rng = np.random.default_rng([seed, 3])
    with deterministic(threads):
        torch.manual_seed(seed)
        classifier = ProgramClassifier(programs, **features.described).train()
        optimiser = Optimiser(
            classifier.parameters(), learning_rate=LEARNING_RATE, weight_decay=WEIGHT_DECAY, steps=steps
        )
        for _ in range(steps):
            drawn = rng.integers(len(programs), size=SENTENCES)
            said = [texts[programs[number]] for number in drawn]
            batch = collate(
                [features[options[int(rng.integers(len(options)))]] for options in said], reading="contextual"
            )
            optimiser.step(F.cross_entropy(classifier(_hide(batch, rng)), torch.from_numpy(drawn)))
    return classifier.eval()


def _hide(batch: PromptBatch, rng: np.random.Generator) -> PromptBatch:
    """Without `HIDDEN` of the words; where no word would be left, with all of them."""
    shown = batch.mask & torch.from_numpy(rng.random(batch.mask.shape) >= HIDDEN)
    shown = torch.where(shown.any(dim=1, keepdim=True), shown, batch.mask)
    return replace(batch, tokens=batch.tokens * shown[..., None], mask=shown, ids=batch.ids * shown)
