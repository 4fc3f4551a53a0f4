"""All time passes through here. Wall time is UTC with microseconds; durations use the monotonic clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

DUTY_ZONE = timezone(timedelta(hours=8), "Asia/Shanghai")  # no daylight saving since 1991


def now() -> datetime:
    """The wall clock, aware, UTC."""
    return datetime.now(UTC)


def monotonic_s() -> float:
    """Seconds for durations; no clock step moves it."""
    return time.monotonic()
