"""The watch over the growth of real files; time is turned by hand."""

from __future__ import annotations

import asyncio
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from gateway.audio import wav
from gateway.audio.files import PydubSoundFiles
from gateway.core.recording import LOOK_EVERY_S
from gateway.errors import EngineError, StoreError
from gateway.services import recording_watch
from gateway.services.recording_watch import MB, GrowthWatch
from tests.services.recording_twins import Feed, MemoryStore

CALL = "node1-1795438801.6"
TALK = f"{CALL}-talk"
BLOCK = b"\1\0" * 16384


class Usage(NamedTuple):
    """What the disk says."""

    total: int
    used: int
    free: int


class World:
    """A live folder that is written to, and the watch over it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "recordings"
        self.live = self.root / "live"
        self.live.mkdir(parents=True)
        self.store = MemoryStore()
        self.feed = Feed()
        self.sounds = PydubSoundFiles(root / "cache")
        self.alive = True
        self.begun: set[str] = set()
        self.engine_fails = False
        self.stalled: list[tuple[str, str]] = []
        self.watch = GrowthWatch(
            store=self.store.port(),
            sounds=self.sounds,
            feed=self.feed,
            folder=self.root,
            begun=lambda: self.begun,
            is_call_alive=self.is_call_alive,
            on_stalled=self.on_stalled,
            stalled_after_s=4.0,
            min_free_mb=500,
        )

    async def is_call_alive(self, call_id: str) -> bool:
        assert call_id == CALL
        if self.engine_fails:
            raise EngineError("Asterisk does not answer")
        return self.alive

    async def on_stalled(self, call_id: str, recording_id: str) -> None:
        self.stalled.append((call_id, recording_id))

    def begin(self, sides: Sequence[str] = ("ours", "theirs")) -> None:
        for side in sides:
            (self.live / f"{TALK}-{side}.wav").write_bytes(wav.header(8000, 1, 0))

    def grow(self, sides: Sequence[str] = ("ours", "theirs")) -> None:
        for side in sides:
            with (self.live / f"{TALK}-{side}.wav").open("ab") as file:
                file.write(BLOCK)

    async def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds / LOOK_EVERY_S)):
            await self.watch.look(LOOK_EVERY_S)
        await self.watch.tell()

    @property
    def alarms(self) -> set[tuple[str, str]]:
        return set(self.store.tables.alarms.alarms)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2000 * MB, 0, 1000 * MB))
    made = World(tmp_path)
    yield made
    made.sounds.close()


async def test_a_growing_recording_raises_nothing(world: World) -> None:
    world.begin()
    for _ in range(10):
        world.grow()
        await world.pass_s(2.0)
    assert not world.alarms
    assert not world.stalled


async def test_a_recording_that_stops_growing_alarms_is_announced_and_clears_when_it_grows(world: World) -> None:
    world.begin()
    world.grow()
    await world.pass_s(4.0)
    assert not world.stalled
    await world.pass_s(0.5)
    assert world.stalled == [(CALL, TALK)]
    assert world.store.tables.alarms.alarms == {("recording_stalled", TALK): "critical"}
    assert [(kind, data["code"], data["severity"]) for kind, data in world.feed.told] == [
        ("alarm", "recording_stalled", "critical")
    ]
    await world.pass_s(10.0)
    assert len(world.stalled) == 1, "said once"
    world.grow()
    await world.pass_s(0.5)
    assert not world.alarms
    await world.pass_s(4.0)
    assert len(world.stalled) == 2, "and again when it stops again"


async def test_one_side_that_stops_alarms(world: World) -> None:
    world.begin()
    for _ in range(3):
        world.grow(["theirs"])
        await world.pass_s(2.0)
    assert world.alarms == {("recording_stalled", TALK)}


async def test_a_note_alone_is_no_recording_yet_but_what_has_begun_needs_a_file(world: World) -> None:
    (world.live / f"{TALK}.call").write_text(f"id={TALK}")
    await world.pass_s(60.0)
    assert not world.alarms, "it rings"
    world.begun.add(TALK)
    await world.pass_s(4.5)
    assert world.alarms == {("recording_stalled", TALK)}


async def test_a_closed_recording_waiting_to_be_filed_is_no_alarm(world: World) -> None:
    world.begin()
    world.grow()
    for side in ("ours", "theirs"):
        wav.repair(world.live / f"{TALK}-{side}.wav")  # as Asterisk leaves it
    world.engine_fails = True
    await world.pass_s(10.0)
    assert not world.alarms


async def test_a_call_that_is_over_is_no_alarm(world: World) -> None:
    world.begin()
    world.alive = False
    await world.pass_s(10.0)
    assert not world.alarms


async def test_an_engine_that_cannot_say_is_an_alarm(world: World) -> None:
    world.begin()
    world.engine_fails = True
    await world.pass_s(4.5)
    assert world.alarms == {("recording_stalled", TALK)}


async def test_an_engine_that_never_answers_does_not_hold_the_alarm(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(_: str) -> bool:
        await asyncio.Event().wait()
        return True

    monkeypatch.setattr(recording_watch, "ASK_LIMIT_S", 0.01)
    monkeypatch.setattr(world.watch, "_is_call_alive", never)
    world.begin()
    await world.pass_s(4.5)
    assert world.alarms == {("recording_stalled", TALK)}


async def test_a_policy_that_fails_does_not_stop_the_watch(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def failing(_: str, __: str) -> None:
        raise EngineError("no such channel")

    monkeypatch.setattr(world.watch, "_on_stalled", failing)
    world.begin()
    await world.pass_s(4.5)
    assert world.alarms == {("recording_stalled", TALK)}


async def test_what_the_database_cannot_take_is_told_and_shown_meanwhile(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried, again = asyncio.Event(), asyncio.Event()

    async def pause(_: float) -> None:
        tried.set()
        await again.wait()

    monkeypatch.setattr(world.watch, "_pause", pause)
    world.begin()
    world.store.down = True
    for _ in range(9):
        await world.watch.look(LOOK_EVERY_S)
    telling = asyncio.ensure_future(world.watch._tell_on())
    async with asyncio.timeout(20):
        await tried.wait()
    heard = [("alarm", "recording_stalled", "critical")]
    assert [(name, data["code"], data["severity"]) for name, data in world.feed.told] == heard
    assert [(row["code"], row["subject"]) for row in world.watch.waiting_alarms()] == [("recording_stalled", TALK)]
    assert "the database does not answer" in world.watch.fault
    world.store.down = False
    telling.cancel()
    await world.watch.tell()
    assert world.alarms == {("recording_stalled", TALK)}
    assert (world.watch.waiting_alarms(), world.watch.fault) == ([], "")
    assert len(world.feed.told) == 1, "heard once"


async def test_the_stall_is_announced_while_the_database_is_down_and_its_alarm_comes_later(world: World) -> None:
    world.begin()
    world.store.down = True
    with pytest.raises(StoreError):
        await world.pass_s(4.5)
    assert world.stalled == [(CALL, TALK)]
    world.grow()
    with pytest.raises(StoreError):
        await world.pass_s(0.5)
    world.store.down = False
    await world.watch.tell()
    assert world.store.tables.alarms.history == [
        ("raised", "recording_stalled", TALK),
        ("cleared", "recording_stalled", TALK),
    ], "the hole in the recording is on record although it is over"


async def test_a_full_disk_alarms_before_it_hurts_and_does_not_flicker(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_mb = iter((600, 499, 520, 480, 549, 560))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(2000 * MB, 0, next(left_mb) * MB))
    subject = str(world.root)
    steps = []
    for _ in range(6):
        await world.pass_s(0.5)
        steps.append(("disk_low", subject) in world.alarms)
    assert steps == [False, True, True, True, True, False]
    assert len([entry for entry in world.store.tables.alarms.history if entry[0] == "raised"]) == 1


async def test_an_alarm_left_by_an_earlier_run_is_cleared(world: World) -> None:
    world.store.tables.alarms.alarms["disk_low", str(world.root)] = "critical"
    await world.pass_s(0.5)
    assert not world.alarms


async def test_a_folder_that_cannot_be_read_alarms(world: World) -> None:
    world.begin()
    await world.pass_s(0.5)
    world.live.rename(world.root / "elsewhere")
    await world.pass_s(4.5)
    assert world.alarms == {("recording_folder", str(world.live)), ("recording_stalled", TALK)}
    (world.root / "elsewhere").rename(world.live)
    world.grow()
    await world.pass_s(0.5)
    assert not world.alarms


async def test_a_disk_that_does_not_answer_alarms_too(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.begin()
    await world.pass_s(0.5)
    released = threading.Event()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: (released.wait(20), Usage(2000 * MB, 0, 1000 * MB))[1])
    monkeypatch.setattr("gateway.core.recording.LOOK_EVERY_S", 0.001)
    try:
        for _ in range(12):
            await world.watch.look(0.5)
    finally:
        released.set()
    assert world.stalled == [(CALL, TALK)]


async def test_it_runs_until_it_is_cancelled(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    now_s, announced = 0.0, asyncio.Event()

    async def pause(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds
        await asyncio.get_running_loop().run_in_executor(None, lambda: None)

    async def on_stalled(_: str, __: str) -> None:
        announced.set()

    monkeypatch.setattr(recording_watch, "monotonic_s", lambda: now_s)
    monkeypatch.setattr(world.watch, "_pause", pause)
    monkeypatch.setattr(world.watch, "_on_stalled", on_stalled)
    world.begin()
    running = asyncio.ensure_future(world.watch.run())
    async with asyncio.timeout(20):
        await announced.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert now_s >= 4.0
