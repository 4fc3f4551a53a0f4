"""Attempts to forward, from both sides; the same attempt gets the same key from each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.core.cel import CelEvent
from gateway.core.directory import Directory
from gateway.core.forwarding import (
    EVIDENCE_MAX,
    CallOfMessage,
    ForwardAttempt,
    attempt_in_message,
    attempts_in_events,
    endpoint_of,
    feature_codes,
    is_suspicious,
    meaning_of_code,
    replaced_call_id,
)
from gateway.core.inventory import Inventory, Line, Phone, Trunk, Unit
from gateway.core.registration import Registration
from gateway.core.sip import SipMessage, parse

AT = datetime(2026, 11, 23, 13, 59, 59, tzinfo=UTC)
CALL = "node1-1795439101.1"
OURS, OTHERS, TARGET = "02283000000", "02283000001", "02223000001"
DIRECTORY = Directory.of(
    Inventory(
        units=(Unit("CITY", "市政府值班室", "city_duty_office"),),
        trunks=(Trunk("carrier", "127.0.0.5:5060", ("127.0.0.5",)),),
        lines=(
            Line(OURS, "CITY", "ours", (Phone("desk1", "0" * 32),)),
            Line(OTHERS, "CITY", "ours", (Phone("desk2", "0" * 32), Phone("desk3", "0" * 32))),
        ),
    )
)
AS_CALLER = CallOfMessage(CALL, "desk1", "caller")
AS_CALLED = CallOfMessage(CALL, "desk1", "callee")


def event(kind: str, channel: str = "PJSIP/desk1-00000001", offset: int = 0, **facts: str) -> CelEvent:
    """A CEL event; a kind in small letters is a user event's name."""
    user = kind.upper() if kind.islower() else ""
    return CelEvent(
        node="node1",
        file="cel.json",
        offset=offset,
        at=AT + timedelta(milliseconds=offset),
        type="USER_DEFINED" if user else kind,
        user_type=user,
        channel=channel,
        uniqueid=f"u-{channel}",
        linkedid=CALL,
        dnid=facts.pop("dnid", ""),
        exten=facts.pop("exten", ""),
        extra=dict(facts),
    )


def message(start: str, *headers: str, at: datetime = AT) -> SipMessage:
    return parse(at, "127.0.0.9:5060", "127.0.0.1:5060", "\r\n".join([start, "Call-ID: c@x", *headers, "", ""]))


def one(attempt: ForwardAttempt | None) -> ForwardAttempt:
    assert attempt is not None
    return attempt


# --- the codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialled", "meaning"),
    [
        (f"*57*{TARGET}#", "forward all calls"),
        (f"＊５７＊{TARGET}＃", "forward all calls"),
        (f"**21*{TARGET}#", "forward all calls"),
        (f"*72{TARGET}", "forward all calls"),
        ("*72", "forward all calls"),
        (f"*40*{TARGET}#", "forward when busy"),
        (f"**67*{TARGET}#", "forward when busy"),
        (f"*90{TARGET}", "forward when busy"),
        (f"*41*{TARGET}#", "forward when unanswered"),
        (f"**61*{TARGET}**30#", "forward when unanswered"),
        (f"*92{TARGET}", "forward when unanswered"),
        (f"**62*{TARGET}#", "forward when unreachable"),
        (f"**002*{TARGET}#", "forward, all conditions"),
        (f"**004*{TARGET}#", "forward, all conditions"),
        ("#57#", "cancel forwarding"),
        ("#40#", "cancel forwarding"),
        ("#41#", "cancel forwarding"),
        ("##21#", "cancel forwarding"),
        ("##002#", "cancel forwarding"),
        ("*720", "cancel forwarding"),
        ("*900", "cancel forwarding"),
        ("*920", "cancel forwarding"),
        ("*73", "cancel forwarding"),
        ("*91", "cancel forwarding"),
        ("*93", "cancel forwarding"),
        ("*#57#", "ask for forwarding"),
        ("*#21#", "ask for forwarding"),
        ("*56#", "do not disturb"),
        ("*50#", "absent subscriber"),
        ("*54*1#", "outgoing bar"),
        (f"*52*{TARGET}#", "hot line"),
        ("*8", "pick up another phone's call"),
        ("*99", ""),
        (TARGET, ""),
        ("", ""),
    ],
)
def test_codes(dialled: str, meaning: str) -> None:
    assert meaning_of_code(dialled) == meaning


# --- from the journal ----------------------------------------------------------------------------------------------


def test_redirect_event() -> None:
    (found,) = attempts_in_events([event("FORWARD", "PJSIP/carrier-1", dnid=OURS, forward=TARGET)], DIRECTORY)
    assert (found.key, found.method, found.target) == (f"redirect|{CALL}|{TARGET}", "redirect", TARGET)
    assert (found.line_number, found.phone, found.call_id, found.outcome) == (OURS, "desk1", CALL, "blocked")
    assert found.evidence[0]["source"] == "cel"


def test_redirect_event_of_a_line_with_two_phones_does_not_guess_which() -> None:
    (found,) = attempts_in_events([event("FORWARD", "PJSIP/carrier-1", dnid=OTHERS, forward=TARGET)], DIRECTORY)
    assert (found.line_number, found.phone) == (OTHERS, None)


@pytest.mark.parametrize("method", ["star_code", "second_call"])
def test_dialplan_event(method: str) -> None:
    facts = {"method": method, "target": "*57*1#", "phone": "desk1", "line": OURS}
    (found,) = attempts_in_events([event("forward_attempt", **facts)], DIRECTORY)
    assert (found.key, found.method, found.target) == (f"{method}|{CALL}", method, "*57*1#")
    assert (found.line_number, found.phone, found.call_id) == (OURS, "desk1", CALL)


def test_the_net_below_everything() -> None:
    facts = {"method": "forward_context", "target": TARGET, "phone": "desk1", "line": ""}
    (found,) = attempts_in_events([event("forward_attempt", "Local/1@forward-denied-1;2", **facts)], DIRECTORY)
    assert (found.key, found.line_number, found.phone) == (f"forward_context|{CALL}|{TARGET}", OURS, "desk1")


def test_other_events_are_no_attempt() -> None:
    others = [event(kind) for kind in ("CHAN_START", "HANGUP", "duty_call", "rejected", "DTMF")]
    assert attempts_in_events(others, DIRECTORY) == []


def pressed(digits: str, channel: str = "PJSIP/desk1-00000002", start: int = 10) -> list[CelEvent]:
    return [event("DTMF", channel, start + place, digit=digit) for place, digit in enumerate(digits)]


INBOUND = event("duty_call", "PJSIP/carrier-00000001", direction="inbound", line=OURS)


@pytest.mark.parametrize(
    ("digits", "code"),
    [("*57*1#", "*57*1#"), ("12*2", "*2"), ("##", "##"), ("*", None), ("1#", None), ("123", None), ("", None)],
)
def test_feature_codes(digits: str, code: str | None) -> None:
    found = feature_codes([INBOUND, *pressed(digits)], DIRECTORY)
    assert [one.target for one in found] == ([code] if code else [])
    if code:
        assert (found[0].method, found[0].phone, found[0].line_number) == ("feature_code", "desk1", OURS)
        assert found[0].at == AT + timedelta(milliseconds=10 + digits.index(code))


def test_feature_code_that_grows_keeps_its_key() -> None:
    first, *_ = feature_codes([INBOUND, *pressed("*5")], DIRECTORY)
    later, *_ = feature_codes([INBOUND, *pressed("*57*1#")], DIRECTORY)
    assert (first.key, later.target) == (later.key, "*57*1#")


def test_keys_of_the_caller_or_of_an_outbound_call_are_no_attempt() -> None:
    outbound = event("duty_call", direction="outbound", line=OURS)
    assert feature_codes([INBOUND, *pressed("*57*1#", "PJSIP/carrier-00000001")], DIRECTORY) == []
    assert feature_codes([outbound, *pressed("*57*1#")], DIRECTORY) == []


@pytest.mark.parametrize(
    ("channel", "endpoint"),
    [("PJSIP/desk-1-00000001", "desk-1"), ("Local/s@duty-lookup-1;1", "s@duty-lookup"), ("", "")],
)
def test_endpoint_of(channel: str, endpoint: str) -> None:
    assert endpoint_of(channel) == endpoint


# --- from the wire -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "headers", "suspicious"),
    [
        ("SIP/2.0 302 Moved", ["CSeq: 1 INVITE", f"Contact: <sip:{TARGET}@x>"], True),
        ("SIP/2.0 380 Alternative", ["CSeq: 1 INVITE"], True),
        ("SIP/2.0 302 Moved", ["CSeq: 1 OPTIONS"], False),
        ("SIP/2.0 486 Busy", ["CSeq: 1 INVITE"], False),
        ("SIP/2.0 403 Forbidden", ["CSeq: 1 REGISTER"], True),
        ("SIP/2.0 401 Unauthorized", ["CSeq: 1 REGISTER"], True),
        ("SIP/2.0 200 OK", ["CSeq: 1 REGISTER"], False),
        (f"INVITE sip:{OURS};postd=*57*1@x;user=phone SIP/2.0", [], False),
        ("INVITE tel:+862283000000;phone-context=x SIP/2.0", [], False),
        ("INVITE tel:*57*1 SIP/2.0", [], True),
        (f"REFER sip:{OURS}@x SIP/2.0", ["Refer-To: <sip:1@x>"], True),
        (f"INVITE sip:{OURS}@x SIP/2.0", [], False),
        (f"INVITE sip:+86{OURS[1:]}@x SIP/2.0", [], False),
        (f"INVITE sip:{OURS}@x SIP/2.0", ["Replaces: a;to-tag=b;from-tag=c"], True),
        (f"INVITE sip:{OURS}@x SIP/2.0", [f"Diversion: <sip:{TARGET}@x>"], True),
        (f"INVITE sip:{OURS}@x SIP/2.0", [f"History-Info: <sip:{TARGET}@x>;index=1"], True),
        ("INVITE sip:desk1@10.0.0.9:5060 SIP/2.0", [], False),
        ("INVITE sip:*57*1%23@x SIP/2.0", [], True),
        ("INVITE sip:%EF%BC%8A57%EF%BC%8A1%EF%BC%83@x SIP/2.0", [], True),
        ("INVITE sip:%EF%BC%91%EF%BC%91%EF%BC%90@x SIP/2.0", [], True),
        ("INVITE sip:10.0.0.1 SIP/2.0", [], True),
        ("BYE sip:*57*@x SIP/2.0", [], False),
        ("OPTIONS sip:x SIP/2.0", [], False),
    ],
)
def test_suspicious(start: str, headers: list[str], suspicious: bool) -> None:
    assert is_suspicious(message(start, *headers), DIRECTORY) is suspicious


def test_refer() -> None:
    told = ("To: <sip:1@x>;tag=2", "CSeq: 7 REFER", f"Refer-To: <sip:{TARGET}@x?Replaces=y>")
    refer = message("REFER sip:1@x SIP/2.0", *told)
    found = one(attempt_in_message(refer, AS_CALLED, DIRECTORY))
    assert (found.key, found.method, found.target) == ("refer|c@x|7", "refer", f"sip:{TARGET}@x?Replaces=y")
    assert (found.line_number, found.phone, found.call_id) == (OURS, "desk1", CALL)
    assert found.evidence[0]["text"].startswith("127.0.0.9:5060 > 127.0.0.1:5060\nREFER sip:1@x SIP/2.0")


def test_refer_of_a_phone_without_a_call_is_named_by_its_from() -> None:
    refer = message("REFER sip:1@x SIP/2.0", "CSeq: 1 REFER", "From: <sip:desk2@x>", f"Refer-To: sip:{TARGET}@x")
    found = one(attempt_in_message(refer, None, DIRECTORY))
    assert (found.phone, found.line_number, found.call_id) == ("desk2", OTHERS, None)


def test_refer_outside_a_call_is_one_attempt_however_often_it_is_challenged() -> None:
    told = ("To: <sip:1@x>", "From: <sip:desk2@x>", f"Refer-To: sip:{TARGET}@x")
    keys = [
        one(attempt_in_message(message("REFER sip:1@x SIP/2.0", f"CSeq: {count} REFER", *told), None, DIRECTORY)).key
        for count in (1, 2)
    ]
    assert keys == ["refer|c@x"] * 2


def test_refer_by_somebody_who_is_no_phone_of_ours_names_the_line_of_the_call() -> None:
    refer = message("REFER sip:1@x SIP/2.0", "CSeq: 7 REFER", f"Refer-To: <sip:{TARGET}@x>")
    found = one(attempt_in_message(refer, CallOfMessage(CALL, "carrier", "caller", OURS), DIRECTORY))
    assert (found.phone, found.line_number, found.call_id) == ("carrier", OURS, CALL)


@pytest.mark.parametrize("asked", [OURS, f"+86{OURS[1:]}", "desk1"])
@pytest.mark.parametrize("header", ["Refer-To: <sip:1@x>", "Replaces: a@b;to-tag=1;from-tag=2"])
def test_a_stranger_outside_any_call_is_about_the_line_he_names(asked: str, header: str) -> None:
    method = "REFER" if "Refer" in header else "INVITE"
    request = message(f"{method} sip:{asked}@x SIP/2.0", "From: <sip:stranger@x>", header)
    assert one(attempt_in_message(request, None, DIRECTORY)).line_number == OURS


def test_replaces() -> None:
    invite = message(f"INVITE sip:{OURS}@x SIP/2.0", "From: <sip:stranger@x>", "Replaces: a@b;to-tag=1;from-tag=2")
    found = one(attempt_in_message(invite, None, DIRECTORY))
    assert (found.key, found.method, found.target) == ("replaces|c@x", "replaces", "a@b;to-tag=1;from-tag=2")
    assert (found.phone, found.line_number) == ("stranger", OURS)


@pytest.mark.parametrize("thief", ["stranger", "desk2"])
def test_replaces_names_the_call_and_the_line_that_would_be_taken_over(thief: str) -> None:
    invite = message(f"INVITE sip:{OURS}@x SIP/2.0", f"From: <sip:{thief}@x>", "Replaces: a@b ;to-tag=1;from-tag=2")
    assert replaced_call_id(invite) == "a@b"
    found = one(attempt_in_message(invite, CallOfMessage(CALL, "desk1", "called", OURS), DIRECTORY))
    assert (found.key, found.phone, found.line_number, found.call_id) == ("replaces|c@x", thief, OURS, CALL)


def test_an_invite_without_replaces_takes_nothing_over() -> None:
    assert replaced_call_id(message(f"INVITE sip:{OURS}@x SIP/2.0")) == ""


def redirected(*contacts: str, by: str = "desk1") -> ForwardAttempt | None:
    answer = message("SIP/2.0 302 Moved", "CSeq: 1 INVITE", *(f"Contact: {contact}" for contact in contacts))
    return attempt_in_message(answer, CallOfMessage(CALL, by, "called", OURS), DIRECTORY)


@pytest.mark.parametrize(
    ("contacts", "target"),
    [
        ((), ""),
        (("<sip:1@x>;q=0.2, <sip:2@x>;q=0.9",), "2"),
        (("<sip:1@x>", "<sip:2@x>;q=0.9"), "1"),
        (("<sip:1@x>;q=0.5", "<sip:2@x>;q=0.5"), "1"),
        (("<sip:1@x>;q=much", "<sip:2@x>;q=7"), "1"),
        (("<tel:+861>", "<sips:2@x>;q=0.1"), "2"),
        (("tel:+86-1;q=0.1",), "+86-1"),
        (("<sip:10.0.0.1>",), "sip:10.0.0.1"),
        (("<https://x/?a=1>",), "https://x/?a=1"),
    ],
)
def test_redirect_names_the_target_that_would_be_followed(contacts: tuple[str, ...], target: str) -> None:
    found = one(redirected(*contacts))
    assert (found.target, found.phone, found.line_number) == (target, "desk1", OURS)


def test_redirect_without_contact_by_the_carrier_is_no_attempt() -> None:
    assert redirected(by="carrier") is None


def test_diverted_call_to_us_is_no_attempt() -> None:
    invite = message(f"INVITE sip:{OURS}@x SIP/2.0", f"Diversion: <sip:{TARGET}@x>")
    assert attempt_in_message(invite, CallOfMessage(CALL, "carrier", "caller"), DIRECTORY) is None


def test_code_of_a_stranger_or_towards_a_phone_is_no_attempt() -> None:
    invite = message("INVITE sip:*57*1@x SIP/2.0")
    assert attempt_in_message(invite, None, DIRECTORY) is None
    assert attempt_in_message(invite, CallOfMessage(CALL, "carrier", "caller"), DIRECTORY) is None
    assert attempt_in_message(invite, AS_CALLED, DIRECTORY) is None


def refused(contact: str, at: datetime = AT, phone: str = "desk1") -> ForwardAttempt | None:
    told = ("CSeq: 2 REGISTER", f"To: <sip:{phone}@x>")
    register = Registration(message("REGISTER sip:x SIP/2.0", *told, f"Contact: {contact}", at=at))
    return attempt_in_message(message("SIP/2.0 403 Forbidden", *told, at=at), None, DIRECTORY, register)


def test_second_registration_is_told_once_an_hour_for_each_device() -> None:
    found = one(refused("<sip:desk1@10.0.0.9:5060>"))
    assert (found.method, found.phone, found.line_number) == ("second_registration", "desk1", OURS)
    assert found.target == "sip:desk1@10.0.0.9:5060"
    assert one(refused("<sip:desk1@10.0.0.9:5060>", AT - timedelta(minutes=59))).key == found.key
    assert one(refused("<sip:desk1@10.0.0.9:5060>", AT + timedelta(seconds=1))).key != found.key
    assert one(refused("<sip:desk1@10.0.0.8:5060>")).key != found.key
    assert refused("<sip:x@10.0.0.9>", phone="nobody") is None


def test_second_registration_shows_what_was_asked_and_every_device() -> None:
    found = one(refused("<sip:desk1@10.0.0.9>, <sip:13800000000@10.0.0.5>"))
    assert found.target == "sip:desk1@10.0.0.9, sip:13800000000@10.0.0.5"
    assert [item["text"].partition("\n")[2].split(" ")[0] for item in found.evidence] == ["REGISTER", "SIP/2.0"]


def test_the_first_challenge_is_no_attempt() -> None:
    told = ("CSeq: 1 REGISTER", "To: <sip:desk1@x>")
    registration = Registration(message("REGISTER sip:x SIP/2.0", *told))
    assert attempt_in_message(message("SIP/2.0 401 Unauthorized", *told), None, DIRECTORY, registration) is None


def test_refused_registration_whose_request_was_not_seen() -> None:
    answer = message("SIP/2.0 403 Forbidden", "CSeq: 2 REGISTER", "To: <sip:desk1@x>")
    assert one(attempt_in_message(answer, None, DIRECTORY)).target == "127.0.0.1:5060"


# --- both sides ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [TARGET, "*57*1#", "＊57＊", "8001", "a" * 400, "＊" * 40])
def test_redirect_has_one_key(target: str) -> None:
    kept = target.encode()[:79].decode(errors="replace")  # what Asterisk writes into the journal
    (journal,) = attempts_in_events([event("FORWARD", "PJSIP/carrier-1", dnid=OURS, forward=kept)], DIRECTORY)
    answer = message("SIP/2.0 302 Moved", "CSeq: 1 INVITE", f"Contact: <sip:{target.replace('#', '%23')}@x>")
    wire = one(attempt_in_message(answer, AS_CALLED, DIRECTORY))
    assert (wire.key, wire.method, wire.target) == (journal.key, journal.method, journal.target)
    assert (wire.line_number, wire.phone, wire.call_id) == (journal.line_number, journal.phone, journal.call_id)
    assert max(len(wire.key), len(wire.target)) <= 255, "the columns"


@pytest.mark.parametrize("code", ["*57*1#", "＊57＊1＃", "0" * 300 + "#"])
def test_star_code_has_one_key(code: str) -> None:
    facts = {"method": "star_code", "target": code, "phone": "desk1", "line": OURS}
    (journal,) = attempts_in_events([event("forward_attempt", **facts)], DIRECTORY)
    invite = message(f"INVITE sip:{code.replace('#', '%23')}@x SIP/2.0")
    wire = one(attempt_in_message(invite, AS_CALLER, DIRECTORY))
    assert (wire.key, wire.method, wire.target) == (journal.key, journal.method, journal.target)
    assert (wire.line_number, wire.phone, wire.call_id) == (journal.line_number, journal.phone, journal.call_id)


def test_whatever_a_phone_sends_fits_into_the_columns() -> None:
    refer = message(
        "REFER sip:1@x SIP/2.0", "CSeq: 7 REFER", f"Refer-To: <sip:{'9' * 999}@x>", f"From: <sip:{'p' * 999}@x>"
    )
    attempts = [
        attempt_in_message(refer, None, DIRECTORY),
        refused(f"<sip:{'d' * 999}@x>"),
        *attempts_in_events([event("forward_attempt", method="forward_context", target="8" * 999)], DIRECTORY),
        *feature_codes([INBOUND, *pressed("*" + "1" * 999)], DIRECTORY),
    ]
    for found in map(one, attempts):
        assert len(found.key) <= 255
        assert len(found.target) <= 255
        assert len(found.phone or "") <= 64


def test_evidence_is_kept_up_to_a_limit() -> None:
    refer = message("REFER sip:1@x SIP/2.0", "CSeq: 7 REFER", "Refer-To: <sip:1@x>", f"X: {'y' * 20_000}")
    assert len(one(attempt_in_message(refer, AS_CALLED, DIRECTORY)).evidence[0]["text"]) == EVIDENCE_MAX
