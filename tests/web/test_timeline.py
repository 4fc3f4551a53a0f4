from __future__ import annotations

from datetime import timedelta
from typing import Any

from gateway.web.timeline import timeline
from tests.peers.duty_desk import AFTERNOON


def at(seconds: float | None) -> Any:
    return None if seconds is None else AFTERNOON + timedelta(seconds=seconds)


def row(begin: float, answer: float | None, end: float | None, **more: Any) -> dict[str, Any]:
    return {"started_at": at(begin), "answered_at": at(answer), "ended_at": at(end), "party": "called", **more}


def test_answered_call() -> None:
    drawn = timeline(
        row(0, 5, 20), [row(0, 5, 20, party="caller"), row(1, 5, 20)], [row(5, None, 20, state="sealed")], at(99)
    )
    caller, phone, recording = drawn.lanes
    assert caller.waiting is not None
    assert (caller.waiting.x, caller.waiting.width, caller.waiting.length_s) == (0.0, 25.0, 5.0)
    assert phone.active is not None
    assert (phone.active.x, phone.active.width) == (25.0, 75.0)
    assert (recording.kind, recording.waiting) == ("recording", None)
    assert drawn.ticks[:2] == ((0.0, 0), (25.0, 5))


def test_running_call_reaches_to_now() -> None:
    drawn = timeline(row(0, 5, None), [row(0, 5, None)], [], at(10))
    assert drawn.length_s == 10
    assert drawn.lanes[0].active is not None
    assert drawn.lanes[0].active.width == 50.0


def test_call_of_no_length() -> None:
    drawn = timeline(row(0, None, 0), [row(0, None, 0)], [], at(0))
    assert (drawn.lanes[0].waiting, drawn.lanes[0].active) == (None, None)


def test_missing_recording_is_not_drawn() -> None:
    assert timeline(row(0, 1, 2), [], [row(1, None, 2, state="missing")], at(3)).lanes == ()


def test_a_day_has_few_ticks() -> None:
    assert len(timeline(row(0, 1, 86_400), [], [], at(0)).ticks) <= 13
