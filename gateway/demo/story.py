"""The story: what happens in the demo city, played by real phones against the real gateway.

    s    0         10        20        30        40
    1st  report ───────┐diverted ─┐transfer ───┐outbound ──┐     line 02283000000: desk1 answers, desk2 rings along
    2nd  message ────────────┐redirect ──────┐star code ──┐      line 02283000001: desk3 rings 6 s
    out  wrong number ┐

Each scene says beforehand what must be on record afterwards (`Expected`); it never asks the gateway. Whether the phones
themselves saw what they should is SIPp's verdict (`Scene.complaints`).
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal

from gateway.asterisk.install import Engine
from gateway.demo import city as places
from gateway.demo.city import City
from gateway.demo.phones import Carrier, DeskPhone, PhoneError, Playing, Sipp
from gateway.demo.speech import Tracks

MANY = 1_000_000  # calls that a phone takes before its SIPp ends
NEVER_MS = 3_600_000
STAR_CODE = f"*57*{places.MOBILE}#"
DIVERSION = (  # latest first, as RFC 5806 has it
    f"Diversion: <sip:{places.FLOOD_OFFICE_DUTY}@carrier.invalid>;reason=no-answer\n"
    f"Diversion: <sip:{places.FLOOD_OFFICE}@carrier.invalid>;reason=unconditional\n"
)


@dataclass(frozen=True, slots=True)
class Expected:
    """What must be on record of a scene: members of the call as the API shows them, and what belongs to it."""

    call: Mapping[str, object]
    recording: Literal["talk", "message", ""] = ""
    attempt: str = ""
    attempt_target: str = ""
    phone: str = ""
    diversion: tuple[tuple[str, str], ...] = ()


@dataclass(slots=True)
class Scene:
    """One call: who rang whom, what each side said, what must come of it, and what the phones complained of."""

    name: str
    expected: Expected
    caller: Playing
    phones: tuple[Playing, ...] = ()
    tracks: Tracks | None = None
    complaints: list[str] = field(default_factory=list)

    async def ends(self) -> Scene:
        """Waits until every phone of the scene is done."""
        for phone in (self.caller, *self.phones):
            self.complaints += await _complaint_of(phone)
        return self


@dataclass(slots=True)
class Stage:
    """The phones in their places. `tracks` are the scripts of `speech`; `second_phone` rings along in every call."""

    city: City
    sipp: Sipp
    tracks: Mapping[str, Tracks]
    desk1: DeskPhone
    desk2: DeskPhone
    desk3: DeskPhone
    carrier: Carrier
    second_phone: Playing
    district: Playing

    async def call(self, number: str, caller: str, scenario: str = "caller", **values: object) -> Playing:
        """Somebody out there rings."""
        return await self.city.outside(self.sipp).calls(number, caller, scenario, **values)


async def _complaint_of(phone: Playing) -> list[str]:
    try:
        await phone.done()
    except PhoneError as error:
        return [str(error)]
    finally:
        await phone.end()
    return []


@asynccontextmanager
async def staged(city: City, engine: Engine, tracks: Mapping[str, Tracks]) -> AsyncIterator[Stage]:
    """The phones of the duty room register; one of them, and the district, take calls all the time."""
    sipp = city.sipp(engine)
    desks = [city.desk(sipp, user) for user in places.DESKS]
    carrier = city.carrier(sipp)
    second = await sipp.play(
        "room",
        {"ring_ms": NEVER_MS, "speech": tracks["silence"].ours},
        host=desks[1].host,
        port=desks[1].port,
        calls=MANY,
    )
    district = await sipp.play(
        "room", {"ring_ms": 1500, "speech": tracks["outbound"].theirs}, host=carrier.host, port=carrier.port, calls=MANY
    )
    try:
        await asyncio.gather(*(_moves_in(desk) for desk in desks))
        yield Stage(city, sipp, tracks, desks[0], desks[1], desks[2], carrier, second, district)
    finally:
        await second.end()
        await district.end()


async def _moves_in(desk: DeskPhone) -> None:
    """Registers; what the data folder still knows of the phones of an earlier day would have it refused."""
    await desk.unregisters()
    await desk.registers()


async def play(stage: Stage) -> list[Scene]:
    """Plays everything and gives the scenes, line by line. Raises PhoneError when a phone cannot start."""
    try:
        async with asyncio.TaskGroup() as group:
            lines = [group.create_task(line(stage)) for line in (_first_line, _second_line, _wrong_number)]
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    scenes = [scene for line in lines for scene in line.result()]
    for phone in (stage.second_phone, stage.district):
        try:
            await phone.hang_up()
        except PhoneError as error:
            scenes[0].complaints.append(str(error))
    return scenes


async def _first_line(stage: Stage) -> list[Scene]:
    return [await scene(stage) for scene in (_report, _diverted, _transfer, _outbound)]


async def _second_line(stage: Stage) -> list[Scene]:
    return [await scene(stage) for scene in (_message, _redirect, _star_code)]


def _inbound(caller: str, unit: str, line: str, disposition: str, **more: object) -> dict[str, object]:
    return {
        "direction": "inbound", "line_number": line, "dialled_number": line, "unit": "CITY", "caller_number": caller,
        "caller_unit": unit, "disposition": disposition, "lookup": "ok", **more,
    }  # fmt: skip


def _answered(caller: str, unit: str) -> dict[str, object]:
    return _inbound(
        caller, unit, places.LINE, "answered", answered_by="desk1", recording_state="started", message_left=False
    )


async def _talk(
    stage: Stage, name: str, caller: str, expected: Expected, scenario: str = "room", **values: object
) -> Scene:
    """Somebody reaches the duty room and both talk as the script says."""
    tracks = stage.tracks[name]
    headers = values.pop("headers", "")
    ring_ms = values.pop("ring_ms", 1500)
    async with stage.desk1.takes(scenario, speech=tracks.ours, ring_ms=ring_ms, **values) as phone:
        ringing = await stage.call(places.LINE, caller, talk_ms=tracks.length_ms, speech=tracks.theirs, headers=headers)
        return await Scene(name, expected, ringing, (phone,), tracks).ends()


async def _report(stage: Stage) -> Scene:
    """A district reports to the duty room."""
    return await _talk(stage, "report", places.HEPING, Expected(_answered(places.HEPING, "HP"), "talk"), ring_ms=2000)


async def _diverted(stage: Stage) -> Scene:
    """A call that two others had forwarded before it came to us: accepted, its chain logged."""
    chain = ((places.FLOOD_OFFICE_DUTY, "no-answer"), (places.FLOOD_OFFICE, "unconditional"))
    expected = Expected(_answered(places.NANKAI, "NK"), "talk", diversion=chain)
    return await _talk(stage, "diverted", places.NANKAI, expected, headers=DIVERSION)


async def _transfer(stage: Stage) -> Scene:
    """The officer tries to transfer the caller to a mobile phone by REFER; refused, and the call goes on."""
    expected = Expected(_answered(places.NANKAI, "NK"), "talk", "refer", places.MOBILE, "desk1")
    return await _talk(
        stage, "transfer", places.NANKAI, expected, "refer", ring_ms=1000, target=places.MOBILE, replaces=""
    )


async def _outbound(stage: Stage) -> Scene:
    """The duty room rings a district through the carrier."""
    tracks = stage.tracks["outbound"]
    call = {
        "direction": "outbound", "line_number": places.LINE, "dialled_number": places.HEPING, "unit": "CITY",
        "caller_number": places.LINE, "disposition": "answered", "answered_by": "carrier", "recording_state": "started",
    }  # fmt: skip
    officer = await stage.desk1.dials(places.HEPING, 200, scenario="talk", talk_ms=tracks.length_ms, speech=tracks.ours)
    return await Scene("outbound", Expected(call, "talk"), officer, (), tracks).ends()


async def _message(stage: Stage) -> Scene:
    """Nobody answers; the caller leaves a message."""
    tracks = stage.tracks["message"]
    missed = _inbound(places.HEXI, "HX", places.SECOND_LINE, "missed", reason="noanswer", message_left=True)
    async with stage.desk3.takes("room", ring_ms=NEVER_MS, speech=tracks.ours) as phone:
        caller = await stage.call(places.SECOND_LINE, places.HEXI, talk_ms=tracks.length_ms, speech=tracks.theirs)
        return await Scene("message", Expected(missed, "message"), caller, (phone,), tracks).ends()


async def _redirect(stage: Stage) -> Scene:
    """The phone forwards to a mobile phone by 302; not followed, and the caller hangs up without a message."""
    tracks = stage.tracks["silence"]
    missed = _inbound(places.HEPING, "HP", places.SECOND_LINE, "missed", reason="redirected", message_left=False)
    expected = Expected(missed, "message", "redirect", places.MOBILE, "desk3")
    async with stage.desk3.takes("redirect", status=302, target=places.MOBILE) as phone:
        caller = await stage.call(places.SECOND_LINE, places.HEPING, talk_ms=tracks.length_ms, speech=tracks.theirs)
        return await Scene("redirect", expected, caller, (phone,)).ends()


async def _star_code(stage: Stage) -> Scene:
    """The officer dials the code with which a carrier forwards every call."""
    call = {
        "direction": "outbound", "line_number": places.SECOND_LINE, "dialled_number": STAR_CODE, "unit": "CITY",
        "caller_number": places.SECOND_LINE, "disposition": "rejected", "reason": "star_code", "answered_by": None,
    }  # fmt: skip
    officer = await stage.desk3.dials(STAR_CODE.replace("#", "%23"), 403)
    expected = Expected(call, "", "star_code", STAR_CODE, "desk3")
    return await Scene("star_code", expected, officer).ends()


async def _wrong_number(stage: Stage) -> list[Scene]:
    """A number that nobody has: 404."""
    call = {
        "direction": "inbound", "line_number": None, "dialled_number": places.NOBODY, "caller_number": places.HEXI,
        "caller_unit": "HX", "disposition": "rejected", "reason": "unknown_number", "answered_by": None,
    }  # fmt: skip
    caller = await stage.call(places.NOBODY, places.HEXI, "rejected", status=404)
    return [await Scene("wrong_number", Expected(call), caller).ends()]
