"""A line in the journal becomes a row exactly once, whatever happens in between."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.call import CelEvent
from gateway.ports import Store, UnitOfWork
from gateway.services.projection import rebuild
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from tests.peers.postgres import PostgresPeer
from tests.services.journal_bench import (
    CALL_ID,
    REAL,
    REAL_EVENTS,
    Bench,
    KilledStore,
    RefusingStore,
    other_call,
    remember_reaction,
    units_of,
)

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


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


@settings(max_examples=15, deadline=None)
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
