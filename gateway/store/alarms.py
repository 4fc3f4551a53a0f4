"""Alarms: raised once, standing until cleared. The partial unique index lets only one of a kind stand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, select, update

from gateway.ids import new_id
from gateway.ports import Row
from gateway.store import tables
from gateway.store.statements import Transaction, clipped, insert_once

_C = tables.alarms.c
_NEWEST = select(tables.alarms).order_by(_C.raised_at.desc(), _C.id.desc())

_CLEAR = update(tables.alarms).where(
    _C.code == bindparam("of_code"), _C.subject == bindparam("of_subject"), _C.cleared_at.is_(None)
)


class SqlAlarmRows:
    """`ports.AlarmRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def raise_(self, code: str, severity: str, subject: str, detail: str, at: datetime) -> bool:
        """Raises an alarm unless the same code and subject is already raised; True when it was new."""
        alarm = {"id": new_id("alm"), "code": code, "severity": severity, "subject": subject, "detail": detail}
        (row,) = clipped(tables.alarms, [alarm | {"raised_at": at, "cleared_at": None, "cleared_by": None}])
        return await self._transaction.write(insert_once(tables.alarms, self._transaction.dialect), row) == 1

    async def clear(self, code: str, subject: str, by: str, at: datetime) -> bool:
        """Clears it; False when there was none."""
        (sought,) = clipped(tables.alarms, [{"code": code, "subject": subject}])
        values = {"of_code": sought["code"], "of_subject": sought["subject"], "cleared_at": at, "cleared_by": by}
        return await self._transaction.write(_CLEAR, *clipped(tables.alarms, [values])) > 0

    async def standing(self) -> Sequence[Row]:
        """Alarms not cleared, newest first."""
        return await self._transaction.read(_NEWEST.where(_C.cleared_at.is_(None)))

    async def search(self, limit: int) -> Sequence[Row]:
        """All alarms, newest first."""
        return await self._transaction.read(_NEWEST.limit(limit))
