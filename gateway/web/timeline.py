"""A call's legs and recordings on one axis, in percent of the call's length, ready to be drawn.

caller      ░░░░░░░░████████████████████
desk1        ░░░░░░░████████████████████      ░ waiting   █ talking
recording           ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓
0 s         5 s        10 s       15 s
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.ports import Row

_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)
TICKS_AT_MOST = 8


@dataclass(frozen=True, slots=True)
class Span:
    """From where, how wide, in percent of the axis; and how many seconds that is."""

    x: float
    width: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Lane:
    """One leg or recording. `kind` is caller, called or recording."""

    kind: str
    row: Row
    waiting: Span | None
    active: Span | None


@dataclass(frozen=True, slots=True)
class Timeline:
    """Lanes over ticks (percent, seconds)."""

    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, int], ...]
    length_s: float


def _span(begin: datetime, end: datetime, origin: datetime, total_s: float) -> Span | None:
    length_s = (end - begin).total_seconds()
    if length_s <= 0:
        return None
    x = max(0.0, (begin - origin).total_seconds() / total_s * 100)
    return Span(round(x, 3), round(min(100 - x, length_s / total_s * 100), 3), length_s)


def timeline(call: Row, legs: Sequence[Row], recordings: Sequence[Row], now: datetime) -> Timeline:
    """The axis of a call; what is not over yet reaches to `now`."""
    rows = [call, *legs, *recordings]
    origin = min(row["started_at"] for row in rows)
    over = call["ended_at"] is not None
    end = max((row["ended_at"] or row["started_at"]) for row in rows) if over else max(now, origin)
    total_s = max(0.001, (end - origin).total_seconds())
    lanes = []
    for leg in legs:
        leg_end, answered = leg["ended_at"] or end, leg["answered_at"]
        lanes.append(
            Lane(
                leg["party"],
                leg,
                _span(leg["started_at"], answered or leg_end, origin, total_s),
                _span(answered, leg_end, origin, total_s) if answered else None,
            )
        )
    for row in recordings:
        if row["state"] != "missing":
            lanes.append(
                Lane("recording", row, None, _span(row["started_at"], row["ended_at"] or end, origin, total_s))
            )
    step_s = next((step for step in _STEPS_S if total_s / step <= TICKS_AT_MOST), max(_STEPS_S[-1], int(total_s / 8)))
    ticks = tuple((round(s / total_s * 100, 3), s) for s in range(0, int(total_s) + 1, step_s))
    return Timeline(tuple(lanes), ticks, total_s)
