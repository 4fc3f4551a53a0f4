"""What must hold of the story: every member, time and sample that was observed against what the phones did.

A check says what was measured, whether it is good or bad.
"""

from __future__ import annotations

import audioop
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from gateway.demo import city as places
from gateway.demo import hearing, witness
from gateway.demo.hearing import Side
from gateway.demo.observe import Observed, Seat, Sound

TIME_WITHIN_S = 0.05
ENDING_S = 0.3  # of a sentence that a hang-up cut short, this much need not have been heard
SIDES = ("ours", "theirs")


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    ok: bool
    detail: str


def checks(observed: Observed, sentence: bytes) -> list[Check]:
    """Every check. `sentence` is what a caller hears when nobody answers (16-bit samples)."""
    found = [_no_other_calls(observed)]
    for seat in observed.seats:
        found += [_phones(seat), _call(seat)]
        if seat.call is not None:
            found.append(_times(seat))
        if seat.scene.expected.recording:
            found.append(_recording(seat, audioop.lin2alaw(sentence, 2)))
        if seat.scene.expected.attempt:
            found.append(_attempt(seat, observed))
        if seat.scene.expected.diversion:
            found.append(_diversion(seat))
    return [*found, _nothing_rang(observed), _no_other_attempts(observed), _alarms(observed), _access_log(observed)]


def _judged(name: str, faults: Sequence[str], good: str) -> Check:
    return Check(name, not faults, "; ".join(faults) or good)


def _no_other_calls(observed: Observed) -> Check:
    calls, scenes = len(observed.calls), len(observed.seats)
    return Check("calls", calls == scenes, f"{calls} calls on record, {scenes} were made")


def _phones(seat: Seat) -> Check:
    last = witness.outcome(seat.caller)
    heard = f"the caller got {last.message.start.removeprefix('SIP/2.0 ')}" if last else "the caller got no answer"
    return _judged(f"{seat.scene.name}: phones", seat.scene.complaints, heard)


def _call(seat: Seat) -> Check:
    name = f"{seat.scene.name}: call"
    if seat.call is None:
        return Check(name, ok=False, detail="there is no such call on record")
    wrong = [
        f"{member} is {seat.call[member]!r}, not {value!r}"
        for member, value in seat.scene.expected.call.items()
        if seat.call[member] != value
    ]
    told = ", ".join(f"{key} {seat.call[key]}" for key in ("disposition", "caller_number", "dialled_number"))
    return _judged(name, wrong, told)


# --- times ---------------------------------------------------------------------------------------------------------


def _times(seat: Seat) -> Check:
    assert seat.call is not None  # noqa: S101  asked only for calls on record
    wrong: list[str] = []
    good: list[str] = []
    for member, cause, effect in _spans(seat):
        at = seat.call[member]
        if at is None or cause is None or effect is None:
            wrong.append(f"{member} is {at}, the phones saw {cause} and {effect}")
            continue
        off_s = witness.off_by_s(datetime.fromisoformat(at), cause, effect)
        told = f"{member} {off_s * 1000:.0f} ms off a span of {(effect - cause).total_seconds() * 1000:.0f} ms"
        (wrong if off_s > TIME_WITHIN_S else good).append(told)
    return _judged(f"{seat.scene.name}: times", wrong, ", ".join(good))


def _spans(seat: Seat) -> Iterator[tuple[str, datetime | None, datetime | None]]:
    """(member, cause at one phone, effect at another) of every time that the phones can bear witness of."""
    caller, others = seat.caller, seat.others
    outcome = witness.outcome(caller)
    outcome_at = outcome.at if outcome else None
    rang = (witness.first(caller, "INVITE", status, sent=False) for status in (180, 183))
    effects = [at for at in (*rang, witness.first(others, "INVITE", sent=False)) if at]
    trying = witness.first(caller, "INVITE", 100, sent=False)
    yield "started_at", witness.accepted_invite(caller), min(effects, default=trying or outcome_at)
    if seat.scene.expected.call["disposition"] == "answered":
        yield "answered_at", witness.first(others, "INVITE", 200, sent=True), outcome_at
    bye = witness.first(caller, "BYE", sent=True)
    if bye is None:
        yield "ended_at", outcome_at, outcome_at
    else:
        seen = (witness.first(caller, "BYE", 200, sent=False), witness.first(others, "BYE", sent=False))
        yield "ended_at", bye, max((at for at in seen if at), default=None)


# --- sound ---------------------------------------------------------------------------------------------------------


def _recording(seat: Seat, sentence: bytes) -> Check:
    name = f"{seat.scene.name}: recording"
    if len(seat.sounds) != 1:
        states = [row["state"] for row in seat.call["recordings"]] if seat.call else []
        return Check(name, ok=False, detail=f"one sealed recording was expected, found {states or 'none'}")
    (sound,) = seat.sounds
    talk_s = _talk_s(seat)
    if talk_s is None:
        return Check(name, ok=False, detail="the phones saw no answer or no hang-up")
    wrong = _wrong_facts(sound, seat.scene.expected.recording, talk_s)
    spoken = _spoken(seat, sentence[: int((talk_s - ENDING_S) * hearing.RATE_HZ)])
    told = [f"{sound.row['length_s']:.2f} s of {talk_s:.2f} s"]
    for side, other in zip(SIDES, reversed(SIDES), strict=True):
        if side not in sound.files:
            wrong.append(f"{side}: missing")
            continue
        recorded = hearing.samples(sound.files[side])
        wrong += [f"{side}: {fault}" for fault in hearing.faults(Side(spoken[side], spoken[other], recorded, talk_s))]
        heard = hearing.hear(spoken[side], recorded)
        told.append(
            f"{side} {heard.heard_s:.2f} of {heard.spoken_s:.2f} s speech, gap {heard.longest_gap_s * 1000:.0f} ms"
        )
    return _judged(name, wrong, ", ".join(told))


def _wrong_facts(sound: Sound, kind: str, talk_s: float) -> list[str]:
    row, wrong = sound.row, []
    if row["kind"] != kind:
        wrong.append(f"kind is {row['kind']}, not {kind}")
    if abs(row["length_s"] - talk_s) > hearing.LENGTH_WITHIN_S:
        wrong.append(f"length_s is {row['length_s']:.2f}, the talk was {talk_s:.2f} s")
    for side, file in sound.files.items():
        if row[f"{side}_sha256"] != hashlib.sha256(file).hexdigest():
            wrong.append(f"{side}: SHA-256 does not agree with the file")
    return wrong


def _talk_s(seat: Seat) -> float | None:
    """From the answer to the hang-up, as the phones saw them."""
    answered = witness.first(seat.others, "INVITE", 200, sent=True) or witness.first(
        seat.caller, "INVITE", 200, sent=False
    )
    hung_up = witness.first(seat.caller, "BYE", sent=True)
    return (hung_up - answered).total_seconds() if answered and hung_up else None


def _spoken(seat: Seat, sentence: bytes) -> dict[str, bytes]:
    """What each side said, A-law; in an unanswered call our side is the sentence."""
    tracks = seat.scene.tracks
    spoken = {side: getattr(tracks, side).read_bytes() if tracks else b"" for side in SIDES}
    return {**spoken, "ours": sentence} if seat.scene.expected.recording == "message" else spoken


# --- forwarding ----------------------------------------------------------------------------------------------------


def _attempt(seat: Seat, observed: Observed) -> Check:
    expected = seat.scene.expected
    name = f"{seat.scene.name}: forward attempt"
    rows = [row for row in observed.attempts if seat.call and row["call_id"] == seat.call["id"]]
    if len(rows) != 1:
        return Check(name, ok=False, detail=f"one was expected, found {[row['method'] for row in rows]}")
    (row,) = rows
    wanted = {
        "method": expected.attempt,
        "phone": expected.phone,
        "line_number": expected.call["line_number"],
        "outcome": "blocked",
    }
    wrong = [f"{key} is {row[key]!r}, not {value!r}" for key, value in wanted.items() if row[key] != value]
    if expected.attempt_target not in row["target"]:
        wrong.append(f"the target is {row['target']!r}, not {expected.attempt_target!r}")
    sources = sorted({item["source"] for item in row["evidence"] if item["text"]})
    if not sources:
        wrong.append("there is no evidence")
    return _judged(
        name, wrong, f"{row['method']} to {row['target']} by {row['phone']}, seen in {' and '.join(sources)}"
    )


def _no_other_attempts(observed: Observed) -> Check:
    wanted = Counter(seat.scene.expected.attempt for seat in observed.seats if seat.scene.expected.attempt)
    found = Counter(row["method"] for row in observed.attempts)
    return Check("forward attempts", found == wanted, ", ".join(f"{name} {n}" for name, n in sorted(found.items())))


def _nothing_rang(observed: Observed) -> Check:
    """Nothing rang at the forward target: not at the carrier, not on any wire, not on record."""
    at_carrier = [seen for seen in observed.district if not seen.sent and places.MOBILE in seen.message.start]
    sent = [
        message
        for message in observed.wire
        if message.method == "INVITE" and not message.status and _is_for_mobile(message.request_user, message.target)
    ]
    legs = [
        leg["channel"]
        for call in observed.calls
        for leg in call["legs"]
        if leg["party"] == "called" and places.MOBILE in leg["number"]
    ]
    rang = [f"{len(at_carrier)} messages at the carrier"] * bool(at_carrier)
    rang += [f"INVITE to {message.target}" for message in sent] + legs
    good = f"no INVITE to {places.MOBILE} among {len(observed.wire)} SIP messages, none at the carrier, no leg"
    return _judged("nothing rang at the forward target", rang if observed.wire else ["no SIP was seen"], good)


def _is_for_mobile(user: str, target: str) -> bool:
    """An INVITE that left Asterisk for the forward target; the dialled star code comes in, and so does not count."""
    return places.MOBILE in user and not target.startswith(f"{places.GATEWAY}:")


def _diversion(seat: Seat) -> Check:
    chain = seat.call["diversion"] if seat.call else []
    found = tuple((item["number"], item["reason"]) for item in chain)
    told = " ← ".join(f"{number} ({reason})" for number, reason in found) or "no chain was logged"
    return Check(f"{seat.scene.name}: diversion", found == seat.scene.expected.diversion, told)


# --- the rest ------------------------------------------------------------------------------------------------------


def _alarms(observed: Observed) -> Check:
    expected = [seat.scene.expected for seat in observed.seats]
    wanted = Counter(
        missed_call=sum(each.call["disposition"] == "missed" for each in expected),
        forward_attempt=sum(bool(each.attempt) for each in expected),
    )
    found = Counter(row["code"] for row in observed.alarms)
    return Check("alarms", found == wanted, ", ".join(f"{code} {n}" for code, n in sorted(found.items())) or "none")


def _access_log(observed: Observed) -> Check:
    """Whoever hears a recording stands in the access log; here that was the demo itself."""
    heard = {sound.row["id"] for seat in observed.seats for sound in seat.sounds}
    logged = {row["object_id"] for row in observed.plays}
    return Check("access log", heard == logged, f"{len(logged & heard)} of {len(heard)} recordings heard are logged")


def summary(observed: Observed, found: Sequence[Check], story_s: float) -> dict[str, Any]:
    """What was observed, in counts, and every check."""
    recordings = [row for call in observed.calls for row in call["recordings"]]
    return {
        "ok": all(check.ok for check in found),
        "story_s": round(story_s, 1),
        "calls": dict(sorted(Counter(call["disposition"] for call in observed.calls).items())),
        "recordings": dict(sorted(Counter(f"{row['kind']} {row['state']}" for row in recordings).items())),
        "forward_attempts": dict(sorted(Counter(row["method"] for row in observed.attempts).items())),
        "missed": sum(call["disposition"] == "missed" for call in observed.calls),
        "messages": sum(bool(call["message_left"]) for call in observed.calls),
        "checks": [asdict(check) for check in found],
    }
