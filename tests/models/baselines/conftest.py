"""Where the shared real data and golden outputs lie, and small networks of the official kinds."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The shared real data; tests that need them skip where they are absent."""
    if not SHARED.is_dir():
        pytest.skip(f"the shared real data are not at {SHARED}")
    return SHARED
