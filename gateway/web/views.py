"""How times, lengths and names look on a page: duty time (Asia/Shanghai), 24 hours, official terms."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape

from gateway.clock import DUTY_ZONE
from gateway.ports import Row
from gateway.web.texts import WEEKDAYS


def day_and_time(at: datetime | None) -> str:
    """2026-11-23 21:05:01."""
    return at.astimezone(DUTY_ZONE).strftime("%Y-%m-%d %H:%M:%S") if at else ""


def exact_time(at: datetime | None) -> str:
    """21:05:01.123."""
    return at.astimezone(DUTY_ZONE).strftime("%H:%M:%S.%f")[:-3] if at else ""


def minute(at: datetime) -> str:
    """2026-11-23 21:05, as the filter takes it."""
    return at.astimezone(DUTY_ZONE).strftime("%Y-%m-%d %H:%M")


def weekday(at: datetime, language: str) -> str:
    """周一 or Mon."""
    day = WEEKDAYS[language][at.astimezone(DUTY_ZONE).weekday()]
    return f"周{day}" if language == "zh" else day


def duration(seconds: float | None) -> str:
    """02:13, or 1:02:13."""
    if seconds is None:
        return ""
    hours, rest = divmod(int(seconds + 0.5), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60:02}:{rest % 60:02}"


def ring_s(call: Row) -> float | None:
    """How long it rang, from the call's begin; None while it does, and where no phone ever did."""
    until = call["answered_at"] or call["rang_until"]
    return (until - call["started_at"]).total_seconds() if until else None


def talk_s(call: Row) -> float | None:
    """How long they talked; None when they did not, or still do."""
    if call["answered_at"] is None or call["ended_at"] is None:
        return None
    waited: timedelta = call["ended_at"] - call["answered_at"]
    return waited.total_seconds()


def as_json(value: object) -> str:
    """Raw data, readable."""
    return json.dumps(value, ensure_ascii=False, default=str, sort_keys=True)


def pairs(value: object) -> list[tuple[str, str]]:
    """An object of raw evidence as (name, value) lines; anything else as one line without a name."""
    if isinstance(value, Mapping):
        return [(str(key), item if isinstance(item, str) else as_json(item)) for key, item in value.items()]
    return [("", value if isinstance(value, str) else as_json(value))]


FILTERS: Mapping[str, Callable[..., Any]] = {
    "day_and_time": day_and_time,
    "exact_time": exact_time,
    "weekday": weekday,
    "duration": duration,
    "ring_s": ring_s,
    "talk_s": talk_s,
    "as_json": as_json,
    "pairs": pairs,
}


def environment() -> Environment:
    """Templates that escape everything and fail on anything undefined."""
    env = Environment(
        loader=PackageLoader("gateway.web", "templates"),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters.update(FILTERS)
    return env
