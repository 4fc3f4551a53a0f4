"""What came of the story, by observation only: the API on one side, the phones' own logs on the other.

Nothing that was sent counts as seen. A call on record and a call at a phone are the same when they have the same SIP
Call-ID; `checks` compares them from there on.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from gateway.core import sip
from gateway.core.sip import SipMessage
from gateway.demo import witness
from gateway.demo.api import Api, Row, settled
from gateway.demo.story import Scene, Stage
from gateway.demo.witness import Seen


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording as it was fetched: its row, and each side's WAV."""

    row: Row
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Seat:
    """A scene: what the caller's phone saw, what all other phones saw of it, and its call on record (None: none)."""

    scene: Scene
    caller: list[Seen]
    others: list[Seen]
    call: Row | None
    sounds: list[Sound]


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything that was read back. `wire` is every SIP message that went in or out of Asterisk."""

    seats: list[Seat]
    calls: list[Row]
    attempts: list[Row]
    alarms: list[Row]
    plays: list[Row]
    wire: list[SipMessage]
    district: list[Seen]


async def observe(api: Api, stage: Stage, scenes: Sequence[Scene], since: datetime) -> Observed:
    """Reads everything back, once all calls are over and all recordings sealed. Raises ApiError."""
    recordings = sum(bool(scene.expected.recording) for scene in scenes)
    attempts = sum(bool(scene.expected.attempt) for scene in scenes)

    def over(calls: list[Row]) -> bool:
        made = [row for call in calls for row in call["recordings"]]
        return (
            len(calls) >= len(scenes)
            and all(call["ended_at"] for call in calls)
            and len(made) >= recordings
            and all(row["state"] != "capturing" for row in made)
        )

    calls = await settled(lambda: api.whole_calls(since), over)
    found = await settled(lambda: api.rows("/forward-attempts", since), lambda rows: len(rows) >= attempts)
    district = witness.read(stage.district.messages())
    second = witness.read(stage.second_phone.messages())
    seats = [await _seat(api, scene, [*district, *second], calls) for scene in scenes]
    alarms = [row for row in (await api.get("/alarms"))["items"] if datetime.fromisoformat(row["raised_at"]) >= since]
    plays = [row for row in await api.rows("/audits", since) if row["action"] == "play"]
    wire = await asyncio.to_thread(_wire, stage.city.config.sip_journal_dir, since)
    return Observed(seats, calls, found, alarms, plays, wire, district)


async def _seat(api: Api, scene: Scene, everywhere: Sequence[Seen], calls: Sequence[Row]) -> Seat:
    caller = witness.read(scene.caller.messages())
    own = set(witness.call_ids(caller))
    call = next((row for row in calls if own & {leg["sip_call_id"] for leg in row["legs"]}), None)
    legs = {leg["sip_call_id"] for leg in call["legs"]} - own if call else set()
    at_phones = [seen for phone in scene.phones for seen in witness.read(phone.messages())]
    others = [seen for seen in (*at_phones, *everywhere) if seen.message.header("call-id") in legs]
    sealed = [row for row in call["recordings"] if row["state"] == "sealed"] if call else []
    sounds = [Sound(row, {side: await api.sound(row["id"], side) for side in row["sides"]}) for row in sealed]
    return Seat(scene, caller, others, call, sounds)


def _wire(folder: Path, since: datetime) -> list[SipMessage]:
    """The raw copies of all SIP, as they lie in the gateway's journal."""
    messages = []
    for path in sorted(folder.glob("sip*.json")):
        for line in path.read_text(encoding="utf-8").splitlines():
            told = json.loads(line)
            at = datetime.fromisoformat(told["at"])
            if at >= since:
                messages.append(sip.parse(at, told["source"], told["target"], told["text"]))
    return messages
