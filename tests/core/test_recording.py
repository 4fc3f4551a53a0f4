"""The rules of recordings and of the watch over their growth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import recording
from gateway.core.cel import CelEvent
from gateway.core.recording import LOOK_EVERY_S, Growth, Look, look, step
from gateway.errors import RequestError

AT = datetime(2026, 11, 23, 13, 5, 1, tzinfo=UTC)
LIMIT_S = recording.stall_limit_s(4.0)
BLOCK = 32768


def said(**facts: str) -> CelEvent:
    return CelEvent(
        "node1", "cel.json", 0, AT, "USER_DEFINED", "RECORDING", "PJSIP/carrier-00000001", "n-1795438801.7",
        "n-1795438801.6", extra=dict(facts),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "wanted", "after"),
    [
        ("capturing", "seal", "sealed"),
        ("capturing", "lose", "missing"),
        ("missing", "seal", "sealed"),
        ("missing", "lose", "missing"),
    ],
)
def test_steps(state: recording.State, wanted: recording.Step, after: recording.State) -> None:
    assert step(state, wanted) == after


@pytest.mark.parametrize("wanted", ["seal", "lose"])
def test_nothing_changes_a_sealed_recording(wanted: recording.Step) -> None:
    with pytest.raises(RequestError, match="sealed"):
        step("sealed", wanted)


def test_a_recording_is_named_after_its_call() -> None:
    assert recording.call_of("node-1-1795438801.12-message") == ("node-1-1795438801.12", "message")


@pytest.mark.parametrize(
    "name", ["", "talk", "-talk", "n-1.2-video", "../n-1.2-talk", "a/b-talk", ".hidden-talk", "a b-talk"]
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(RequestError):
        recording.call_of(name)


def test_a_call_tells_when_it_began() -> None:
    assert recording.start_of("node1-1795438801.12") == datetime.fromtimestamp(1795438801, UTC)
    assert recording.start_of("1795438801.12") == datetime.fromtimestamp(1795438801, UTC)
    assert recording.start_of("test-call") is None


def test_what_the_dialplan_says() -> None:
    begun = recording.announced(said(id="n-1795438801.6-talk", kind="talk", state="started"))
    assert begun == recording.Announced("n-1795438801.6-talk", "talk", "n-1795438801.7", begun=True)
    failed = recording.announced(said(id="n-1795438801.6-message", kind="message", state="failed"))
    assert failed == recording.Announced("n-1795438801.6-message", "message", "n-1795438801.7", begun=False)


@pytest.mark.parametrize("facts", [{}, {"state": "Started"}, {"state": ""}, {"id": "../../etc/passwd", "kind": "x"}])
def test_what_is_not_clearly_a_beginning_is_a_failure_of_that_call(facts: dict[str, str]) -> None:
    assert recording.announced(said(**facts)) == recording.Announced(
        "n-1795438801.6-talk", "talk", "n-1795438801.7", begun=False
    )


def test_other_events_say_nothing_about_recordings() -> None:
    assert recording.announced(CelEvent("n", "f", 0, AT, "ANSWER", "", "c", "u", "l")) is None
    assert recording.announced(CelEvent("n", "f", 0, AT, "USER_DEFINED", "MISSED", "c", "u", "l")) is None


def test_a_recording_is_short_when_it_lacks_more_than_two_seconds_of_the_talk() -> None:
    answered, ended = AT + timedelta(seconds=10), AT + timedelta(seconds=70)
    wanted_s = recording.talk_s("talk", answered, AT, ended)
    assert wanted_s == 60.0
    assert not recording.is_short(58.0, wanted_s)
    assert recording.is_short(57.9, wanted_s)
    assert recording.talk_s("talk", None, AT, ended) == 70.0, (
        "a talk whose answer is not known began with its recording"
    )
    assert recording.talk_s("talk", answered, AT, None) == 0.0, "not over or not known: nothing to compare with"
    assert recording.talk_s("message", answered, AT, ended) == 0.0, "a message is as long as the caller speaks"


@pytest.mark.parametrize(
    ("kind", "answered", "over", "age_s", "fate"),
    [
        ("talk", True, True, 60, "lose"),
        ("talk", False, True, 60, "drop"),
        ("message", False, True, 60, "drop"),
        ("talk", False, False, 60, "wait"),
        ("talk", None, None, 60, "wait"),
        ("talk", None, None, 3601, "lose"),
    ],
)
def test_a_note_without_a_recording(
    kind: str, answered: bool | None, over: bool | None, age_s: float, fate: str
) -> None:
    call = None if over is None else {"answered_at": AT if answered else None, "ended_at": AT if over else None}
    assert recording.fate_of_note(kind, call, age_s) == fate


# --- the growth watch --------------------------------------------------------------------------------------------


def watched(
    size_at: Callable[[float], Mapping[str, tuple[int, ...]]], looks_at: list[float]
) -> list[tuple[float, Look]]:
    """What looks at the given times saw."""
    growths: Mapping[str, Growth] = {}
    seen = []
    for before, at in zip([looks_at[0] - LOOK_EVERY_S, *looks_at], looks_at, strict=False):
        outcome = look(growths, size_at(at), at - before, LIMIT_S)
        growths = outcome.growths
        seen.append((at, outcome))
    return seen


def regular(until_s: float, first_s: float = 0.0) -> list[float]:
    return [first_s + LOOK_EVERY_S * count for count in range(int((until_s - first_s) / LOOK_EVERY_S) + 1)]


def blocks(at: float, every_s: float = recording.FLUSH_S, stops_s: float = 1e9) -> int:
    return BLOCK * int(min(at, stops_s) / every_s)


@given(stops_s=st.floats(0, 30), first_s=st.floats(0.01, 0.5), wide=st.booleans())
def test_a_disk_that_accepts_no_more_alarms_within_five_seconds_of_the_last_growth(
    stops_s: float, first_s: float, wide: bool
) -> None:
    every_s = recording.FLUSH_S / (2 if wide else 1)
    last_growth_s = every_s * int(stops_s / every_s)
    seen = watched(lambda at: {"r": (blocks(at, every_s, stops_s),) * 2}, regular(40, first_s))
    alarms = [at for at, outcome in seen if outcome.stalled]
    assert len(alarms) == 1, "one alarm, said once"
    assert alarms[0] <= max(last_growth_s, first_s) + recording.ALARM_WITHIN_S
    assert alarms[0] >= last_growth_s + recording.FLUSH_S, "not before a block is overdue"


@given(chance=st.randoms(use_true_random=False))
def test_a_loaded_machine_raises_no_false_alarm(chance: Random) -> None:
    """Looks come late by up to 3 s and blocks by up to 1.4 s."""
    written, at = [], 0.0
    while at < 60:
        at += recording.FLUSH_S
        written.append(at + chance.uniform(0, 1.4))
    looks, at = [], 0.0
    while at < 60:
        at += LOOK_EVERY_S + (chance.uniform(0, 3.0) if chance.random() < 0.2 else 0)
        looks.append(at)
    seen = watched(lambda at: {"r": (BLOCK * sum(w <= at for w in written),) * 2}, looks)
    assert not any(outcome.stalled for _, outcome in seen)


def test_a_machine_that_stood_still_raises_no_alarm_by_the_clock_alone() -> None:
    """Gateway and Asterisk freeze at 10 s for an hour, together; the next block is then up to 2.05 s away."""
    looks = [*regular(10.0), *(3610 + offset for offset in (0.0, 0.5, 1.0, 1.5))]
    sizes = {at: BLOCK * int(min(at, 10.0) / recording.FLUSH_S) + (BLOCK if at >= 3610.4 else 0) for at in looks}
    seen = watched(lambda at: {"r": (sizes[at],) * 2}, looks)
    assert not any(outcome.stalled for _, outcome in seen)


def test_one_side_that_stops_is_enough() -> None:
    seen = watched(lambda at: {"r": (blocks(at), blocks(at, stops_s=5.0))}, regular(12))
    assert [outcome.stalled for _, outcome in seen if outcome.stalled] == [["r"]]


def test_a_recording_that_never_gets_a_file_stalls() -> None:
    seen = watched(lambda _: {"r": (0, 0)}, regular(6))
    assert [at for at, outcome in seen if outcome.stalled] == [LIMIT_S]


def test_growth_that_resumes_is_said_once_and_may_stall_again() -> None:
    def size(at: float) -> int:
        return blocks(at, stops_s=5.0) + (BLOCK if at >= 14 else 0)

    seen = watched(lambda at: {"r": (size(at), size(at))}, regular(30))
    said_ = [(at, word) for at, outcome in seen for word in ("stalled", "resumed") if getattr(outcome, word)]
    assert [word for _, word in said_] == ["stalled", "resumed", "stalled"]
    assert said_[1][0] == 14.0


def test_a_recording_that_left_is_forgotten() -> None:
    outcome = look({"r": Growth((1, 1), (3.9, 3.9))}, {}, 0.5, LIMIT_S)
    assert outcome == Look({}, [], [])


@pytest.mark.parametrize(("configured_s", "limit_s"), [(2.5, 2.5), (4.0, 4.0), (5.0, 4.0)])
def test_no_setting_can_make_the_alarm_late(configured_s: float, limit_s: float) -> None:
    assert recording.stall_limit_s(configured_s) == limit_s


@pytest.mark.parametrize(("lasted_s", "holds"), [(0.0, True), (0.29, True), (0.31, False), (None, False)])
def test_a_recording_that_had_no_time(lasted_s: float | None, holds: bool) -> None:
    assert recording.had_no_time(AT, None if lasted_s is None else AT + timedelta(seconds=lasted_s)) is holds
