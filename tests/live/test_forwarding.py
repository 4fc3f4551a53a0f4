"""Every way to forward a duty line that a SIP phone or an API user can try: not executed, on record, the call goes on.

Rows are those of the forwarding table in README.md. The truth of the other side is what the SIPp phones saw.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from gateway.free_ports import free_port
from tests.live import sound
from tests.live.conftest import CARRIER, Office, dutyline

pytestmark = pytest.mark.live
TARGET = "13800000000"


@pytest.mark.parametrize("status", ["301 Moved Permanently", "302 Moved", "305 Use Proxy", "380 Alternative"])
async def test_redirect_by_the_phone(office: Office, tmp_path: Path, status: str) -> None:
    """3xx with a Contact: nothing is dialled, the caller can leave a message."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 1)
    async with office.desk1.takes("redirect", status=status, target=TARGET) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=1500, speech=spoken)
        await caller.done()
        await phone.done()
    (attempt,) = await office.attempts("redirect")
    assert (attempt["line_number"], attempt["phone"], attempt["target"]) == ("02283000000", "desk1", TARGET)
    await _evidence(office, "redirect", {"cel", "sip"})
    call = await office.only_call(disposition="missed")
    assert attempt["call_id"] == call["id"]
    assert call["reason"] == "redirected"
    assert [leg["endpoint"] for leg in call["legs"]] == ["carrier", "desk1"], "nobody else was dialled"


@pytest.mark.parametrize("replaces", ["", "?Replaces=abc%3Bto-tag%3D1%3Bfrom-tag%3D2"], ids=["blind", "attended"])
async def test_transfer_by_refer(office: Office, tmp_path: Path, replaces: str) -> None:
    """REFER is declined with 603 and the talk goes on to its normal end."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 2)
    async with office.desk1.takes("refer", ring_ms=300, speech=spoken, target=TARGET, replaces=replaces) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=3000, speech=spoken)
        await caller.done()
        await phone.done()
    (attempt,) = await office.attempts("refer")
    assert attempt["line_number"] == "02283000000"
    assert TARGET in attempt["target"]
    call = await office.only_call(disposition="answered")
    assert attempt["call_id"] == call["id"]
    assert (await office.sealed(call["id"]))["length_s"] == pytest.approx(3.0, abs=0.2)


async def test_takeover_by_invite_with_replaces(office: Office, tmp_path: Path) -> None:
    """Another phone knows the dialog and tries to take the answered call over: it stays where it is."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 3)
    await office.desk2.registers()
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=6000, speech=spoken)
        call = await office.only_call(disposition="talking")
        dialog = _dialog(phone.messages())
        thief = await office.desk2.dials("02283000000", 401, scenario="takeover", headers=f"Replaces: {dialog}\n")
        await thief.done()
        await caller.done()
        await phone.done()
    (attempt,) = await office.attempts("replaces")
    assert attempt["phone"] == "desk2"
    assert attempt["target"] == dialog
    assert (attempt["line_number"], attempt["call_id"]) == ("02283000000", call["id"]), "what would be taken over"
    ended = await office.api(f"/calls/{call['id']}")
    assert [leg["endpoint"] for leg in ended["legs"]] == ["carrier", "desk1"]
    assert (await office.sealed(call["id"]))["length_s"] == pytest.approx(6.0, abs=0.2)


@pytest.mark.parametrize(
    ("dialled", "meant"),
    [
        ("*57*13800000000%23", "*57*13800000000#"),
        ("%2A57%2A13800000000%23", "*57*13800000000#"),
        ("%EF%BC%8A57%EF%BC%8A13800000000%EF%BC%83", "＊57＊13800000000＃"),
        ("*8", "*8"),
        ("%23%2321%23", "##21#"),
        ("02223000001*", "02223000001*"),
        ("forward-to-me", "forward-to-me"),
    ],
)
async def test_codes_dialled_to_the_carrier(office: Office, dialled: str, meant: str) -> None:
    """Nothing but a plain telephone number leaves the duty room."""
    phone = await office.desk1.dials(dialled, 403)
    await phone.done()
    assert "SIP/2.0 183" in phone.messages(), "the sentence is heard"
    (attempt,) = await office.attempts("star_code")
    assert (attempt["line_number"], attempt["phone"], attempt["target"]) == ("02283000000", "desk1", meant)
    await _evidence(office, "star_code", {"cel", "sip"})
    call = await office.only_call(disposition="rejected")
    assert [leg["endpoint"] for leg in call["legs"]] == ["desk1"]


async def test_full_width_code_as_raw_characters(office: Office) -> None:
    """No SIP address may hold them, so the parser throws the request away; that it came is on record all the same."""
    phone = await office.desk1.dials("＊57＊13800000000＃", 403)
    try:
        (attempt,) = await office.attempts("malformed")
    finally:
        await phone.end()
    assert attempt["target"].startswith("from 127.0.0.1:")
    assert (attempt["line_number"], attempt["phone"]) == ("02283000000", "desk1"), "the one phone at this address"
    assert not await office.calls()


async def test_second_registration(office: Office) -> None:
    """The account already has its phone: a second device is refused and named."""
    await office.desk1.registers(contact_port=6999, expected=403)
    (attempt,) = await office.attempts("second_registration")
    assert (attempt["line_number"], attempt["phone"]) == ("02283000000", "desk1")
    assert ":6999" in attempt["target"]


async def test_registration_that_would_send_the_calls_out_again(office: Office) -> None:
    """A phone whose calls would ring at the carrier: the address of a trunk is nobody's telephone."""
    await office.desk2.registers(contact_host=CARRIER, contact_port=office.carrier.port, expected=401)
    (attempt,) = await office.attempts("second_registration")
    assert (attempt["line_number"], attempt["phone"]) == ("02283000001", "desk2")
    assert attempt["target"] == f"sip:desk2@{CARRIER}:{office.carrier.port}"
    assert [item["text"].partition("\n")[2].split(" ")[0] for item in attempt["evidence"]] == ["REGISTER", "SIP/2.0"]


async def test_registration_whose_address_leads_elsewhere(office: Office, tmp_path: Path) -> None:
    """maddr goes before the host that the access list has seen, so such a phone is not rung."""
    spoken = sound.speech(tmp_path / "a.alaw", 5, 7)
    await office.desk2.registers(contact_parameters=f";maddr={CARRIER}")
    caller = await office.carrier.calls("02283000001", "02223000001", talk_ms=1500, speech=spoken)
    await caller.done()
    (attempt,) = await office.attempts("second_registration")
    assert (attempt["line_number"], attempt["phone"]) == ("02283000001", "desk2")
    assert f"maddr={CARRIER}" in attempt["target"]
    call = await office.only_call(disposition="missed")
    assert (attempt["call_id"], [leg["endpoint"] for leg in call["legs"]]) == (call["id"], ["carrier"])


async def test_registration_with_a_guessed_password(office: Office) -> None:
    """Asked for the password again and again: refused, and on record."""
    await replace(office.desk2, secret="a-guess").registers(expected=401)
    (attempt,) = await office.attempts("second_registration")
    assert (attempt["line_number"], attempt["phone"]) == ("02283000001", "desk2")


async def test_own_call_begun_while_the_phone_rings(office: Office, tmp_path: Path) -> None:
    """Answering then would give it two calls to mix: the caller hears that nobody answers, the own call stays."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 6)
    elsewhere = replace(office.carrier, port=free_port(CARRIER))
    async with (
        office.carrier.takes(ring_ms=100, speech=spoken) as remote,
        office.desk1.takes(ring_ms=1500, speech=spoken) as phone,
    ):
        caller = await elsewhere.calls("02283000000", "02223000009", talk_ms=1500, speech=spoken)
        await office.only_call(disposition="ringing")
        own = await office.desk1.dials("02223000001", 200, scenario="talk", talk_ms=3000, speech=spoken)
        await phone.done()
        await caller.done()
        await own.done()
        await remote.done()
    (attempt,) = await office.attempts("second_call")
    assert (attempt["line_number"], attempt["phone"], attempt["target"]) == ("02283000000", "desk1", "02223000009")

    async def told() -> bool:
        return {call["direction"]: call["disposition"] for call in await office.calls()} == {
            "inbound": "missed",
            "outbound": "answered",
        }

    await office.until(told, 10)


async def test_second_call_of_a_phone_that_is_in_a_call(office: Office, tmp_path: Path) -> None:
    """It could mix both by itself: the second is refused, the first goes on."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 4)
    async with office.desk1.takes(ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=4000, speech=spoken)
        await office.only_call(disposition="talking")
        second = await office.desk1.dials(TARGET, 403)
        await second.done()
        await caller.done()
        await phone.done()
    (attempt,) = await office.attempts("second_call")
    assert (attempt["phone"], attempt["target"]) == ("desk1", TARGET)


async def test_feature_codes_during_a_call(office: Office, tmp_path: Path) -> None:
    """Keys for transfer and parking pass as tones; nothing obeys them; they are on record."""
    spoken = sound.speech(tmp_path / "a.alaw", 10, 5)
    async with office.desk1.takes("feature_code", ring_ms=200, speech=spoken) as phone:
        caller = await office.carrier.calls("02283000000", "02223000001", talk_ms=4000, speech=spoken)
        await caller.done()
        await phone.done()
    await office.attempts("feature_code")

    async def whole() -> bool:
        return (await office.attempts("feature_code"))[0]["target"] == "#1*2#72"

    await office.until(whole, 10)
    call = await office.only_call(disposition="answered")
    assert [leg["endpoint"] for leg in call["legs"]] == ["carrier", "desk1"]


async def test_forward_followed_by_the_engine_itself_ends_in_the_net(office: Office) -> None:
    """An API user originates to a phone that answers 302: the followed forward lands in forward-denied."""
    async with office.desk1.takes("redirect", status="302 Moved", target=TARGET) as phone:
        secret = (office.config.run_dir / "ari.secret").read_text(encoding="utf-8")
        headers = {"Authorization": aiohttp.encode_basic_auth("dutyline", secret)}
        answer = await office.session.post(
            f"{_ari(office)}/ari/channels", params={"endpoint": "PJSIP/desk1", "app": "dutyline"}, headers=headers
        )
        assert answer.status == 200, await answer.text()
        await phone.done()
    (attempt,) = await office.attempts("forward_context")
    assert attempt["target"] == TARGET


async def test_the_running_configuration_opens_no_way(office: Office) -> None:
    """`dutyline check` passes on what is running."""
    assert "fault" not in await dutyline("check", "--config", office.config_file)


async def _evidence(office: Office, method: str, sources: set[str]) -> None:
    async def there() -> bool:
        (attempt,) = await office.attempts(method)
        return sources <= {item["source"] for item in attempt["evidence"]}

    await office.until(there, 10, lambda: f"evidence of {method} from {sources}")


def _ari(office: Office) -> str:
    ports = json.loads((office.config.run_dir / "ports.json").read_text(encoding="utf-8"))
    return f"http://{ports['ari']}"


def _dialog(messages: str) -> str:
    """The answered dialog of the desk phone as a Replaces value: the phone's own tag is the to-tag there."""
    ok = next(part for part in re.split(r"-{40,}", messages) if "SIP/2.0 200 OK" in part and "INVITE" in part)
    call_id = re.search(r"Call-ID: (\S+)", ok)
    local, remote = re.search(r"To:.*tag=(\S+)", ok), re.search(r"From:.*tag=(\S+)", ok)
    assert call_id
    assert local
    assert remote
    return f"{call_id[1]};to-tag={remote[1]};from-tag={local[1]}"
