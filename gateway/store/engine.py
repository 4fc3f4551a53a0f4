"""The database itself: SQLite for one box, PostgreSQL for a city, behind the same transactions.

A transaction reads what is committed, statement by statement, and becomes a writer with its first change. That is what
PostgreSQL calls READ COMMITTED. On SQLite it is made of two parts: reads run outside a transaction (WAL: they never
wait), and the first change takes the process's one writer lock, then `BEGIN IMMEDIATE`, which waits for writers of
other processes. So nobody in this process ever sees "database is locked", and a snapshot never grows too old to write.

    begin ── read ── read ──┬── write ── read ── write ── commit
                            └ lock, BEGIN IMMEDIATE
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Executable, event, exc, make_url, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from gateway.errors import ConfigError, StoreError, StoreRefusedError
from gateway.store import sqlite
from gateway.store.unit_of_work import SqlUnitOfWork

BUSY_TIMEOUT_MS = 15_000  # how long a writer of another process (an import, a back-up) may hold SQLite
CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 60.0
PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    "PRAGMA cache_size=-512",  # KiB for each connection: the kernel keeps the pages too, once for all of them
    "PRAGMA recursive_triggers=ON",  # else INSERT OR REPLACE would pass by the triggers that keep evidence
    f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}",
)

_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PROOF = text("UPDATE alembic_version SET version_num = version_num")


def driver_url(url: str) -> URL:
    """`sqlite:///path` or `postgresql://…` with the driver that we use; ConfigError for anything else."""
    try:
        parsed = make_url(url)
    except exc.ArgumentError as error:
        raise ConfigError(
            f"database.url '{url}' is not a URL; write sqlite:///path or postgresql://user@host/name"
        ) from error
    match parsed.get_backend_name():
        case "sqlite" if parsed.database not in (None, "", ":memory:"):
            return parsed.set(drivername="sqlite+aiosqlite")
        case "postgresql" | "postgres":
            query = dict(parsed.query)
            if "sslmode" in query:  # libpq's word; asyncpg's is ssl
                query["ssl"] = query.pop("sslmode")
            return parsed.set(drivername="postgresql+asyncpg", query=query)
    raise ConfigError(f"database.url '{url}' is neither sqlite:///path nor postgresql://user@host/name")


def make_engine(url: str) -> AsyncEngine:
    """An engine with our settings; nothing is connected yet."""
    address = driver_url(url)
    if address.get_backend_name() == "sqlite":
        Path(str(address.database)).expanduser().parent.mkdir(parents=True, exist_ok=True)
        ours = {"isolation_level": None, "async_creator_fn": sqlite.connect}
        # The connection used last is used next: each of them keeps pages of its own in memory.
        engine = create_async_engine(
            address, connect_args=ours, json_serializer=_ENCODER.encode, pool_size=3, pool_use_lifo=True
        )
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        return engine
    return create_async_engine(
        address,
        pool_pre_ping=True,
        json_serializer=_ENCODER.encode,
        connect_args={"timeout": CONNECT_TIMEOUT_S, "command_timeout": ANSWER_TIMEOUT_S},
    )


async def open_store(url: str) -> SqlStore:
    """The database at `url`. It may be down: every transaction says so by itself, and works once it is back."""
    return SqlStore(make_engine(url))


class SqlStore:
    """`ports.Store` on SQLAlchemy."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._writer = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[SqlUnitOfWork]:
        """A transaction: leaving it commits, an exception rolls back."""
        transaction = SqlTransaction(self._engine.dialect.name, self._writer)
        try:
            with blame():
                transaction.connection = await self._engine.connect()
            yield SqlUnitOfWork(transaction)
            await transaction.commit()
        finally:
            await transaction.end()

    async def ping(self) -> None:
        """Changes a row and takes it back: proves that the database answers, is migrated and can be written."""
        transaction = SqlTransaction(self._engine.dialect.name, self._writer)
        try:
            with blame():
                transaction.connection = await self._engine.connect()
            await transaction.write(_PROOF)
        finally:
            await transaction.end()

    async def close(self) -> None:
        """Gives all connections back."""
        await self._engine.dispose()


class SqlTransaction:
    """One connection, from its first statement to commit or roll-back; the queries of all nouns run in it."""

    def __init__(self, dialect: str, writer: asyncio.Lock) -> None:
        self.dialect = dialect
        self.connection: AsyncConnection | None = None
        self._writer = writer
        self._writing = False
        self._changed = False

    async def read(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All rows of a SELECT."""
        with blame():
            result = await self._connected.execute(statement, values)
            return [dict(row) for row in result.mappings()]

    async def first(self, statement: Executable, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The first row of a SELECT, or None."""
        rows = await self.read(statement, values)
        return rows[0] if rows else None

    async def write(
        self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> int:
        """Runs a change, once for each of several `values`; gives how many rows it touched."""
        await self.begin_writing()
        self._changed = True
        with blame():
            result = await self._connected.execute(statement, values)
            return len(result.all()) if result.returns_rows else int(result.rowcount)

    async def begin_writing(self) -> None:
        """Becomes a writer: on SQLite the only one, until the end."""
        if self._writing or self.dialect != "sqlite":
            return
        await self._writer.acquire()
        self._writing = True
        with blame():
            raw = await self._connected.get_raw_connection()
        driver = raw.driver_connection
        if not isinstance(driver, sqlite.OneTripConnection):
            raise StoreError("The SQLite connection is not one of ours.")
        driver.begin_with_next()

    async def commit(self) -> None:
        """Makes all changes last; what only read has nothing to."""
        if not self._changed:
            return
        with blame():
            await self._connected.commit()

    async def end(self) -> None:
        """Takes back what was not committed, gives the connection back, then lets the next writer go on."""
        try:
            if self.connection is not None:
                with blame():
                    await self.connection.close()
        finally:
            if self._writing:
                self._writing = False
                self._writer.release()

    @property
    def _connected(self) -> AsyncConnection:
        if self.connection is None:
            raise StoreError("The transaction has no connection.")
        return self.connection


@contextmanager
def blame() -> Iterator[None]:
    """Turns what the database, its driver or the network said into a StoreError with a sentence."""
    try:
        yield
    except (exc.IntegrityError, exc.DataError) as error:
        raise StoreRefusedError(f"The database refused the data: {_first_line(error.orig)}") from error
    except exc.DBAPIError as error:  # anything else may pass: a restart, a full disk, a missing migration
        raise StoreError(f"The database does not do its work: {_first_line(error.orig)}") from error
    except exc.StatementError as error:
        raise StoreRefusedError(f"The data cannot be sent to the database: {_first_line(error.orig)}") from error
    except exc.SQLAlchemyError as error:
        raise StoreError(f"The database cannot be used: {_first_line(error)}") from error
    except OSError as error:  # asyncpg lets the network's own errors through; a time-out is one of them
        raise StoreError(f"The database cannot be reached: {str(error) or type(error).__name__}") from error


def _first_line(error: object) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in PRAGMAS:
        cursor.execute(pragma)
    cursor.close()
