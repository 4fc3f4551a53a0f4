"""A REGISTER under way, and whether an answer refuses it.

phone ── REGISTER ─────────────────▶ us        "Authorization" of yesterday, or none
      ◀─ 401, nonce a ──────────────           a question, no refusal
      ── REGISTER, answers nonce a ─▶
      ◀─ 401, nonce b ──────────────           refused: the password is wrong, or an access list denies the
                                               address or the Contact (Asterisk says 401 then, too)
      ◀─ 403 ───────────────────────           refused: the account has its phone already
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from gateway.core.sip import SipMessage

_NONCE = re.compile(r'\bnonce\s*=\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Registration:
    """The last request of a Call-ID, and the nonce with which it was challenged before."""

    request: SipMessage
    challenge: str = ""

    def is_refused_by(self, answer: SipMessage) -> bool:
        """Whether `answer` says no."""
        if answer.status != 401:
            return answer.status >= 403
        return bool(self.challenge) and _nonce(self.request.header("authorization")) == self.challenge

    def after(self, message: SipMessage) -> Registration:
        """What is known after the next message of the same Call-ID."""
        if not message.status:
            return replace(self, request=message)
        return replace(self, challenge=_nonce(message.header("www-authenticate"))) if message.status == 401 else self


def _nonce(header: str) -> str:
    found = _NONCE.search(header)
    return found[1] if found else ""
