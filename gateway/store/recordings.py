"""Facts about recordings; the sound itself lies in files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.ports import Row
from gateway.store import tables
from gateway.store.statements import AnyInsert, Transaction, clipped, insert

_C = tables.recordings.c
_GET = select(tables.recordings).where(_C.id == bindparam("recording_id"))
_OF_CALL = select(tables.recordings).where(_C.call_id == bindparam("call_id")).order_by(_C.started_at, _C.id)
_CHANGE = update(tables.recordings).where(_C.id == bindparam("recording_id"))
_END = _CHANGE.where(_C.ended_at.is_(None))
_NEEDED = frozenset(column.name for column in _C if not column.nullable) - {"id", "note"}
_CAPTURING = select(tables.recordings).where(_C.state.not_in(("sealed", "missing"))).order_by(_C.started_at, _C.id)


@cache
def _put(dialect: str, changes: frozenset[str]) -> AnyInsert:
    """Inserts a recording, or changes these columns of the one that is there."""
    statement = insert(tables.recordings, dialect)
    if not changes:
        return statement.on_conflict_do_nothing()
    set_ = {name: statement.excluded[name] for name in sorted(changes)}
    return statement.on_conflict_do_update(index_elements=["id"], set_=set_)


class SqlRecordingRows:
    """`ports.RecordingRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def save(self, row: Mapping[str, Any]) -> None:
        """Inserts or updates the columns given, by `id`."""
        (values,) = clipped(tables.recordings, [dict(row)])
        changes = frozenset(values.keys() - {"id"})
        if not changes >= _NEEDED:  # it cannot be a new row; if it is, the database says so
            changed = {"recording_id": values["id"], **{name: values[name] for name in changes}}
            if changes and await self._transaction.write(_CHANGE, changed):
                return
        statement = _put(self._transaction.dialect, changes)
        await self._transaction.write(statement, {"note": ""} | values)

    async def end(self, recording_id: str, at: datetime) -> bool:
        """Says when it ended; False when that is known already, or there is no such recording."""
        return await self._transaction.write(_END, {"recording_id": recording_id, "ended_at": at}) == 1

    async def get(self, recording_id: str) -> Row | None:
        """One recording, or None."""
        return await self._transaction.first(_GET, {"recording_id": recording_id})

    async def of_call(self, call_id: str) -> Sequence[Row]:
        """Recordings of a call in order of start."""
        return await self._transaction.read(_OF_CALL, {"call_id": call_id})

    async def search(self, since: datetime | None, until: datetime | None, limit: int) -> Sequence[Row]:
        """Recordings, newest first."""
        query = select(tables.recordings).order_by(_C.started_at.desc(), _C.id.desc()).limit(limit)
        if since is not None:
            query = query.where(_C.started_at >= since)
        if until is not None:
            query = query.where(_C.started_at < until)
        return await self._transaction.read(query)

    async def capturing(self) -> Sequence[Row]:
        """Recordings neither sealed nor missing yet, oldest first."""
        return await self._transaction.read(_CAPTURING)
