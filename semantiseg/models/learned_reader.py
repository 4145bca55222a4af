"""A reader that has learned what sentences mean.

The lexicon (`bench/reader.py`) refuses a sentence for one unknown word. This reader weighs all words, in the context
that the frozen text encoder gives them, and tells how probable each program of its training is. It knows no others.
`training/reader.py` trains it, in a minute on a CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from semantiseg.bench.program import Program, parse
from semantiseg.errors import PromptError
from semantiseg.models.compose import Read, read_program
from semantiseg.models.prompts import PromptBatch, PromptProjection, collate
from semantiseg.models.weights import load_checked, read_trained, write_trained

LEARNED = "learned"
"""Name of this reader."""
WIDTH = 96
"""Of E_text, as in the small preset."""
DROPOUT = 0.4
"""Of text features in training; chosen with the numbers of `training/reader.py`."""
BELIEVED = 0.5
"""Least probability of a program that is believed: more likely right than not."""


class ProgramClassifier(nn.Module):
    """Sentences to N programs.

    Args:
        programs: printed programs, the N classes.
        text_width: E of the text encoder's tokens.
        sentence_width: F of its sentence embeddings.
        text_encoder: its name (`models/text.py`).
    """

    def __init__(self, programs: Sequence[str], *, text_width: int, sentence_width: int, text_encoder: str) -> None:
        super().__init__()
        self.programs, self.text_encoder = tuple(programs), text_encoder
        self.widths = {"text_width": text_width, "sentence_width": sentence_width}
        self.projection = PromptProjection(**self.widths, width=WIDTH, dropout=DROPOUT)
        self.tell = nn.Linear(WIDTH, len(self.programs))

    def forward(self, prompts: PromptBatch) -> Tensor:
        """Logits `[P, N]`."""
        return self.tell(self.projection(prompts).pooled)


class LearnedReader:
    """Sentence -> program: as `first` reads it, else the most probable program, if it is believed.

    Args:
        classifier: a trained one.
        first: reader that is asked first.
    """

    def __init__(self, classifier: ProgramClassifier, *, first: Read = read_program) -> None:
        self._classifier, self._first = classifier.eval(), first
        self._told: dict[str, tuple[str, float]] = {}

    def __call__(self, text: str) -> Program:
        """The program.

        Raises:
            PromptError: no program is believed.
            ModelError: the weights of the classifier's text encoder are absent.
        """
        try:
            return self._first(text)
        except PromptError:
            program, probability = self.most_probable(text)
        if probability < BELIEVED:
            raise PromptError(
                f"prompt: expected a sentence that means something with a probability of at least {BELIEVED}, got "
                f"{text!r}: {program} with {probability:.2f}. Say it in other words."
            )
        return parse(program)

    @torch.inference_mode()
    def most_probable(self, text: str) -> tuple[str, float]:
        """A printed program and its probability; sentences read before are remembered."""
        if text not in self._told:
            from semantiseg.models.text import encode_texts, open_encoder  # loads the text encoder's weights

            features = encode_texts([text], encoder=open_encoder(self._classifier.text_encoder))
            chances = self._classifier(collate([features[text]], reading="contextual")).softmax(dim=1)[0]
            best = int(chances.argmax())
            self._told[text] = self._classifier.programs[best], float(chances[best])
        return self._told[text]


def save(classifier: ProgramClassifier, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`."""
    told = {"programs": classifier.programs, "text_encoder": classifier.text_encoder, **classifier.widths}
    write_trained(folder, classifier, told)


def load(folder: Path) -> ProgramClassifier:
    """Read what `save` wrote.

    Raises:
        ModelError: a file is absent or broken, or the weights do not fit.
    """
    config, state = read_trained(folder, keys=("programs", "text_width", "sentence_width", "text_encoder"))
    classifier = ProgramClassifier(**config)
    load_checked(classifier, state, origin=str(folder / "model.safetensors"))
    return classifier.eval()
