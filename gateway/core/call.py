"""A call (one linkedid) and its legs (one channel each), folded from CEL events.

Placeholder types for the contract; the fold stands in this file too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Direction = Literal["inbound", "outbound", "internal"]
Disposition = Literal["ringing", "talking", "answered", "missed", "rejected", "refused", "abandoned", "failed"]
Party = Literal["caller", "called"]


@dataclass(frozen=True, slots=True)
class CelEvent:
    """One line of Asterisk's CEL journal. `extra` is the decoded JSON of the line's `extra` field."""

    node: str
    file: str
    offset: int
    at: datetime
    type: str  # CHAN_START, ANSWER, …, USER_DEFINED
    user_type: str  # for USER_DEFINED: DUTY_CALL, LEG, LOOKUP, …
    channel: str
    uniqueid: str
    linkedid: str
    caller_number: str = ""
    caller_name: str = ""
    dnid: str = ""
    exten: str = ""
    context: str = ""
    app: str = ""
    app_data: str = ""
    peer: str = ""
    extra: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Leg:
    """One party, one channel. Times are Asterisk's; None means it did not happen (yet)."""

    id: str  # the channel's uniqueid
    call_id: str
    channel: str
    party: Party
    endpoint: str  # phone user or trunk name
    number: str
    started_at: datetime
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    cause: int | None = None
    tech_cause: str = ""
    sip_call_id: str = ""
    synthetic_end: bool = False


@dataclass(frozen=True, slots=True)
class Call:
    """One call as a person would tell it. `disposition` is a table in this file."""

    id: str  # linkedid
    node: str
    direction: Direction
    line_number: str | None  # our duty line concerned
    dialled_number: str
    caller_number: str
    caller_name: str
    started_at: datetime
    answered_at: datetime | None
    ended_at: datetime | None
    disposition: Disposition
    answered_by: str | None = None  # phone user or trunk name
    message_left: bool = False
    lookup: str = ""  # ok, timeout, refused, "" when not asked
    recording_state: str = ""  # started, failed, ""
    reason: str = ""  # for missed/rejected/refused: why, as a short code
    legs: tuple[Leg, ...] = ()

    @property
    def talk_s(self) -> float:
        """Seconds from answer to end; 0.0 when never answered or not over."""
        if self.answered_at is None or self.ended_at is None:
            return 0.0
        return (self.ended_at - self.answered_at).total_seconds()
