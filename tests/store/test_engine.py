"""Transactions: committed or not at all, never locked out, errors by blame."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.errors import ConfigError, StoreError, StoreRefusedError
from gateway.free_ports import free_port
from gateway.ports import Store
from gateway.store.engine import driver_url, open_store
from tests.peers.postgres import PostgresPeer

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


async def test_a_transaction_commits_as_a_whole(store: Store) -> None:
    async with store.begin() as uow:
        await uow.people.save_user("clerk1", "hash", "clerk", AT)
        assert await uow.people.user("clerk1") is not None
    async with store.begin() as uow:
        assert await uow.people.any_user()


async def test_an_exception_rolls_everything_back(store: Store) -> None:
    async def fail() -> None:
        async with store.begin() as uow:
            await uow.people.save_user("clerk1", "hash", "clerk", AT)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with store.begin() as uow:
        assert not await uow.people.any_user()


async def test_cancelling_rolls_back_and_lets_the_next_writer_in(store: Store) -> None:
    inside = asyncio.Event()

    async def write_and_wait() -> None:
        async with store.begin() as uow:
            await uow.people.save_user("clerk1", "hash", "clerk", AT)
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(write_and_wait())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with store.begin() as uow:
        assert not await uow.people.any_user()
        await uow.people.save_user("clerk2", "hash", "clerk", AT)


async def test_many_writers_at_once_all_succeed(store: Store) -> None:
    async def write(number: int) -> None:
        async with store.begin() as uow:
            assert await uow.people.user(f"clerk{number}") is None  # a read first: a snapshot must not grow stale
            await uow.people.save_user(f"clerk{number}", "hash", "clerk", AT)

    await asyncio.gather(*(write(number) for number in range(40)))
    async with store.begin() as uow:
        assert len(await uow.people.users()) == 40


async def test_readers_do_not_wait_for_a_writer(store: Store) -> None:
    async with store.begin() as writing:
        await writing.people.save_user("clerk1", "hash", "clerk", AT)
        async with store.begin() as reading:
            assert await reading.people.user("clerk1") is None


async def test_what_does_not_fit_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefusedError, match="refused"):
        async with store.begin() as uow:
            await uow.people.open_session("0" * 64, "nobody", AT, AT)


async def test_a_naive_time_is_refused(store: Store) -> None:
    with pytest.raises(StoreRefusedError, match="naive"):
        async with store.begin() as uow:
            await uow.people.save_user("clerk1", "hash", "clerk", datetime(2026, 11, 23))  # noqa: DTZ001


async def test_ping_changes_nothing_and_works_again_and_again(store: Store) -> None:
    await store.ping()
    await store.ping()


async def test_times_keep_their_microseconds_and_zone(store: Store) -> None:
    at = datetime(2026, 11, 23, 5, 0, 0, 123456, tzinfo=UTC)
    async with store.begin() as uow:
        await uow.people.save_user("clerk1", "hash", "clerk", at)
        user = await uow.people.user("clerk1")
    assert user is not None
    assert user["created_at"] == at
    assert user["created_at"].utcoffset() == at.utcoffset()


async def test_another_process_may_write_to_sqlite(sqlite_url: str) -> None:
    """A writer from outside holds the database; ours waits for it instead of failing."""
    store = await open_store(sqlite_url)
    outside = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    outside.execute("INSERT INTO radios VALUES ('net1', 'sip:net1@127.0.0.6')")

    async def write() -> None:
        async with store.begin() as uow:
            await uow.people.save_user("clerk1", "hash", "clerk", AT)

    ours = asyncio.create_task(write())
    done, _ = await asyncio.wait([ours], timeout=0.2)
    assert not done
    outside.execute("COMMIT")
    outside.close()
    await ours
    await store.close()


async def test_sqlite_is_set_up_for_evidence(sqlite_url: str) -> None:
    store = await open_store(sqlite_url)
    async with store.begin() as uow:
        transaction = uow.people._transaction  # type: ignore[attr-defined]
        for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1)):
            result = await transaction.connection.exec_driver_sql(f"PRAGMA {pragma}")
            assert result.scalar() == value
    await store.close()


async def test_a_database_that_is_not_migrated_says_so_in_a_sentence(tmp_path: Path) -> None:
    store = await open_store(f"sqlite:///{tmp_path}/new/empty.db")
    with pytest.raises(StoreError, match="alembic_version"):
        await store.ping()
    await store.close()


async def test_a_server_that_is_not_there_is_a_store_error() -> None:
    store = await open_store(f"postgresql://postgres@127.0.0.1:{free_port('127.0.0.1', socket.SOCK_STREAM)}/duty")
    with pytest.raises(StoreError, match="cannot be reached"):
        async with store.begin():
            raise AssertionError
    await store.close()


async def test_a_server_that_comes_back_is_used_again() -> None:
    server = PostgresPeer()
    server.start()
    try:
        store = await open_store(server.url("postgres"))
        async with store.begin() as uow:
            with pytest.raises(StoreError, match="users"):
                await uow.people.any_user()  # answered: the table is missing
        server.stop()
        with pytest.raises(StoreError) as caught:
            async with store.begin() as uow:
                await uow.people.any_user()
        assert not isinstance(caught.value, StoreRefusedError)
        server.start()
        async with store.begin() as uow:
            with pytest.raises(StoreError, match="users"):
                await uow.people.any_user()
        await store.close()
    finally:
        server.stop()
        server.remove()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("sqlite:///var/dutyline.db", "sqlite+aiosqlite:///var/dutyline.db"),
        ("sqlite:////var/lib/dutyline.db", "sqlite+aiosqlite:////var/lib/dutyline.db"),
        ("postgresql://duty@db/duty", "postgresql+asyncpg://duty@db/duty"),
        ("postgresql://duty@db/duty?sslmode=require", "postgresql+asyncpg://duty@db/duty?ssl=require"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    assert str(driver_url(url)) == expected


@pytest.mark.parametrize("url", ["mysql://db/duty", "sqlite://", "sqlite:///:memory:", "duty"])
def test_other_urls_are_configuration_errors(url: str) -> None:
    with pytest.raises(ConfigError, match=r"database\.url"):
        driver_url(url)
