"""What refuses a registration, and what only asks for the password."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.core.registration import Registration
from gateway.core.sip import SipMessage, parse


def message(start: str, *headers: str) -> SipMessage:
    text = "\r\n".join([start, "CSeq: 1 REGISTER", *headers, "", ""])
    return parse(datetime(2026, 11, 23, tzinfo=UTC), "10.0.0.9:5060", "10.0.0.1:5060", text)


def request(nonce: str = "") -> SipMessage:
    headers = [f'Authorization: Digest username="desk1", nonce="{nonce}"'] if nonce else []
    return message("REGISTER sip:x SIP/2.0", *headers)


def challenge(nonce: str) -> SipMessage:
    return message("SIP/2.0 401 Unauthorized", f'WWW-Authenticate: Digest realm="x", nonce="{nonce}", stale=true')


def refused(*messages: SipMessage) -> list[bool]:
    """For each answer in a conversation: whether it refuses."""
    registration, found = Registration(messages[0]), []
    for each in messages[1:]:
        if each.status:
            found.append(registration.is_refused_by(each))
        registration = registration.after(each)
    return found


def test_a_password_that_is_challenged_again_was_refused() -> None:
    told = (request(), challenge("a"), request("a"), challenge("b"), request("b"), challenge("c"))
    assert refused(*told) == [False, True, True]


def test_an_old_nonce_is_no_refusal() -> None:
    assert refused(request("old"), challenge("a"), request("a"), message("SIP/2.0 200 OK")) == [False, False]
    assert refused(request("old"), challenge("a"), request("older"), challenge("b")) == [False, False]


@pytest.mark.parametrize(("status", "no"), [(100, False), (200, False), (403, True), (404, True), (503, True)])
def test_other_answers(status: int, no: bool) -> None:
    assert refused(request(), message(f"SIP/2.0 {status} x")) == [no]
