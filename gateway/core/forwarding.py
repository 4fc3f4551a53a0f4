"""Attempts to forward a duty line (art. 9(1): 值班电话严禁转移使用), seen from every side."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ForwardAttempt:
    """One attempt. `key` is the same for the same attempt seen twice, so it is stored once and evidence is added.

    `method`: redirect (3xx), refer, replaces, star_code, second_registration, second_call, feature_code,
    forward_context, api. `evidence` items: {"source": "cel"|"sip"|"log", "at": iso, "text": raw}.
    """

    key: str
    method: str
    at: datetime
    line_number: str | None
    phone: str | None
    target: str
    call_id: str | None = None
    outcome: str = "blocked"
    evidence: tuple[dict[str, str], ...] = field(default_factory=tuple)
