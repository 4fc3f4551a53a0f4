"""A store in memory for the stories of recordings: a transaction is a copy that takes the place of the original."""

from __future__ import annotations

import copy
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, cast

from gateway.errors import StoreError
from gateway.ports import Row, Store, UnitOfWork


class RecordingRows:
    """`ports.RecordingRows`."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    async def save(self, row: Mapping[str, Any]) -> None:
        self.rows[row["id"]] = {**self.rows.get(row["id"], {}), **row}

    async def get(self, recording_id: str) -> Row | None:
        return self.rows.get(recording_id)

    async def of_call(self, call_id: str) -> Sequence[Row]:
        return [row for row in self.rows.values() if row["call_id"] == call_id]

    async def capturing(self) -> Sequence[Row]:
        return [row for row in self.rows.values() if row["state"] == "capturing"]


class AlarmRows:
    """`ports.AlarmRows`: alarms standing, and everything that ever happened to them."""

    def __init__(self) -> None:
        self.alarms: dict[tuple[str, str], str] = {}
        self.history: list[tuple[str, str, str]] = []

    async def raise_(self, code: str, severity: str, subject: str, detail: str, at: datetime) -> bool:
        assert severity in {"critical", "warning", "notice"}
        assert detail
        assert at.tzinfo
        if (code, subject) in self.alarms:
            return False
        self.alarms[code, subject] = severity
        self.history.append(("raised", code, subject))
        return True

    async def clear(self, code: str, subject: str, by: str, at: datetime) -> bool:
        assert at.tzinfo
        if self.alarms.pop((code, subject), None) is None:
            return False
        self.history.append(("cleared", code, subject))
        return True


class CallRows:
    """`ports.CallRows`, as far as recordings look at it."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    async def get(self, call_id: str) -> Row | None:
        return self.rows.get(call_id)


class Tables:
    """All rows at one moment."""

    def __init__(self) -> None:
        self.recordings = RecordingRows()
        self.alarms = AlarmRows()
        self.calls = CallRows()


class MemoryStore:
    """`ports.Store`; `down` makes it refuse."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.down = False

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        return self._begin()

    @asynccontextmanager
    async def _begin(self) -> AsyncIterator[UnitOfWork]:
        if self.down:
            raise StoreError("the database does not answer")
        tables = copy.deepcopy(self.tables)
        yield cast(UnitOfWork, tables)
        self.tables = tables

    def port(self) -> Store:
        """Itself, as the port that it is a part of."""
        return cast(Store, self)


class Feed:
    """`ports.LiveFeed`: keeps what was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Mapping[str, Any]]] = []

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        self.told.append((kind, data))

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Mapping[str, Any]]]]:
        raise NotImplementedError("nobody watches here")
