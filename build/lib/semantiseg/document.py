"""YAML documents: those that people also edit are changed here with comments and order kept, others read as values.

Whatever a file holds, what comes out is values or a `SemantiSegError` that names the file.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from semantiseg.errors import ParameterError, SemantiSegError

NODES = 1_000_000
"""Most values of a document once its aliases are written out; a few lines of aliases can stand for billions."""

_CONFLICT = ("<<<<<<< ", ">>>>>>> ")


def parse_document(text: str) -> Any:
    """A YAML 1.2 document with its comments."""
    return YAML().load(text)


def read_document(path: Path) -> Any:
    """The document in a file, its comments kept.

    Raises:
        ParameterError: as `values`.
    """
    return _read(path, YAML(), ParameterError)


def values(path: Path, *, error: type[SemantiSegError] = ParameterError, fast: bool = False) -> Any:
    """What a YAML 1.2 file holds, as plain values (as DVC reads it: `1e-4` is a number, `on` is a word).

    Args:
        path: the file.
        error: what is raised.
        fast: half a second less for dvc.lock, by the parser in C, which reads YAML 1.1.

    Raises:
        error: no file, no UTF-8, no YAML, Git's conflict markers, or a document too deep or too large.
    """
    return _read(path, YAML(typ="safe", pure=not fast), error)


def _read(path: Path, yaml: YAML, error: type[SemantiSegError]) -> Any:
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as cause:
        raise error(f"expected a YAML file at {path}, got {cause.strerror}. Create it or correct the path.") from None
    except UnicodeDecodeError as cause:
        raise error(f"{path}: expected text in UTF-8, got byte {cause.object[cause.start]:#04x} at {cause.start}. "
                    "Save the file as UTF-8.") from None  # fmt: skip
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(_CONFLICT):
            raise error(f"{path}: expected YAML, got Git's conflict markers (line {number}). Choose a side "
                        f"(`git checkout --ours {path.name}` or `--theirs`), then run it again.")  # fmt: skip
    return _parsed(text, path, yaml, error)


def values_of(text: str, *, origin: str | Path, error: type[SemantiSegError]) -> Any:
    """As `values`, of a text that came from `origin`."""
    return _parsed(text, origin, YAML(typ="safe", pure=True), error)


def _parsed(text: str, path: str | Path, yaml: YAML, error: type[SemantiSegError]) -> Any:
    try:
        found = yaml.load(text)
        if _size(found, {}) > NODES:
            raise error(f"{path}: expected at most {NODES:,} values, got more by its aliases. Write it without them.")
    except YAMLError as cause:
        raise error(f"{path}: expected YAML, got {' '.join(str(cause).split())}. Correct that line.") from None
    except RecursionError:
        raise error(f"{path}: expected YAML of some levels, got hundreds. Correct the file.") from None
    except (ValueError, TypeError, KeyError, AttributeError) as cause:  # of the parser: a date in month 13, an odd tag
        raise error(f"{path}: expected YAML, got a value that cannot be read ({cause}). Correct it.") from None
    return found


def _size(value: Any, known: dict[int, int]) -> int:
    """Values in a document with its aliases written out; each is counted once and looked up afterwards."""
    if not isinstance(value, (dict, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = NODES + 1  # of one that holds itself
        inner = value.values() if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(item, known) for item in inner)
    return known[id(value)]


def document_text(document: Any) -> str:
    """The document as text, lines not wrapped, lists indented as dvc.yaml has them."""
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, stream)
    return stream.getvalue()
