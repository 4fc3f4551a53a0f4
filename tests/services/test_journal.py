"""A line in the journal becomes a row exactly once, whatever happens in between."""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from asyncinotify import Inotify
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.asterisk.cel_journal import CelJournal
from gateway.core.call import Call, CelEvent
from gateway.errors import StoreRefusedError
from gateway.ports import CallFilter, Row, Store, UnitOfWork
from gateway.services.journal import Ingester
from gateway.services.projection import rebuild
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from tests.peers.postgres import PostgresPeer

DATA = Path(__file__).parent.parent / "data"
REAL = (DATA / "cel_answered.jsonl").read_bytes()
CALL_ID = json.loads(REAL.splitlines()[0])["linkedid"]
REAL_EVENTS = len(REAL.splitlines())
AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


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


async def test_a_real_call_becomes_rows(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(REAL)
    await bench.store_everything(REAL_EVENTS)
    (call,) = await bench.rows()
    assert (call["id"], call["disposition"], call["answered_by"]) == (CALL_ID, "answered", "desk1")
    assert (call["unit"], call["caller_unit"], call["recording_state"]) == ("CITY", "HP", "started")
    assert call["ended_at"] > call["answered_at"] > call["started_at"]
    async with store.begin() as uow:
        assert [(leg["party"], leg["endpoint"]) for leg in await uow.calls.legs(CALL_ID)] == [
            ("caller", "carrier"),
            ("called", "desk1"),
        ]
    assert bench.feed.news[-1] == ("call", call)
    assert bench.ingester.lag_s == 0.0
    assert bench.ingester.fault is None


async def test_events_of_a_call_arriving_one_by_one_give_the_same_rows(tmp_path: Path, sqlite_store: Store) -> None:
    bench = Bench(tmp_path / "journal", sqlite_store)
    async with bench.running():
        for count, line in enumerate(REAL.splitlines(keepends=True), start=1):
            bench.append(line)
            await bench.until(lambda count=count: bench.ingester.stored == count)  # type: ignore[misc]
    (one_by_one,) = await bench.rows()
    dispositions = [row["disposition"] for kind, row in bench.feed.news if kind == "call"]
    assert list(dict.fromkeys(dispositions)) == ["ringing", "talking", "answered"]
    assert await rebuild(sqlite_store, units_of) == 1
    assert await bench.rows() == [one_by_one]


async def test_rebuilding_gives_what_living_gave(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    for number in range(5):
        bench.append(other_call(number))
    bench.append(other_call(5)[:-400].rpartition(b"\n")[0] + b"\n")  # one is still going on
    await bench.store_everything(5 * REAL_EVENTS + 1)
    alive = await bench.everything()
    async with store.begin() as uow:
        damaged = [row["id"] for row in alive["calls"]]
        await uow.calls.set_diversion(damaged[0], [{"number": "02283001234"}])
    assert await rebuild(store, lambda _call: ("OTHER", "OTHER")) == 6
    again = await bench.everything()
    assert again["calls"][0]["diversion"] == [{"number": "02283001234"}]  # not from events: kept
    again["calls"][0] = {**again["calls"][0], "diversion": []}
    assert again == alive  # and the units stay as they were at the call


async def remember_reaction(uow: UnitOfWork, events: list[CelEvent]) -> None:
    """A reaction that shows when it happened twice or never."""
    for event in events:
        key = f"{event.file}:{event.offset}"
        await uow.audits.add(
            at=event.at, actor="test", action="react", object_type="event", object_id=key, address="", detail={}
        )


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(0, len(REAL) * 2), max_size=5), kills=st.lists(st.integers(1, 12), max_size=5))
def test_killed_anywhere_everything_is_stored_exactly_once(cuts: list[int], kills: list[int]) -> None:
    """The journal grows in pieces cut anywhere; the ingester is killed before, in and after its transactions."""
    data = other_call(0) + other_call(1)
    pieces = [data[start:end] for start, end in zip([0, *sorted(cuts)], [*sorted(cuts), len(data)], strict=True)]
    folder = Path(tempfile.mkdtemp(prefix="dutyline-journal-"))

    async def story() -> None:
        url = f"sqlite:///{folder}/d.db"
        await migrate(url)
        store = await open_store(url)
        for number, piece in enumerate(pieces):
            bench = Bench(
                folder / "journal", KilledStore(store, (kills or [3])[number % max(1, len(kills))]), remember_reaction
            )
            bench.append(piece)
            await bench.run_until_idle_or_killed()
            if number == 1 and (folder / "journal" / "cel.json").stat().st_size > 2000:
                bench.journal.rotate(AT)
                bench.append(other_call(2))
        bench = Bench(folder / "journal", store, remember_reaction)
        bench.append(other_call(3), "gateway.json")
        await bench.run_until_idle_or_killed()
        found = await bench.everything()
        keys = [(event["file"], event["offset"]) for event in found["events"]]
        assert len(keys) == len(set(keys))
        assert {call["disposition"] for call in found["calls"]} == {"answered"}
        assert len(set(found["reactions"])) == len(found["reactions"])
        assert set(found["reactions"]) >= {f"{file}:{offset}" for file, offset in keys}
        await rebuild(store, units_of)
        assert await bench.everything() == found
        await store.close()

    try:
        asyncio.run(story())
    finally:
        shutil.rmtree(folder)


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


async def test_rotation_while_writing_loses_nothing(tmp_path: Path, sqlite_store: Store) -> None:
    bench = Bench(tmp_path / "journal", sqlite_store)
    async with bench.running():
        for number in range(30):
            bench.append(other_call(number))
            if number % 7 == 3:
                bench.journal.rotate(AT + timedelta(seconds=number))
            await asyncio.sleep(0)
        await bench.until(lambda: bench.ingester.stored >= 30 * REAL_EVENTS)
    assert bench.ingester.stored == 30 * REAL_EVENTS
    assert len(await bench.rows()) == 30
    assert {row["disposition"] for row in await bench.rows()} == {"answered"}


async def test_bad_lines_go_to_quarantine_with_an_alarm_and_stop_nothing(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    first, _, rest = REAL.partition(b"\n")
    bench.append(first + b"\nrubbish\n\xff\xfe\n" + b"x" * 70_000 + b"\n" + rest)
    await bench.store_everything(REAL_EVENTS)
    assert bench.ingester.quarantined == 3
    async with store.begin() as uow:
        assert await uow.events.quarantined() == 3
        (alarm,) = await uow.alarms.standing()
    assert (alarm["code"], alarm["severity"]) == ("journal_quarantine", "warning")
    assert [data["code"] for kind, data in bench.feed.news if kind == "alarm"] == ["journal_quarantine"]
    (call,) = await bench.rows()
    assert call["disposition"] == "answered"


async def test_the_database_comes_back_and_nothing_is_lost(tmp_path: Path) -> None:
    server = PostgresPeer()
    server.start()
    pauses: list[float] = []
    down = asyncio.Event()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        down.set()
        await asyncio.sleep(0.01)

    try:
        await migrate(server.url("postgres"))
        store = await open_store(server.url("postgres"))
        bench = Bench(tmp_path / "journal", store, pause=pause)
        async with bench.running():
            bench.append(other_call(0))
            await bench.until(lambda: bench.ingester.stored == REAL_EVENTS)
            server.stop()
            bench.append(other_call(1))
            await down.wait()
            assert bench.ingester.fault
            assert bench.ingester.lag_s > 0
            bench.append(other_call(2))
            server.start()
            await bench.until(lambda: bench.ingester.stored == 3 * REAL_EVENTS)
            assert bench.ingester.fault is None
        assert pauses[0] == 0.1
        assert pauses == sorted(pauses)
        assert max(pauses) <= 5.0
        assert len(await bench.rows()) == 3
        await store.close()
    finally:
        server.stop()
        server.remove()


async def test_a_reaction_happens_in_the_transaction_of_its_events(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store, remember_reaction)
    bench.append(REAL)
    await bench.store_everything(REAL_EVENTS)
    assert len((await bench.everything())["reactions"]) == REAL_EVENTS


async def test_a_reaction_that_fails_costs_only_itself(tmp_path: Path, store: Store) -> None:
    async def react(uow: UnitOfWork, events: list[CelEvent]) -> None:
        await remember_reaction(uow, events)
        if any(event.type == "ANSWER" for event in events):
            raise ZeroDivisionError("told to")

    bench = Bench(tmp_path / "journal", store, react)
    bench.append(REAL)
    await bench.store_everything(REAL_EVENTS)
    found = await bench.everything()
    answers = REAL.count(b'"eventtype":"ANSWER"')
    assert len(found["reactions"]) == REAL_EVENTS - answers
    assert found["calls"][0]["disposition"] == "answered"
    async with store.begin() as uow:
        alarms = await uow.alarms.standing()
    assert {alarm["code"] for alarm in alarms} == {"journal_reaction"}
    assert "told to" in alarms[0]["detail"]


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


async def test_a_line_that_the_database_refuses_goes_to_quarantine(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", RefusingStore(store), remember_reaction)
    bench.append(REAL)
    answers = REAL.count(b'"eventtype":"ANSWER"')
    await bench.store_everything(REAL_EVENTS - answers)
    assert bench.ingester.quarantined == answers
    assert len((await bench.everything())["reactions"]) == REAL_EVENTS - answers
    async with store.begin() as uow:
        (alarm,) = await uow.alarms.standing()
        assert await uow.events.quarantined() == answers
    assert "too odd" in alarm["detail"]


async def test_two_ingesters_of_one_journal_store_each_line_once(tmp_path: Path, store: Store) -> None:
    first, second = (Bench(tmp_path / "journal", store, remember_reaction) for _ in range(2))
    async with first.running(), second.running():
        for number in range(6):
            first.append(other_call(number))
            await asyncio.sleep(0)
        await first.until(lambda: first.ingester.stored + second.ingester.stored >= 6 * REAL_EVENTS)
    assert first.ingester.stored + second.ingester.stored == 6 * REAL_EVENTS
    found = await first.everything()
    assert len(found["calls"]) == 6
    assert {call["disposition"] for call in found["calls"]} == {"answered"}
    assert len(set(found["reactions"])) == len(found["reactions"]) == 6 * REAL_EVENTS


async def test_a_file_cut_short_gives_its_new_lines_and_no_line_twice(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(other_call(0) + other_call(1))
    await bench.store_everything(2 * REAL_EVENTS)
    live = tmp_path / "journal" / "cel.json"
    live.write_bytes(live.read_bytes()[: len(other_call(0)) + 30])
    again = Bench(tmp_path / "journal", store)
    again.append(b"\n" + other_call(2))
    await again.store_everything(REAL_EVENTS)
    found = await again.everything()
    assert again.ingester.stored == REAL_EVENTS
    assert {call["disposition"] for call in found["calls"]} == {"answered"}
    assert len(found["calls"]) == 3
    async with store.begin() as uow:
        assert {alarm["code"] for alarm in await uow.alarms.standing()} == {"journal_cut", "journal_quarantine"}
