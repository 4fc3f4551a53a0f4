"""The contract runs on both databases: every test that asks for `url` or `store` is run twice."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from gateway.ports import Store
from gateway.store.engine import open_store


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    found = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(found, str)
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    opened = await open_store(url)
    yield opened
    await opened.close()
