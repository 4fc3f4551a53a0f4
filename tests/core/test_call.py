"""Calls folded from pasted CEL tables: `tests/data/cel/*.txt`, each with the call it must tell."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.core.call import Call, CelEvent, fold

TABLES = sorted((Path(__file__).parent.parent / "data" / "cel").glob("*.txt"))
START = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
BUILT_IN = {
    "CHAN_START",
    "CHAN_END",
    "ANSWER",
    "HANGUP",
    "BRIDGE_ENTER",
    "BRIDGE_EXIT",
    "FORWARD",
    "LINKEDID_END",
    "DTMF",
}
FIELDS = {"num", "exten"}


def events_of(table: str) -> list[CelEvent]:
    channels: dict[str, str] = {}
    found = []
    for number, line in enumerate(row for row in table.splitlines() if row and not row.startswith("#")):
        second, channel, name, *facts = line.split()
        told = dict(fact.split("=", 1) for fact in facts)
        uniqueid = channels.setdefault(channel, f"node1-1795410000.{len(channels)}")
        found.append(
            CelEvent(
                node="node1",
                file="f",
                offset=number * 100,
                at=START + timedelta(seconds=float(second)),
                type=name if name in BUILT_IN else "USER_DEFINED",
                user_type="" if name in BUILT_IN else name,
                channel=channel if channel.startswith("Local/") else f"PJSIP/{channel}",
                uniqueid=uniqueid,
                linkedid="node1-1795410000.0",
                caller_number=told.get("num", ""),
                exten=told.get("exten", "s"),
                extra={k: int(v) if k == "hangupcause" else v for k, v in told.items() if k not in FIELDS},
            )
        )
    return found


def second(at: datetime | None) -> str:
    return "-" if at is None else f"{(at - START).total_seconds():.6f}"


def told(call: Call | None) -> str:
    """The call as the tables write it."""
    if call is None:
        return "none\n"
    state = call.disposition
    state += f" by {call.answered_by} at {second(call.answered_at)}" if call.answered_by else ""
    state += f" ({call.reason})" if call.reason else ""
    state += f", ended {second(call.ended_at)}" if call.ended_at else ""
    state += f", recording {call.recording_state}" if call.recording_state else ""
    state += ", message left" if call.message_left else ""
    lookup = f", lookup {call.lookup}" if call.lookup else ""
    head = f"{call.direction} {call.line_number or '-'} ← {call.caller_number}, dialled {call.dialled_number}{lookup}"
    lines = [f"call    {head}", f"state   {state}"]
    for leg in call.legs:
        times = f"up {second(leg.answered_at)}, end {second(leg.ended_at)}"
        tail = f"cause {leg.cause if leg.cause is not None else '-'}, sip {leg.sip_call_id or '-'}"
        tail += ", synthetic" if leg.synthetic_end else ""
        lines.append(f"leg     {leg.party} {leg.endpoint} {leg.number or '-'}: {times}, {tail}")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_table(path: Path) -> None:
    table, _, expected = path.read_text().partition("\n=\n")
    assert told(fold(events_of(table))) == expected


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_order_and_repetition_change_nothing(path: Path) -> None:
    events = events_of(path.read_text().partition("\n=\n")[0])
    call = fold(events)
    for seed in range(20):
        mixed = events + random.Random(seed).sample(events, len(events) // 2)
        random.Random(seed).shuffle(mixed)
        assert fold(mixed) == call


@pytest.mark.parametrize("path", TABLES, ids=lambda path: path.stem)
def test_every_beginning_tells_a_call_that_is_not_over_too_early(path: Path) -> None:
    events = events_of(path.read_text().partition("\n=\n")[0])
    for count in range(1, len(events)):
        call = fold(events[:count])
        if call and call.ended_at is None:
            assert call.disposition in {"ringing", "talking", "missed", "rejected", "refused"}
            assert call.talk_s == 0.0


def test_nothing_tells_nothing() -> None:
    assert fold([]) is None


def test_digits_change_nothing() -> None:
    table = next(path for path in TABLES if path.stem == "answered").read_text().partition("\n=\n")[0]
    with_digits = table + "\n 4.000000  desk1-00000002  DTMF  digit=*\n"
    call = fold(events_of(with_digits))
    assert call == fold(events_of(table))
    assert call is not None
    assert call.talk_s == pytest.approx(5.499)


def test_a_leg_without_an_end_is_closed_by_the_end_of_the_call() -> None:
    table = next(path for path in TABLES if path.stem == "answered").read_text().partition("\n=\n")[0]
    lost = "\n".join(
        line for line in table.splitlines() if not ("desk1" in line and ("HANGUP" in line or "CHAN_END" in line))
    )
    call = fold(events_of(lost))
    assert call is not None
    assert [leg.synthetic_end for leg in call.legs] == [False, True]
    assert call.ended_at == call.legs[1].ended_at
