"""SIPp's message log as the other side's truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from gateway.demo import witness

RULE = "-" * 47


def _entry(seconds: float, way: str, text: str) -> str:
    at = (datetime(2026, 11, 23, 5, 5, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    return f"{RULE} {at}\nUDP message {way} [{len(text)}] bytes:\n\n{text}\n"


def _message(start: str, cseq: str, body: str = "") -> str:
    return f"{start}\nCall-ID: 1-7@127.0.0.5\nCSeq: {cseq}\n\n{body}"


LOG = (
    _entry(0.0, "sent", _message("INVITE sip:x@h SIP/2.0", "1 INVITE", "v=0\n"))
    + _entry(0.1, "received", _message("SIP/2.0 401 Unauthorized", "1 INVITE"))
    + _entry(0.2, "sent", _message("INVITE sip:x@h SIP/2.0", "2 INVITE", "v=0\n"))
    + _entry(0.7, "sent", _message("INVITE sip:x@h SIP/2.0", "2 INVITE", "v=0\n"))  # said again
    + _entry(0.8, "received", _message("SIP/2.0 180 Ringing", "2 INVITE"))
    + _entry(2.0, "received", _message("SIP/2.0 200 OK", "2 INVITE"))
    + _entry(5.0, "sent", _message("BYE sip:x@h SIP/2.0", "3 BYE"))
    + _entry(5.1, "received", _message("SIP/2.0 200 OK", "3 BYE"))
)


def _s(at: datetime | None) -> float | None:
    return None if at is None else at.second + at.microsecond / 1e6


def test_every_message_is_read_in_order() -> None:
    seen = witness.read(LOG)
    assert [(each.sent, each.message.status) for each in seen] == [
        (True, 0), (False, 401), (True, 0), (True, 0), (False, 180), (False, 200), (True, 0), (False, 200),
    ]  # fmt: skip
    assert witness.call_ids(seen) == ["1-7@127.0.0.5"]


def test_moments() -> None:
    seen = witness.read(LOG)
    assert _s(witness.first(seen, "BYE", sent=True)) == 5.0
    assert _s(witness.first(seen, "BYE", 200, sent=False)) == 5.1
    assert _s(witness.first(seen, "INVITE", 180, sent=False)) == 0.8
    assert witness.first(seen, "CANCEL", sent=True) is None


def test_challenged_invite_does_not_count() -> None:
    assert _s(witness.accepted_invite(witness.read(LOG))) == 0.2
    outcome = witness.outcome(witness.read(LOG))
    assert outcome is not None
    assert outcome.message.status == 200


def test_unanswered_invite_has_no_outcome() -> None:
    assert witness.outcome(witness.read(LOG)[:5]) is None
    assert witness.accepted_invite([]) is None


def test_distance_from_a_span() -> None:
    begin = datetime(2026, 11, 23, tzinfo=UTC)
    off = [
        witness.off_by_s(begin + timedelta(milliseconds=at), begin, begin + timedelta(milliseconds=10))
        for at in (-70, 0, 5, 10, 70)
    ]
    assert off == [0.07, 0.0, 0.0, 0.0, 0.06]
