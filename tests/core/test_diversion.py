"""The chain of diverting numbers as carriers send it, in every form that RFC 5806, 4458, 4244 and 7044 allow."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from gateway.core.directory import Directory
from gateway.core.diversion import chain
from gateway.core.inventory import Inventory, Line, Phone, Unit
from gateway.core.sip import parse

A, B, C, OURS, ALIAS = "02223000001", "02223000002", "02223000003", "02283000000", "02283000100"
DIRECTORY = Directory.of(
    Inventory(
        units=(Unit("CITY", "市政府值班室", "city_duty_office"),),
        lines=(Line(OURS, "CITY", "ours", (Phone("desk1", "0" * 32),), aliases=(ALIAS,)),),
    )
)


def told(*headers: str) -> list[tuple[str, str]]:
    text = "\r\n".join([f"INVITE sip:{OURS}@10.0.0.1 SIP/2.0", *headers, "", ""])
    found = chain(parse(datetime(2026, 11, 23, tzinfo=UTC), "a", "b", text), DIRECTORY)
    return [(one.number, one.reason) for one in found]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        ([f"Diversion: <sip:{A}@x>;reason=unconditional"], [(A, "unconditional")]),
        ([f"Diversion: <sip:{A}@x>"], [(A, "unknown")]),
        ([f"Diversion: <tel:+86{A[1:]}>;reason=no-answer;counter=1"], [(f"+86{A[1:]}", "no-answer")]),
        ([f'Diversion: "李, 值班" <sip:{A}@x>;reason="user-busy";privacy=off'], [(A, "user-busy")]),
        (
            [f"Diversion: <sip:{B}@x>;reason=user-busy", f"diversion:<sip:{A}@x>;reason=unconditional"],
            [(B, "user-busy"), (A, "unconditional")],
        ),
        (
            [f"Diversion: <sip:{B}@x>;reason=user-busy,<sip:{A}@x>;reason=unconditional"],
            [(B, "user-busy"), (A, "unconditional")],
        ),
        (
            [f"Diversion: <sip:{C}@x>;reason=deflection", f"Diversion: <sip:{B}@x>,\r\n <sip:{A}@x>;reason=away"],
            [(C, "deflection"), (B, "unknown"), (A, "away")],
        ),
        (["Diversion: <sip:anonymous@anonymous.invalid>;reason=unknown"], [("anonymous", "unknown")]),
    ],
)
def test_diversion(headers: list[str], expected: list[tuple[str, str]]) -> None:
    assert told(*headers) == expected


REASON_302 = "?Reason=SIP%3Bcause%3D302%3Btext%3D%22Moved%2C%20temporarily%22"
REASON_486 = "?Reason=SIP%3Bcause%3D486"
TWICE = "?Reason=SIP%253Bcause%253D486%253Btext%253D%2522Busy%252C%2520here%2522"
TWO_REASONS = "?Reason=Q.850%3Bcause%3D16&reason=SIP%3Btext%3D%22no%2C%20answer%22%3Bcause%3D408"


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([f"<sip:{OURS}@x>;index=1"], []),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x;cause=302>;index=1.1"], [(A, "unconditional")]),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x;cause=302>;index=1.1;mp=1"], [(A, "unconditional")]),
        ([f"<sip:{A}@x{REASON_302}>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "unconditional")]),
        ([f"<sip:{A}@x?Reason=SIP;cause=486;text=busy>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "user-busy")]),
        ([f"<sip:{A}@x?Privacy=none&Reason=SIP%3bcause%3d408>;index=1", f"<sip:{OURS}@x>"], [(A, "no-answer")]),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x>;index=1.1;cause=503"], [(A, "unavailable")]),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x;cause=380>;index=1.1"], [(A, "cause 380")]),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "unknown")]),
        ([f"<sip:{A}@x>;index=1", f"<sip:{OURS}@x>;index=1.1;mp=1"], [(A, "unknown")]),
        ([f"<sip:{A}@x{REASON_302}>;index=1"], [(A, "unconditional")]),
        ([f"<sip:{A}@x;cause=302>;index=1.1"], [(A, "unknown")]),
        ([f"<sip:{OURS}@x>;index=1", f"<sip:{OURS}@y;cause=302>;index=1.1"], []),
        ([f"<sip:+86{OURS[1:]}@x>;index=1", f"<sip:{OURS}@y>;index=1.1"], []),
        ([f"<sip:{OURS[3:]}@x>;index=1"], []),
        ([f"<sip:{ALIAS}@x>;index=1", f"<sip:{OURS}@x>;index=1.1"], []),
        (["<sip:10.0.0.1>;index=1", ";;;"], []),
        ([f"<tel:{A}?Reason=SIP%3Bcause%3D408>;index=1", f"<tel:{OURS}>;index=1.1"], [(A, "no-answer")]),
        ([f"<sip:{A}@x{TWICE}>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "user-busy")]),
        ([f"<sip:{A}@x{TWO_REASONS}>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "no-answer")]),
        ([f"<sip:{A}@x?Reason=Q.850%3Bcause%3D17>;index=1", f"<sip:{OURS}@x>;index=1.1"], [(A, "user-busy")]),
        ([f"<sip:{A}@x?Reason=Q.850%3Bcause%3D34>;index=1"], [(A, "cause Q.850 34")]),
        (
            [
                f"<sip:{A}@x{REASON_302}>;index=1",
                f"<sip:{B}@x{REASON_486}>;index=1.1",
                f"<sip:{OURS}@x>;index=1.1.1",
            ],
            [(B, "user-busy"), (A, "unconditional")],
        ),
        (
            [
                f"<sip:{A}@x>;index=1",
                f'"甲, 乙" <sip:{B}@x;cause=302>;index=1.1',
                f"<sip:{C}@x;user=phone;cause=486>;index=1.1.1",
                f"<sip:{OURS}@x;cause=408>;index=1.1.1.1",
            ],
            [(C, "no-answer"), (B, "user-busy"), (A, "unconditional")],
        ),
    ],
)
@pytest.mark.parametrize("joined", [False, True])
def test_history_info(entries: list[str], expected: list[tuple[str, str]], joined: bool) -> None:
    headers = [f"History-Info: {', '.join(entries)}"] if joined else [f"History-Info: {entry}" for entry in entries]
    assert told(*headers) == expected


def test_both_headers_and_their_raw_text() -> None:
    text = (
        f"INVITE sip:{OURS}@x SIP/2.0\r\nHistory-Info: <sip:{A}@x>;index=1, <sip:{OURS}@x;cause=302>;index=1.1\r\n"
        f"Diversion: <sip:{A}@x>;reason=unconditional\r\n\r\n"
    )
    first, second = chain(parse(datetime(2026, 11, 23, tzinfo=UTC), "a", "b", text), DIRECTORY)
    assert (first.header, first.raw) == ("Diversion", f"<sip:{A}@x>;reason=unconditional")
    assert (second.header, second.raw) == ("History-Info", f"<sip:{A}@x>;index=1")


@pytest.mark.parametrize("filling", [";", "a", "Reason=;", "%25", "<sip:1@x?Reason=SIP;cause=1>,"])
def test_a_hostile_history_takes_no_time(filling: str) -> None:
    began = time.process_time()
    told(f"History-Info: <sip:{A}@x?Reason=SIP{filling * (60_000 // len(filling))}>;index=1")
    assert time.process_time() - began < 2
