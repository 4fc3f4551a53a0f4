"""Lines of the CEL journal as Asterisk really writes them, with all that a caller can do to them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.asterisk.cel import LONGEST_LINE, line_fields, read_line, whole_lines

DATA = Path(__file__).parent.parent / "data"
NAMES = (
    "eventtype",
    "eventenum",
    "userdeftype",
    "eventtime",
    "name",
    "num",
    "exten",
    "uniqueid",
    "linkedid",
    "eventextra",
)
GOOD = {
    "eventtype": "ANSWER",
    "eventenum": "ANSWER",
    "userdeftype": "",
    "eventtime": "2026-11-23T13:05:01.123456Z",
    "name": "",
    "num": "02223000001",
    "exten": "s",
    "uniqueid": "node1-1795410000.0",
    "linkedid": "node1-1795410000.0",
    "eventextra": "",
}


def written(**changes: str) -> bytes:
    """A line as res_cdrel_custom writes it: a backslash before each quotation mark, and nothing else."""
    fields = GOOD | changes
    quoted = ",".join('"{}":"{}"'.format(name, fields[name].replace('"', '\\"')) for name in NAMES)
    return ("{" + quoted + "}").encode()


def test_a_real_journal_is_read_whole() -> None:
    data = (DATA / "cel_answered.jsonl").read_bytes()
    lines = list(whole_lines(data))
    assert b"\n".join(line for _, line in lines) + b"\n" == data
    assert all(data[offset : offset + len(line)] == line for offset, line in lines)
    events = [read_line(line, node="node1", file="f", offset=offset)[0] for offset, line in lines]
    first = next(event for event in events if event.user_type == "DUTY_CALL")
    assert first.type == "USER_DEFINED"
    assert first.fact("direction") == "inbound"
    assert first.fact("line") == "02283000000"
    assert "@" in first.fact("sip")
    assert {event.type for event in events} >= {
        "CHAN_START",
        "ANSWER",
        "BRIDGE_ENTER",
        "HANGUP",
        "CHAN_END",
        "LINKEDID_END",
    }


def test_a_line_becomes_an_event() -> None:
    event, raw, amiss = read_line(written(), node="node1", file="f", offset=7)
    assert event.at == datetime(2026, 11, 23, 13, 5, 1, 123456, tzinfo=UTC)
    assert (event.node, event.file, event.offset) == ("node1", "f", 7)
    assert (event.type, event.user_type, event.caller_number) == ("ANSWER", "", "02223000001")
    assert raw == GOOD
    assert amiss == ""


@pytest.mark.parametrize("eventtype", ["USER_DEFINED", "DUTY_CALL"])
def test_the_name_of_a_user_event_is_found_wherever_asterisk_puts_it(eventtype: str) -> None:
    extra = json.dumps({"extra": "direction=inbound&line=&dialled=%2B86%2022"})
    name = "DUTY_CALL" if eventtype == "USER_DEFINED" else ""
    line = written(eventtype=eventtype, eventenum="USER_DEFINED", userdeftype=name, eventextra=extra)
    event, _, _ = read_line(line, node="n", file="f", offset=0)
    assert (event.type, event.user_type) == ("USER_DEFINED", "DUTY_CALL")
    assert event.extra == {"direction": "inbound", "line": "", "dialled": "+86 22"}


@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n")),
    number=st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n")),
)
def test_a_caller_cannot_spoil_a_line_or_write_into_it(name: str, number: str) -> None:
    event, raw, _ = read_line(written(name=name, num=number), node="n", file="f", offset=0)
    assert raw == GOOD | {"name": name, "num": number}
    assert event.linkedid == GOOD["linkedid"]


@pytest.mark.parametrize(
    "name",
    [
        "back\\",
        'quote"',
        '\\"',
        '\\","linkedid":"forged","x":"',
        '","linkedid":"forged',
        "\\n\\u0000",
        '"},{"',
        "和平区\\",
        '",',
        '\\",',
    ],
)
def test_known_tricks(name: str) -> None:
    event, raw, _ = read_line(written(name=name), node="n", file="f", offset=0)
    assert raw["name"] == name
    assert event.linkedid == GOOD["linkedid"]


@given(st.lists(st.sampled_from(["1", "\n", '"', "}", '"}', '{"', "\\", ","]), max_size=12).map("".join))
def test_line_feeds_in_a_number_neither_hide_nor_forge_a_line(number: str) -> None:
    data = written() + b"\n" + written(num=number) + b"\n" + written() + b"\n"
    lines = list(whole_lines(data))
    assert [line for _, line in lines] == [written(), written(num=number), written()]
    assert read_line(lines[1][1], node="n", file="f", offset=0)[1]["num"] == number


def test_lines_behind_a_broken_one_are_whole() -> None:
    data = b'{"eventtype":"ANS\nrubbish\n\n' + written() + b"\n"
    assert [line for _, line in whole_lines(data)] == [b'{"eventtype":"ANS', b"rubbish", b"", written()]


@given(st.integers(1, len(written()) - 1), st.sampled_from([b"", b"\0\0\0"]))
def test_a_torn_event_costs_nothing_but_itself(kept: int, lost: bytes) -> None:
    torn = written()[:kept] + lost
    data = written() + b"\n" + torn + written() + b"\n" + written() + b"\n"
    lines = list(whole_lines(data))
    assert [line for _, line in lines] == [written(), torn, written(), written()]
    assert all(data[offset:].startswith(line) for offset, line in lines)


def test_a_value_that_looks_like_a_beginning_is_none() -> None:
    for value in ('x{"', '{"eventtype":"', "{", '{"eventtype":"ANSWER"}'):
        line = written(name=value)
        assert [found for _, found in whole_lines(line + b"\n")] == [line]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b"", "no event"),
        (b"rubbish", "no event"),
        (b"[1]", "not a JSON object"),
        (b"\0" * 40, "NUL"),
        (written(uniqueid=""), "uniqueid is missing"),
        (written(linkedid=""), "linkedid is missing"),
        (written(uniqueid="x" * 151), "longer than 150"),
        (written(eventenum=""), "eventenum is missing"),
        (written(eventtime="yesterday"), "not an ISO time"),
        (written(eventtime="2026-11-23T13:05:01"), "zone"),
        (written(eventtime="0001-01-01T00:00:00+14:00"), "no time at which"),
        (written(eventextra="{"), "eventextra is not JSON"),
        (written(eventextra="[]"), "not a JSON object"),
        (written(eventenum="USER_DEFINED", eventtype="USER_DEFINED"), "needs a name"),
        (b'{"eventtype":"ANSWER","eventtime":1}', "eventtime is not text"),
        (written(name="x" * LONGEST_LINE), "longer than 65536"),
    ],
)
def test_what_is_no_event_says_why(line: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_line(line, node="n", file="f", offset=0)


@given(st.binary(max_size=300))
def test_rubbish_is_refused_and_never_crashes(line: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        read_line(line, node="n", file="f", offset=0)


def test_a_name_that_is_not_utf8_does_not_hide_the_call() -> None:
    line = written(name="NAME").replace(b"NAME", "和平".encode("gb18030"))
    event, _, amiss = read_line(line, node="n", file="f", offset=0)
    assert event.linkedid == GOOD["linkedid"]
    assert "UTF-8" in amiss


def test_optional_fields_may_be_missing_and_real_json_is_read_too() -> None:
    fields = {"eventtype": "ANSWER", "eventtime": GOOD["eventtime"], "uniqueid": "1", "linkedid": "1"}
    event, _, _ = read_line(json.dumps(fields).encode(), node="n", file="f", offset=0)
    assert (event.type, event.channel) == ("ANSWER", "")
    assert line_fields(json.dumps(fields | {"eventextra": '{"digit":"1"}'}))["eventextra"] == '{"digit":"1"}'


def test_facts_can_be_stored_on_any_database() -> None:
    extra = json.dumps({"extra": "line=%00%ff&dialled=1"})
    line = written(eventtype="DUTY_CALL", eventenum="USER_DEFINED", eventextra=extra)
    event, _, _ = read_line(line, node="n", file="f", offset=0)
    assert "\0" not in event.fact("line")
    event.fact("line").encode()
