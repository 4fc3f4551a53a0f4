"""Attempts to forward a duty line (art. 9(1): 值班电话严禁转移使用), seen in the CEL journal and on the wire.

Blocking is Asterisk's and the dialplan's work; here the attempt becomes a fact. The same attempt is usually seen twice,
once by Asterisk (CEL) and once on the wire (SIP), each knowing something the other does not, so both give it one key:

    method               seen in CEL                      seen on the wire                       key
    redirect             FORWARD with the target          3xx from a phone, with Contact         call, target
    refer                –                                REFER                                  Call-ID, CSeq
    replaces             –                                INVITE with Replaces                   Call-ID
    star_code            FORWARD_ATTEMPT by the dialplan  INVITE to no plain number              call
    second_call          FORWARD_ATTEMPT by the dialplan  –                                      call
    second_registration  –                                REGISTER refused (≥ 403)               phone, Contact, hour
    malformed            –                                a packet that is no SIP (engine's log)  source, minute
    feature_code         DTMF * or # of our phone         –                                      leg
    forward_context      FORWARD_ATTEMPT by the net       –                                      call, target

A refused registration is repeated by its phone for as long as it is plugged in; one row an hour says enough.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.core.cel import CelEvent
from gateway.core.directory import Directory
from gateway.core.sip import SipMessage, uri_of, user_of

EVIDENCE_MAX = 8_000  # characters of raw text kept of one message
KEY_MAX = TARGET_MAX = 255
PHONE_MAX = 64

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
    outcome: str = "blocked"
    evidence: tuple[dict[str, str], ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the engine's log."""

    at: datetime
    level: str
    text: str


@dataclass(frozen=True, slots=True)
class CallOfMessage:
    """What CEL knows of a SIP Call-ID: the call, the phone or trunk at the other end, and which party that is."""

    call_id: str
    endpoint: str
    party: str


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
    target = event.fact("forward")
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
            message.status >= 403 and message.method == "REGISTER"
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
    message: SipMessage, call: CallOfMessage | None, directory: Directory, refused_contact: str = ""
) -> ForwardAttempt | None:
    """The attempt a suspicious message is, or None. `refused_contact`: the Contact of a refused REGISTER."""
    if message.status and message.method == "REGISTER":
        return _registration(message, directory, refused_contact)
    if message.status:
        return _redirect(message, call, directory)
    if message.method == "REFER":
        cseq = message.header("cseq").split(" ")[0]
        key = f"refer|{message.header('call-id')}|{cseq}"
        return _on_wire(key, "refer", message, call, directory, uri_of(message.header("refer-to")))
    if message.header("replaces"):
        key = f"replaces|{message.header('call-id')}"
        return _on_wire(key, "replaces", message, call, directory, message.header("replaces"))
    if (
        call
        and call.party == "caller"
        and directory.line_of_phone(call.endpoint)
        and not _is_number(message.request_user)
    ):
        return _on_wire(f"star_code|{call.call_id}", "star_code", message, call, directory, message.request_user)
    return None


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\+?[0-9]+", text) is not None


def attempt_in_log(line: LogLine) -> ForwardAttempt | None:
    """A request that the SIP parser threw away: raw full-width digits, say, which no address may hold.

    What it wanted is not known any more, only who sent it; so it is on record as what it was.
    """
    dropped = re.search(r"Dropping \d+ bytes packet from \S+ (\S+) : .*'Request Line'", line.text)
    if dropped is None:
        return None
    return ForwardAttempt(
        key=f"malformed|{dropped[1]}|{line.at:%Y%m%d%H%M}",
        method="malformed",
        at=line.at,
        line_number=None,
        phone=None,
        target=f"from {dropped[1]}",
        evidence=({"source": "log", "at": line.at.isoformat(), "text": line.text[:EVIDENCE_MAX]},),
    )


def _redirect(message: SipMessage, call: CallOfMessage | None, directory: Directory) -> ForwardAttempt | None:
    contact = message.header("contact")
    if not contact:
        return None
    target = user_of(contact) or uri_of(contact)
    key = f"redirect|{call.call_id if call else message.header('call-id')}|{target}"
    return _on_wire(key, "redirect", message, call, directory, target)


def _registration(message: SipMessage, directory: Directory, contact: str) -> ForwardAttempt | None:
    phone = user_of(message.header("to"))
    line = directory.line_of_phone(phone)
    if line is None:
        return None
    hour = message.at.strftime("%Y%m%d%H")
    return ForwardAttempt(
        key=f"second_registration|{phone}|{hour}|{uri_of(contact)}"[:KEY_MAX],
        method="second_registration",
        at=message.at,
        line_number=line.number,
        phone=phone,
        target=(uri_of(contact) or message.target)[:TARGET_MAX],
        evidence=(_of_message(message),),
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
