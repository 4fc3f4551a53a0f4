"""Fixtures that more than one room needs: the engine, and an empty database of each kind at the newest schema."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from gateway.asterisk import install
from gateway.ports import Store
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from tests.peers.postgres import PostgresPeer


@pytest.fixture(scope="session")
def engine() -> install.Engine:
    """The engine that `make setup` fetched."""
    return install.ensure(Path("~/.cache/dutyline").expanduser(), install.say)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresPeer]:
    """A running PostgreSQL; only for tests that leave it running."""
    server = PostgresPeer()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
async def sqlite_url(tmp_path: Path) -> str:
    """An SQLite database with our schema."""
    url = f"sqlite:///{tmp_path}/dutyline.db"
    await migrate(url)
    return url


@pytest.fixture
async def postgres_url(postgres_server: PostgresPeer) -> AsyncIterator[str]:
    """A PostgreSQL database with our schema."""
    name = f"test_{uuid4().hex}"
    await _administer(postgres_server, f"CREATE DATABASE {name}")
    url = postgres_server.url(name)
    await migrate(url)
    yield url
    await _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest) -> str:
    """Either database: every test that asks for `url` or `store` runs on both."""
    found = request.getfixturevalue(f"{request.param}_url")
    assert isinstance(found, str)
    return found


@pytest.fixture
async def store(url: str) -> AsyncIterator[Store]:
    """An open store on either database."""
    opened = await open_store(url)
    yield opened
    await opened.close()


@pytest.fixture
async def sqlite_store(sqlite_url: str) -> AsyncIterator[Store]:
    """An open store on SQLite alone."""
    opened = await open_store(sqlite_url)
    yield opened
    await opened.close()


async def _administer(server: PostgresPeer, statement: str) -> None:
    connection = await asyncpg.connect(server.url("postgres"))
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
