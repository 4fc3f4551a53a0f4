"""Raw SIP and the engine's log become attempts; what needs a real Asterisk stands in tests/live/test_forwarding.py."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gateway.core.call import Call, Leg
from gateway.core.directory import Directory
from gateway.core.forwarding import LogLine
from gateway.core.inventory import Inventory, Line, Phone, Unit
from gateway.core.sip import parse
from gateway.ports import Store
from gateway.services.forwarding import ForwardingWatch
from gateway.services.live import LiveHub

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
OURS = "02283000000"
DIRECTORY = Directory.of(
    Inventory(
        units=(Unit("CITY", "市政府值班室", "city_duty_office"),),
        lines=(
            Line(OURS, "CITY", "ours", (Phone("desk1", "0" * 32),)),
            Line("02283000001", "CITY", "ours", (Phone("desk2", "0" * 32),)),
        ),
    )
)
TALK = Leg("n-1.1", "n-1.0", "PJSIP/desk1-1", "called", "desk1", OURS, AT, sip_call_id="talk@us")
CALL = Call("n-1.0", "n", "inbound", OURS, OURS, "02223000001", "", AT, AT, None, "talking", legs=(TALK,))


class Watched:
    """A watch on a store, fed by hand."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.watch = ForwardingWatch(store, LiveHub(), lambda: DIRECTORY, lambda: 0.0)

    async def hears(self, start: str, *headers: str, source: str = "10.0.0.9:5060") -> None:
        await self.watch.on_message(parse(AT, source, "10.0.0.1:5060", "\r\n".join([start, *headers, "", ""])))

    async def attempt(self) -> dict[str, Any]:
        async with self.store.begin() as uow:
            (row,) = await uow.forward_attempts.search(None, None, 10)
        return dict(row)

    async def alarms(self) -> list[str]:
        async with self.store.begin() as uow:
            return [row["code"] for row in await uow.alarms.standing()]


@pytest.fixture
async def watched(store: Store) -> Watched:
    async with store.begin() as uow:
        await uow.calls.save([CALL], {})
    return Watched(store)


INVITE = (f"INVITE sip:{OURS}@x SIP/2.0", "Call-ID: thief@x", "CSeq: 2 INVITE", "From: <sip:desk2@x>")
REPLACES = "Replaces: talk@us;to-tag=1;from-tag=2"


async def test_a_takeover_belongs_to_the_call_that_it_names(watched: Watched) -> None:
    await watched.hears(*INVITE, REPLACES, "Diversion: <sip:1@x>")
    await watched.hears("SIP/2.0 401 Unauthorized", *INVITE[1:])
    attempt = await watched.attempt()
    assert (attempt["call_id"], attempt["line_number"], attempt["phone"]) == (CALL.id, OURS, "desk2")
    assert (attempt["outcome"], await watched.alarms()) == ("blocked", ["forward_attempt"])
    async with watched.store.begin() as uow:
        call = await uow.calls.get(CALL.id)
    assert call is not None
    assert call["diversion"] == [], "of the thief's INVITE, not of the call"


async def test_a_takeover_that_was_answered_is_not_called_blocked(watched: Watched) -> None:
    await watched.hears(*INVITE, REPLACES)
    await watched.hears("SIP/2.0 200 OK", *INVITE[1:])
    attempt = await watched.attempt()
    assert attempt["outcome"] == "not_blocked"
    assert [item["text"].partition("\n")[2].split(" ")[0] for item in attempt["evidence"]] == ["INVITE", "SIP/2.0"]
    assert sorted(await watched.alarms()) == ["forward_attempt", "forward_not_blocked"]


async def registers(watched: Watched, phone: str, source: str) -> None:
    told = (f"Call-ID: {phone}@x", "CSeq: 1 REGISTER", f"To: <sip:{phone}@x>", f"Contact: <sip:{phone}@{source}>")
    await watched.hears("REGISTER sip:x SIP/2.0", *told, source=source)
    await watched.hears("SIP/2.0 200 OK", *told, source="10.0.0.1:5060")


DROPPED = "Dropping 519 bytes packet from UDP 10.0.0.9:5062 : PJSIP syntax error when parsing 'Request Line' header"


@pytest.mark.parametrize(
    ("phones", "expected"),
    [
        ({"desk1": "10.0.0.9:5060"}, (OURS, "desk1")),
        ({"desk1": "10.0.0.8:5060"}, (None, None)),
        ({"desk1": "10.0.0.9:5060", "desk2": "10.0.0.9:5064"}, (None, None)),
        ({}, (None, None)),
    ],
)
async def test_a_packet_that_is_no_sip_is_the_one_phones_that_registered_from_there(
    watched: Watched, phones: dict[str, str], expected: tuple[str | None, str | None]
) -> None:
    for phone, source in phones.items():
        await registers(watched, phone, source)
    await watched.watch.on_log_line(LogLine(AT, "WARNING", DROPPED))
    attempt = await watched.attempt()
    assert (attempt["method"], attempt["target"]) == ("malformed", "from 10.0.0.9:5062")
    assert (attempt["line_number"], attempt["phone"]) == expected


async def test_a_refused_registration_shows_what_was_asked(watched: Watched) -> None:
    told = ("Call-ID: r@x", "CSeq: 1 REGISTER", "To: <sip:desk1@x>", "Contact: <sip:desk1@10.0.0.7>")
    await watched.hears("REGISTER sip:x SIP/2.0", *told)
    await watched.hears("SIP/2.0 401 Unauthorized", *told[:3], 'WWW-Authenticate: Digest nonce="a"')
    await watched.hears("REGISTER sip:x SIP/2.0", *told, 'Authorization: Digest nonce="a"')
    await watched.hears("SIP/2.0 401 Unauthorized", *told[:3], 'WWW-Authenticate: Digest nonce="b"')
    attempt = await watched.attempt()
    assert (attempt["method"], attempt["target"]) == ("second_registration", "sip:desk1@10.0.0.7")
    assert len(attempt["evidence"]) == 2
