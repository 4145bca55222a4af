"""A reader that has learned what sentences mean.

The lexicon (`parser.py`) refuses a sentence for one unknown word. This reader weighs all words, in the context
that the frozen text encoder gives them, and tells how probable each program of its training is. It knows no others.
`training/reader.py` trains it, in a minute on a CPU.

Readers by name: the one place where a command's `--reader` becomes who reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from semantiseg.composition.composed import READERS, Read, read_program
from semantiseg.errors import ParameterError, PromptError
from semantiseg.language.ontology import STRUCTURES
from semantiseg.language.program import Program, parse
from semantiseg.llm.asking import asker_of
from semantiseg.llm.reading import AskedReader
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


def save_reader(classifier: ProgramClassifier, folder: Path) -> None:
    """Write `model.safetensors` and `config.json`."""
    told = {"programs": classifier.programs, "text_encoder": classifier.text_encoder, **classifier.widths}
    write_trained(folder, classifier, told)


def load_reader(folder: Path) -> ProgramClassifier:
    """Read what `save_reader` wrote.

    Raises:
        ModelError: a file is absent or broken, or the weights do not fit.
    """
    config, state = read_trained(folder, keys=("programs", "text_width", "sentence_width", "text_encoder"))
    classifier = ProgramClassifier(**config)
    load_checked(classifier, state, origin=str(folder / "model.safetensors"))
    return classifier.eval()


ASKED = ("server", "local")
"""Back ends whose language model can be asked for a sentence's program."""
NAMES = (*READERS, LEARNED, *ASKED)


def open_reader(
    name: str,
    *,
    weights: Path = Path("data/reader"),
    keys: Sequence[str] = tuple(STRUCTURES),
    answers: Path = Path("answers"),
    **asking: Any,
) -> Read:
    """A reader.

    Args:
        name: one of `NAMES`.
        weights: folder of the learned reader.
        keys: structures that a language model may name.
        answers: folder of a language model's kept answers.
        asking: of a language model, further arguments of `asker_of`, such as a server's address and model.

    Raises:
        ParameterError: an unknown name, or a server without address or model.
        ModelError: the learned reader's weights are absent or broken.
        BackendError: the local model is not installed.
    """
    if name in READERS:
        return READERS[name]
    if name == LEARNED:
        return LearnedReader(load_reader(weights))
    if name not in ASKED:
        raise ParameterError(f"reader: expected one of {list(NAMES)}, got {name!r}. Choose one of these.")
    return AskedReader(asker_of(answers, backend=name, purpose="reading", **asking), keys=keys)
