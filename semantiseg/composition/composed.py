"""Composition: any model that answers nouns answers sentences.

The sentence is read to a program, the model is asked for the program's atoms (in one encoding of the image), and their
soft masks are combined as the program says (`language/evaluate.py`). What cannot be read is put to the model as it
stands, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Slice
from semantiseg.data.window import midline as body_midline
from semantiseg.errors import ModelError, PromptError
from semantiseg.language.evaluate import combine, credible
from semantiseg.language.ontology import STRUCTURES, structure
from semantiseg.language.program import Program, atoms
from semantiseg.language.reader import parser
from semantiseg.language.reader.structured import read_structured
from semantiseg.models.features import TextFeature, TextFeatures
from semantiseg.models.protocol import Answer, ModelCard, PromptedSegmenter
from semantiseg.models.segmenter import segment_volume

Read = Callable[[str], Program]
"""Sentence -> program; raises `PromptError` for what it cannot read. `llm/reading.py` is a language model's."""


@runtime_checkable
class ReadsAhead(Protocol):
    """A reader that reads many sentences faster together than one by one."""

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Read sentences that will be asked for."""


PEAK = 0.9
"""Least highest probability of a component of an atom (`combine.credible`). Chosen among 0.5 to 0.95 on the demo's
validation prompts, where token and scalar gate agree: a shallow optimum, L3 Dice +0.003 and +0.015 against 0.5."""

_BODY = 0.1
"""Share of the window above which a pixel is body rather than air (as `data/window.py` has it for MR)."""


def read_program(text: str) -> Program:
    """Read a sentence with the lexicon-based reader of the verifier, which knows words and no templates.

    Raises:
        PromptError: words that are not understood, or words in no order that makes sense.
    """
    return parser.read(text).program


READERS: dict[str, Read] = {"strict": read_program, "lenient": read_structured}
"""Readers by name: one reads requests as the benchmark writes them, the other clinicians' sentences, too."""


def noun(atom: Program) -> str:
    """What the wrapped model is asked for an atom: the structure's canonical name, which training may use."""
    return structure(atom.key).names[0]


@dataclass
class Tally:
    """What became of the sentences asked so far."""

    composed: int = 0
    fallbacks: int = 0
    reasons: dict[str, str] = field(default_factory=dict)
    """Sentence that was not read -> why."""

    @property
    def parsed_share(self) -> float | None:
        """Share of the sentences that were read; None before any was asked."""
        asked = self.composed + self.fallbacks
        return self.composed / asked if asked else None


class _Both:
    """Features of the texts given, and of nouns that were not among them."""

    def __init__(self, given: TextFeatures, nouns: Callable[[str], TextFeatures]) -> None:
        self._given, self._nouns = given, nouns

    def __getitem__(self, text: str) -> TextFeature:
        return self._given[text] if text in self._given else self._nouns(self._given.encoder)[text]

    def __contains__(self, text: object) -> bool:
        return text in self._given or text in self._nouns(self._given.encoder)


class Composed:
    """A segmenter around a segmenter: the same `segment`, for slices and whole volumes.

    Args:
        segmenter: a model that reads text and follows docs/bring_a_model.md.
        read: sentence -> program.
        peak: components of an atom whose highest probability is lower are left out; see `combine.credible`.

    Attributes:
        needs_box: False.
        reads_midline: True: `segment` takes the patient's mid-sagittal column where it is known.
        tally: sentences read and not read so far.

    Raises:
        ModelError: the segmenter needs boxes: an atom has none.
    """

    needs_box = False
    reads_midline = True

    def __init__(
        self,
        segmenter: PromptedSegmenter,
        *,
        read: Read = read_program,
        peak: float = PEAK,
    ) -> None:
        if segmenter.needs_box:
            raise ModelError(
                "compose: expected a model that reads text, got one that needs a box for every structure. "
                "Compose a model that finds structures by their names."
            )
        self.segmenter, self.read, self.peak, self.tally = segmenter, read, peak, Tally()
        self._encoded: dict[str, TextFeatures] = {}

    @property
    def card(self) -> ModelCard:
        """The wrapped model's."""
        return self.segmenter.card

    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
        midline: float | None = None,
    ) -> Answer:
        """Answer P prompts about a slice `[H, W]` or a volume `[D, H, W]`; every slice is encoded once.

        Args:
            image: values in [0, 1], axes as in `conventions.py`.
            texts: P sentences.
            features: features of (at least) the sentences that the reader does not understand; None: the model encodes
                what it is asked.
            boxes: None; this model reads text.
            midline: column of the mid-sagittal plane; None finds the middle of the body in the image.

        Returns:
            Probabilities `[P, H, W]` or `[P, D, H, W]`; no gate.

        Raises:
            ModelError: wrong image, no prompts, or boxes given.
            PromptError: an empty prompt.
        """
        if boxes is not None:
            raise ModelError("boxes: expected no boxes: this model reads text, got boxes.")
        if not len(texts):
            raise ModelError("prompts: expected at least one, got none. Ask something.")
        for text in texts:
            _check_sentence(text)
        if isinstance(self.read, ReadsAhead):
            self.read.read_ahead(texts)
        programs = [self.program(text) for text in texts]
        wanted = list(dict.fromkeys(atom for program in programs if program for atom in atoms(program)))
        plain = [text for text, program in zip(texts, programs, strict=True) if program is None]
        asked = list(dict.fromkeys([*map(noun, wanted), *plain]))
        known = None if features is None else _Both(features, self._nouns)
        found = dict(zip(asked, self._ask(image, asked, known), strict=True))
        soft = {atom: credible(found[noun(atom)], peak=self.peak) for atom in wanted}
        middle = estimate_midline(image) if midline is None else midline
        answers = [
            found[text] if program is None else combine(program, soft, midline=middle)
            for text, program in zip(texts, programs, strict=True)
        ]
        return Answer(probabilities=np.stack(answers), gate=None)

    def program(self, text: str) -> Program | None:
        """What a sentence asks for, or None if it cannot be read; counted either way.

        Raises:
            PromptError: the prompt is empty.
        """
        _check_sentence(text)
        try:
            program = self.read(text)
        except PromptError as error:
            self.tally.fallbacks += 1
            self.tally.reasons[text] = str(error)
            return None
        self.tally.composed += 1
        return program

    def _ask(self, image: Slice, asked: Sequence[str], features: _Both | None) -> NDArray[np.float32]:
        if np.ndim(image) == 3:
            return segment_volume(self.segmenter, image, asked, features=features).probabilities  # type: ignore[arg-type]
        return self.segmenter.segment(image, asked, features=features).probabilities  # type: ignore[arg-type]

    def _nouns(self, encoder: str) -> TextFeatures:
        """Features of every structure's noun, encoded once: which texts share a batch then never depends on the
        prompts."""
        if encoder not in self._encoded:
            from semantiseg.models.text import encode_texts, open_encoder  # loads the text encoder's weights

            nouns = [item.names[0] for item in STRUCTURES.values()]
            self._encoded[encoder] = encode_texts(nouns, encoder=open_encoder(encoder))
        return self._encoded[encoder]


def _check_sentence(text: object) -> None:
    if not isinstance(text, str) or not text.strip():
        raise PromptError(f"prompt: expected a sentence, got {text!r}. Write what to segment, such as 'liver'.")


def compose(segmenter: PromptedSegmenter, *, read: Read = read_program, peak: float = PEAK) -> Composed:
    """Wrap a model so that it answers sentences through their programs; see `Composed`."""
    return Composed(segmenter, read=read, peak=peak)


def estimate_midline(image: NDArray[np.floating]) -> float:
    """Column of the mid-sagittal plane of a slice `[H, W]` or volume `[D, H, W]` in [0, 1]: the middle of the body."""
    body = np.asarray(image) > _BODY
    return body_midline(body if body.ndim == 3 else body[None])
