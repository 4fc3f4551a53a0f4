"""Who sent a call on to us: the whole chain of Diversion (RFC 5806) and History-Info (RFC 7044) of an inbound INVITE.

Asterisk itself reads only the first Diversion header, and no History-Info that is comma-joined; so the chain is read
from the raw message. Diversion lists the latest diverting number first; History-Info lists the numbers that were tried
in order, and the call went from each to the next, at last to the one in the request line:

    History-Info: <sip:A?Reason=SIP%3Bcause%3D302>;index=1    why A was left   (RFC 7044, nested in the URI)
    History-Info: <sip:B;cause=486>;index=1.1;mp=1            why B was tried  (RFC 4458)
    INVITE sip:OURS                                           B → OURS: not said why, "unknown"

Two entries for one line (another host, another form of the number, an alias) are no diversion.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import unquote

from gateway.core import number as numbers
from gateway.core.directory import Directory
from gateway.core.sip import SipMessage, parameter, uri_of, user_of

# RFC 4458 / RFC 7044: what a History-Info cause means in the words of Diversion
_CAUSES = {
    "302": "unconditional",
    "486": "user-busy",
    "408": "no-answer",
    "480": "deflection",
    "487": "deflection",
    "503": "unavailable",
    "404": "unknown",
}
# The same in the words of ISDN, for networks that pass its Reason on.
_Q850_CAUSES = {
    "17": "user-busy",
    "18": "no-answer",
    "19": "no-answer",
    "20": "unavailable",
    "27": "unavailable",
    "1": "unknown",
}
_CAUSE = re.compile(r";cause=(\d{3})", re.I)
_REASON = re.compile(r"(?P<protocol>[\w.]{0,16})\s{0,4};[^,]{0,200}?\bcause\s{0,4}=\s{0,4}(?P<cause>\d{1,3})\b", re.I)
_QUOTED = re.compile(r'"[^"]*"')
_NESTED = 3  # times that a value may have been percent-encoded on its way through several networks


@dataclass(frozen=True, slots=True)
class Diverting:
    """One number that sent the call on, and why."""

    number: str
    reason: str
    header: str  # Diversion or History-Info
    raw: str


def chain(message: SipMessage, directory: Directory) -> tuple[Diverting, ...]:
    """Every number that diverted the call, latest first; Diversion entries before History-Info entries."""
    diversions = [
        Diverting(user_of(value), parameter(value, "reason") or "unknown", "Diversion", value)
        for value in message.values("diversion")
    ]
    return (*diversions, *_history(message.values("history-info"), f"<{message.request_uri}>", directory))


def _history(entries: list[str], request_uri: str, directory: Directory) -> list[Diverting]:
    """Each entry from which the call went on to another number."""
    found = []
    for entry, successor in pairwise([*entries, request_uri]):
        number = user_of(entry)
        if number and not _is_same_line(number, user_of(successor), directory):
            found.append(Diverting(number, _reason(entry, successor), "History-Info", entry))
    return found[::-1]


def _is_same_line(one: str, other: str, directory: Directory) -> bool:
    line = directory.line_of(one)
    return (
        one == other
        or numbers.same_number(one, other, directory.area_code)
        or (line is not None and line == directory.line_of(other))
    )


def _reason(entry: str, successor: str) -> str:
    """Why the call went on: the new target's own `cause` (RFC 4458), else the Reason of the target it left."""
    own = _CAUSE.search(uri_of(successor).partition("?")[0])
    cause = own[1] if own else ""
    if not cause:
        protocol, cause = _reason_of(entry)
        if protocol.upper() == "Q.850":
            return _Q850_CAUSES.get(cause, f"cause Q.850 {cause}")
    cause = cause or parameter(successor, "cause")
    return _CAUSES.get(cause, f"cause {cause}") if cause else "unknown"


def _reason_of(entry: str) -> tuple[str, str]:
    """Protocol and cause of the Reason inside an entry's URI, SIP's among several; empty when there is none."""
    fields = (field.partition("=")[::2] for field in uri_of(entry).partition("?")[2].split("&"))
    reasons = [
        (found["protocol"], found["cause"])
        for name, value in fields
        if _decoded(name).lower() == "reason"
        for found in _REASON.finditer(_QUOTED.sub("", _decoded(value)))
    ]
    return next((reason for reason in reasons if reason[0].upper() == "SIP"), (reasons or [("", "")])[0])


def _decoded(text: str) -> str:
    for _ in range(_NESTED):
        text = unquote(text)
    return text
