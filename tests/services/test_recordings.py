"""The story of a recording, with real files."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.errors import EngineError
from gateway.services import recording_seal
from gateway.services import recordings as story
from gateway.services.recordings import Recordings
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from tests.services.recording_twins import (
    BEGUN,
    CALL,
    DAY,
    HANGUP,
    LEG_CHANNEL,
    NOW,
    OVER,
    TALK,
    World,
    event,
    sha256_of,
    started,
)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setattr(recording_seal, "now", lambda: NOW)
    made = World(tmp_path)
    yield made
    made.sounds.close()


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
    assert ("recording_failed", TALK) in world.feed.alarms
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


async def test_recovery_seals_what_is_over_and_leaves_what_lives(world: World) -> None:
    living = "node1-1795438900.1-talk"
    world.alive.add("node1-1795438900.1")
    for name in (TALK, living):
        world.noted(name)
        for side in ("ours", "theirs"):
            world.captured(side, 30.0, cut=True, name=name)
    lost = "node1-1795430000.1-talk"  # more than an hour ago, and no event of it
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
    async def silent(_: Collection[str]) -> set[str]:
        raise EngineError("Asterisk does not answer")

    world.captured("ours", cut=True)
    monkeypatch.setattr(world.recordings, "_calls_alive", silent)
    with pytest.raises(EngineError):
        await world.recordings.recover()
    assert not world.store.tables.recordings.rows


async def test_what_runs_is_known_from_its_beginning_to_its_end_and_again_after_a_restart(world: World) -> None:
    await world.happened(started())
    assert world.recordings.begun() == {TALK}
    world.alive.add(CALL)
    world.recordings = world.started()
    assert await world.recordings.recover() == 0
    assert world.recordings.begun() == {TALK}
    await world.happened(OVER)
    assert not world.recordings.begun()


async def test_a_call_that_nobody_answered_leaves_no_alarm_and_no_note(world: World) -> None:
    world.noted()
    await world.recordings.recover()
    assert world.files() == [f"live/{TALK}.call"], "its events may still come"
    world.call(answered_s=None, ended_s=60)
    await world.recordings.recover()
    assert not world.files()
    assert not world.alarms
    assert not world.store.tables.recordings.rows


async def test_a_call_that_was_answered_but_of_which_only_the_note_is_left_is_missing(world: World) -> None:
    world.noted()
    world.call(answered_s=0, ended_s=60)
    await world.recordings.recover()
    assert world.row()["state"] == "missing"
    assert world.row()["line_number"] == "02283000000"
    assert world.alarms == {("recording_missing", TALK)}
    assert not world.files()


async def test_the_same_story_on_the_real_database(world: World, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/dutyline.db"
    await migrate(url)
    store = await open_store(url)
    recordings = Recordings(
        store=store, sounds=world.sounds, feed=world.feed, folder=world.root, calls_alive=world.calls_alive
    )
    running = asyncio.ensure_future(recordings.run())
    async with store.begin() as uow:
        await recordings.on_events(uow, [started()])
    world.captured("ours")
    world.captured("theirs")
    world.noted()
    async with store.begin() as uow:
        await recordings.on_events(uow, [HANGUP, OVER])
    await world.feed.until("recording")
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    async with store.begin() as uow:
        row = await uow.recordings.get(TALK)
        standing = await uow.alarms.standing()
    await store.close()
    assert row is not None
    assert (row["state"], row["length_s"], row["ended_at"]) == ("sealed", 10.0, HANGUP.at)
    assert row["line_number"] == "02283000000"
    assert row["ours_sha256"] == sha256_of(world.root / row["ours_path"])
    assert not standing
