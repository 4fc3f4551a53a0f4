"""What an inbound call gets: how long it rings, whether recording is announced, what the phone shows of the caller."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.core.inventory import Line, Unit

SHOWN_NAME_MAX = 40  # desk phones cut longer names


@dataclass(frozen=True, slots=True)
class Question:
    """What the dialplan asks of the gateway."""

    line: str
    caller: str
    call_id: str
    channel: str


@dataclass(frozen=True, slots=True)
class Treatment:
    """The answer. `known_as` is empty when the directory does not know the caller."""

    announce_recording: bool
    ring_timeout_s: int
    known_as: str


@dataclass(frozen=True, slots=True)
class TreatmentRules:
    """The configured defaults."""

    announce_recording: bool
    ring_timeout_s: int


def treat(line: Line | None, caller: Unit | None, rules: TreatmentRules) -> Treatment:
    """The treatment of a call to `line` from a number registered for `caller` (None: not in the directory).

    A number is shown as a unit's number, never as proof that the unit is calling (art. 27).
    """
    announce = line.announce_recording if line and line.announce_recording is not None else rules.announce_recording
    ring_timeout_s = (line.ring_timeout_s if line else None) or rules.ring_timeout_s
    return Treatment(announce, ring_timeout_s, caller.name[:SHOWN_NAME_MAX] if caller else "")
