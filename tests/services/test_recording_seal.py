"""The seal: what makes a captured recording evidence, with every crash in between."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.audio import wav
from gateway.audio.files import PydubSoundFiles
from gateway.core.cel import CelEvent
from gateway.errors import SoundError
from gateway.services import recording_seal
from gateway.services.recording_folder import RecordingFolder
from gateway.services.recording_seal import RecordingSeal
from tests.services.recording_twins import (
    CALL,
    CHANNEL,
    DAY,
    HANGUP,
    LONG_AGO,
    NOW,
    TALK,
    World,
    sha256_of,
    started,
    touch,
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(recording_seal, "now", lambda: NOW)
    made = World(tmp_path)
    yield made
    made.sounds.close()


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
        touch(path)  # written just now
    looks = 0

    async def closing(_: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 4:
            for side in ("ours", "theirs"):
                world.captured(side, 2.5)

    world.recordings._seal._pause = closing
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert (row["length_s"], row["note"]) == (2.5, "")


async def test_a_writer_that_died_is_not_waited_for_long_and_its_file_is_repaired(world: World) -> None:
    await world.happened(started())
    for side in ("ours", "theirs"):
        touch(world.captured(side, 7.0, cut=True))
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert (row["state"], row["length_s"], row["note"]) == ("sealed", 7.0, "recovered")
    assert sum(world.pauses) <= 2 * (recording_seal.SETTLED_S + 1)
    filed = world.root / row["ours_path"]
    assert wav.inspect(filed).stated_bytes == wav.inspect(filed).data_bytes
    assert sha256_of(filed) == row["ours_sha256"]


async def test_a_file_that_never_stops_growing_is_left_and_alarmed(world: World) -> None:
    await world.happened(started(), HANGUP)
    path = world.captured("ours", 1.0, cut=True)
    touch(path)

    async def growing(seconds: float) -> None:
        world.pauses.append(seconds)
        with path.open("ab") as file:
            file.write(b"\1\0" * 800)
        touch(path)

    world.recordings._seal._pause = growing
    await world.recordings.seal_next()
    assert world.alarms == {("recording_unfiled", TALK)}
    assert path.exists()
    assert world.row()["state"] == "capturing"
    touch(path, LONG_AGO)
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
    assert ("recording_missing", TALK) in world.feed.alarms


async def test_a_phone_picked_up_as_the_caller_gave_up_is_no_alarm(world: World) -> None:
    await world.happened(started())
    world.row()["ended_at"] = world.row()["started_at"] + timedelta(milliseconds=40)
    row = await world.recordings.seal(TALK)
    assert row is not None
    assert row["state"] == "missing"
    assert not world.alarms


async def test_one_side_alone_is_sealed_with_an_alarm(world: World) -> None:
    await world.happened(started())
    world.captured("theirs")
    await world.recordings.seal(TALK)
    assert world.row()["state"] == "sealed"
    assert world.row()["ours_path"] is None
    assert world.alarms == {("recording_one_sided", TALK)}


CRASHES = [
    (PydubSoundFiles, "repair"),
    (PydubSoundFiles, "length"),
    (RecordingFolder, "file"),
    (RecordingSeal, "_settle"),
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
        with contextlib.suppress(CrashError):
            await world.recordings.seal_next()
            assert len(calls) < count, "the crash came"
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
