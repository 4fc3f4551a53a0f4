"""SIP as evidence: headers as they were sent, values told apart, nothing forged by a display name."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sip import SipMessage, parameter, parse, split_values, uri_of, user_of

AT = datetime(2026, 11, 23, 13, 5, 1, tzinfo=UTC)


def message(text: str) -> SipMessage:
    return parse(AT, "127.0.0.5:5060", "127.0.0.1:5060", text)


INVITE = message(
    "INVITE sip:%2A57%2A02223000001%23@10.0.0.1;transport=udp SIP/2.0\r\n"
    "v: SIP/2.0/UDP 127.0.0.5;branch=z9hG4bK1\r\n"
    'f: "a, \\"b\\"" <sip:02223000001@x>;tag=1\r\n'
    "t: <sip:02283000000@x>\r\n"
    "i: abc@x\r\n"
    "CSeq: 1 INVITE\r\n"
    "m: <sip:02223000001@127.0.0.5>\r\n"
    "Diversion: <sip:02223000002@x>;reason=user-busy,\r\n"
    "\t<sip:02223000003@x>\r\n"
    "   ;reason=unconditional\r\n"
    "DIVERSION : <tel:+862223000004>\r\n"
    "no header line\r\n"
    "\r\n"
    "Replaces: in-the-body\r\n"
)


def test_request() -> None:
    assert (INVITE.status, INVITE.method, INVITE.request_user) == (0, "INVITE", "*57*02223000001#")
    assert INVITE.header("call-id") == "abc@x"
    assert INVITE.header("contact") == "<sip:02223000001@127.0.0.5>"
    assert INVITE.header("from") == '"a, \\"b\\"" <sip:02223000001@x>;tag=1'
    assert INVITE.header("replaces") == "", "a body is no header"
    assert (INVITE.source, INVITE.target, INVITE.at) == ("127.0.0.5:5060", "127.0.0.1:5060", AT)


@pytest.mark.parametrize(
    ("uri", "user"),
    [
        ("sip:02223000001;postd=*57*1@10.0.0.1;user=phone", "02223000001"),
        ("sip:02223000001;phone-context=+86@x", "02223000001"),
        ("tel:*57*1;phone-context=x", "*57*1"),
        ("sip:10.0.0.1;transport=udp", ""),
        ("sip:1%00*57@x", "1\N{REPLACEMENT CHARACTER}*57"),
        ("", ""),
    ],
)
def test_user_of_a_request(uri: str, user: str) -> None:
    assert message(f"INVITE {uri} SIP/2.0\r\n\r\n").request_user == user


def test_several_headers_joined_values_and_folded_lines() -> None:
    assert INVITE.values("diversion") == [
        "<sip:02223000002@x>;reason=user-busy",
        "<sip:02223000003@x> ;reason=unconditional",
        "<tel:+862223000004>",
    ]


def test_response() -> None:
    found = message("SIP/2.0 302 Moved Temporarily\nCSeq: 7 INVITE\nContact: <sip:1@x>\n\n")
    assert (found.status, found.method, found.request_user) == (302, "INVITE", "")
    assert found.header("contact") == "<sip:1@x>"


@pytest.mark.parametrize(
    "text", ["", "\r\n\r\n", "SIP/2.0", "SIP/2.0 xyz", "INVITE", ":", "\r\nINVITE sip:1@x SIP/2.0"]
)
def test_fragments(text: str) -> None:
    found = message(text)
    assert found.status == 0
    assert found.text == text
    assert found.request_user in ("", "1")


@pytest.mark.parametrize("separator", ["\u2028", "\u0085", "\x0b", "\x0c", "\x1c"])
def test_only_a_line_feed_ends_a_header(separator: str) -> None:
    found = message(f'INVITE sip:1@x SIP/2.0\r\nFrom: "a{separator}Replaces: forged" <sip:1@x>\r\n\r\n')
    assert found.header("replaces") == ""


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("<sip:1@x>, <sip:2@x>", ["<sip:1@x>", "<sip:2@x>"]),
        ('"a, b" <sip:1@x>,<sip:2@x>', ['"a, b" <sip:1@x>', "<sip:2@x>"]),
        (r'"a \", b" <sip:1@x>, <sip:2@x>', [r'"a \", b" <sip:1@x>', "<sip:2@x>"]),
        (r'"a \\", <sip:2@x>', [r'"a \\"', "<sip:2@x>"]),
        ("<sip:a,b@x>,sip:2@x", ["<sip:a,b@x>", "sip:2@x"]),
        (", ,<sip:1@x>,", ["<sip:1@x>"]),
        ("a>,b", ["a>", "b"]),
        ("", []),
    ],
)
def test_split_values(value: str, parts: list[str]) -> None:
    assert split_values(value) == parts


@pytest.mark.parametrize(
    ("value", "uri", "user"),
    [
        ("<sip:02223000001@10.0.0.1:5060;user=phone>;tag=1", "sip:02223000001@10.0.0.1:5060;user=phone", "02223000001"),
        ('"陈, 值班" <sips:desk1@x>', "sips:desk1@x", "desk1"),
        ("sip:1@x;tag=1", "sip:1@x", "1"),
        ("<tel:+86-22-2300-0001;phone-context=x>", "tel:+86-22-2300-0001;phone-context=x", "+86-22-2300-0001"),
        ("tel:110", "tel:110", "110"),
        ("<sip:10.0.0.1>", "sip:10.0.0.1", ""),
        ("<sip:%EF%BC%8A57%EF%BC%8A@x>", "sip:%EF%BC%8A57%EF%BC%8A@x", "＊57＊"),
        ("<SIP:1@x>", "SIP:1@x", "1"),
        ("<sip:02223000001;phone-context=+86@x>", "sip:02223000001;phone-context=+86@x", "02223000001"),
        ("<sip:1:secret@x>", "sip:1:secret@x", "1"),
        ('"sip:02283000000@x" <sip:02223000001@y>', "sip:02223000001@y", "02223000001"),
        ('"<sip:02283000000@x>" <sip:02223000001@y>', "sip:02223000001@y", "02223000001"),
        ("*", "*", ""),
        ("", "", ""),
    ],
)
def test_uri_and_user(value: str, uri: str, user: str) -> None:
    assert (uri_of(value), user_of(value)) == (uri, user)


@pytest.mark.parametrize(
    ("value", "name", "found"),
    [
        ("<sip:1@x>;reason=no-answer;counter=2", "reason", "no-answer"),
        ('<sip:1@x;reason=inside>; Reason = "user-busy"', "reason", "user-busy"),
        ("<sip:1@x;reason=inside>", "reason", ""),
        ("sip:1@x;reason=cfu", "reason", "cfu"),
        ("<sip:1@x>;xreason=1", "reason", ""),
    ],
)
def test_parameter(value: str, name: str, found: str) -> None:
    assert parameter(value, name) == found


@given(st.text(max_size=300))
def test_anything_at_all_is_evidence(text: str) -> None:
    found = message(text)
    assert found.text == text
    for name, _ in found.headers:
        assert all(part.strip() for part in found.values(name))


def test_a_hostile_header_takes_no_time() -> None:
    for value in ("<sip:" + ";" * 60_000, "sip:" * 15_000, '"' * 60_000, "<" * 60_000 + ",", "\\" * 60_000 + '"'):
        found = message(f"INVITE sip:1@x SIP/2.0\r\nContact: {value}\r\n\r\n")
        user_of(found.header("contact"))
        assert found.values("contact")
