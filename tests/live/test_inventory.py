"""What is registered changes while the office works: in force at once, and no call is dropped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.demo.phones import DeskPhone
from gateway.free_ports import free_port
from tests.live import sound
from tests.live.conftest import DESK, Office, OpenOffice, dutyline

pytestmark = pytest.mark.live


async def test_import_during_a_call(office: Office, tmp_path: Path) -> None:
    """The talk goes on; the new line rings its new phone; a faulty file changes nothing."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 1)
    more = tmp_path / "more.toml"
    more.write_text(
        '[[line]]\nnumber = "02283000009"\nunit = "CITY"\nowner = "ours"\n'
        'phone = { user = "desk9", secret = "secret-of-desk9" }\n',
        encoding="utf-8",
    )
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=9000, speech=spoken)
        call = await office.only_call(disposition="talking")
        await dutyline("import", more, "--config", office.config_file)
        await caller.done()
        await phone.done()
    assert (await office.sealed(call["id"]))["length_s"] == pytest.approx(9.0, abs=0.2)
    desk9 = DeskPhone(office.sipp, office.desk1.registrar, "desk9", "secret-of-desk9", DESK, free_port(DESK))
    await desk9.registers()
    async with desk9.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000009", "02223000001", talk_ms=500, speech=spoken)
        await caller.done()
        await phone.done()

    async def answered() -> bool:
        return (await office.calls())[0]["answered_by"] == "desk9"

    await office.until(answered, 10)


async def test_announcement_before_it_rings(open_office: OpenOffice, tmp_path: Path) -> None:
    """The caller hears that the call is recorded, before anybody's phone rings."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 2)
    async with open_office(toml="[inbound]\nannounce_recording = true\n") as office:
        await office.desk1.registers()
        async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
            caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=1000, speech=spoken)
            await caller.done()
            await phone.done()
        announced = _time_of("SIP/2.0 183", caller.messages())
        assert 2.0 < _time_of("INVITE sip:desk1", phone.messages()) - announced < 8.0, "a sentence lies between"
        assert (await office.only_call(disposition="answered"))["answered_by"] == "desk1"


def _time_of(start: str, messages: str) -> float:
    """When a message passed, by the phone's own log, in seconds of the day."""
    found = re.search(rf"T(\d\d):(\d\d):(\d\d\.\d+)Z\n[^\n]*\n\n{re.escape(start)}", messages)
    assert found, f"no {start} in\n{messages[:800]}"
    return int(found[1]) * 3600 + int(found[2]) * 60 + float(found[3])
