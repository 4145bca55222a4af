"""Answers kept by content: what was asked of whom decides the file's name, so nothing is paid twice."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from semantiseg.bench.backends.backend import BackendError, Reply
from semantiseg.bench.backends.request import Question


class AnswerCache:
    """One JSON file an answer: `<folder>/<ab>/<abcd...>.json` with who was asked, what, and the reply.

    A file appears under its name only when complete, right after the answer came: a kill loses what was on its way
    and nothing else.

    Args:
        folder: where the files lie; made when first needed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def key(self, identity: dict[str, Any], request: Question) -> str:
        """SHA-256 of the asked one's identity and the request."""
        content = json.dumps({"identity": identity, "request": request.facts()}, sort_keys=True)
        return hashlib.sha256(content.encode()).hexdigest()

    def get(self, key: str) -> Reply | None:
        """The kept reply, or None.

        Raises:
            BackendError: the file is damaged.
        """
        path = self._path(key)
        return _read(path) if path.exists() else None

    def put(self, key: str, identity: dict[str, Any], request: Question, reply: Reply) -> None:
        """Keep a reply."""
        path = self._path(key)
        path.parent.mkdir(parents=True, exist_ok=True)
        record = {"identity": identity, "request": request.facts(), "reply": asdict(reply)}
        partial = path.with_suffix(f".{os.getpid()}.partial")
        with partial.open("w", encoding="utf-8") as file:
            file.write(json.dumps(record, indent=1, sort_keys=True) + "\n")
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)

    def spent(self) -> tuple[int, int]:
        """Answers kept and tokens paid for them, by all back ends together."""
        replies = [_read(path) for path in sorted(self.folder.glob("*/*.json"))]
        paid = [reply.tokens for reply in replies if reply.tokens]
        return len(paid), sum(paid)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.json"


def _read(path: Path) -> Reply:
    try:
        return Reply(**json.loads(path.read_text(encoding="utf-8"))["reply"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackendError(f"{path}: expected a kept answer, got a damaged file ({error}). Delete it.") from None
