"""Lists as files that people open in a spreadsheet: duty time, and words of their language.

A file that does not hold everything says so in its last row: nobody reads the header that says it to programs.
"""

from __future__ import annotations

from aiohttp import web

from gateway.web.auth import guarded
from gateway.web.calls import FILTERS, find_calls, with_ringing
from gateway.web.console import language_of
from gateway.web.directories import unit_names
from gateway.web.lists import CSV_LIMIT, csv_answer
from gateway.web.params import LIMIT, read_query
from gateway.web.parts import parts_of
from gateway.web.texts import known_or, translator
from gateway.web.views import day_and_time, ring_s, talk_s


async def export_calls(request: web.Request) -> web.Response:
    """The list as a spreadsheet a clerk reads: duty time, words of this language."""
    query = read_query(request, FILTERS)
    async with parts_of(request).store.begin() as uow:
        page = await find_calls(request, uow, query, CSV_LIMIT)
        calls = await with_ringing(uow, page.rows)
        units = await unit_names(request, uow)
    translate = translator(language_of(request))
    headings = (
        *("column.time", "column.disposition", "column.direction", "column.caller", "call.caller_unit"),
        *("column.dialled", "column.line", "filter.unit", "column.ring", "column.talk", "call.reason", "call.id"),
    )
    rows: list[tuple[object, ...]] = [
        (
            day_and_time(row["started_at"]),
            known_or(translate, "disposition", row["disposition"]),
            known_or(translate, "direction", row["direction"]),
            row["caller_number"],
            units.of_code(row["caller_unit"]),
            row["dialled_number"],
            row["line_number"],
            units.of_code(row["unit"]),
            _whole_s(ring_s(row)),
            _whole_s(talk_s(row)),
            known_or(translate, "reason", row["reason"]),
            row["id"],
        )
        for row in calls
    ]
    if page.cursor is not None:
        rows.append((translate("export.more"),))
    return await csv_answer(request, "calls", [translate(key) for key in headings], rows)


def _whole_s(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds)


async def export_forward_attempts(request: web.Request) -> web.Response:
    """The attempts as a spreadsheet."""
    read_query(request, (LIMIT,))
    async with parts_of(request).store.begin() as uow:
        found = await uow.forward_attempts.search(None, None, CSV_LIMIT + 1)
    translate = translator(language_of(request))
    headings = ("column.time", "forward.outcome", "forward.method", "forward.line", "forward.phone", "forward.target")
    rows: list[tuple[object, ...]] = [
        (
            day_and_time(row["at"]),
            known_or(translate, "forward.outcome", row["outcome"]),
            known_or(translate, "method", row["method"]),
            row["line_number"],
            row["phone"],
            row["target"],
            row["call_id"],
        )
        for row in found[:CSV_LIMIT]
    ]
    if len(found) > CSV_LIMIT:
        rows.append((translate("export.more"),))
    return await csv_answer(
        request, "forward-attempts", [*(translate(key) for key in headings), translate("call.id")], rows
    )


def add_exports(app: web.Application) -> None:
    """Lets `app` give the files."""
    app.router.add_get("/export/calls.csv", guarded(export_calls, "export"))
    app.router.add_get("/export/forward-attempts.csv", guarded(export_forward_attempts, "export"))
