"""What all queries share: the transaction they run in, the insert both databases understand, and clipping.

A statement is built once per database and kept: building it costs more than running it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Protocol

from sqlalchemy import Executable, String, Table, func
from sqlalchemy.dialects import postgresql, sqlite

AnyInsert = postgresql.Insert | sqlite.Insert


class Transaction(Protocol):
    """Where the queries of all nouns run; see `engine.SqlTransaction`."""

    dialect: str

    async def read(self, statement: Executable, values: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """All rows of a SELECT."""

    async def first(self, statement: Executable, values: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
        """The first row of a SELECT, or None."""

    async def write(
        self, statement: Executable, values: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> int:
        """Runs a change; gives how many rows it touched."""

    async def begin_writing(self) -> None:
        """Becomes a writer: on SQLite the only one, until the end."""


def insert(table: Table, dialect: str) -> AnyInsert:
    """An INSERT that can say ON CONFLICT."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def upsert(
    table: Table, dialect: str, keep: frozenset[str] = frozenset(), fill: frozenset[str] = frozenset()
) -> AnyInsert:
    """Inserts a row or changes the one with its primary key.

    Columns in `keep` stay as they are in a row that exists; those in `fill` are only set where they were NULL.
    """
    statement = insert(table, dialect)
    keys = [column.name for column in table.primary_key]
    changes: dict[str, Any] = {
        column.name: func.coalesce(column, statement.excluded[column.name])
        if column.name in fill
        else statement.excluded[column.name]
        for column in table.columns
        if column.name not in keys and column.name not in keep
    }
    return statement.on_conflict_do_update(index_elements=keys, set_=changes)


@cache
def insert_once(table: Table, dialect: str) -> AnyInsert:
    """Inserts a row unless something of its kind is there."""
    return insert(table, dialect).on_conflict_do_nothing()


@cache
def _limits(table: Table) -> tuple[tuple[str, int], ...]:
    return tuple(
        (column.name, column.type.length)
        for column in table.columns
        if isinstance(column.type, String) and column.type.length is not None
    )


def clipped(table: Table, rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with over-long text cut: a peer chooses how long its number is, and must not stop the journal by it."""
    fitting = []
    for row in rows:
        for name, limit in _limits(table):
            value = row.get(name)
            if isinstance(value, str) and len(value) > limit:
                row[name] = value[:limit]
        fitting.append(row)
    return fitting
