"""Lists as answers: JSON, or CSV that a spreadsheet opens correctly and safely.

A spreadsheet runs a cell that begins with = + - @ (or a tab or return before them) as a formula, and whoever calls
us chooses the name we print; such a cell gets an apostrophe in front (OWASP, CSV injection). The byte order mark is
there because Excel takes UTF-8 for something else without it. Taking a list away is a right of its own and leaves a
row in the access log.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web

from gateway.core.roles import may
from gateway.web.access import audited
from gateway.web.parts import person_of
from gateway.web.problem import Problem
from gateway.web.shapes import Shape

JSON_LIMIT = 50
CSV_LIMIT = 10_000
BYTE_ORDER_MARK = "\ufeff"
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def wants_csv(request: web.Request) -> bool:
    """Whether CSV is preferred to JSON."""
    quality = {"text/csv": 0.0, "application/json": 0.0, "*/*": 0.0}
    for part in request.headers.get("Accept", "*/*").split(","):
        kind, _, rest = part.partition(";")
        name, _, value = rest.strip().partition("=")
        try:
            weight = float(value) if name == "q" else 1.0
        except ValueError:
            weight = 0.0
        quality[kind.strip().lower()] = weight
    return quality["text/csv"] > quality["application/json"] and quality["text/csv"] >= quality["*/*"]


def limit_of(request: web.Request, query: Mapping[str, Any]) -> int:
    """How many rows to give."""
    wanted: int | None = query["limit"]
    return wanted or (CSV_LIMIT if wants_csv(request) else JSON_LIMIT)


def safe_cell(value: object) -> str:
    """One CSV cell: lists and objects as JSON, nothing as nothing, and never a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "'" + text if text.lstrip(" ").startswith(_FORMULA_STARTS) else text


def csv_text(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """The whole file."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(headings)
    writer.writerows([safe_cell(value) for value in row] for row in rows)
    return BYTE_ORDER_MARK + out.getvalue()


async def csv_answer(
    request: web.Request, name: str, headings: Sequence[str], rows: Sequence[Sequence[object]]
) -> web.Response:
    """The CSV file, when the person may export; writes the access row first."""
    if not may(person_of(request).role, "export"):
        raise Problem(403, f"the role '{person_of(request).role}' may not export lists")
    await audited(request, "export", name, "", {"rows": len(rows), "query": dict(request.query)})
    return web.Response(
        text=csv_text(headings, rows),
        content_type="text/csv",
        charset="utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}.csv"'},
    )


async def list_answer(
    request: web.Request, name: str, shape: Shape, items: Sequence[Mapping[str, Any]], cursor: str | None = None
) -> web.Response:
    """`{"items": […], "cursor": …}`, or CSV when that is asked for; the next page stands in the Link header too."""
    if wants_csv(request):
        columns = tuple(shape.fields)
        answer = await csv_answer(request, name, columns, [[item[column] for column in columns] for item in items])
    else:
        answer = web.json_response({"items": list(items), "cursor": cursor})
    answer.headers["Vary"] = "Accept"
    if cursor is not None:
        following = request.rel_url.update_query({"cursor": cursor})
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer
