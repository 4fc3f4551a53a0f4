from __future__ import annotations

from datetime import timedelta

import pytest

from gateway.web.views import day_and_time, duration, exact_time, pairs, ring_s, talk_s, weekday
from tests.peers.duty_desk import AFTERNOON


def test_times_are_duty_time_in_24_hours() -> None:
    assert day_and_time(AFTERNOON) == "2026-11-23 13:05:01"
    assert exact_time(AFTERNOON) == "13:05:01.123"
    assert (weekday(AFTERNOON, "zh"), weekday(AFTERNOON, "en")) == ("周一", "Mon")
    assert day_and_time(None) == exact_time(None) == ""


@pytest.mark.parametrize(
    ("seconds", "shown"), [(None, ""), (0, "00:00"), (59.6, "01:00"), (133, "02:13"), (3733, "1:02:13")]
)
def test_duration(seconds: float | None, shown: str) -> None:
    assert duration(seconds) == shown


def test_ring_and_talk() -> None:
    ringing = {"started_at": AFTERNOON, "answered_at": None, "ended_at": None, "rang_until": None}
    assert (ring_s(ringing), talk_s(ringing)) == (None, None)
    rang, answered, ended = (AFTERNOON + timedelta(seconds=seconds) for seconds in (6, 4, 22))
    assert ring_s({**ringing, "ended_at": ended, "rang_until": rang}) == 6.0
    assert ring_s({**ringing, "ended_at": ended}) is None
    call = {**ringing, "answered_at": answered, "ended_at": ended, "rang_until": ended}
    assert (ring_s(call), talk_s(call)) == (4.0, 18.0)


def test_pairs() -> None:
    assert pairs({"a": "b", "c": [1]}) == [("a", "b"), ("c", "[1]")]
    assert pairs("02223000009") == [("", "02223000009")]
