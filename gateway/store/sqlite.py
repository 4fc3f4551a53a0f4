"""SQLite with one trip to its thread per statement.

aiosqlite runs SQLite in a thread of its own, and asks that thread separately to make a cursor, execute, fetch and
close. Each trip costs two thread switches, several times what SQLite needs for a small statement; at 50 events a second
the trips were most of what the gateway cost. Here a statement is one trip, and a transaction in which nothing was
changed ends without any.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import aiosqlite


class OneTripCursor:
    """What SQLAlchemy needs of a cursor: `execute` comes back with the rows."""

    arraysize = 1

    def __init__(self, connection: OneTripConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: Sequence[Any] | None = None
        self.lastrowid: int | None = None
        self.rowcount = -1

    async def __aenter__(self) -> OneTripCursor:
        return self

    async def execute(self, statement: str, values: Sequence[Any] = ()) -> OneTripCursor:
        """Runs a statement and fetches all its rows."""

        def trip(connection: sqlite3.Connection) -> None:
            self._keep(connection.execute(statement, values))

        await self._connection.trip(trip)
        return self

    async def executemany(self, statement: str, values: Iterable[Sequence[Any]]) -> OneTripCursor:
        """Runs a statement for each of several values."""

        def trip(connection: sqlite3.Connection) -> None:
            self._keep(connection.executemany(statement, values))

        await self._connection.trip(trip)
        return self

    def _keep(self, cursor: sqlite3.Cursor) -> None:
        self.description = cursor.description
        self._rows = cursor.fetchall() if cursor.description else []
        self.lastrowid, self.rowcount = cursor.lastrowid, cursor.rowcount
        cursor.close()

    async def fetchall(self) -> list[Any]:
        """The rows, which are here already."""
        return self._rows

    async def close(self) -> None:
        """Nothing is held open."""


class OneTripConnection(aiosqlite.Connection):
    """aiosqlite's connection with such cursors."""

    _begins = False

    def begin_with_next(self) -> None:
        """Lets the next trip begin a transaction that writes, waiting for writers of other processes."""
        self._begins = True

    async def trip(self, work: Callable[[sqlite3.Connection], None]) -> None:
        """Runs `work` with SQLite's own connection, in its thread."""

        def ride() -> None:
            if self._begins:
                self._conn.execute("BEGIN IMMEDIATE")
                self._begins = False
            work(self._conn)

        await self._execute(ride)  # type: ignore[no-untyped-call]

    def cursor(self) -> OneTripCursor:  # type: ignore[override]  # SQLAlchemy awaits nothing here either
        """A cursor; costs nothing."""
        return OneTripCursor(self)

    async def commit(self) -> None:
        """Makes changes last, if there are any."""
        self._begins = False
        if self.in_transaction:
            await super().commit()

    async def rollback(self) -> None:
        """Takes changes back, if there are any; the pool calls it whenever a connection comes back."""
        self._begins = False
        if self.in_transaction:
            await super().rollback()


def connect(database: str, **options: Any) -> OneTripConnection:
    """For SQLAlchemy's `async_creator_fn`."""
    connection = OneTripConnection(lambda: sqlite3.connect(database, **options), iter_chunk_size=64)
    connection._thread.daemon = True  # like SQLAlchemy does with a connection it makes itself
    return connection
