"""Fixtures of the server's tests: a store, a server for each file, and the SDK that speaks to it; they know nothing of what is asserted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from misora.server.store.database import Store
from tests.server.shop import Shop, fresh_store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """An empty store."""
    made = fresh_store(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    """One server for all tests of a file, with the file's ``PLANS`` if it has some."""
    with Shop(tmp_path_factory.mktemp("shop"), plans=getattr(request.module, "PLANS", None)) as made:
        yield made


@pytest.fixture(scope="module")
def client(shop: Shop) -> Iterator[openai.OpenAI]:
    """The SDK, strict about every answer."""
    with openai.OpenAI(base_url=f"{shop.url}/v1", api_key=shop.key.secret, max_retries=0, _strict_response_validation=True) as made:
        yield made
