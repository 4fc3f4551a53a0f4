"""What each noun looks like from outside: one table per noun, from which JSON, CSV columns and OpenAPI schemas come.

Only what stands in a table leaves the house, so a new column of the database (or a password hash) never leaks by
accident, and the OpenAPI document cannot disagree with the answers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway.core.roles import ROLES
from gateway.ports import Row


@dataclass(frozen=True, slots=True)
class Field:
    """One member. `kind` is a JSON type, or instant (a string, UTC with microseconds)."""

    kind: str
    says: str
    nullable: bool = False
    allowed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Shape:
    """One noun from outside."""

    name: str
    fields: Mapping[str, Field]


DISPOSITIONS = ("ringing", "talking", "answered", "missed", "rejected", "refused", "abandoned", "failed")

CALL = Shape(
    "Call",
    {
        "id": Field("string", "linkedid of the call"),
        "node": Field("string", "node that carried it"),
        "direction": Field("string", "who began", allowed=("inbound", "outbound", "internal")),
        "line_number": Field("string", "our duty line concerned", nullable=True),
        "unit": Field("string", "unit of that line, frozen at the call", nullable=True),
        "dialled_number": Field("string", "as dialled"),
        "caller_number": Field("string", "as presented; not proof of identity"),
        "caller_name": Field("string", "as presented; not proof of identity"),
        "caller_unit": Field("string", "unit registered for the caller's number; not proof of identity", nullable=True),
        "started_at": Field("instant", "when the caller's channel began"),
        "answered_at": Field("instant", "when somebody answered", nullable=True),
        "ended_at": Field("instant", "when it was over", nullable=True),
        "disposition": Field("string", "how it went", allowed=DISPOSITIONS),
        "answered_by": Field("string", "phone or trunk that answered", nullable=True),
        "message_left": Field("boolean", "the caller left a message"),
        "lookup": Field(
            "string", "whether the gateway answered the dialplan's question: ok, timeout, refused or empty"
        ),
        "recording_state": Field("string", "started, failed or empty"),
        "reason": Field("string", "why it was missed, rejected or refused"),
        "diversion": Field("array", "chain of diverting numbers, latest first; empty when none was seen"),
    },
)
LEG = Shape(
    "Leg",
    {
        "id": Field("string", "uniqueid of the channel"),
        "call_id": Field("string", "its call"),
        "channel": Field("string", "name of the channel"),
        "party": Field("string", "which side", allowed=("caller", "called")),
        "endpoint": Field("string", "phone or trunk"),
        "number": Field("string", "its number"),
        "started_at": Field("instant", "when the channel began"),
        "answered_at": Field("instant", "when it answered", nullable=True),
        "ended_at": Field("instant", "when it ended", nullable=True),
        "cause": Field("integer", "Q.850 cause of the end", nullable=True),
        "tech_cause": Field("string", "cause in the words of SIP"),
        "sip_call_id": Field("string", "SIP Call-ID"),
        "synthetic_end": Field("boolean", "the end was concluded, not seen"),
    },
)
EVENT = Shape(
    "Event",
    {
        "at": Field("instant", "Asterisk's time"),
        "type": Field("string", "CEL event type"),
        "user_type": Field("string", "name of a USER_DEFINED event"),
        "channel": Field("string", "name of the channel"),
        "uniqueid": Field("string", "uniqueid of the channel"),
        "linkedid": Field("string", "its call"),
        "node": Field("string", "node that wrote it"),
        "file": Field("string", "journal file"),
        "offset": Field("integer", "byte offset in that file"),
        "raw": Field("object", "the whole line of the journal"),
    },
)
RECORDING = Shape(
    "Recording",
    {
        "id": Field("string", "name of the recording"),
        "call_id": Field("string", "its call"),
        "line_number": Field("string", "our duty line concerned", nullable=True),
        "kind": Field("string", "a conversation or a message", allowed=("talk", "message")),
        "state": Field("string", "how far it is", allowed=("capturing", "sealed", "missing")),
        "started_at": Field("instant", "when it began"),
        "ended_at": Field("instant", "when it ended", nullable=True),
        "length_s": Field("number", "length in seconds", nullable=True),
        "rate_hz": Field("integer", "samples per second", nullable=True),
        "ours_sha256": Field("string", "SHA-256 of what our side said", nullable=True),
        "theirs_sha256": Field("string", "SHA-256 of what the other side said", nullable=True),
        "sides": Field("array", "which sides there are: ours, theirs"),
        "note": Field("string", "a remark, such as why it is missing"),
    },
)
FORWARD_ATTEMPT = Shape(
    "ForwardAttempt",
    {
        "key": Field("string", "the same for the same attempt seen twice"),
        "at": Field("instant", "when"),
        "method": Field("string", "redirect, refer, replaces, star_code, second_registration, second_call, …"),
        "line_number": Field("string", "the duty line", nullable=True),
        "phone": Field("string", "the phone", nullable=True),
        "target": Field("string", "where to"),
        "call_id": Field("string", "during which call", nullable=True),
        "outcome": Field("string", "what came of it, such as blocked"),
        "evidence": Field("array", "raw evidence: source, at, text"),
    },
)
ALARM = Shape(
    "Alarm",
    {
        "id": Field("string", "its identifier"),
        "code": Field("string", "what kind"),
        "severity": Field("string", "how grave", allowed=("critical", "warning", "notice")),
        "subject": Field("string", "call, line or file concerned"),
        "detail": Field("string", "a sentence"),
        "raised_at": Field("instant", "since when"),
        "cleared_at": Field("instant", "until when", nullable=True),
        "cleared_by": Field("string", "who cleared it", nullable=True),
    },
)
AUDIT = Shape(
    "Audit",
    {
        "id": Field("integer", "number of the row"),
        "at": Field("instant", "when"),
        "actor": Field("string", "who"),
        "action": Field("string", "what: login, read, play, download, export, …"),
        "object_type": Field("string", "on what kind of thing"),
        "object_id": Field("string", "on which"),
        "address": Field("string", "from where"),
        "detail": Field("object", "more"),
    },
)
USER = Shape(
    "User",
    {
        "name": Field("string", "name to log in with"),
        "role": Field("string", "role", allowed=ROLES),
        "created_at": Field("instant", "since when"),
        "disabled_at": Field("instant", "until when", nullable=True),
    },
)


def iso(at: datetime) -> str:
    """UTC with microseconds, always of the same width."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def outside(shape: Shape, row: Row) -> dict[str, Any]:
    """The row as JSON shows it."""
    return {name: iso(value) if isinstance(value := row[name], datetime) else value for name in shape.fields}


def recording_outside(row: Row) -> dict[str, Any]:
    """A recording as JSON shows it: which sides there are, not where the files lie."""
    sides = [side for side in ("ours", "theirs") if row[f"{side}_path"]]
    return outside(RECORDING, {**row, "sides": sides})
