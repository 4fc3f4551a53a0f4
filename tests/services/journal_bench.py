"""An ingester over a real journal folder and a real database, and what can happen to either."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from asyncinotify import Inotify

from gateway.asterisk.cel_journal import CelJournal
from gateway.core.call import Call, CelEvent
from gateway.errors import StoreRefusedError
from gateway.ports import CallFilter, Row, Store, UnitOfWork
from gateway.services.journal import Ingester

DATA = Path(__file__).parent.parent / "data"
REAL = (DATA / "cel_answered.jsonl").read_bytes()
CALL_ID = json.loads(REAL.splitlines()[0])["linkedid"]
REAL_EVENTS = len(REAL.splitlines())


def other_call(number: int) -> bytes:
    """The same story again, as another call, a minute later each."""
    second = CALL_ID.rpartition("-")[2].partition(".")[0]
    moved = REAL.replace(second.encode(), str(int(second) + number).encode())
    return moved.replace(b"T22:18:", f"T22:{18 + number:02d}:".encode())


class Feed:
    """The live feed, remembered."""

    def __init__(self) -> None:
        self.news: list[tuple[str, Mapping[str, Any]]] = []
        self.watchers = 1

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        self.news.append((kind, data))

    def watch(self) -> Any:
        raise NotImplementedError


async def no_reaction(_uow: UnitOfWork, _events: list[CelEvent]) -> None:
    """Nobody reacts."""


def units_of(call: Call) -> tuple[str | None, str | None]:
    return ("CITY" if call.line_number else None, "HP" if call.caller_number == "02223000001" else None)


class WatchedStore:
    """A store that says when a transaction has ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.changed = asyncio.Event()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        try:
            async with self._store.begin() as uow:
                yield uow
        finally:
            self.changed.set()

    async def ping(self) -> None:
        await self._store.ping()

    async def close(self) -> None:
        await self._store.close()


class ToldJournal(CelJournal):
    """A journal that says when everything in it was stored and it waits for more."""

    def __init__(self, folder: Path, node: str, *, gather_s: float) -> None:
        super().__init__(folder, node, gather_s=gather_s)
        self.idle = asyncio.Event()

    async def _changes(self, inotify: Inotify) -> set[str]:
        self.idle.set()
        return await super()._changes(inotify)


class Bench:
    """An ingester over a folder and a store, and what can be asked of them."""

    def __init__(
        self,
        folder: Path,
        store: Store,
        on_events: Callable[[UnitOfWork, list[CelEvent]], Awaitable[None]] = no_reaction,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.folder, self.store, self.feed = folder, WatchedStore(store), Feed()
        self.journal = ToldJournal(folder, "node1", gather_s=0)
        self.ingester = Ingester(
            self.store, self.journal, self.feed, units_of=units_of, on_events=on_events, pause=pause
        )

    def append(self, data: bytes, name: str = "cel.json") -> None:
        self.folder.mkdir(exist_ok=True)
        with (self.folder / name).open("ab") as file:
            file.write(data)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.ingester.run())
        try:
            async with asyncio.timeout(20):
                yield
        finally:
            task.cancel()
            (result,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(result, asyncio.CancelledError), result

    async def until(self, reached: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not reached():
                self.store.changed.clear()
                await self.store.changed.wait()

    async def store_everything(self, count: int) -> None:
        async with self.running():
            await self.until(lambda: self.ingester.stored >= count)

    async def run_until_idle_or_killed(self) -> None:
        run, idle = asyncio.create_task(self.ingester.run()), asyncio.create_task(self.journal.idle.wait())
        async with asyncio.timeout(20):
            await asyncio.wait([run, idle], return_when=asyncio.FIRST_COMPLETED)
        run.cancel()
        idle.cancel()
        for result in await asyncio.gather(run, idle, return_exceptions=True):
            assert result is True or isinstance(result, asyncio.CancelledError | KilledError), result

    async def rows(self) -> list[Row]:
        async with self.store.begin() as uow:
            return list((await uow.calls.search(CallFilter(limit=100))).rows)

    async def everything(self) -> dict[str, Any]:
        """All that the journal makes, without the numbers that the database gives."""
        async with self.store.begin() as uow:
            calls = list((await uow.calls.search(CallFilter(limit=100))).rows)
            events = [dict(row) for call in calls for row in await uow.calls.events(call["id"])]
            for event in events:
                del event["id"]
            legs = [row for call in calls for row in await uow.calls.legs(call["id"])]
            reactions = sorted(row["object_id"] for row in await uow.audits.search(None, 10_000))
            return {"calls": calls, "events": events, "legs": legs, "reactions": reactions}


async def remember_reaction(uow: UnitOfWork, events: list[CelEvent]) -> None:
    """A reaction that shows when it happened twice or never."""
    for event in events:
        key = f"{event.file}:{event.offset}"
        await uow.audits.add(
            at=event.at, actor="test", action="react", object_type="event", object_id=key, address="", detail={}
        )


class KilledStore:
    """A store whose user is killed at its n-th transaction: once before it commits, once after."""

    def __init__(self, store: Store, at: int) -> None:
        self._store = store
        self._left = at

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        self._left -= 1
        async with self._store.begin() as uow:
            yield uow
            if self._left == 0:
                raise KilledError
        if self._left == -1:
            raise KilledError

    async def ping(self) -> None:
        await self._store.ping()

    async def close(self) -> None:
        await self._store.close()


class KilledError(BaseException):
    """The process is no more."""


class RefusingStore(WatchedStore):
    """A database in which an ANSWER does not fit."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[UnitOfWork]:
        async with super().begin() as uow:
            add = uow.events.add

            async def refuse(events: Sequence[tuple[CelEvent, Mapping[str, Any]]]) -> int:
                if any(event.type == "ANSWER" for event, _ in events):
                    raise StoreRefusedError("too odd")
                return await add(events)

            uow.events.add = refuse  # type: ignore[method-assign]
            yield uow
