"""The other side's truth: what a phone of the city sent and received, read from SIPp's own message log.

A moment at Asterisk lies between its cause at one phone and its effect at another, all on one machine and one clock:

    caller   INVITE ──▶                                          ◀── 200                  BYE ──▶
    Asterisk            CHAN_START                        ANSWER                                  HANGUP
    phone                           ◀── INVITE     200 ──▶                                               ◀── BYE

However slowly the machine runs, causes come before effects; so a time that we recorded is right when it lies between
the two, and off by as much as it lies outside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.core import sip
from gateway.core.sip import SipMessage

_MESSAGE = re.compile(
    r"^-{40,} (?P<at>\S+)\n\S+ message (?P<way>sent|received) [^\n]*\n\n(?P<text>.*?)(?=^-{40,} \S+\n|\Z)", re.M | re.S
)
_US, _THEM = "phone", "gateway"


@dataclass(frozen=True, slots=True)
class Seen:
    """One message at a phone; `sent` by the phone, else received."""

    sent: bool
    message: SipMessage

    @property
    def at(self) -> datetime:
        """When, by the phone's clock."""
        return self.message.at

    def is_(self, method: str, status: int, *, sent: bool) -> bool:
        """Whether it is this request (status 0) or this answer to it."""
        return self.sent == sent and self.message.method == method and self.message.status == status


def read(log: str) -> list[Seen]:
    """Every message of a SIPp log, in order."""
    seen = []
    for found in _MESSAGE.finditer(log):
        sent = found["way"] == "sent"
        at = datetime.fromisoformat(found["at"])
        source, target = (_US, _THEM) if sent else (_THEM, _US)
        seen.append(Seen(sent, sip.parse(at, source, target, found["text"])))
    return seen


def first(seen: Sequence[Seen], method: str, status: int = 0, *, sent: bool) -> datetime | None:
    """When a message was sent or received for the first time; None when it never was."""
    return next((each.at for each in seen if each.is_(method, status, sent=sent)), None)


def accepted_invite(seen: Sequence[Seen]) -> datetime | None:
    """When the phone first sent the INVITE that was not challenged: the one with its last CSeq."""
    sent = [each for each in seen if each.is_("INVITE", 0, sent=True)]
    return next((each.at for each in sent if each.message.header("cseq") == sent[-1].message.header("cseq")), None)


def outcome(seen: Sequence[Seen]) -> Seen | None:
    """The final answer to the phone's INVITE, a challenge left aside."""
    answers = (each for each in seen if not each.sent and each.message.method == "INVITE")
    return next((each for each in answers if each.message.status >= 200 and each.message.status != 401), None)


def call_ids(seen: Sequence[Seen]) -> list[str]:
    """The Call-IDs of every INVITE, each once, in order."""
    return list(dict.fromkeys(each.message.header("call-id") for each in seen if each.message.method == "INVITE"))


def off_by_s(at: datetime, cause: datetime, effect: datetime) -> float:
    """Seconds by which `at` lies outside the span from cause to effect; 0.0 inside."""
    return max(0.0, (cause - at).total_seconds(), (at - effect).total_seconds())
