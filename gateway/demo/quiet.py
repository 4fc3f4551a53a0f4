"""The city after the story: the duty room keeps its phones, and whoever rings is answered, or can leave a message.

02283000000   desk1 answers after 3 s and greets the caller; desk2 rings along
02283000001   nobody answers: the sentence, then a message
"""

from __future__ import annotations

import asyncio

from gateway.demo.phones import DeskPhone, Playing
from gateway.demo.story import MANY, NEVER_MS, Stage

ANSWERS_AFTER_MS = 3_000
REGISTERS_EVERY_S = 1_500.0  # a registration lasts an hour


async def stays(stage: Stage) -> None:
    """Until cancelled. Raises PhoneError when a phone of the duty room is refused."""
    greeting, silence = stage.tracks["visitor"].ours, stage.tracks["silence"].ours
    rooms: list[Playing] = []
    try:
        for desk, ring_ms, speech in (
            (stage.desk1, ANSWERS_AFTER_MS, greeting),
            (stage.desk2, NEVER_MS, silence),
            (stage.desk3, NEVER_MS, silence),
        ):
            values = {"ring_ms": ring_ms, "speech": speech}
            rooms.append(await stage.sipp.play("room", values, host=desk.host, port=desk.port, calls=MANY))
        district = {"ring_ms": 1500, "speech": stage.tracks["outbound"].theirs}
        rooms.append(
            await stage.sipp.play("room", district, host=stage.carrier.host, port=stage.carrier.port, calls=MANY)
        )
        await _keeps_registered((stage.desk1, stage.desk2, stage.desk3))
    finally:
        for room in rooms:
            await room.end()


async def _keeps_registered(desks: tuple[DeskPhone, ...]) -> None:
    while True:
        await asyncio.sleep(REGISTERS_EVERY_S)  # a phone's own clock
        for desk in desks:
            await desk.registers()
