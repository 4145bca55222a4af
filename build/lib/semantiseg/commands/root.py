"""Where the verbs work: the folder in which they are called."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(".")
