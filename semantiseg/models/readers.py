"""Readers by name: the one place where a command's `--reader` becomes who reads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semantiseg.bench.backends.choice import asker_of
from semantiseg.bench.ontology import STRUCTURES
from semantiseg.errors import ParameterError
from semantiseg.models.asked import AskedReader
from semantiseg.models.compose import READERS, Read
from semantiseg.models.learned_reader import LEARNED, LearnedReader, load

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
        return LearnedReader(load(weights))
    if name not in ASKED:
        raise ParameterError(f"reader: expected one of {list(NAMES)}, got {name!r}. Choose one of these.")
    return AskedReader(asker_of(answers, backend=name, purpose="reading", **asking), keys=keys)
