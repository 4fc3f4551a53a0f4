"""The story of a recording, with real files and every crash in between."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.audio import wav
from gateway.audio.files import PydubSoundFiles
from gateway.core.cel import CelEvent
from gateway.errors import EngineError, SoundError
from gateway.services import recordings as story
from gateway.services.recording_folder import RecordingFolder
from gateway.services.recordings import Recordings
from tests.services.recording_twins import Feed, MemoryStore

CALL = "node1-1795438801.6"
TALK = f"{CALL}-talk"
BEGUN = datetime.fromtimestamp(1795438803, UTC)  # 2026-11-23 13:00:03 UTC
CHANNEL = CALL
LEG_CHANNEL = "node1-1795438802.7"
DAY = "2026/11/23"
LONG_AGO = 1795438000


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
            is_call_alive=self.is_call_alive,
            pause=self.pause,
        )

    async def is_call_alive(self, call_id: str) -> bool:
        return call_id in self.alive

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
        if cut:
            os.utime(path, (LONG_AGO, LONG_AGO))
        return path

    def noted(self, name: str = TALK) -> Path:
        path = self.root / "live" / f"{name}.call"
        path.write_text(f"id={name}&kind=talk&line=02283000000&dialled=02283000000&caller=02223000001\n")
        return path

    def call(self, *, answered_s: float, ended_s: float) -> None:
        self.store.tables.calls.rows[CALL] = {
            "answered_at": BEGUN + timedelta(seconds=answered_s),
            "ended_at": BEGUN + timedelta(seconds=ended_s),
        }

    def row(self, name: str = TALK) -> dict[str, Any]:
        return self.store.tables.recordings.rows[name]

    @property
    def alarms(self) -> set[tuple[str, str]]:
        return set(self.store.tables.alarms.alarms)

    def files(self) -> list[str]:
        return sorted(path.relative_to(self.root).as_posix() for path in self.root.rglob("*") if path.is_file())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.sounds.close()


def event(type_: str, /, *, after_s: float = 0, channel: str = CHANNEL, user: str = "", **facts: object) -> CelEvent:
    at = BEGUN + timedelta(seconds=after_s)
    return CelEvent("node1", "cel.json", 0, at, type_, user, "PJSIP/x-00000001", channel, CALL, extra=facts)


def started(**facts: object) -> CelEvent:
    return event("USER_DEFINED", user="RECORDING", **{"id": TALK, "kind": "talk", "state": "started", **facts})


HANGUP = event("HANGUP", after_s=10)
OVER = event("LINKEDID_END", after_s=10.1)


def sha256_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


async def test_a_call_is_recorded_and_sealed(world: World) -> None:
    await world.happened(started())
    assert world.row()["state"] == "capturing"
    assert world.row()["started_at"] == BEGUN
    world.captured("ours")
    world.captured("theirs")
    world.noted()
    world.call(answered_s=0, ended_s=10)
    sha256 = {side: sha256_of(world.root / f"live/{TALK}-{side}.wav") for side in ("ours", "theirs")}
    await world.happened(HANGUP, OVER)
    await world.recordings.seal_next()
    assert world.row() == {
        "id": TALK,
        "call_id": CALL,
        "kind": "talk",
        "line_number": "02283000000",
        "state": "sealed",
        "started_at": BEGUN,
        "ended_at": HANGUP.at,
        "length_s": 10.0,
        "rate_hz": 8000,
        "ours_path": f"{DAY}/{TALK}-ours.wav",
        "ours_sha256": sha256["ours"],
        "theirs_path": f"{DAY}/{TALK}-theirs.wav",
        "theirs_sha256": sha256["theirs"],
        "note": "",
    }
    assert world.files() == [f"{DAY}/{TALK}-ours.wav", f"{DAY}/{TALK}-theirs.wav"]
    assert not world.alarms
    assert [kind for kind, _ in world.feed.told] == ["recording"]
    assert world.feed.told[0][1]["state"] == "sealed"


async def test_the_hangup_of_another_channel_is_not_the_end(world: World) -> None:
    await world.happened(started(), event("HANGUP", channel=LEG_CHANNEL, after_s=5))
    assert world.row()["ended_at"] is None


async def test_after_a_restart_the_end_of_the_call_ends_its_recordings(world: World) -> None:
    await world.happened(started())
    world.recordings = world.started()
    await world.happened(HANGUP)
    assert world.row()["ended_at"] is None, "which channel was recorded is not known any more"
    await world.happened(OVER)
    assert world.row()["ended_at"] == OVER.at


async def test_a_wideband_message_is_filed_by_the_day_in_shanghai(world: World) -> None:
    name = f"{CALL}-message"
    late = CelEvent(
        "node1", "f", 0, datetime(2026, 11, 23, 16, 0, 1, tzinfo=UTC), "USER_DEFINED", "RECORDING", "c", CHANNEL, CALL,
        extra={"id": name, "kind": "message", "state": "started"},
    )  # fmt: skip
    await world.happened(late)
    for side in ("ours", "theirs"):
        world.captured(side, 3.0, end="wav16", name=name)
    row = await world.recordings.seal(name)
    assert row is not None
    assert row["theirs_path"] == f"2026/11/24/{name}-theirs.wav16"
    assert (row["rate_hz"], row["length_s"]) == (16000, 3.0)


async def test_the_seal_waits_until_the_writer_has_closed(world: World) -> None:
    await world.happened(started())
    paths = [world.captured(side, 2.0, cut=True) for side in ("ours", "theirs")]
    for path in paths:
        os.utime(path)  # written just now
    looks = 0

    async def closing(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            for side in ("ours", "theirs"):
                world.captured(side, 2.5)

    world.recordings._pause = closing
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert (row["length_s"], row["note"]) == (2.5, "")


async def test_a_writer_that_died_is_not_waited_for_long_and_its_file_is_repaired(world: World) -> None:
    await world.happened(started())
    for side in ("ours", "theirs"):
        os.utime(world.captured(side, 7.0, cut=True), None)
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert (row["state"], row["length_s"], row["note"]) == ("sealed", 7.0, "recovered")
    assert sum(world.pauses) <= 2 * (story.SETTLED_S + 1)
    filed = world.root / row["ours_path"]
    assert wav.inspect(filed).stated_bytes == wav.inspect(filed).data_bytes
    assert sha256_of(filed) == row["ours_sha256"]


async def test_a_file_that_never_stops_growing_is_left_and_alarmed(world: World) -> None:
    await world.happened(started(), HANGUP)
    path = world.captured("ours", 1.0, cut=True)
    os.utime(path)

    async def growing(seconds: float) -> None:
        world.pauses.append(seconds)
        with path.open("ab") as file:
            file.write(b"\1\0" * 800)

    world.recordings._pause = growing
    await world.recordings.seal_next()
    assert world.alarms == {("recording_unfiled", TALK)}
    assert path.exists()
    assert world.row()["state"] == "capturing"
    os.utime(path, (LONG_AGO, LONG_AGO))
    await world.recordings.seal(TALK)
    assert world.row()["state"] == "sealed"
    assert ("recording_unfiled", TALK) not in world.alarms, "cleared when it is filed"


@pytest.mark.parametrize("content", [None, b"", b"RIFF", wav.header(8000, 1, 0)])
async def test_without_audio_a_recording_is_missing_and_never_good(world: World, content: bytes | None) -> None:
    await world.happened(started())
    if content is not None:
        for side in ("ours", "theirs"):
            (world.root / "live" / f"{TALK}-{side}.wav").write_bytes(content)
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert row["state"] == "missing"
    assert row["ours_path"] is row["ours_sha256"] is row["length_s"] is None
    assert world.alarms == {("recording_missing", TALK)}
    assert world.store.tables.alarms.alarms["recording_missing", TALK] == "critical"
    kept = [] if content is None else [f"unreadable/{TALK}-ours.wav", f"unreadable/{TALK}-theirs.wav"]
    assert world.files() == kept, "kept, but apart"
    assert ("alarm", {"code": "recording_missing", "subject": TALK}) in world.feed.told


async def test_one_side_alone_is_sealed_with_an_alarm(world: World) -> None:
    await world.happened(started())
    world.captured("theirs")
    await world.recordings.seal(TALK)
    assert world.row()["state"] == "sealed"
    assert world.row()["ours_path"] is None
    assert world.alarms == {("recording_one_sided", TALK)}


@pytest.mark.parametrize(("seconds", "alarmed"), [(58.0, False), (57.0, True)])
async def test_a_recording_shorter_than_the_talk_alarms(world: World, seconds: float, alarmed: bool) -> None:
    await world.happened(started(), event("HANGUP", after_s=65))
    world.call(answered_s=5, ended_s=66)
    for side in ("ours", "theirs"):
        world.captured(side, seconds)
    await world.recordings.seal_next()
    assert world.alarms == ({("recording_short", TALK)} if alarmed else set())


async def test_a_recording_that_could_not_start_is_alarmed_in_the_same_transaction(world: World) -> None:
    await world.happened(started(state="failed"))
    assert world.alarms == {("recording_failed", TALK)}
    assert world.row()["state"] == "missing"
    await world.recordings.seal_next()
    assert ("alarm", {"code": "recording_failed", "subject": TALK}) in world.feed.told
    await world.happened(OVER)
    assert world.alarms == {("recording_failed", TALK)}


async def test_a_transaction_that_is_rolled_back_leaves_nothing(world: World) -> None:
    with contextlib.suppress(ZeroDivisionError):
        async with world.store.begin() as uow:
            await world.recordings.on_events(uow, [started(), HANGUP])
            assert 1 / 0
    await world.recordings.seal_next()
    assert not world.store.tables.recordings.rows
    assert not world.feed.told
    await world.happened(started(), HANGUP, OVER)
    assert world.row()["ended_at"] == HANGUP.at


CRASHES = [
    (PydubSoundFiles, "repair"),
    (PydubSoundFiles, "length"),
    (RecordingFolder, "file"),
    (Recordings, "_settle"),
    (RecordingFolder, "drop_sidecar"),
]


@pytest.mark.parametrize(("owner", "name"), CRASHES)
@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("count", [1, 2])
async def test_interrupted_anywhere_it_ends_the_same(
    world: World, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, after: bool, count: int
) -> None:
    class CrashError(BaseException):
        """The process is gone."""

    await world.happened(started(), HANGUP)
    world.noted()
    world.captured("ours", 10.0, cut=True)
    world.captured("theirs", 10.0, cut=True)
    original, calls = getattr(owner, name), []

    def strike() -> None:
        calls.append(name)
        if len(calls) == count:
            raise CrashError

    def sync(*arguments: object) -> object:
        return (strike(), original(*arguments))[1] if not after else (original(*arguments), strike())[0]

    async def asynchronous(*arguments: object) -> object:
        if not after:
            strike()
        outcome = await original(*arguments)
        if after:
            strike()
        return outcome

    is_sync = owner is RecordingFolder
    with monkeypatch.context() as patch:
        patch.setattr(owner, name, sync if is_sync else asynchronous)
        try:
            await world.recordings.seal_next()
            assert len(calls) < count, "the crash came"
        except CrashError:
            pass
    world.recordings = world.started()
    await world.recordings.recover()
    once = (world.row(), world.files(), world.alarms)
    await world.recordings.recover()
    await world.recordings.seal(TALK)
    assert (world.row(), world.files(), world.alarms) == once
    row = world.row()
    assert row["state"] == "sealed"
    assert row["length_s"] == 10.0
    assert row["ended_at"] == HANGUP.at
    assert row["line_number"] == "02283000000"
    assert world.files() == [f"{DAY}/{TALK}-ours.wav", f"{DAY}/{TALK}-theirs.wav"]
    for side in ("ours", "theirs"):
        assert sha256_of(world.root / row[f"{side}_path"]) == row[f"{side}_sha256"]
    assert not world.alarms


async def test_recovery_seals_what_is_over_and_leaves_what_lives(world: World) -> None:
    living = "node1-1795438900.1-talk"
    world.alive.add("node1-1795438900.1")
    for name in (TALK, living):
        world.noted(name)
        for side in ("ours", "theirs"):
            world.captured(side, 30.0, cut=True, name=name)
    lost = "node1-1795438700.1-talk"
    world.noted(lost)
    (world.root / "live" / "notes.txt").write_text("a stranger")
    assert await world.recordings.recover() == 2
    assert (world.row()["state"], world.row()["note"], world.row()["length_s"]) == ("sealed", "recovered", 30.0)
    assert world.row()["line_number"] == "02283000000", "from the dialplan's note: no event came"
    assert world.row()["started_at"] == datetime.fromtimestamp(1795438801, UTC)
    assert world.row(lost)["state"] == "missing"
    assert world.alarms == {("recording_missing", lost)}
    assert living not in world.store.tables.recordings.rows
    in_live = [f"live/{living}-ours.wav", f"live/{living}-theirs.wav", f"live/{living}.call", "live/notes.txt"]
    assert [name for name in world.files() if name.startswith("live/")] == in_live


async def test_events_that_come_after_the_recovery_complete_the_row_and_judge_its_length(world: World) -> None:
    for side in ("ours", "theirs"):
        world.captured(side, 30.0, cut=True)
    await world.recordings.recover()
    sealed = dict(world.row())
    world.call(answered_s=0, ended_s=60)
    await world.happened(started(), event("HANGUP", after_s=60))
    await world.recordings.seal_next()
    assert world.row() == {**sealed, "ended_at": BEGUN + timedelta(seconds=60)}
    assert world.alarms == {("recording_short", TALK)}


async def test_a_row_without_any_file_is_missing_after_a_restart(world: World) -> None:
    await world.happened(started())
    world.alive.add(CALL)
    await world.recordings.recover()
    assert world.row()["state"] == "capturing"
    world.alive.clear()
    await world.recordings.recover()
    assert world.row()["state"] == "missing"
    assert world.alarms == {("recording_missing", TALK)}


async def test_a_sealed_file_is_never_overwritten(world: World) -> None:
    for side in ("ours", "theirs"):
        world.captured(side, 5.0)
    await world.recordings.seal(TALK)
    sealed = dict(world.row())
    again = world.captured("ours", 1.0)
    with pytest.raises(SoundError, match="sealed"):
        await world.recordings.seal(TALK)
    await world.recordings.recover()
    assert again.exists()
    assert world.row() == sealed
    assert world.alarms == {("recording_unfiled", TALK)}


async def test_what_was_forgotten_is_sealed_by_the_second_sweep(world: World) -> None:
    for side in ("ours", "theirs"):
        world.captured(side, 5.0)
    await world.recordings.sweep()
    assert TALK not in world.store.tables.recordings.rows, "perhaps its events are just on their way"
    await world.recordings.sweep()
    assert world.row()["state"] == "sealed"


async def test_a_full_queue_only_delays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "QUEUE_SIZE", 1)
    world.recordings = world.started()
    message = f"{CALL}-message"
    await world.happened(started(), started(id=message, kind="message"), OVER)
    for name in (TALK, message):
        for side in ("ours", "theirs"):
            world.captured(side, name=name)
    await world.recordings.seal_next()
    for _ in range(2):
        await world.recordings.sweep()
    assert {world.row(name)["state"] for name in (TALK, message)} == {"sealed"}


async def test_a_database_that_is_down_only_delays(world: World) -> None:
    await world.happened(started(), HANGUP)
    for side in ("ours", "theirs"):
        world.captured(side)
    world.store.down = True
    await world.recordings.seal_next()
    assert len([name for name in world.files() if name.startswith("live/")]) == 2
    world.store.down = False
    for _ in range(2):
        await world.recordings.sweep()
    assert world.row()["state"] == "sealed"


async def test_an_engine_that_does_not_answer_seals_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def silent(_: str) -> bool:
        raise EngineError("Asterisk does not answer")

    world.captured("ours", cut=True)
    monkeypatch.setattr(world.recordings, "_is_call_alive", silent)
    with pytest.raises(EngineError):
        await world.recordings.recover()
    assert not world.store.tables.recordings.rows
