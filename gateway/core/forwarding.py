"""Attempts to forward a duty line (art. 9(1): 值班电话严禁转移使用), seen in the CEL journal and on the wire.

Blocking is Asterisk's and the dialplan's work; here the attempt becomes a fact. The same attempt is usually seen twice,
once by Asterisk (CEL) and once on the wire (SIP), each knowing something the other does not, so both give it one key:

    method               seen in CEL                      seen on the wire                       key
    redirect             FORWARD with the target          3xx from a phone, with Contact         call, target
    refer                –                                REFER                                  Call-ID, CSeq in a call
    replaces             –                                INVITE with Replaces                   Call-ID
    star_code            FORWARD_ATTEMPT by the dialplan  INVITE to no plain number              call
    second_call          FORWARD_ATTEMPT by the dialplan  –                                      call
    second_registration  –                                REGISTER refused                       phone, Contacts, hour
    malformed            –                                a packet that is no SIP (engine's log)  source, minute
    feature_code         DTMF * or # of our phone         –                                      leg
    forward_context      FORWARD_ATTEMPT by the net       –                                      call, target

A refused registration is repeated by its phone for as long as it is plugged in; one row an hour says enough. A REFER
outside a dialog is challenged and sent again with a password, which is one attempt.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from gateway.core.cel import CelEvent
from gateway.core.directory import Directory
from gateway.core.registration import Registration
from gateway.core.sip import SipMessage, parameter, uri_of, user_of

EVIDENCE_MAX = 8_000  # characters of raw text kept of one message
KEY_MAX = TARGET_MAX = 255
PHONE_MAX = 64
BLOCKED, NOT_BLOCKED = "blocked", "not_blocked"
EXTENSION_MAX = 79  # bytes: what Asterisk keeps of a user part (AST_MAX_EXTENSION)

# What the codes mean that people dial; all strings that are no plain number are denied, the table only names them.
_CODES = (
    (r"#{1,2}(57|40|41|21|61|62|67|002|004)#?.*|\*(73|91|93|720|900|920)", "cancel forwarding"),  # before *72…
    (r"\*57\*.*|\*\*21\*.*|\*72.*", "forward all calls"),
    (r"\*40\*.*|\*\*67\*.*|\*90.*", "forward when busy"),
    (r"\*41\*.*|\*\*61\*.*|\*92.*", "forward when unanswered"),
    (r"\*\*62\*.*", "forward when unreachable"),
    (r"\*\*00[24]\*.*", "forward, all conditions"),
    (r"\*#.*", "ask for forwarding"),
    (r"\*56#", "do not disturb"),
    (r"\*50.*", "absent subscriber"),
    (r"\*54.*", "outgoing bar"),
    (r"\*52.*", "hot line"),
    (r"\*8.*|\*\*\d.*", "pick up another phone's call"),
)


@dataclass(frozen=True, slots=True)
class ForwardAttempt:
    """One attempt. `key` is the same for the same attempt seen twice, so it is stored once and evidence is added.

    `evidence` items: {"source": "cel", "sip" or "log", "at": ISO time, "text": raw}.
    """

    key: str
    method: str
    at: datetime
    line_number: str | None
    phone: str | None
    target: str
    call_id: str | None = None
    outcome: str = BLOCKED
    evidence: tuple[dict[str, str], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the engine's log."""

    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class CallOfMessage:
    """What CEL knows of a SIP Call-ID: the call, the phone or trunk at the other end, which party that is, the line.

    For an INVITE with Replaces it is the call that Replaces names, not the one that the INVITE would begin.
    """

    call_id: str
    endpoint: str
    party: str
    line_number: str | None = None


def plain(dialled: str) -> str:
    """Full-width digits and signs as the ASCII ones they stand for: `＊57＊` → `*57*`."""
    return unicodedata.normalize("NFKC", dialled)


def meaning_of_code(dialled: str) -> str:
    """What the code would have done, or an empty text for one that is not known."""
    code = plain(dialled)
    return next((meaning for pattern, meaning in _CODES if re.fullmatch(pattern, code)), "")


# --- from the CEL journal ------------------------------------------------------------------------------------------


def attempts_in_events(events: Sequence[CelEvent], directory: Directory) -> list[ForwardAttempt]:
    """The attempts that Asterisk itself or the dialplan noticed, each event giving one at most."""
    found = []
    for event in events:
        if event.type == "FORWARD":
            found.append(_redirect_event(event, directory))
        elif event.user_type == "FORWARD_ATTEMPT":
            found.append(_dialplan_event(event, directory))
    return found


def feature_codes(events: Sequence[CelEvent], directory: Directory) -> list[ForwardAttempt]:
    """Keys beginning with * or # that a phone of ours pressed during an inbound call, from all events of the call.

    Nothing acts on them: no feature code is configured. A single * or # is what people press in menus, no attempt.
    """
    if not any(event.user_type == "DUTY_CALL" and event.fact("direction") != "outbound" for event in events):
        return []
    pressed: dict[str, list[CelEvent]] = {}
    for event in events:
        if event.type == "DTMF" and directory.line_of_phone(endpoint_of(event.channel)):
            pressed.setdefault(event.uniqueid, []).append(event)
    found = []
    for leg, digits in pressed.items():
        text = "".join(event.fact("digit") for event in digits)
        code = re.search(r"[*#][*#\d]+", text)
        if code:
            event = digits[code.start()]
            found.append(_attempt(f"feature_code|{leg}", "feature_code", event, directory, code[0]))
    return found


def endpoint_of(channel: str) -> str:
    """`PJSIP/desk1-00000001` → `desk1`."""
    return channel.partition("/")[2].rpartition("-")[0]


def _redirect_event(event: CelEvent, directory: Directory) -> ForwardAttempt:
    """FORWARD stands on the caller's channel: which phone did it is known on the wire, the line from here."""
    target = _extension(event.fact("forward"))
    line = directory.line_of(event.dnid or event.exten)
    return ForwardAttempt(
        key=f"redirect|{event.linkedid}|{target}"[:KEY_MAX],
        method="redirect",
        at=event.at,
        line_number=line.number if line else None,
        phone=line.phones[0].user if line and len(line.phones) == 1 else None,
        target=target[:TARGET_MAX],
        call_id=event.linkedid,
        evidence=(_of_event(event),),
    )


def _dialplan_event(event: CelEvent, directory: Directory) -> ForwardAttempt:
    method, target = event.fact("method"), event.fact("target")
    key = f"{method}|{event.linkedid}" + (f"|{target}" if method == "forward_context" else "")
    phone = event.fact("phone") or None
    return _attempt(key, method, event, directory, target, phone)


def _attempt(
    key: str, method: str, event: CelEvent, directory: Directory, target: str, phone: str | None = None
) -> ForwardAttempt:
    phone = phone or endpoint_of(event.channel)
    line = directory.line_of_phone(phone)
    return ForwardAttempt(
        key=key[:KEY_MAX],
        method=method,
        at=event.at,
        line_number=event.fact("line") or (line.number if line else None),
        phone=phone[:PHONE_MAX],
        target=target[:TARGET_MAX],
        call_id=event.linkedid,
        evidence=(_of_event(event),),
    )


def _of_event(event: CelEvent) -> dict[str, str]:
    name = event.user_type or event.type
    return {"source": "cel", "at": event.at.isoformat(), "text": f"{name} {event.channel} {event.extra}"[:EVIDENCE_MAX]}


# --- from the wire -------------------------------------------------------------------------------------------------


def is_suspicious(message: SipMessage, directory: Directory) -> bool:
    """Whether the message can be an attempt, or says where an inbound call was diverted.

    Our own INVITE to a phone names the phone, which is no telephone number either and no attempt.
    """
    if message.status:
        return (300 <= message.status < 400 and message.method == "INVITE") or (
            message.status >= 401 and message.method == "REGISTER"
        )
    if message.method == "INVITE":
        return bool(
            message.header("replaces")
            or message.header("diversion")
            or message.header("history-info")
            or not (_is_number(message.request_user) or directory.line_of_phone(message.request_user))
        )
    return message.method == "REFER"


def attempt_in_message(
    message: SipMessage, call: CallOfMessage | None, directory: Directory, registration: Registration | None = None
) -> ForwardAttempt | None:
    """The attempt a suspicious message is, or None. `registration`: the one that the message answers."""
    if message.status and message.method == "REGISTER":
        return _registration(message, directory, registration)
    if message.status:
        return _redirect(message, call, directory)
    if message.method == "REFER":
        return _refer(message, call, directory)
    if message.header("replaces"):
        return _takeover(message, call, directory)
    if (
        call
        and call.party == "caller"
        and directory.line_of_phone(call.endpoint)
        and not _is_number(message.request_user)
    ):
        return _on_wire(f"star_code|{call.call_id}", "star_code", message, call, directory, message.request_user)
    return None


def not_blocked(attempt: ForwardAttempt, answer: SipMessage) -> ForwardAttempt:
    """The attempt, now that its own answer shows that it succeeded: nothing is called blocked that was not."""
    return replace(attempt, outcome=NOT_BLOCKED, evidence=(_of_message(answer),))


def replaced_call_id(message: SipMessage) -> str:
    """The SIP Call-ID of the dialog that an INVITE wants to take over; empty when it wants none."""
    return message.header("replaces").partition(";")[0].strip()


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\+?[0-9]+", text) is not None


def attempt_in_log(line: LogLine, directory: Directory, phones: Mapping[str, str]) -> ForwardAttempt | None:
    """A request that the SIP parser threw away: raw full-width digits, say, which no address may hold.

    What it wanted is not known any more, only where it came from; `phones`: the one phone that registered from a host.
    """
    dropped = re.search(r"Dropping \d+ bytes packet from \S+ (\S+) : .*'Request Line'", line.text)
    if dropped is None:
        return None
    phone = phones.get(dropped[1].rpartition(":")[0])
    ours = directory.line_of_phone(phone) if phone else None
    return ForwardAttempt(
        key=f"malformed|{dropped[1]}|{line.at:%Y%m%d%H%M}",
        method="malformed",
        at=line.at,
        line_number=ours.number if ours else None,
        phone=phone if ours else None,
        target=f"from {dropped[1]}",
        evidence=({"source": "log", "at": line.at.isoformat(), "text": line.text[:EVIDENCE_MAX]},),
    )


def _redirect(message: SipMessage, call: CallOfMessage | None, directory: Directory) -> ForwardAttempt | None:
    """A phone that says 3xx has sent the call away, even when it does not say where to."""
    contacts = message.values("contact")
    if not contacts and not (call and directory.line_of_phone(call.endpoint)):
        return None
    target = _followed(contacts)
    key = f"redirect|{call.call_id if call else message.header('call-id')}|{target}"
    return _on_wire(key, "redirect", message, call, directory, target)


def _followed(contacts: Sequence[str]) -> str:
    """Where Asterisk would go: the SIP address with the highest q (1 when not said), the first among equals.

    When there is none, such as with tel: alone, the first address as it stands.
    """
    addresses = [contact for contact in contacts if uri_of(contact).lower().startswith(("sip:", "sips:"))]
    wanted = max(addresses or contacts, key=_preference, default="")
    return _extension(user_of(wanted)) or uri_of(wanted)


def _preference(contact: str) -> float:
    try:
        q = float(parameter(contact, "q"))
    except ValueError:
        return 1.0
    return q if 0 < q <= 1 else 1.0


def _extension(user: str) -> str:
    """What Asterisk keeps of a user part, so that both sides name the same target."""
    return user.encode()[:EXTENSION_MAX].decode(errors="ignore")


def _refer(message: SipMessage, call: CallOfMessage | None, directory: Directory) -> ForwardAttempt:
    """Somebody who is no phone of ours, a caller say, may move a call of ours: then it is that call's line."""
    key = f"refer|{message.header('call-id')}"
    if parameter(message.header("to"), "tag"):
        key += f"|{message.header('cseq').split(' ')[0]}"
    found = _on_wire(key, "refer", message, call, directory, uri_of(message.header("refer-to")))
    return replace(found, line_number=found.line_number or _line_asked(message, call, directory))


def _takeover(message: SipMessage, call: CallOfMessage | None, directory: Directory) -> ForwardAttempt:
    """`call` is the one to be taken over, so its line counts; the thief is named by himself."""
    key = f"replaces|{message.header('call-id')}"
    found = _on_wire(key, "replaces", message, None, directory, message.header("replaces"))
    if call is None:
        return replace(found, line_number=found.line_number or _line_asked(message, call, directory))
    return replace(found, call_id=call.call_id, line_number=call.line_number or found.line_number)


def _line_asked(message: SipMessage, call: CallOfMessage | None, directory: Directory) -> str | None:
    """The line that a request is about when its sender is no phone of ours: that of the call, else the one it names."""
    if call is not None and call.line_number:
        return call.line_number
    line = directory.line_of_phone(message.request_user) or directory.line_of(message.request_user)
    return line.number if line else None


def _registration(
    message: SipMessage, directory: Directory, registration: Registration | None
) -> ForwardAttempt | None:
    phone = user_of(message.header("to"))
    line = directory.line_of_phone(phone)
    refused = registration.is_refused_by(message) if registration else message.status >= 403
    if line is None or not refused:
        return None
    hour = message.at.strftime("%Y%m%d%H")
    seen = (registration.request, message) if registration else (message,)
    contacts = ", ".join(map(uri_of, seen[0].values("contact"))) if registration else ""
    return ForwardAttempt(
        key=f"second_registration|{phone}|{hour}|{contacts}"[:KEY_MAX],
        method="second_registration",
        at=message.at,
        line_number=line.number,
        phone=phone,
        target=(contacts or message.target)[:TARGET_MAX],
        evidence=tuple(map(_of_message, seen)),
    )


def _on_wire(
    key: str, method: str, message: SipMessage, call: CallOfMessage | None, directory: Directory, target: str
) -> ForwardAttempt:
    phone = call.endpoint if call else user_of(message.header("from"))
    line = directory.line_of_phone(phone)
    return ForwardAttempt(
        key=key[:KEY_MAX],
        method=method,
        at=message.at,
        line_number=line.number if line else None,
        phone=phone[:PHONE_MAX] or None,
        target=target[:TARGET_MAX],
        call_id=call.call_id if call else None,
        evidence=(_of_message(message),),
    )


def _of_message(message: SipMessage) -> dict[str, str]:
    text = f"{message.source} > {message.target}\n{message.text}"
    return {"source": "sip", "at": message.at.isoformat(), "text": text[:EVIDENCE_MAX]}
