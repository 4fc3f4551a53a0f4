"""Calls: the list people search, and one call with everything known about it. Reading one is in the access log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiohttp import web

from gateway.ports import CallFilter, Page, Row, UnitOfWork
from gateway.web.access import add_audit
from gateway.web.directories import directory_of
from gateway.web.endpoint import Endpoint
from gateway.web.lists import limit_of, list_answer
from gateway.web.params import LIMIT, SINCE, UNTIL, read_query, text
from gateway.web.parts import parts_of
from gateway.web.problem import Problem
from gateway.web.shapes import CALL, EVENT, FORWARD_ATTEMPT, LEG, RECORDING, outside, recording_outside

FILTERS = (
    text("number", "caller, dialled or line number, whole or in part", 64),
    text("unit", "code of a unit that called, was called, or has the duty line", 32),
    SINCE,
    UNTIL,
    text("q", "words, each in a number or a name of the call or its units"),
)
SEARCH = (*FILTERS, LIMIT, text("cursor", "cursor of the page before", 400))


async def wanted_calls(request: web.Request, uow: UnitOfWork, query: Mapping[str, Any], limit: int) -> CallFilter:
    """The parameters as the store takes them."""
    unit = query["unit"]
    return CallFilter(
        number=query["number"],
        unit=unit,
        numbers_of_unit=(await directory_of(request, uow)).forms_of_unit(unit) if unit else (),
        since=query["since"],
        until=query["until"],
        text=query["q"],
        limit=limit,
        cursor=query.get("cursor"),
    )


async def find_calls(request: web.Request, uow: UnitOfWork, query: Mapping[str, Any], limit: int) -> Page:
    """Up to `limit` calls, however many the store gives at once."""
    wanted = await wanted_calls(request, uow, query, limit)
    page = await uow.calls.search(wanted)
    rows = list(page.rows)
    while page.cursor is not None and len(rows) < limit:
        page = await uow.calls.search(replace(wanted, cursor=page.cursor, limit=limit - len(rows)))
        rows += page.rows
    return Page(rows, page.cursor)


async def with_ringing(uow: UnitOfWork, rows: Sequence[Row]) -> list[Row]:
    """The calls with `rang_until`: a message that was left, or a sentence that was heard, is no ringing."""
    until = await uow.calls.rang_until([row["id"] for row in rows])
    return [{**row, "rang_until": until.get(row["id"])} for row in rows]


async def whole_call(uow: UnitOfWork, call_id: str) -> tuple[Row, dict[str, list[Row]]]:
    """A call and what belongs to it: legs, events, recordings, forward_attempts. Raises Problem 404."""
    call = await uow.calls.get(call_id) if call_id.isprintable() else None
    if call is None:
        raise Problem(404, f"there is no call '{call_id[:150]}'")
    return call, {
        "legs": list(await uow.calls.legs(call_id)),
        "events": list(await uow.calls.events(call_id)),
        "recordings": list(await uow.recordings.of_call(call_id)),
        "forward_attempts": list(await uow.forward_attempts.of_call(call_id)),
    }


async def search(request: web.Request) -> web.Response:
    """Calls, newest first."""
    query = read_query(request, SEARCH)
    async with parts_of(request).store.begin() as uow:
        page = await find_calls(request, uow, query, limit_of(request, query))
    return await list_answer(request, "calls", CALL, [outside(CALL, row) for row in page.rows], page.cursor)


async def get(request: web.Request) -> web.Response:
    """One call with legs, events, recordings and forward attempts."""
    read_query(request, ())
    call_id = request.match_info["id"]
    async with parts_of(request).store.begin() as uow:
        call, parts = await whole_call(uow, call_id)
        await add_audit(request, uow, "read", "call", call_id)
    return web.json_response(
        {
            **outside(CALL, call),
            "legs": [outside(LEG, row) for row in parts["legs"]],
            "events": [outside(EVENT, row) for row in parts["events"]],
            "recordings": [recording_outside(row) for row in parts["recordings"]],
            "forward_attempts": [outside(FORWARD_ATTEMPT, row) for row in parts["forward_attempts"]],
        }
    )


def _array_of(name: str) -> dict[str, Any]:
    return {"type": "array", "items": {"$ref": f"#/components/schemas/{name}"}}


_WHOLE_CALL = {
    "allOf": [
        {"$ref": "#/components/schemas/Call"},
        {
            "type": "object",
            "properties": {
                "legs": _array_of(LEG.name),
                "events": _array_of(EVENT.name),
                "recordings": _array_of(RECORDING.name),
                "forward_attempts": _array_of(FORWARD_ATTEMPT.name),
            },
            "required": ["legs", "events", "recordings", "forward_attempts"],
        },
    ]
}
ENDPOINTS = (
    Endpoint("GET", "/calls", search, "Calls, newest first", params=SEARCH, gives=CALL, many=True),
    Endpoint(
        "GET",
        "/calls/{id}",
        get,
        "One call with legs, events, recordings and forward attempts",
        schema=_WHOLE_CALL,
        problems={404: "no such call"},
    ),
)
