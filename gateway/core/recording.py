"""A recording, from its first byte to a sealed file or an alarm (art. 9(1): a wired phone *with recording*).

              seal                      Sealed: moved to its day's folder, measured, hashed; nothing changes it again.
    capturing ────▶ sealed              Missing: no audio came to light. Never filed as good, always an alarm.
        │             ▲                 A missing one may still be sealed: a disk was mounted again.
        └─lose▶ missing ─seal

**The growth watch.** Asterisk hands speech to the disk in blocks of 32 KiB: one each 2.05 s at 8 kHz, each 1.02 s at
16 kHz. Nothing but the file's growth proves that the disk takes it, so growth is what is watched:

    last block           next block due        silence counted up         alarm
        │◀──── 2.05 s ────▶│                        │ 4.0 s                 │
    ────┴──────────────────┴────────────────────────┴───────────────────────┴──▶ t
        └ seen at most one look (0.5 s) later        └ at most one look later: ≤ 5.0 s after the last growth

No false alarm under load: (1) growth is compared from look to look, so a late look still sees what was written in
between; (2) one late look is credited at most `limit − 2.05 s − one look` of silence, so a machine or process that
stood still and wakes with everything else cannot alarm by the clock alone; (3) a block may come 1.4 s late.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from gateway.core.cel import CelEvent
from gateway.errors import RequestError

State = Literal["capturing", "sealed", "missing"]
Step = Literal["seal", "lose"]
SIDES = ("ours", "theirs")
KINDS = ("talk", "message")
_RECORDING_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*-(talk|message)")

STEPS: Mapping[tuple[State, Step], State] = {
    ("capturing", "seal"): "sealed",
    ("capturing", "lose"): "missing",
    ("missing", "seal"): "sealed",
    ("missing", "lose"): "missing",
}

FLUSH_S = 32768 / 16000  # one stdio block of 8 kHz 16-bit mono
LOOK_EVERY_S = 0.5
ALARM_WITHIN_S = 5.0
SHORTFALL_S = 2.0
SHORTEST_S = 0.3
EVENTS_WITHIN_S = 3600.0


def step(state: State, wanted: Step) -> State:
    """The state after `wanted`; raises RequestError when the table has no such step."""
    after = STEPS.get((state, wanted))
    if after is None:
        raise RequestError(f"a {state} recording cannot {wanted}")
    return after


def is_recording_id(text: str) -> bool:
    """Whether `text` is `<linkedid>-talk` or `<linkedid>-message` and safe as a file name."""
    return _RECORDING_ID.fullmatch(text) is not None


def call_of(recording_id: str) -> tuple[str, str]:
    """(call id, kind) of a recording id; raises RequestError when it is none."""
    if not is_recording_id(recording_id):
        raise RequestError(f"'{recording_id}' names no recording; expected <call>-talk or <call>-message")
    call_id, _, kind = recording_id.rpartition("-")
    return call_id, kind


def start_of(call_id: str) -> datetime | None:
    """When a call began, by its linkedid `<system>-<seconds>.<count>`; None when it is no such id."""
    seconds = call_id.rpartition("-")[2].partition(".")[0]
    return datetime.fromtimestamp(int(seconds), UTC) if seconds.isdigit() and len(seconds) in {9, 10, 11} else None


@dataclass(frozen=True, slots=True)
class Announced:
    """What the dialplan said about a recording: it began, or could not begin."""

    recording_id: str
    kind: str
    channel_id: str  # uniqueid of the recorded channel
    begun: bool


def announced(event: CelEvent) -> Announced | None:
    """The RECORDING user event in words; None for every other event.

    Whatever does not clearly say that a recording began counts as failed: doubt raises an alarm, never a good mark.
    """
    if event.type != "USER_DEFINED" or event.user_type != "RECORDING":
        return None
    recording_id, kind = event.fact("id"), event.fact("kind")
    if kind not in KINDS:
        kind = KINDS[0]
    if not is_recording_id(recording_id):
        recording_id = f"{event.linkedid}-{kind}"
    return Announced(recording_id, kind, event.uniqueid, event.fact("state") == "started")


def talk_s(kind: str, answered_at: datetime | None, started_at: datetime, ended_at: datetime | None) -> float:
    """Seconds that a recording must hold: of a talk those from answer to end, of a message any; 0.0 when unknown."""
    if kind != "talk" or ended_at is None:
        return 0.0
    return max(0.0, (ended_at - (answered_at or started_at)).total_seconds())


def fate_of_note(kind: str, call: Mapping[str, object] | None, age_s: float) -> Literal["wait", "drop", "lose"]:
    """What becomes of a note whose recording neither began nor left a file; it is written before anything rings.

    Of a call that nobody answered there is nothing to record. Of one that was answered, the recording is lost; so it is
    when the call's events do not come to light within an hour.
    """
    if call is None or call["ended_at"] is None:
        return "wait" if age_s < EVENTS_WITHIN_S else "lose"
    return "lose" if kind == "talk" and call["answered_at"] is not None else "drop"


def had_no_time(started_at: datetime, ended_at: datetime | None) -> bool:
    """Whether a recording ended so soon that nothing had to be in it: a phone picked up as the caller gave up."""
    return ended_at is not None and (ended_at - started_at).total_seconds() < SHORTEST_S


def is_short(length_s: float, talk_s: float) -> bool:
    """Whether a recording lacks more of the talk than its last block explains (R09c)."""
    return length_s < talk_s - SHORTFALL_S


@dataclass(frozen=True, slots=True)
class Growth:
    """What the watch remembers of one recording: bytes and seconds without growth, per side."""

    sizes: tuple[int, ...]
    silent_s: tuple[float, ...]
    stalled: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """The outcome of one look: what to remember, which recordings newly stalled, which grow again."""

    growths: Mapping[str, Growth]
    stalled: Sequence[str]
    resumed: Sequence[str]


def stall_limit_s(configured_s: float) -> float:
    """The silence that raises the alarm: as configured, but never so long that 5 s could pass."""
    return min(configured_s, ALARM_WITHIN_S - 2 * LOOK_EVERY_S)


def look(before: Mapping[str, Growth], sizes: Mapping[str, tuple[int, ...]], elapsed_s: float, limit_s: float) -> Look:
    """One look at the sizes (0 for a file that is not there yet) of all recordings being captured.

    `elapsed_s` is the monotonic time since the look before. A recording no longer in `sizes` is forgotten.
    """
    credit_s = min(elapsed_s, max(LOOK_EVERY_S, limit_s - FLUSH_S - LOOK_EVERY_S))
    growths: dict[str, Growth] = {}
    stalled, resumed = [], []
    for recording_id, now in sizes.items():
        known = before.get(recording_id)
        if known is None:
            growths[recording_id] = Growth(now, (0.0,) * len(now))
            continue
        pairs = zip(now, known.sizes, known.silent_s, strict=True)
        silent_s = tuple(0.0 if size > former else silence + credit_s for size, former, silence in pairs)
        is_stalled = any(silence >= limit_s for silence in silent_s)
        growths[recording_id] = Growth(now, silent_s, is_stalled)
        if is_stalled and not known.stalled:
            stalled.append(recording_id)
        elif known.stalled and not is_stalled:
            resumed.append(recording_id)
    return Look(growths, stalled, resumed)
