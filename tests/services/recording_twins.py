"""The world of the stories of recordings: real files, a store in memory, the calls that are alive.

A transaction of the store is a copy that takes the place of the original when it is committed.
"""

from __future__ import annotations

import asyncio
import copy
import hashlib
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from gateway.audio import wav
from gateway.audio.files import PydubSoundFiles
from gateway.core.cel import CelEvent
from gateway.errors import StoreError
from gateway.ports import Row, Store, UnitOfWork
from gateway.services.recordings import Recordings

CALL = "node1-1795438801.6"
TALK = f"{CALL}-talk"
BEGUN = datetime.fromtimestamp(1795438803, UTC)  # 2026-11-23 13:00:03 UTC
CHANNEL = CALL
LEG_CHANNEL = "node1-1795438802.7"
DAY = "2026/11/23"
NOW = BEGUN + timedelta(minutes=10)
LONG_AGO = 1795438000


class RecordingRows:
    """`ports.RecordingRows`."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {}

    async def save(self, row: Mapping[str, Any]) -> None:
        self.rows[row["id"]] = {**self.rows.get(row["id"], {}), **row}

    async def end(self, recording_id: str, at: datetime) -> bool:
        row = self.rows.get(recording_id)
        if row is None or row.get("ended_at") is not None:
            return False
        row["ended_at"] = at
        return True

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
        self._news = asyncio.Event()

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        self.told.append((kind, data))
        self._news.set()

    async def until(self, kind: str) -> None:
        """Waits until news of a kind has been told."""
        while not any(told == kind for told, _ in self.told):
            self._news.clear()
            await self._news.wait()

    @property
    def alarms(self) -> list[tuple[str, str]]:
        """(code, subject) of the alarms told."""
        return [(data["code"], data["subject"]) for kind, data in self.told if kind == "alarm"]

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Mapping[str, Any]]]]:
        raise NotImplementedError("nobody watches here")


class World:
    """A recordings folder, a store, and the calls that are alive."""

    def __init__(self, root: Path) -> None:
        self.root = root / "recordings"
        (self.root / "live").mkdir(parents=True)
        self.store = MemoryStore()
        self.feed = Feed()
        self.alive: set[str] = set()
        self.pauses: list[float] = []
        self.sounds = PydubSoundFiles(root / "cache")
        self.recordings = self.started()

    def started(self) -> Recordings:
        """The gateway's part, newly started."""
        return Recordings(
            store=self.store.port(),
            sounds=self.sounds,
            feed=self.feed,
            folder=self.root,
            calls_alive=self.calls_alive,
            pause=self.pause,
        )

    async def calls_alive(self, call_ids: Collection[str]) -> set[str]:
        return self.alive.intersection(call_ids)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def happened(self, *events: CelEvent) -> None:
        async with self.store.begin() as uow:
            await self.recordings.on_events(uow, events)

    def captured(
        self, side: str, seconds: float = 10.0, *, cut: bool = False, end: str = "wav", name: str = TALK
    ) -> Path:
        rate_hz = 16000 if end == "wav16" else 8000
        samples = bytes([len(side), 1]) * round(seconds * rate_hz)
        path = self.root / "live" / f"{name}-{side}.{end}"
        path.write_bytes(wav.header(rate_hz, 1, 0 if cut else len(samples)) + samples)
        touch(path, LONG_AGO if cut else NOW.timestamp())
        return path

    def noted(self, name: str = TALK) -> Path:
        path = self.root / "live" / f"{name}.call"
        path.write_text(f"id={name}&kind=talk&line=02283000000&dialled=02283000000&caller=02223000001\n")
        return path

    def call(self, *, answered_s: float | None, ended_s: float) -> None:
        self.store.tables.calls.rows[CALL] = {
            "answered_at": None if answered_s is None else BEGUN + timedelta(seconds=answered_s),
            "ended_at": BEGUN + timedelta(seconds=ended_s),
        }

    def row(self, name: str = TALK) -> dict[str, Any]:
        return self.store.tables.recordings.rows[name]

    @property
    def alarms(self) -> set[tuple[str, str]]:
        return set(self.store.tables.alarms.alarms)

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


def event(type_: str, /, *, after_s: float = 0, channel: str = CHANNEL, user: str = "", **facts: object) -> CelEvent:
    at = BEGUN + timedelta(seconds=after_s)
    return CelEvent("node1", "cel.json", 0, at, type_, user, "PJSIP/x-00000001", channel, CALL, extra=facts)


def started(**facts: object) -> CelEvent:
    return event("USER_DEFINED", user="RECORDING", **{"id": TALK, "kind": "talk", "state": "started", **facts})


HANGUP = event("HANGUP", after_s=10)
OVER = event("LINKEDID_END", after_s=10.1)


def touch(path: Path, at: float = NOW.timestamp()) -> None:
    """As if last written at `at`; without it, just now."""
    os.utime(path, (at, at))


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
