"""Attempts to forward a duty line: one row per attempt, evidence from every side gathered in it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, select, update

from gateway.core.forwarding import BLOCKED, ForwardAttempt
from gateway.ports import Row
from gateway.store import tables
from gateway.store.statements import Transaction, clipped, insert_once

_C = tables.forward_attempts.c
_LOCKED = select(tables.forward_attempts).where(_C.key == bindparam("attempt_key")).with_for_update()
_OF_CALL = select(tables.forward_attempts).where(_C.call_id == bindparam("call_id")).order_by(_C.at, _C.key)


class SqlForwardAttemptRows:
    """`ports.ForwardAttemptRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(self, attempt: ForwardAttempt) -> bool:
        """Stores an attempt once by key, or adds its evidence to the stored one; True when it was new."""
        (row,) = clipped(tables.forward_attempts, [_row(attempt)])
        if await self._transaction.write(insert_once(tables.forward_attempts, self._transaction.dialect), row):
            return True
        stored = await self._transaction.first(_LOCKED, {"attempt_key": row["key"]})
        if stored is not None:
            changes = _news(stored, row)
            if changes:
                query = update(tables.forward_attempts).where(_C.key == row["key"]).values(changes)
                await self._transaction.write(query)
        return False

    async def search(self, since: datetime | None, until: datetime | None, limit: int) -> Sequence[Row]:
        """Attempts, newest first."""
        query = select(tables.forward_attempts).order_by(_C.at.desc(), _C.key.desc()).limit(limit)
        if since is not None:
            query = query.where(_C.at >= since)
        if until is not None:
            query = query.where(_C.at < until)
        return await self._transaction.read(query)

    async def of_call(self, call_id: str) -> Sequence[Row]:
        """Attempts during a call in order of time."""
        return await self._transaction.read(_OF_CALL, {"call_id": call_id})


def _news(stored: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """What a second sight of the same attempt adds: evidence, and facts that were unknown."""
    changes: dict[str, Any] = {
        name: seen[name]
        for name in ("line_number", "phone", "call_id")
        if stored[name] is None and seen[name] is not None
    }
    if seen["target"] != stored["target"] and seen["target"].startswith(stored["target"]):
        changes["target"] = seen["target"]  # a code of which more digits are known now
    if seen["outcome"] != BLOCKED:
        changes["outcome"] = seen["outcome"]  # a second sight that knows no better takes nothing back
    evidence = [item for item in seen["evidence"] if item not in stored["evidence"]]
    if evidence:
        changes["evidence"] = stored["evidence"] + evidence
    return changes


def _row(attempt: ForwardAttempt) -> dict[str, Any]:
    return {
        "key": attempt.key,
        "at": attempt.at,
        "method": attempt.method,
        "line_number": attempt.line_number,
        "phone": attempt.phone,
        "target": attempt.target,
        "call_id": attempt.call_id,
        "outcome": attempt.outcome,
        "evidence": [dict(item) for item in attempt.evidence],
    }
