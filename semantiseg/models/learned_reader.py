"""A reader that has learned what sentences mean.

The lexicon (`bench/reader.py`) refuses a sentence for one unknown word. This reader weighs all words, in the context
that the frozen text encoder gives them, and tells how probable each program of its training is. It knows no others.
`training/reader.py` trains it, in a minute on a CPU.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from semantiseg.bench.program import Program, parse
from semantiseg.errors import PromptError
from semantiseg.models.compose import Read, read_program
from semantiseg.models.features import TextFeatures
from semantiseg.models.prompts import PromptBatch, PromptProjection, collate
from semantiseg.models.weights import load_checked, read_trained

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
    """

    def __init__(self, programs: Sequence[str], *, text_width: int, sentence_width: int) -> None:
        super().__init__()
        self.programs = tuple(programs)
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
        encode: texts -> features, of the text encoder that the classifier was trained with.
        features: features that need not be computed again.
        first: reader that is asked first.
    """

    def __init__(
        self,
        classifier: ProgramClassifier,
        *,
        encode: Callable[[Sequence[str]], TextFeatures],
        features: TextFeatures | None = None,
        first: Read = read_program,
    ) -> None:
        self._classifier, self._encode, self._features, self._first = classifier.eval(), encode, features, first
        self._told: dict[str, tuple[str, float]] = {}

    def __call__(self, text: str) -> Program:
        """The program.

        Raises:
            PromptError: no program is believed.
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
            known = self._features is not None and text in self._features
            features = self._features if known else self._encode([text])
            chances = self._classifier(collate([features[text]], reading="contextual")).softmax(dim=1)[0]
            best = int(chances.argmax())
            self._told[text] = self._classifier.programs[best], float(chances[best])
        return self._told[text]


def save(classifier: ProgramClassifier, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`."""
    folder.mkdir(parents=True, exist_ok=True)
    save_file(
        {name: value.contiguous() for name, value in classifier.state_dict().items()}, folder / "model.safetensors"
    )
    config = {"programs": classifier.programs, **classifier.widths}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def load(folder: Path) -> ProgramClassifier:
    """Read what `save` wrote.

    Raises:
        ModelError: a file is absent or broken, or the weights do not fit.
    """
    config, state = read_trained(folder, keys=("programs", "text_width", "sentence_width"))
    classifier = ProgramClassifier(**config)
    load_checked(classifier, state, origin=str(folder / "model.safetensors"))
    return classifier.eval()
