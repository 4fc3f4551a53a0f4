"""One CEL event from the fields of its line. The line itself is tested in tests/asterisk/test_cel.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.core.cel import CelEvent, cel_event

FIELDS = {
    "eventtype": "HANGUP",
    "eventtime": "2026-11-23T13:05:01.123456Z",
    "channame": "PJSIP/desk1-00000001",
    "uniqueid": "node1-1.1",
    "linkedid": "node1-1.0",
}


def event(**changes: object) -> CelEvent:
    return cel_event(FIELDS | changes, node="node1", file="f", offset=7)


def test_facts_of_asterisk_keep_their_types() -> None:
    hangup = event(eventextra='{"hangupcause":16,"hangupsource":"PJSIP/desk1-00000001","dialstatus":""}')
    assert hangup.extra["hangupcause"] == 16
    assert hangup.fact("hangupcause") == "16"
    assert hangup.fact("dialstatus") == hangup.fact("none") == ""


def test_facts_of_the_dialplan_are_form_encoded_text() -> None:
    told = event(
        eventenum="USER_DEFINED", userdeftype="LEG", eventextra='{"extra":"endpoint=desk1&number=&sip=a%26b%40c"}'
    )
    assert (told.type, told.user_type) == ("USER_DEFINED", "LEG")
    assert told.extra == {"endpoint": "desk1", "number": "", "sip": "a&b@c"}


def test_a_fact_named_extra_of_another_event_is_left_alone() -> None:
    assert event(eventextra='{"extra":"a=b"}').extra == {"extra": "a=b"}


def test_times_are_utc_whatever_zone_was_written() -> None:
    at = event(eventtime="2026-11-23T21:05:01.123456+08:00").at
    assert at == datetime(2026, 11, 23, 21, 5, 1, 123456, tzinfo=timezone(timedelta(hours=8)))
    assert at.tzinfo is UTC


def test_the_presented_number_wins_over_the_billing_number() -> None:
    assert event(num="1", ani="2").caller_number == "1"
    assert event(num="", ani="2").caller_number == "2"


def test_events_are_ordered_by_time_then_as_written() -> None:
    early, late = event(), event(eventtime="2026-11-23T13:05:01.123457Z")
    assert early.key < late.key


@pytest.mark.parametrize("name", ["eventtype", "eventtime", "uniqueid", "linkedid"])
def test_what_is_needed_must_be_there(name: str) -> None:
    for wrong in ("", None, 5):
        with pytest.raises(ValueError, match=name):
            event(**{name: wrong})


@pytest.mark.parametrize("name", ["channame", "num", "exten", "eventextra"])
def test_what_is_optional_must_be_text(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} is not text"):
        event(**{name: ["x"]})
