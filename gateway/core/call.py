"""A call (one linkedid) and its legs (one channel each), folded from CEL events.

An answered call to a duty line, as Asterisk writes it (t →):

    caller   CHAN_START DUTY_CALL LOOKUP ─────────────────────────── ANSWER BRIDGE_ENTER ── HANGUP CHAN_END
    phone                          CHAN_START LEG ── ANSWER RECORDING ───── BRIDGE_ENTER ── HANGUP CHAN_END
    call     ringing ─────────────────────────────────────────────── talking ───────────── answered    LINKEDID_END

and one that nobody answered; the caller's ANSWER only lets the sentence be heard, so it is no answer:

    caller   CHAN_START DUTY_CALL ───────────────── MISSED ANSWER MESSAGE RECORDING ─────── HANGUP CHAN_END
    phone              CHAN_START LEG ── HANGUP CHAN_END
    call     ringing ────────────────────────────── missed ──────────────────────────────── missed     LINKEDID_END

A call is *answered* when the caller and a called party are both up; a caller can be up earlier (an announcement is
played to him) and a phone can be up a moment earlier (it is told that the call is recorded). What the dialplan says in
MISSED and REJECTED outweighs every ANSWER: a phone picked up in the same instant in which ringing ended was not heard.

The disposition is the first row that holds:

    | when                                                            | disposition | reason              |
    |-----------------------------------------------------------------|-------------|---------------------|
    | REJECTED with reason `recording` (policy `refuse`)              | refused     | recording           |
    | REJECTED                                                        | rejected    | its reason          |
    | MISSED as busy, after a phone answered with a forward (FORWARD) | missed      | redirected          |
    | MISSED                                                          | missed      | its reason          |
    | both sides up                                                   | talking, then answered |          |
    | not over                                                        | ringing     |                     |
    | the caller's end was never written (engine died, disk full)     | failed      | engine_lost, event_lost |
    | no DUTY_CALL: the dialplan never saw it                         | failed      | no_dialplan         |
    | dial status NOANSWER or BUSY; inbound: not reachable either     | missed      | noanswer, busy, unreachable |
    | dial status says that nobody could be dialled                   | failed      | unreachable         |
    | a party was ringing, or the caller hung up himself              | abandoned   |                     |
    | anything else                                                   | failed      | not_dialled         |

Folding is pure, idempotent and does not depend on the order of its input: events are told apart by file and offset and
sorted by time, then as they were written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal, cast

from gateway.core.cel import CelEvent

__all__ = ["Call", "CelEvent", "Direction", "Disposition", "Leg", "Party", "fold"]

Direction = Literal["inbound", "outbound", "internal"]
Disposition = Literal["ringing", "talking", "answered", "missed", "rejected", "refused", "abandoned", "failed"]
Party = Literal["caller", "called"]

# Asterisk's own plumbing: channels of these technologies are nobody's ear.
PLUMBING = (
    "Local/",
    "Surrogate/",
    "Recorder/",
    "Announcer/",
    "CBAnn/",
    "CBRec/",
    "Snoop/",
    "Message/",
    "MulticastRTP/",
)
UNREACHABLE = ("CHANUNAVAIL", "CONGESTION", "INVALIDARGS")


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
    """One call as a person would tell it. `disposition` is the table at the head of this file."""

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


@dataclass(slots=True)
class _Channel:
    """What is known of one channel while its events are read."""

    id: str
    name: str
    started_at: datetime
    up_at: datetime | None = None
    bridged_at: datetime | None = None
    ended_at: datetime | None = None
    synthetic: str = ""
    cause: int | None = None
    dial_status: str = ""
    hung_up_by: str = ""
    number: str = ""
    caller_name: str = ""
    exten: str = ""
    duty_call: dict[str, object] | None = None
    leg: dict[str, object] = field(default_factory=dict)

    def hear(self, event: CelEvent) -> None:
        """Takes one event of this channel."""
        self.number = self.number or event.caller_number
        self.caller_name = self.caller_name or event.caller_name
        if self.exten in ("", "s"):
            self.exten = event.exten
        match event.type:
            case "ANSWER":
                self.up_at = self.up_at or event.at
            case "BRIDGE_ENTER":
                self.bridged_at = self.bridged_at or event.at
                self.up_at = self.up_at or event.at
            case "HANGUP":
                self.ended_at = self.ended_at or event.at
                cause = event.extra.get("hangupcause")
                self.cause = cause if isinstance(cause, int) else self.cause
                self.hung_up_by = event.fact("hangupsource")
                self.dial_status = event.fact("dialstatus")
            case "CHAN_END":
                self.ended_at = self.ended_at or event.at
                self.synthetic = event.fact("synthetic")
            case "USER_DEFINED" if event.user_type == "DUTY_CALL":
                self.duty_call = event.extra
            case "USER_DEFINED" if event.user_type == "LEG":
                self.leg = event.extra

    def told(self, name: str) -> str:
        """A fact that the dialplan told of this channel."""
        return str((self.duty_call or self.leg).get(name, ""))

    @property
    def endpoint(self) -> str:
        """The phone's user or the trunk's name: as told, else from `PJSIP/<endpoint>-<8 hex>`."""
        return self.told("endpoint") or self.name.partition("/")[2].rpartition("-")[0]


@dataclass(slots=True)
class _Story:
    """What is known of the call beside its channels."""

    channels: dict[str, _Channel] = field(default_factory=dict)
    lookup: str = ""
    missed: str | None = None
    rejected: str | None = None
    redirected: bool = False
    message_began: bool = False
    recorded: dict[str, str] = field(default_factory=dict)  # kind → state; a failure is not taken back
    closed_at: datetime | None = None

    def hear(self, event: CelEvent) -> None:
        """Takes one event of the call."""
        if event.type == "LINKEDID_END":
            self.closed_at = event.at
            return
        if event.type == "USER_DEFINED":
            self._told(event)
        self.redirected = self.redirected or event.type == "FORWARD"
        if not event.channel or event.channel.startswith(PLUMBING):
            return
        channel = self.channels.get(event.uniqueid)
        if channel is None:
            channel = self.channels[event.uniqueid] = _Channel(event.uniqueid, event.channel, event.at)
        channel.hear(event)

    def _told(self, event: CelEvent) -> None:
        match event.user_type:
            case "LOOKUP":
                self.lookup = event.fact("status")
            case "MISSED":
                self.missed = event.fact("reason")
            case "REJECTED":
                self.rejected = event.fact("reason")
            case "MESSAGE":
                self.message_began = self.message_began or event.fact("state") == "began"
            case "RECORDING":
                kind, state = event.fact("kind"), event.fact("state")
                if self.recorded.get(kind) != "failed":
                    self.recorded[kind] = state

    @property
    def caller(self) -> _Channel:
        """The channel of which DUTY_CALL tells, else the oldest."""
        told = (channel for channel in self.channels.values() if channel.duty_call is not None)
        return next(told, next(iter(self.channels.values())))

    @property
    def recording_state(self) -> str:
        """`failed` when any failed, else `started` when any did."""
        states = set(self.recorded.values())
        return next((state for state in ("failed", "started") if state in states), "")


def fold(events: Sequence[CelEvent]) -> Call | None:
    """The call that these events of one linkedid tell; None when nobody's call is in them (an internal look-up)."""
    story = _Story()
    for event in sorted({(event.file, event.offset): event for event in events}.values(), key=lambda event: event.key):
        story.hear(event)
    if not story.channels:
        return None
    first = events[0]
    caller = story.caller
    direction = cast(Direction, caller.told("direction") or "inbound")
    legs = tuple(_leg(channel, first.linkedid, caller, story.closed_at) for channel in story.channels.values())
    ends = [leg.ended_at for leg in legs if leg.ended_at is not None]
    over = len(ends) == len(legs)
    answered_by = _answered_by(story, caller)
    disposition, reason = _disposition(story, caller, direction, over=over, answered=answered_by is not None)
    return Call(
        id=first.linkedid,
        node=first.node,
        direction=direction,
        line_number=caller.told("line") or None,
        dialled_number=caller.told("dialled") or caller.exten,
        caller_number=caller.number or (caller.told("line") if direction != "inbound" else ""),
        caller_name=caller.caller_name,
        started_at=min(leg.started_at for leg in legs),
        answered_at=_both_up(caller, answered_by) if answered_by else None,
        ended_at=max(ends) if over else None,
        disposition=disposition,
        answered_by=answered_by.endpoint if answered_by else None,
        message_left=story.message_began and story.recorded.get("message") == "started",
        lookup=story.lookup,
        recording_state=story.recording_state,
        reason=reason,
        legs=legs,
    )


def _answered_by(story: _Story, caller: _Channel) -> _Channel | None:
    """The party that was heard: the first in a bridge, else the first that was up."""
    if caller.up_at is None or story.missed is not None or story.rejected is not None:
        return None
    up = [channel for channel in story.channels.values() if channel is not caller and channel.up_at is not None]
    in_bridge = [channel for channel in up if channel.bridged_at is not None]
    return min(in_bridge or up, key=lambda channel: cast(datetime, channel.up_at), default=None)


def _both_up(caller: _Channel, called: _Channel) -> datetime:
    return max(cast(datetime, caller.up_at), cast(datetime, called.up_at))


def _disposition(
    story: _Story, caller: _Channel, direction: Direction, *, over: bool, answered: bool
) -> tuple[Disposition, str]:
    """The table at the head of this file, top to bottom."""
    inbound = direction == "inbound"
    status = caller.dial_status
    missed_reason = {"NOANSWER": "noanswer", "BUSY": "busy"} | (
        dict.fromkeys(UNREACHABLE, "unreachable") if inbound else {}
    )
    rang = len(story.channels) > 1
    rows: tuple[tuple[bool, Disposition, str], ...] = (
        (story.rejected == "recording", "refused", "recording"),
        (story.rejected is not None, "rejected", story.rejected or ""),
        (story.missed == "busy" and story.redirected, "missed", "redirected"),
        (story.missed is not None, "missed", story.missed or ""),
        (answered, "answered" if over else "talking", ""),
        (not over, "ringing", ""),
        (bool(caller.synthetic) or caller.ended_at is None, "failed", caller.synthetic or "engine_lost"),
        (caller.duty_call is None, "failed", "no_dialplan"),
        (status in missed_reason, "missed", missed_reason.get(status, "")),
        (status in UNREACHABLE, "failed", "unreachable"),
        (rang or caller.hung_up_by == caller.name, "abandoned", ""),
    )
    return next(((name, reason) for holds, name, reason in rows if holds), ("failed", "not_dialled"))


def _leg(channel: _Channel, call_id: str, caller: _Channel, closed_at: datetime | None) -> Leg:
    return Leg(
        id=channel.id,
        call_id=call_id,
        channel=channel.name,
        party="caller" if channel is caller else "called",
        endpoint=channel.endpoint,
        number=channel.told("number") or channel.number,
        started_at=channel.started_at,
        answered_at=channel.up_at,
        ended_at=channel.ended_at or closed_at,
        cause=channel.cause,
        tech_cause=channel.synthetic,
        sip_call_id=channel.told("sip"),
        synthetic_end=bool(channel.synthetic) or (channel.ended_at is None and closed_at is not None),
    )
