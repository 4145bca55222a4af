"""A language model server for each test."""

from __future__ import annotations

from collections.abc import Iterator

import loopback_server
import pytest


@pytest.fixture
def server() -> Iterator[loopback_server.Server]:
    """A running server."""
    with loopback_server.serve() as running:
        yield running
