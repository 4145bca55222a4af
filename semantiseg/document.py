"""YAML documents that people also edit: changed here, their comments and order kept."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML


def parse(text: str) -> Any:
    """A YAML 1.2 document with its comments."""
    return YAML().load(text)


def load(path: Path) -> Any:
    """The document in a file."""
    return parse(path.read_text(encoding="utf-8"))


def text(document: Any) -> str:
    """The document as text, lines not wrapped, lists indented as dvc.yaml has them."""
    yaml, stream = YAML(), io.StringIO()
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.dump(document, stream)
    return stream.getvalue()
