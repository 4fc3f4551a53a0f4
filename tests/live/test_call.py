"""A caller dials a duty number: the wired phone rings, both are recorded, the clerk finds and plays it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.live import sound
from tests.live.conftest import Office, OpenOffice

pytestmark = pytest.mark.live


async def test_answered_call_is_recorded_sample_by_sample(office: Office, tmp_path: Path) -> None:
    """Both directions, complete, in step, and as long as the talk."""
    ours, theirs = sound.speech(tmp_path / "ours.alaw", 20, 1), sound.speech(tmp_path / "theirs.alaw", 20, 2)
    async with office.desk1.takes(ring_ms=700, speech=ours) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=5000, speech=theirs)
        await caller.done()
        await phone.done()
    call = await office.only_call(disposition="answered")
    assert call["line_number"] == "02283000000"
    assert (call["caller_number"], call["caller_unit"], call["caller_name"]) == ("02223000001", "HP", "和平区人民政府")
    assert (call["answered_by"], call["lookup"], call["unit"]) == ("desk1", "ok", "CITY")
    recording = await office.sealed(call["id"])
    assert abs(recording["length_s"] - 5.0) < 0.2
    for side, spoken in (("ours", ours), ("theirs", theirs)):
        heard = sound.compare(_recorded(office, recording, side), sound.samples(spoken))
        assert heard.longest_gap_s <= 0.04, (side, heard)
        assert heard.matched_s > 4.7, (side, heard)
    assert "和平区人民政府" in phone.messages()


async def test_wideband_call_is_recorded_at_16_khz(office: Office, tmp_path: Path) -> None:
    """G.722 on both sides: nothing of the band is thrown away, and the length is right."""
    spoken = sound.speech(tmp_path / "a.alaw", 20, 8)  # any bytes are G.722
    async with office.desk1.takes("desk_wideband", ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls(
            "02283000000", "02223000001", "caller_wideband", talk_ms=4000, speech=spoken
        )
        await caller.done()
        await phone.done()
    call = await office.only_call(disposition="answered")
    recording = await office.sealed(call["id"])
    assert recording["rate_hz"] == 16_000
    assert recording["length_s"] == pytest.approx(4.0, abs=0.2)


async def test_the_same_on_postgresql(open_office: OpenOffice, postgres_url: str, tmp_path: Path) -> None:
    """PostgreSQL is a URL away."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 9)
    async with open_office(toml=f'[database]\nurl = "{postgres_url}"\n') as office:
        await office.desk1.registers()
        async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
            caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=2000, speech=spoken)
            await caller.done()
            await phone.done()
        call = await office.only_call(disposition="answered")
        assert (await office.sealed(call["id"]))["length_s"] == pytest.approx(2.0, abs=0.2)
        assert not (office.config.data_dir / "dutyline.db").exists()


async def test_one_of_two_phones_in_the_room_answers(open_office: OpenOffice, tmp_path: Path) -> None:
    """Both ring; the first to answer has the call, the other stops ringing."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 3)
    async with open_office() as office:
        await office.desk2.registers()
        await office.desk3.registers()
        async with (
            office.desk2.takes("never") as slow,
            office.desk3.takes(ring_ms=500, speech=spoken) as quick,
        ):
            caller = await office.carrier.calls("83000001", "02223000001", talk_ms=1500, speech=spoken)
            await caller.done()
            await quick.done()
            await slow.done()
        call = await office.only_call(disposition="answered")
        assert call["answered_by"] == "desk3"
        assert {leg["endpoint"] for leg in call["legs"]} == {"carrier", "desk2", "desk3"}


async def test_unanswered_call_leaves_a_message(open_office: OpenOffice, tmp_path: Path) -> None:
    """After the ring time-out the caller hears a sentence, speaks, and a missed duty call is raised."""
    spoken = sound.speech(tmp_path / "a.alaw", 20, 4)
    async with open_office(ring_s=5) as office:
        await office.desk1.registers()
        async with office.desk1.takes("never") as phone:
            caller = await office.carrier.calls("+862283000000", "02223000001", talk_ms=14_000, speech=spoken)
            await caller.done()
            await phone.done()
        call = await office.only_call(disposition="missed", message_left=True)
        assert call["reason"] == "noanswer"
        assert call["answered_at"] is None
        recording = await office.sealed(call["id"])
        assert recording["kind"] == "message"
        heard = sound.compare(_recorded(office, recording, "theirs"), sound.samples(spoken))
        assert heard.longest_gap_s <= 0.04, heard
        assert heard.matched_s > 13, heard
        sentence = sound.samples(office.config.prompts_dir / "rendered/missed-leave-message.wav")
        said = _recorded(office, recording, "ours")
        assert abs(said[: len(sentence)].astype(int)).max() > 3000
        assert (await office.alarm("missed_call"))["subject"] == call["id"]


@pytest.mark.parametrize("registered", [True, False])
async def test_busy_or_unregistered_phone(open_office: OpenOffice, tmp_path: Path, registered: bool) -> None:
    """No phone can ring: the caller hears the sentence at once."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 5)
    async with open_office() as office:
        if registered:
            await office.desk1.registers()
            async with office.desk1.takes("refuse", status="486 Busy Here") as phone:
                caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=2000, speech=spoken)
                await caller.done()
                await phone.done()
        else:
            caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=2000, speech=spoken)
            await caller.done()
        call = await office.only_call(disposition="missed")
        assert call["reason"] == ("busy" if registered else "unreachable")


async def test_unknown_number_is_rejected_and_logged(office: Office) -> None:
    """404 to the carrier, a row for the clerk."""
    caller = await office.carrier.calls("02299999999", "02223000001", "rejected", status=404)
    await caller.done()
    call = await office.only_call(disposition="rejected")
    assert (call["reason"], call["dialled_number"]) == ("unknown_number", "02299999999")


async def test_call_from_the_duty_room_is_recorded(office: Office, tmp_path: Path) -> None:
    """The clerk dials a district; the carrier gets the line's number; both sides are recorded."""
    spoken = sound.speech(tmp_path / "a.alaw", 20, 6)
    async with office.carrier.takes(ring_ms=300, speech=spoken) as district:
        phone = await office.desk1.dials("02223000001", 200, scenario="talk", talk_ms=3000, speech=spoken)
        await phone.done()
        await district.done()
    call = await office.only_call(disposition="answered")
    assert (call["direction"], call["line_number"]) == ("outbound", "02283000000")
    assert (call["dialled_number"], call["answered_by"]) == ("02223000001", "carrier")
    assert "<sip:02283000000@" in district.messages()
    recording = await office.sealed(call["id"])
    for side in ("ours", "theirs"):
        assert sound.compare(_recorded(office, recording, side), sound.samples(spoken)).matched_s > 2.7


async def test_diverted_call_to_us_shows_its_whole_chain(office: Office, tmp_path: Path) -> None:
    """Several Diversion headers and a comma-joined History-Info are logged; the call is taken."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 7)
    headers = (
        "Diversion: <sip:02223000002@127.0.0.5>;reason=no-answer\n"
        "Diversion: <sip:02223000003@127.0.0.5>;reason=unconditional\n"
        "History-Info: <sip:02223000004@127.0.0.5>;index=1, <sip:02283000000@127.0.0.5;cause=302>;index=1.1\n"
    )
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=1000, speech=spoken, headers=headers)
        await caller.done()
        await phone.done()
    call = await office.only_call(disposition="answered")

    async def logged() -> bool:
        chain = (await office.api(f"/calls/{call['id']}"))["diversion"]
        return [each["number"] for each in chain] == ["02223000002", "02223000003", "02223000004"]

    await office.until(logged, 10)


def _recorded(office: Office, recording: dict[str, object], side: str) -> sound.NDArray[sound.np.int16]:
    (path,) = office.config.recordings_dir.glob(f"20*/*/*/{recording['id']}-{side}.wav")
    return sound.samples(path)
