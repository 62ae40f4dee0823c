"""Fixtures of the server's tests: a store that is closed again; it knows nothing of what is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from misora.server.store.database import Store
from tests.server.shop import fresh_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = fresh_store(tmp_path)
    yield made
    made.close()
