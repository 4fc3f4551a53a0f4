"""A duty desk for tests of the door to people: the real database, real sound, a seeded afternoon, one clock to turn."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.audio.files import PydubSoundFiles
from gateway.core.call import Call, Leg
from gateway.core.cel import CelEvent
from gateway.core.forwarding import ForwardAttempt
from gateway.core.inventory import Inventory, Line, Unit
from gateway.ports import Row, Store
from gateway.services import people
from gateway.services.live import LiveHub
from gateway.store.engine import open_store
from gateway.store.migrate import migrate
from gateway.web.app import WebParts

AFTERNOON = datetime(2026, 11, 23, 5, 5, 1, 123456, tzinfo=UTC)  # 13:05:01 in Tianjin
HOSTILE = "=cmd|'/c calc'!A1<script>alert(1)</script>"
ANSWERED, MISSED, RINGING = "node1-1795410301.1", "node1-1795410400.7", "node1-1795410500.9"
TALK = f"{ANSWERED}-talk"
SECONDS = 3


@dataclass
class Lamps:
    """`ports.Health` as a test sets it."""

    wrong: dict[str, str] = field(default_factory=dict)

    async def faults(self) -> Mapping[str, str]:
        return self.wrong


@dataclass
class Clock:
    """A clock that is turned."""

    at: datetime = AFTERNOON + timedelta(hours=1)
    seconds: float = 1000.0

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return self.seconds

    def turn(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds


@dataclass
class Desk:
    """Everything a test wants to turn or look at."""

    parts: WebParts
    store: Store
    live: LiveHub
    lamps: Lamps
    clock: Clock
    waiting: list[Row]  # alarms that the database cannot take now

    async def token(self, role: str, name: str = "") -> dict[str, str]:
        """Headers of somebody with this role."""
        async with self.store.begin() as uow:
            token = await people.create_token(uow, name or f"{role}1", role, self.clock.now())
        return {"Authorization": f"Bearer {token}"}

    async def audits(self, action: str = "") -> list[Row]:
        """Rows of the access log, oldest first."""
        async with self.store.begin() as uow:
            rows = await uow.audits.search(None, 1000)
        return [row for row in reversed(rows) if action in ("", row["action"])]

    async def save_call(self, call: Call) -> None:
        """Stores it and tells who watches, as the ingester does."""
        async with self.store.begin() as uow:
            await uow.calls.save([call], {call.id: ("CITY", "HP")})
        self.live.publish("call", {"id": call.id, "disposition": call.disposition})


def write_tone(path: Path, hertz: float, seconds: float = SECONDS, rate_hz: int = 8000) -> None:
    """A WAV with speech-like loudness: a tone that swells and fades."""
    path.parent.mkdir(parents=True, exist_ok=True)
    turn = 2 * math.pi / rate_hz
    samples = (
        int(18_000 * math.sin(turn * hertz * n) * abs(math.sin(turn * 0.7 * n))) for n in range(int(seconds * rate_hz))
    )
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def a_call(call_id: str, disposition: Any, begin_s: float, **more: Any) -> Call:
    """A call to the first duty line."""
    started_at = AFTERNOON + timedelta(seconds=begin_s)
    facts: dict[str, Any] = {
        "node": "node1",
        "direction": "inbound",
        "line_number": "02283000000",
        "dialled_number": "02283000000",
        "caller_number": "02223000001",
        "caller_name": "和平区值班室",
        "answered_at": None,
        "ended_at": None,
        "lookup": "ok",
    }
    return Call(id=call_id, started_at=started_at, disposition=disposition, **{**facts, **more})


def answered_call() -> Call:
    """Rang 4 s, talked as long as the recording."""
    begin, answer = AFTERNOON, AFTERNOON + timedelta(seconds=4)
    end = answer + timedelta(seconds=SECONDS)
    legs = tuple(
        Leg(uniqueid, ANSWERED, channel, party, endpoint, number, start, answer, end, 16, "", f"sip-{uniqueid}")
        for uniqueid, channel, party, endpoint, number, start in (
            (ANSWERED, "PJSIP/carrier-00000001", "caller", "carrier", "02223000001", begin),
            ("node1-1.2", "PJSIP/desk1-00000002", "called", "desk1", "02283000000", begin + timedelta(seconds=0.4)),
        )
    )
    return a_call(
        ANSWERED,
        "answered",
        0,
        answered_at=answer,
        ended_at=end,
        answered_by="desk1",
        recording_state="started",
        legs=legs,
    )


async def seed(desk: Desk) -> None:
    """One answered call with sound, one missed by a hostile caller, one forward attempt, one alarm."""
    missed_end = AFTERNOON + timedelta(seconds=160)
    missed = a_call(
        MISSED, "missed", 99, ended_at=missed_end, message_left=True, reason="noanswer", caller_name=HOSTILE
    )
    attempt = ForwardAttempt(
        "attempt-1",
        "redirect",
        AFTERNOON + timedelta(seconds=2),
        "02283000000",
        "desk1",
        "sip:13800000000@x<b>",
        ANSWERED,
        evidence=({"source": "sip", "at": "2026-11-23T05:05:03Z", "text": "SIP/2.0 302 Moved\r\nContact: <sip:x>"},),
    )
    raw = {"eventtype": "CHAN_START", "eventtime": "2026-11-23T05:05:01.123456Z"}
    event = CelEvent("node1", "cel.json", 0, AFTERNOON, "CHAN_START", "", "PJSIP/carrier-00000001", ANSWERED, ANSWERED)
    units = (Unit("CITY", "市人民政府", "city_duty_office"), Unit("HP", "和平区人民政府", "district", "CITY"))
    inventory = Inventory(units=units, lines=(Line("02283000000", "CITY", "ours"),))
    async with desk.store.begin() as uow:
        await uow.inventory.replace(inventory, by="test", source="test", sha256="0" * 64, at=AFTERNOON)
        await uow.events.add([(event, raw)])
        await uow.calls.save([answered_call(), missed], {ANSWERED: ("CITY", "HP"), MISSED: ("CITY", None)})
        await uow.calls.set_diversion(MISSED, [{"number": "02223000009", "reason": "unconditional", "header": "<x>"}])
        await uow.forward_attempts.add(attempt)
        await uow.alarms.raise_("missed_call", "critical", MISSED, "值班电话未接 <i>", AFTERNOON)
        await uow.recordings.save(a_recording(TALK, ANSWERED, "sealed"))
    for side, hertz in (("ours", 440.0), ("theirs", 660.0)):
        write_tone(desk.parts.recordings_dir / f"2026/11/23/{TALK}-{side}.wav", hertz)


def a_recording(recording_id: str, call_id: str, state: str, **more: Any) -> dict[str, Any]:
    """A recording's row."""
    begin = AFTERNOON + timedelta(seconds=4)
    row = {
        "id": recording_id,
        "call_id": call_id,
        "line_number": "02283000000",
        "kind": "talk",
        "state": state,
        "started_at": begin,
        "ended_at": begin + timedelta(seconds=SECONDS),
        "length_s": float(SECONDS),
        "rate_hz": 8000,
        "note": "",
    }
    for side in ("ours", "theirs"):
        row[f"{side}_path"] = f"2026/11/23/{recording_id}-{side}.wav" if state == "sealed" else None
        row[f"{side}_sha256"] = "a" * 64 if state == "sealed" else None
    return {**row, **more}


@asynccontextmanager
async def duty_desk(folder: Path) -> AsyncIterator[Desk]:
    """A seeded desk below `folder`."""
    url = f"sqlite:///{folder}/dutyline.db"
    await migrate(url)
    store = await open_store(url)
    sounds = PydubSoundFiles(folder / "mixed")
    live, lamps, clock = LiveHub(), Lamps(), Clock()
    waiting: list[Row] = []
    parts = WebParts(
        store=store,
        live=live,
        health=lamps,
        sounds=sounds,
        recordings_dir=folder / "recordings",
        version="0.0.test",
        now=clock.now,
        monotonic_s=clock.monotonic_s,
        journal_lag_s=lambda: 0.25,
        waiting_alarms=lambda: waiting,
        trusted_proxies=frozenset({"127.0.0.9"}),
        heartbeat_s=0.05,
    )
    desk = Desk(parts, store, live, lamps, clock, waiting)
    try:
        await seed(desk)
        yield desk
    finally:
        sounds.close()
        await store.close()
