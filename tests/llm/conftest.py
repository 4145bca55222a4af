"""A language model server for each test, and the six cases of `drawn_volumes.py`."""

from __future__ import annotations

from collections.abc import Iterator

import loopback_server
import pytest
from drawn_volumes import volumes

__all__ = ["server", "volumes"]


@pytest.fixture
def server() -> Iterator[loopback_server.Server]:
    """A running server."""
    with loopback_server.serve() as running:
        yield running
