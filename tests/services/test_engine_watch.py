"""The watch over Asterisk, with a clock that is turned: one restart for each silence, told even without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from gateway.errors import EngineError
from gateway.services import engine_watch
from gateway.services.engine_watch import PATIENCE_S, EngineWatch
from tests.services.recording_twins import Feed, MemoryStore

STEP_S = 2.0


class World:
    """An Asterisk of which each part can be silent, and the watch over it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        monkeypatch.setattr(engine_watch, "monotonic_s", lambda: self.now_s)
        self.silent: set[str] = set()
        self.starts = 1
        self.restarts: list[float] = []
        self.store = MemoryStore()
        self.feed = Feed()
        self.watch = EngineWatch(
            asks={"engine": lambda: self.ask("engine"), "ari": lambda: self.ask("ari")},
            starts=lambda: self.starts,
            restart=lambda: self.restarts.append(self.now_s),
            guard=lambda: self.ask("keeper"),
            store=self.store.port(),
            live=self.feed,
            _good_s=self.now_s,
        )

    async def ask(self, part: str) -> None:
        if part in self.silent:
            raise EngineError(f"{part} is silent")

    async def pass_s(self, seconds: float) -> None:
        """The clock goes on in steps, with a look at the end of each."""
        for _ in range(round(seconds / STEP_S)):
            self.now_s += STEP_S
            await self.watch.look()

    @property
    def alarms(self) -> dict[tuple[str, str], str]:
        return self.store.tables.alarms.alarms


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


async def test_while_all_is_well_nothing_happens(world: World) -> None:
    await world.pass_s(10 * PATIENCE_S)
    assert (world.restarts, world.alarms, world.feed.told, world.watch.faults) == ([], {}, [], {})


@pytest.mark.parametrize("silent", [{"engine"}, {"ari"}, {"engine", "ari"}])
async def test_silence_restarts_once_when_patience_ends(world: World, silent: set[str]) -> None:
    await world.watch.look()
    world.silent = silent
    await world.pass_s(PATIENCE_S - STEP_S)
    assert world.restarts == []
    assert set(world.watch.faults) == silent
    await world.pass_s(STEP_S)
    assert world.restarts == [1000.0 + PATIENCE_S]
    assert world.alarms == {("engine_silent", "asterisk"): "critical"}
    world.silent = set()
    world.starts = 2
    await world.pass_s(10 * PATIENCE_S)
    assert world.restarts == [1000.0 + PATIENCE_S], "exactly once"
    assert world.watch.faults == {}


async def test_the_new_one_gets_its_time_too(world: World) -> None:
    world.silent = {"engine"}
    await world.pass_s(2 * PATIENCE_S - STEP_S)
    assert len(world.restarts) == 1
    await world.pass_s(STEP_S)
    assert len(world.restarts) == 2


async def test_one_answer_in_between_is_enough(world: World) -> None:
    for _ in range(5):
        world.silent = {"engine"}
        await world.pass_s(PATIENCE_S - STEP_S)
        world.silent = set()
        await world.pass_s(STEP_S)
    assert world.restarts == []


async def test_an_alarm_is_cleared_by_the_first_good_look_and_said_once(world: World) -> None:
    world.silent = {"ari"}
    await world.pass_s(PATIENCE_S)
    world.silent = set()
    await world.pass_s(3 * STEP_S)
    assert world.alarms == {}
    assert [dict(data) for _, data in world.feed.told] == [
        {"code": "engine_silent", "severity": "critical", "subject": "asterisk", "detail": "ari is silent"},
        {"code": "engine_silent", "cleared": True},
    ]


async def test_an_alarm_of_a_former_life_is_cleared(world: World) -> None:
    world.store.tables.alarms.alarms["engine_silent", "asterisk"] = "critical"
    await world.watch.look()
    assert world.alarms == {}


async def test_a_crash_that_the_keeper_mended_is_told(world: World) -> None:
    await world.watch.look()
    world.starts = 2
    await world.pass_s(STEP_S)
    assert world.alarms == {("engine_restarted", "asterisk"): "critical"}
    await world.pass_s(5 * STEP_S)
    assert world.feed.alarms == [("engine_restarted", "asterisk")]
    assert world.restarts == []


async def test_the_first_start_and_a_keeper_that_is_away_are_no_crash(world: World) -> None:
    for starts in (0, 1, 0, 1):
        world.starts = starts
        await world.pass_s(STEP_S)
    assert world.feed.told == []


async def test_without_a_database_it_is_restarted_and_said_all_the_same(world: World) -> None:
    world.store.down = True
    world.silent = {"engine"}
    await world.pass_s(PATIENCE_S)
    assert len(world.restarts) == 1
    assert world.feed.alarms == [("engine_silent", "asterisk")]
    world.store.tables.alarms.alarms["engine_silent", "asterisk"] = "critical"
    world.silent = set()
    await world.pass_s(STEP_S)
    world.store.down = False
    await world.pass_s(STEP_S)
    assert world.alarms == {}, "cleared as soon as the database is back"


async def test_a_database_that_never_answers_does_not_hold_the_restart(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    @asynccontextmanager
    async def never() -> AsyncIterator[None]:
        await asyncio.Event().wait()
        yield

    await world.watch.look()
    monkeypatch.setattr(world.store, "begin", never)
    world.silent = {"engine"}
    world.starts = 2
    world.now_s += PATIENCE_S
    look = asyncio.create_task(world.watch.look())
    for _ in range(20):
        await asyncio.sleep(0)
    assert len(world.restarts) == 1
    look.cancel()
    await asyncio.gather(look, return_exceptions=True)


async def test_a_fault_of_our_own_is_not_taken_for_silence(world: World) -> None:
    async def broken() -> None:
        raise TypeError("a programming error")

    world.watch.asks["ari"] = broken
    with pytest.raises(TypeError):
        await world.watch.look()
    assert world.restarts == []


async def test_it_looks_until_it_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looked = asyncio.Event()
    monkeypatch.setattr(engine_watch, "EVERY_S", 0)

    async def ask() -> None:
        if world.now_s >= 1010:
            looked.set()
        world.now_s += STEP_S

    world.watch.asks = {"engine": ask}
    watching = asyncio.create_task(world.watch.run())
    await asyncio.wait_for(looked.wait(), 5)
    watching.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watching


async def test_a_missing_keeper_is_a_fault_and_no_reason_to_restart(world: World) -> None:
    world.silent.add("keeper")
    await world.pass_s(3 * PATIENCE_S)
    assert world.watch.faults == {"keeper": "keeper is silent"}
    assert not world.restarts
