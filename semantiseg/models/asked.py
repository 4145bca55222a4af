"""A reader that asks a language model: a sentence means what the model says, if that is a program."""

from __future__ import annotations

from collections.abc import Sequence

from semantiseg.bench.backends.asking import Asker
from semantiseg.bench.backends.program_question import ProgramQuestion, program_of
from semantiseg.bench.ontology import STRUCTURES
from semantiseg.bench.program import Program
from semantiseg.errors import PromptError


class AskedReader:
    """Sentence -> program. Sentences read before are remembered, answers are kept in the asker's cache.

    An answer that is no program of known structures counts as not read. A back end that cannot answer at all stops
    the run instead: a server that is down says nothing about a sentence.

    Args:
        asker: whom to ask.
        keys: structures that may be asked for.
    """

    def __init__(self, asker: Asker, *, keys: Sequence[str] = tuple(STRUCTURES)) -> None:
        self._asker, self._keys = asker, tuple(keys)
        self._heard: dict[str, Program | str] = {}  # a program, or why there is none

    def __call__(self, text: str) -> Program:
        """The program.

        Raises:
            PromptError: the answer is no program of known structures.
            BackendError: the back end cannot answer, or may not for its budget.
        """
        self.read_ahead([text])
        heard = self._heard[text]
        if isinstance(heard, str):
            raise PromptError(heard)
        return heard

    def read_ahead(self, texts: Sequence[str]) -> None:
        """Ask about many sentences, several at a time, so that each is known when its turn comes.

        Raises:
            BackendError: as above; answers so far are kept.
        """
        new = [text for text in dict.fromkeys(texts) if text not in self._heard]
        if not new:
            return
        replies = self._asker.ask_all([ProgramQuestion(text, self._keys) for text in new])
        for text, reply in zip(new, replies, strict=True):
            try:
                self._heard[text] = program_of(reply.text, keys=self._keys, finished=reply.finished)
            except PromptError as error:
                self._heard[text] = str(error)
