"""Secrets from the environment, and how none of their bytes gets into a message, a log or a file."""

from __future__ import annotations

import base64
import urllib.parse
from collections.abc import Iterator, Mapping
from functools import cached_property

from semantiseg.errors import ParameterError

MASK = "*** (withheld: it repeats the key or a part of it)"
"""What is said instead of a text that holds a secret, or a part of one."""

CUT = 6
"""Letters and digits in a row by which a part of a secret is known: fewer occur in honest text by chance."""

_SHORTEST = 4
"""Letters and digits below which nothing is withheld: servers that check no key are often given `none` or `x`."""


class Secret:
    """A secret that shows in no `repr`, `str` or pickle; only `value` gives it out.

    Args:
        value: the secret; blanks and line ends around it are an accident of how it was stored, and dropped.
        name: what messages call it: the environment variable.

    Raises:
        ParameterError: it is no single word of printable ASCII; the message does not show it.
    """

    def __init__(self, value: str, *, name: str) -> None:
        word = value.strip()
        if word and (not word.isascii() or not word.isprintable() or " " in word):
            raise ParameterError(f"{name}: expected one word, got blanks or other signs inside it. Set it again.")
        self._word, self.name = word, name

    @property
    def value(self) -> str:
        """The secret itself, for the header that it belongs into and nothing else."""
        return self._word

    def __bool__(self) -> bool:
        return bool(self._word)

    def __repr__(self) -> str:
        return f"Secret({self.name})"

    def __reduce__(self) -> tuple[type[Secret], tuple[str], dict[str, str]]:
        raise TypeError(f"{self.name}: a secret is not written anywhere")

    def shows_in(self, text: str) -> bool:
        """Whether a text holds the secret or a part of it: as it is, reversed, in other case, with other signs between
        its letters, in base64, base32, hexadecimal or per cent escapes."""
        said = _letters(text)
        said_escaped = _letters(urllib.parse.unquote(text))
        return any(part in said or part in said_escaped for part in self._parts)

    def masked(self, text: str) -> str:
        """The text, or `MASK` if the secret shows in it. All of it: what stands beside a part of a secret may be the
        rest."""
        return MASK if self.shows_in(text) else text

    @cached_property
    def _parts(self) -> frozenset[str]:
        if len(_letters(self._word)) < _SHORTEST:
            return frozenset()
        return frozenset(part for form in _forms(self._word) for part in _stretches(_letters(form)))


def from_environment(variables: tuple[str, ...], environment: Mapping[str, str]) -> Secret:
    """The secret in the first of some variables that is set, or an empty one.

    Raises:
        ParameterError: as `Secret`.
    """
    name = next((name for name in variables if environment.get(name, "").strip()), variables[0])
    return Secret(environment.get(name, ""), name=name)


def _letters(text: str) -> str:
    """Letters and digits in lower case: quotes, line breaks and escapes between them hide nothing."""
    return "".join(sign for sign in text.lower() if sign.isalnum() and sign.isascii())


def _stretches(letters: str) -> Iterator[str]:
    size = min(CUT, len(letters))
    for start in range(len(letters) - size + 1):
        yield letters[start : start + size]


def _forms(word: str) -> Iterator[str]:
    for direction in (word, word[::-1]):
        yield direction
        yield direction.encode().hex()
        for pad in range(3):  # where in a longer text it stands shifts base64 by up to two bytes
            # The first sign, and the last, depend on the neighbours too.
            yield base64.b64encode(b"\0" * pad + direction.encode()).decode().rstrip("=")[2 if pad else 0 : -1]
        for pad in range(5):
            yield base64.b32encode(b"\0" * pad + direction.encode()).decode().rstrip("=")[2 * pad : -1]
