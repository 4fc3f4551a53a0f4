"""Who sent a call on to us: the whole chain of Diversion (RFC 5806) and History-Info (RFC 7044) of an inbound INVITE.

Asterisk itself reads only the first Diversion header, and no History-Info that is comma-joined; so the chain is read
from the raw message. Diversion lists the latest diverting number first; History-Info lists numbers in the order in
which they were tried: the new target carries the cause as a parameter, or the target that was left carries a Reason.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

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
_CAUSE = re.compile(r";cause=(\d{3})", re.I)
_REASON = re.compile(r"Reason=[^&]*?cause(?:%3D|=)(\d{3})", re.I)


@dataclass(frozen=True, slots=True)
class Diverting:
    """One number that sent the call on, and why."""

    number: str
    reason: str
    header: str  # Diversion or History-Info
    raw: str


def chain(message: SipMessage) -> tuple[Diverting, ...]:
    """Every number that diverted the call, latest first; Diversion entries before History-Info entries."""
    diversions = [
        Diverting(user_of(value), parameter(value, "reason") or "unknown", "Diversion", value)
        for value in message.values("diversion")
    ]
    return (*diversions, *_history(message.values("history-info")))


def _history(entries: list[str]) -> list[Diverting]:
    """Each entry whose successor says with a cause that the call went on from there."""
    found = []
    for entry, successor in pairwise(entries):
        cause = _cause(entry, successor)
        if cause and user_of(entry) != user_of(successor):
            reason = _CAUSES.get(cause, f"cause {cause}")
            found.append(Diverting(user_of(entry), reason, "History-Info", entry))
    return found[::-1]


def _cause(entry: str, successor: str) -> str:
    """Why the call went on: the new target's own `cause` (RFC 4458), else the Reason of the target it left."""
    headers_of_entry = uri_of(entry).partition("?")[2]
    found = _CAUSE.search(uri_of(successor).partition("?")[0]) or _REASON.search(headers_of_entry)
    return found[1] if found else parameter(successor, "cause")
