"""Who read, played or exported what. Rows are only ever appended; triggers see to that."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select

from gateway.ports import Row
from gateway.store import tables
from gateway.store.statements import Transaction, clipped, insert

_C = tables.access_audits.c


class SqlAuditRows:
    """`ports.AuditRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def add(
        self, *, at: datetime, actor: str, action: str, object_type: str, object_id: str, address: str, detail: Row
    ) -> None:
        """Appends one row."""
        row = {"at": at, "actor": actor, "action": action, "object_type": object_type, "object_id": object_id}
        (row,) = clipped(tables.access_audits, [row | {"address": address, "detail": dict(detail)}])
        await self._transaction.write(insert(tables.access_audits, self._transaction.dialect), row)

    async def search(self, since: datetime | None, limit: int) -> Sequence[Row]:
        """Rows, newest first."""
        query = select(tables.access_audits).order_by(_C.at.desc(), _C.id.desc()).limit(limit)
        if since is not None:
            query = query.where(_C.at >= since)
        return await self._transaction.read(query)
