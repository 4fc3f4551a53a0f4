"""CEL events, the places up to which journals are stored, and lines that could not be understood.

The triggers in `append_only.py` keep anybody from changing an event later, us included.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import Executable, bindparam, func, select

from gateway.core.cel import CelEvent, cel_event
from gateway.store import tables
from gateway.store.statements import AnyInsert, Transaction, insert, insert_once

_CHECKPOINT = select(tables.journal_checkpoints.c.offset).where(
    tables.journal_checkpoints.c.node == bindparam("node"), tables.journal_checkpoints.c.file == bindparam("file")
)
_OF_CALLS = (
    select(tables.events.c.node, tables.events.c.file, tables.events.c.offset, tables.events.c.raw)
    .where(tables.events.c.linkedid.in_(bindparam("linkedids", expanding=True)))
    .order_by(tables.events.c.at, tables.events.c.file, tables.events.c.offset)
)
_CALL_IDS = (
    select(tables.events.c.linkedid)
    .where(tables.events.c.linkedid > bindparam("after"))
    .group_by(tables.events.c.linkedid)
    .order_by(tables.events.c.linkedid)
    .limit(bindparam("limit"))
)
_QUARANTINED = select(func.count().label("count")).select_from(tables.quarantined_lines)


@cache
def _add(dialect: str) -> Executable:
    statement = insert_once(tables.events, dialect)
    # asyncpg does not count what many rows at once changed; they are counted by what comes back.
    return statement.returning(tables.events.c.id) if dialect == "postgresql" else statement


@cache
def _advance(dialect: str) -> AnyInsert:
    """Moves a checkpoint only from where the caller believes it to be."""
    statement = insert(tables.journal_checkpoints, dialect)
    return statement.on_conflict_do_update(
        index_elements=["node", "file"],
        set_={"offset": statement.excluded.offset, "updated_at": statement.excluded.updated_at},
        where=tables.journal_checkpoints.c.offset == bindparam("since"),
    )


class SqlEventRows:
    """`ports.EventRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def checkpoint(self, node: str, file: str) -> int:
        """The offset up to which `file` is stored; 0 when unknown."""
        row = await self._transaction.first(_CHECKPOINT, {"node": node, "file": file})
        return int(row["offset"]) if row else 0

    async def add(self, events: Sequence[tuple[CelEvent, Mapping[str, Any]]]) -> int:
        """Stores events with their raw lines, each once; gives how many were new."""
        if not events:
            return 0
        rows = [_row(event, raw) for event, raw in events]
        return await self._transaction.write(_add(self._transaction.dialect), rows)

    async def quarantine(self, node: str, file: str, offset: int, raw: bytes, reason: str, at: datetime) -> None:
        """Keeps a line that cannot be understood."""
        values = {"node": node, "file": file, "offset": offset, "raw": raw, "reason": reason, "at": at}
        await self._transaction.write(insert_once(tables.quarantined_lines, self._transaction.dialect), values)

    async def quarantined(self) -> int:
        """How many lines are in quarantine."""
        row = await self._transaction.first(_QUARANTINED)
        return int(row["count"]) if row else 0

    async def advance(self, node: str, file: str, offset: int, at: datetime) -> None:
        """Moves the checkpoint, in the same transaction as the events before it."""
        since = await self.checkpoint(node, file)
        await self.advance_from(node, file, since, offset, at)

    async def advance_from(self, node: str, file: str, since: int, offset: int, at: datetime) -> bool:
        """Moves the checkpoint if it stands at `since`; False (nothing moved) when somebody else moved it."""
        values = {"node": node, "file": file, "offset": offset, "updated_at": at, "since": since}
        return await self._transaction.write(_advance(self._transaction.dialect), values) == 1

    async def of_calls(self, linkedids: Sequence[str]) -> dict[str, list[CelEvent]]:
        """All events of the given calls, in order of time, then offset."""
        found: dict[str, list[CelEvent]] = {linkedid: [] for linkedid in linkedids}
        if not found:
            return found
        for row in await self._transaction.read(_OF_CALLS, {"linkedids": list(found)}):
            event = cel_event(row["raw"], node=row["node"], file=row["file"], offset=row["offset"])
            found[event.linkedid].append(event)
        return found

    async def call_ids(self, after: str, limit: int) -> Sequence[str]:
        """Linkedids that have events, in order of text, beginning behind `after`."""
        rows = await self._transaction.read(_CALL_IDS, {"after": after, "limit": limit})
        return [row["linkedid"] for row in rows]


def _row(event: CelEvent, raw: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "node": event.node,
        "file": event.file,
        "offset": event.offset,
        "at": event.at,
        "type": event.type,
        "user_type": event.user_type,
        "channel": event.channel,
        "uniqueid": event.uniqueid,
        "linkedid": event.linkedid,
        "raw": raw,
    }
