"""One CEL event: a line of Asterisk's own journal, as a value.

Asterisk writes the line, we only read it. User events (`CELGenUserEvent`) carry their facts as
`application/x-www-form-urlencoded` text inside a JSON string inside the line, because URIENCODE is the one encoder
that the dialplan has and that no caller's name can break out of:

    "eventextra":"{\\"extra\\":\\"direction=inbound&line=02283000000\\"}"  →  {"direction": "inbound", "line": "0228…"}

Facts of other events (HANGUP: cause, source, dial status; FORWARD: target; DTMF: digit) are that JSON itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

ID_LENGTH = 150  # AST_MAX_UNIQUEID
NAME_LENGTH = 255
TYPE_LENGTH = 32
USER_TYPE_LENGTH = 64


@dataclass(frozen=True, slots=True)
class CelEvent:
    """One line of Asterisk's CEL journal. `extra` holds the event's own facts, already decoded."""

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

    @property
    def key(self) -> tuple[datetime, str, int]:
        """The order of events: by time, then as they were written."""
        return (self.at, self.file, self.offset)

    def fact(self, name: str) -> str:
        """A fact of the event as text; empty when it has none of that name."""
        value = self.extra.get(name)
        return "" if value is None else str(value)


def cel_event(raw: Mapping[str, Any], *, node: str, file: str, offset: int) -> CelEvent:
    """The event that the fields of a line tell; ValueError says which field is missing or wrong."""
    enum = (
        _required(raw, "eventtype", TYPE_LENGTH) if "eventenum" not in raw else _required(raw, "eventenum", TYPE_LENGTH)
    )
    user_type = _user_type(raw) if enum == "USER_DEFINED" else ""
    return CelEvent(
        node=node,
        file=file,
        offset=offset,
        at=_instant(_required(raw, "eventtime", TYPE_LENGTH)),
        type=enum,
        user_type=user_type,
        channel=_text(raw, "channame")[:NAME_LENGTH],
        uniqueid=_required(raw, "uniqueid", ID_LENGTH),
        linkedid=_required(raw, "linkedid", ID_LENGTH),
        caller_number=_text(raw, "num") or _text(raw, "ani"),
        caller_name=_text(raw, "name"),
        dnid=_text(raw, "dnid"),
        exten=_text(raw, "exten"),
        context=_text(raw, "context"),
        app=_text(raw, "appname"),
        app_data=_text(raw, "appdata"),
        peer=_text(raw, "peer"),
        extra=_facts(_text(raw, "eventextra"), user_event=enum == "USER_DEFINED"),
    )


def _user_type(raw: Mapping[str, Any]) -> str:
    """Asterisk gives the name in `userdeftype`, and in `eventtype` too when `eventenum` is written."""
    name = _text(raw, "userdeftype")
    if not name and raw.get("eventtype") != "USER_DEFINED":
        name = _text(raw, "eventtype")
    if not name or len(name) > USER_TYPE_LENGTH:
        raise ValueError("a user event needs a name of at most 64 characters in userdeftype")
    return name


def _text(raw: Mapping[str, Any], name: str) -> str:
    value = raw.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _required(raw: Mapping[str, Any], name: str, longest: int) -> str:
    value = _text(raw, name)
    if not value:
        raise ValueError(f"{name} is missing")
    if len(value) > longest:
        raise ValueError(f"{name} is longer than {longest} characters")
    return value


def _instant(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"eventtime '{text}' is not an ISO time") from error
    if at.tzinfo is None:
        raise ValueError(f"eventtime '{text}' does not say its zone")
    if not 1970 < at.year < 9999:
        raise ValueError(f"eventtime '{text}' is no time at which an engine ran")
    return at.astimezone(UTC)


def _facts(text: str, *, user_event: bool) -> dict[str, object]:
    if not text:
        return {}
    try:
        facts = json.loads(text, strict=False)
    except ValueError as error:
        raise ValueError("eventextra is not JSON") from error
    if not isinstance(facts, dict):
        raise ValueError("eventextra is not a JSON object")
    inner = facts.get("extra")
    if user_event and isinstance(inner, str):
        return dict(parse_qsl(inner.replace("%00", "%EF%BF%BD"), keep_blank_values=True))  # no database keeps a NUL
    return facts
