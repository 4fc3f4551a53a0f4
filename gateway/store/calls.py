"""Calls and legs: saved from the fold, searched by people.

A page ends with a cursor that names its last row by (started_at, id). The next page begins behind that row, so calls
that arrive meanwhile neither repeat a row nor hide one.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, update

from gateway.core.call import Call, Leg
from gateway.errors import RequestError
from gateway.ports import CallFilter, Page, Row
from gateway.store import tables
from gateway.store.statements import Transaction, clipped, upsert

LONGEST_PAGE = 1000
_C = tables.calls.c
_FROZEN = frozenset(
    {"unit", "caller_unit"}
)  # as they were when the call was first seen: a later import changes nothing
_KEPT = frozenset({"diversion"})

_GET = select(tables.calls).where(_C.id == bindparam("call_id"))
_ROWS = select(tables.calls).where(_C.id.in_(bindparam("call_ids", expanding=True)))
_LEGS = (
    select(tables.legs)
    .where(tables.legs.c.call_id == bindparam("call_id"))
    .order_by(tables.legs.c.started_at, tables.legs.c.id)
)
_L = tables.legs.c
_RANG_UNTIL = (
    select(_L.call_id, func.max(_L.ended_at).label("until"))
    .where(_L.call_id.in_(bindparam("call_ids", expanding=True)), _L.party == "called")
    .group_by(_L.call_id)
    .having(func.count() == func.count(_L.ended_at))
)
_EVENTS = (
    select(tables.events)
    .where(tables.events.c.linkedid == bindparam("call_id"))
    .order_by(tables.events.c.at, tables.events.c.file, tables.events.c.offset)
)
_OF_SIP = (
    select(tables.legs, _C.line_number)
    .join(tables.calls, tables.legs.c.call_id == _C.id)
    .where(tables.legs.c.sip_call_id == bindparam("sip_call_id"))
    .limit(1)
)
_OPEN_LEGS = (
    select(tables.legs)
    .join(tables.calls, tables.legs.c.call_id == _C.id)
    .where(_C.node == bindparam("node"), _C.ended_at.is_(None), tables.legs.c.ended_at.is_(None))
    .where(tables.legs.c.started_at < bindparam("before"))
    .order_by(tables.legs.c.started_at, tables.legs.c.id)
)


class SqlCallRows:
    """`ports.CallRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def save(self, calls: Sequence[Call], units: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Inserts or updates calls with their legs; `units` maps call id → (unit of the line, unit of the caller)."""
        if not calls:
            return
        dialect = self._transaction.dialect
        rows = clipped(tables.calls, (_call_row(call, *units.get(call.id, (None, None))) for call in calls))
        await self._transaction.write(upsert(tables.calls, dialect, keep=_KEPT, fill=_FROZEN), rows)
        legs = clipped(tables.legs, (_leg_row(leg) for call in calls for leg in call.legs))
        if legs:
            await self._transaction.write(upsert(tables.legs, dialect), legs)

    async def set_diversion(self, call_id: str, chain: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the chain of diverting numbers of an inbound call."""
        values = {"diversion": [dict(step) for step in chain]}
        await self._transaction.write(update(tables.calls).where(_C.id == call_id).values(values))

    async def leg_of_sip(self, sip_call_id: str) -> Row | None:
        """The leg that has this SIP Call-ID, with its call's `line_number`, or None."""
        return await self._transaction.first(_OF_SIP, {"sip_call_id": sip_call_id}) if sip_call_id else None

    async def search(self, wanted: CallFilter) -> Page:
        """Calls, newest first."""
        limit = max(1, min(wanted.limit, LONGEST_PAGE))
        query = select(tables.calls).where(*_conditions(wanted)).order_by(_C.started_at.desc(), _C.id.desc())
        rows = await self._transaction.read(query.limit(limit + 1))
        more = len(rows) > limit
        rows = rows[:limit]
        return Page(rows=rows, cursor=_cursor(rows[-1]) if more else None)

    async def get(self, call_id: str) -> Row | None:
        """One call, or None."""
        return await self._transaction.first(_GET, {"call_id": call_id})

    async def rows(self, call_ids: Sequence[str]) -> Sequence[Row]:
        """The calls of these ids that exist, in no order."""
        return await self._transaction.read(_ROWS, {"call_ids": list(call_ids)}) if call_ids else []

    async def rang_until(self, call_ids: Sequence[str]) -> Mapping[str, datetime]:
        """When the last phone of each call rang no more; calls in which none did, or one still does, are left out."""
        rows = await self._transaction.read(_RANG_UNTIL, {"call_ids": list(call_ids)}) if call_ids else []
        return {row["call_id"]: row["until"] for row in rows}

    async def legs(self, call_id: str) -> Sequence[Row]:
        """Legs of a call in order of start."""
        return await self._transaction.read(_LEGS, {"call_id": call_id})

    async def open_legs(self, node: str, before: datetime) -> Sequence[Row]:
        """Legs of a node that began before an instant and have no end yet."""
        return await self._transaction.read(_OPEN_LEGS, {"node": node, "before": before})

    async def events(self, call_id: str) -> Sequence[Row]:
        """Events of a call in order of time."""
        return await self._transaction.read(_EVENTS, {"call_id": call_id})


def _conditions(wanted: CallFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.number:
        part = _digits(wanted.number)
        found.append(
            or_(*(c.icontains(part, autoescape=True) for c in (_C.caller_number, _C.dialled_number, _C.line_number)))
        )
    if wanted.unit:
        called = and_(_C.direction == "outbound", _C.dialled_number.in_(wanted.numbers_of_unit))
        found.append(or_(_C.unit == wanted.unit, _C.caller_unit == wanted.unit, called))
    if wanted.since is not None:
        found.append(_C.started_at >= wanted.since)
    if wanted.until is not None:
        found.append(_C.started_at < wanted.until)
    if wanted.text:
        found += [_holds(word) for word in wanted.text.split()]
    if wanted.cursor:
        at, call_id = _place(wanted.cursor)
        found.append(or_(_C.started_at < at, and_(_C.started_at == at, _C.id < call_id)))
    return found


def _holds(word: str) -> ColumnElement[bool]:
    """Whether a word stands somewhere in a call, or in the name of a unit concerned."""
    columns = (
        _C.id,
        _C.caller_name,
        _C.caller_number,
        _C.dialled_number,
        _C.line_number,
        _C.answered_by,
        _C.reason,
    )
    named = select(tables.units.c.code).where(tables.units.c.name.icontains(word, autoescape=True))
    texts = (column.icontains(word, autoescape=True) for column in columns)
    return or_(*texts, _C.unit.in_(named), _C.caller_unit.in_(named))


def _digits(number: str) -> str:
    """The digits to look for: `+86 22 8300 0000` is searched as `2283000000`, which is part of `02283000000`."""
    plain = unicodedata.normalize("NFKC", number)  # Chinese input methods write full-width digits
    digits = re.sub(r"\D", "", plain)
    if re.match(r"\s*(\+|00)\s*86", plain):
        digits = digits.removeprefix("00").removeprefix("86")
    return digits or plain.strip()


def _cursor(row: Row) -> str:
    text = json.dumps([row["started_at"].isoformat(), row["id"]])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _place(cursor: str) -> tuple[datetime, str]:
    try:
        started_at, call_id = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        at = datetime.fromisoformat(started_at)
    except (ValueError, TypeError, binascii.Error) as error:
        raise RequestError("This cursor is not one that a former page gave.") from error
    if at.tzinfo is None or not 2000 <= at.year <= 2200 or not isinstance(call_id, str) or not call_id.isprintable():
        raise RequestError("This cursor is not one that a former page gave.")
    return at, call_id


def _call_row(call: Call, unit: str | None, caller_unit: str | None) -> dict[str, Any]:
    return {
        "id": call.id,
        "node": call.node,
        "direction": call.direction,
        "line_number": call.line_number,
        "unit": unit,
        "dialled_number": call.dialled_number,
        "caller_number": call.caller_number,
        "caller_name": call.caller_name,
        "caller_unit": caller_unit,
        "started_at": call.started_at,
        "answered_at": call.answered_at,
        "ended_at": call.ended_at,
        "disposition": call.disposition,
        "answered_by": call.answered_by,
        "message_left": call.message_left,
        "lookup": call.lookup,
        "recording_state": call.recording_state,
        "reason": call.reason,
        "diversion": [],
    }


def _leg_row(leg: Leg) -> dict[str, Any]:
    return {
        "id": leg.id,
        "call_id": leg.call_id,
        "channel": leg.channel,
        "party": leg.party,
        "endpoint": leg.endpoint,
        "number": leg.number,
        "started_at": leg.started_at,
        "answered_at": leg.answered_at,
        "ended_at": leg.ended_at,
        "cause": leg.cause,
        "tech_cause": leg.tech_cause,
        "sip_call_id": leg.sip_call_id,
        "synthetic_end": leg.synthetic_end,
    }
