"""Somebody dies, freezes or lies in the middle of a call: the caller notices nothing, and nothing is lost."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import signal
import sqlite3
from pathlib import Path

import pytest

from gateway.asterisk import process
from gateway.demo.phones import Playing
from tests.live import sound
from tests.live.conftest import Office, OpenOffice, journal_lines

pytestmark = pytest.mark.live


async def _a_call(office: Office, tmp_path: Path, talk_ms: int = 3000) -> float:
    """A whole call between carrier and desk1; gives the seconds from the caller's INVITE to the phone's."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 10, 1)
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=talk_ms, speech=spoken)
        await caller.done()
        await phone.done()
    return _first_invite_s(phone) - _first_invite_s(caller)


async def test_call_while_the_gateway_is_dead(office: Office, tmp_path: Path) -> None:
    """Rings at once, talks, is recorded; after the restart it is on record as if nothing had happened."""
    await office.kill()
    assert await _a_call(office, tmp_path) < 1.0
    await office.start()
    call = await office.only_call(disposition="answered")
    assert call["lookup"] == "refused"
    recording = await office.sealed(call["id"])
    assert recording["length_s"] == pytest.approx(3.0, abs=0.2)


async def test_gateway_killed_during_a_call(office: Office, tmp_path: Path) -> None:
    """kill -9 in the middle: the talk goes on to its end, the recording is whole."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 10, 2)
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=5000, speech=spoken)
        await office.only_call(disposition="talking")
        engine_pid = office.engine_pid
        await office.kill()
        await office.start()
        assert office.engine_pid == engine_pid, "Asterisk was adopted, not started again"
        await caller.done()
        await phone.done()
    call = await office.only_call(disposition="answered")
    assert (await office.sealed(call["id"]))["length_s"] == pytest.approx(5.0, abs=0.2)


async def test_call_while_the_gateway_is_frozen(office: Office, tmp_path: Path) -> None:
    """SIGSTOP costs the caller 1 s of set-up at most; the record says that nobody answered the question."""
    office.freeze()
    try:
        assert await _a_call(office, tmp_path) < 1.2
    finally:
        office.thaw()
    assert (await office.only_call(disposition="answered"))["lookup"] == "timeout"


async def test_forward_attempt_while_the_gateway_is_dead(office: Office, tmp_path: Path) -> None:
    """Blocked all the same, and on record afterwards with evidence from both sides."""
    await office.kill()
    spoken = sound.speech(tmp_path / "spoken.alaw", 5, 3)
    async with office.desk1.takes("redirect", status="302 Moved", target="13800000000") as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=1000, speech=spoken)
        await caller.done()
        await phone.done()
    async with office.desk1.takes("refer", ring_ms=200, speech=spoken, target="13800000000", replaces="") as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=2000, speech=spoken)
        await caller.done()
        await phone.done()
    await office.start()
    (redirect,) = await office.attempts("redirect")
    (refer,) = await office.attempts("refer")
    assert redirect["call_id"] != refer["call_id"]


async def test_asterisk_killed_during_a_call(office: Office, tmp_path: Path) -> None:
    """It is started again, the call gets its end, what was recorded is kept, and the next call works."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 20, 4)
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=30_000, speech=spoken)
        call = await office.only_call(disposition="talking")
        await _talk_recorded(office, 64_000)
        first = office.engine_pid
        os.kill(first, signal.SIGKILL)
        await office.until(lambda: _is_other_engine(office, first), 15)
        await caller.end()
        await phone.end()
    await office.alarm("engine_restarted")
    ended = await office.only_call(disposition="answered")
    assert all(leg["ended_at"] and leg["synthetic_end"] for leg in ended["legs"])
    recording = await office.sealed(call["id"])
    assert recording["note"] == "recovered"
    assert recording["length_s"] > 1.9
    await office.desk1.registers()
    assert await _second_call_is_answered(office, spoken)


async def test_asterisk_frozen_is_replaced(office: Office) -> None:
    """An Asterisk that runs and does nothing is found out and replaced."""
    first = office.engine_pid
    os.kill(first, signal.SIGSTOP)
    await office.until(lambda: _is_other_engine(office, first), 40)
    await office.until(office._is_ready, 20)


async def test_killed_keeper_is_replaced(office: Office, tmp_path: Path) -> None:
    """kill -9 of the keeper costs no call, and soon another one is at work."""
    told = process.state(office.config.run_dir)
    assert told is not None
    os.kill(int(str(told["keeper_pid"])), signal.SIGKILL)
    await _a_call(office, tmp_path, talk_ms=3000)
    await office.only_call(disposition="answered")

    async def another() -> bool:
        now = process.state(office.config.run_dir)
        return now is not None and now["keeper_pid"] != told["keeper_pid"] and bool(now["engine_pid"])

    await office.until(another, 15)
    await office.until(office._is_ready, 15)


@pytest.mark.parametrize("second", [signal.SIGKILL, signal.SIGSTOP])
async def test_asterisk_lost_after_its_keeper(office: Office, tmp_path: Path, second: signal.Signals) -> None:
    """Keeper and Asterisk fall in one call: both are replaced, people are told, the call gets its end."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 10, 7)
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=30_000, speech=spoken)
        await office.only_call(disposition="talking")
        first, told = office.engine_pid, process.state(office.config.run_dir)
        assert told is not None
        os.kill(int(str(told["keeper_pid"])), signal.SIGKILL)
        os.kill(first, second)
        await office.until(lambda: _is_other_engine(office, first), 25)
        await caller.end()
        await phone.end()
    await office.until(office._is_ready, 15)
    await office.alarm("engine_restarted")
    ended = await office.only_call(disposition="answered")
    assert all(leg["synthetic_end"] for leg in ended["legs"])


@pytest.mark.parametrize("policy", ["answer-and-announce", "refuse"])
async def test_recording_that_cannot_start(open_office: OpenOffice, tmp_path: Path, policy: str) -> None:
    """Never silence: an alarm at once, and the caller hears it or is refused with a sentence."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 10, 5)
    async with open_office(toml=f'[recording]\nfailure_policy = "{policy}"\n') as office:
        await office.desk1.registers()
        office.config.live_dir.rmdir()
        office.config.live_dir.write_text("in the way", encoding="utf-8")
        if policy == "refuse":
            caller = await office.carrier.calls("02283000000", "02223000001", "rejected", status=503)
            await caller.done()
            await office.only_call(disposition="refused", recording_state="failed")
        else:
            async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
                caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=6000, speech=spoken)
                await caller.done()
                await phone.done()
            await office.only_call(disposition="answered", recording_state="failed")
        await office.alarm("recording_failed")
        office.config.live_dir.unlink()
        office.config.live_dir.mkdir()


@pytest.mark.parametrize("policy", ["answer-and-announce", "refuse"])
async def test_recording_that_stops_growing(open_office: OpenOffice, tmp_path: Path, policy: str) -> None:
    """The disk takes no more in the middle of a talk: alarm within 5 s, both sides are told or the call is ended."""
    spoken = sound.speech(tmp_path / "spoken.alaw", 20, 6)
    async with open_office(toml=f'[recording]\nfailure_policy = "{policy}"\n') as office:
        await office.desk1.registers()
        async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
            scenario = "listener" if policy == "refuse" else "caller"
            caller = await office.carrier.calls("02283000000", "02223000001", scenario, talk_ms=14_000, speech=spoken)
            await _talk_recorded(office, 32_768)
            resource.prlimit(office.engine_pid, resource.RLIMIT_FSIZE, (40_000, resource.RLIM_INFINITY))
            full_at = asyncio.get_running_loop().time()
            alarm = await office.alarm("recording_stalled")
            assert asyncio.get_running_loop().time() - full_at < 5.0 + 2.1, "5 s after the last block that was taken"
            await caller.done()
            await phone.done()
            resource.prlimit(office.engine_pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        call = await office.only_call(disposition="answered")
        assert call["id"] in alarm["subject"]
        assert "not_told_of_stalled_recording" not in office.log()


async def test_phones_that_send_no_sound(open_office: OpenOffice) -> None:
    """There is nothing to record, which is an alarm; but a call is not ended for being silent."""
    async with open_office(toml='[recording]\nfailure_policy = "refuse"\n') as office:
        await office.desk1.registers()
        async with office.desk1.takes("mute", ring_ms=200) as phone:
            caller = await office.carrier.calls("02283000000", "02223000001", "mute_caller", talk_ms=7000)
            await caller.done()
            await phone.done()
        await office.only_call(disposition="answered")
        await office.alarm("recording_missing")


async def test_database_locked_for_a_while(office: Office, tmp_path: Path) -> None:
    """Calls do not notice; the rows come afterwards."""
    blocker = sqlite3.connect(office.config.data_dir / "dutyline.db", isolation_level=None)
    blocker.execute("BEGIN IMMEDIATE")
    try:
        assert await _a_call(office, tmp_path, talk_ms=1000) < 1.0
        assert any(line["eventtype"] == "ANSWER" for line in journal_lines(office.config))
    finally:
        blocker.execute("ROLLBACK")
        blocker.close()
    await office.only_call(disposition="answered")


async def test_stop_in_order_ends_everything(open_office: OpenOffice) -> None:
    """SIGTERM: exit 0, no Asterisk and no keeper left."""
    async with open_office() as office:
        pid = office.engine_pid
        assert await office.stop() == 0
        assert not Path(f"/proc/{pid}").exists()


async def _is_other_engine(office: Office, first: int) -> bool:
    return office.engine_pid not in (0, first)


async def _talk_recorded(office: Office, size: int) -> None:
    async def long_enough() -> bool:
        return any(path.stat().st_size >= size for path in office.config.live_dir.glob("*-talk-*.wav"))

    await office.until(long_enough, 15)


async def _second_call_is_answered(office: Office, spoken: Path) -> bool:
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=500, speech=spoken)
        await asyncio.gather(caller.done(), phone.done())

    async def two() -> bool:
        return len([row for row in await office.calls() if row["disposition"] == "answered"]) == 2

    await office.until(two, 10)
    return True


def _first_invite_s(playing: Playing) -> float:
    """When the first INVITE passed this phone, by its own log, in seconds of the day."""
    found = re.search(r"T(\d\d):(\d\d):(\d\d\.\d+)Z\n[^\n]*\n\nINVITE", playing.messages())
    assert found, playing.messages()[:500]
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
