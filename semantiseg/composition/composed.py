"""Composition: any model that answers nouns answers sentences.

The sentence is read to a program, the model is asked for the program's atoms (in one encoding of the image), and their
soft masks are combined as the program says (`language/evaluate.py`). What cannot be read is put to the model as it
stands, and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from semantiseg.conventions import Slice
from semantiseg.data.intensity import body_midline
from semantiseg.errors import ModelError, PromptError
from semantiseg.language.evaluate import combine, credible
from semantiseg.language.ontology import STRUCTURES, structure
from semantiseg.language.program import Program, atoms, spoken
from semantiseg.language.reader import parser
from semantiseg.language.reader.clinicians_words import CLINICAL_LEXICON
from semantiseg.language.reader.lexicon import Kind
from semantiseg.language.reader.structured import read_structured, understand
from semantiseg.language.reader.tokens import pieces_of, split
from semantiseg.models.features import TextFeature, TextFeatures
from semantiseg.models.protocol import Answer, ModelCard, PromptedSegmenter
from semantiseg.models.segmenter import segment_volume
from semantiseg.models.weights import read_trained

if TYPE_CHECKING:
    from semantiseg.models.registry import Accelerator

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
"""Share of the window above which a pixel is body rather than air (as `data/intensity.py` has it for MR)."""


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


CONFIDENT = 0.9
"""Least confidence of a reading that is composed: composing pays where its confidence exceeds the Dice of the sentence
asked as it stands over that of its composition. On the demo's validation prompts, in words met in training, that is
0.946 at level 3 (0.717 over 0.758); in words that the reader finds strange, and the gate too, it is less."""


@dataclass(frozen=True)
class Understood:
    """What SemantiSeg makes of one sentence.

    Attributes:
        text: the sentence.
        program: what it was read as; None where it was not read.
        confidence: in the reading, 0 to 1.
        answered: by composing the program's atoms, by the gate as the sentence stands, or not at all.
        why: why it was not composed, or "".
    """

    text: str
    program: Program | None
    confidence: float
    answered: Literal["composed", "gate", "refused"]
    why: str = ""

    def __str__(self) -> str:
        if self.answered == "refused":
            return f"refused, nothing is drawn: {self.why}"
        if self.answered == "composed" and self.program is not None:
            return f"{spoken(self.program)}, read with {self.confidence:.2f}"
        return f"not sure, answered by the gate as the sentence stands: {self.why}"


class SemantiSeg(Composed):
    """Gate, reader and composition in one: a model that says what it understood.

    A sentence that was read with confidence is composed; one that was not is put to the gate, and `understand` says so;
    one about a structure that the network has never seen gets an empty mask.

    Args:
        segmenter: the network with the gate.
        knows: keys of the structures that it was trained on; None: all of the ontology.
        confident: least confidence of a reading that is composed.

    Raises:
        ModelError: as `Composed`.
    """

    def __init__(
        self, segmenter: PromptedSegmenter, *, knows: Collection[str] | None = None, confident: float = CONFIDENT
    ) -> None:
        super().__init__(segmenter, read=self._believed)
        self.knows, self.confident = frozenset(STRUCTURES if knows is None else knows), confident

    def understand(self, text: str) -> Understood:
        """What a sentence is taken for, before any image is seen.

        Raises:
            PromptError: the prompt is empty.
        """
        _check_sentence(text)
        found = understand(text)
        program, confidence = found.program, found.confidence
        named = _mentioned(text) if program is None else frozenset(atom.key for atom in atoms(program))
        foreign = sorted(named - self.knows)
        if foreign and (program is not None or not named & self.knows):
            names = ", ".join(structure(key).names[0] for key in foreign)
            return Understood(text, program, confidence, "refused", f"the model was not trained on: {names}")
        if not named:
            return Understood(text, None, 0.0, "refused", f"it names no structure that is known. {found.reason}")
        if program is None:
            return Understood(text, None, 0.0, "gate", found.reason)
        if confidence < self.confident:
            why = f"perhaps {spoken(program)}, read with {confidence:.2f} (less than {self.confident})"
            return Understood(text, program, confidence, "gate", why)
        return Understood(text, program, confidence, "composed")

    def segment(
        self,
        image: Slice,
        texts: Sequence[str],
        *,
        features: TextFeatures | None = None,
        boxes: NDArray[np.floating] | None = None,
        midline: float | None = None,
    ) -> Answer:
        """As `Composed.segment`; what is refused (`understand`) has probability 0 everywhere."""
        kept = [place for place, text in enumerate(texts) if self.understand(text).answered != "refused"]
        soft = np.zeros((len(texts), *np.shape(image)), np.float32)
        if kept or not len(texts):
            asked = [texts[place] for place in kept]
            found = super().segment(image, asked, features=features, boxes=boxes, midline=midline)
            soft[kept] = found.probabilities
        return Answer(probabilities=soft, gate=None)

    def _believed(self, text: str) -> Program:
        found = self.understand(text)
        if found.answered != "composed" or found.program is None:
            raise PromptError(found.why)
        return found.program


def _mentioned(text: str) -> frozenset[str]:
    """Keys of the structures that a sentence names, understood or not; "the tumour" counts as all that it may mean."""
    pieces = pieces_of(split(text), CLINICAL_LEXICON)
    whole = {item.key for piece in pieces if isinstance(piece.value, Program) for item in atoms(piece.value)}
    nouns = [piece.value for piece in pieces if piece.kind is Kind.NOUN and isinstance(piece.value, tuple)]
    return frozenset(whole | {str(key) for keys in nouns for key in keys})


def open_semantiseg(folder: Path, *, accelerator: Accelerator = "cpu") -> SemantiSeg:
    """SemantiSeg around a trained network; it knows the structures that `config.json` says were trained on.

    Raises:
        ModelError: as `registry.load`, or a network that needs boxes.
    """
    from semantiseg.models.registry import load  # with it come all networks

    config, _ = read_trained(folder, keys=(), optional=("trained_on",))
    seen = config.get("trained_on", {}).get("largest_mm2")
    return SemantiSeg(load(folder, accelerator=accelerator), knows=seen or None)


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
