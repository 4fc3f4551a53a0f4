"""The access log, for those who watch the watchers."""

from __future__ import annotations

from aiohttp import web

from gateway.web.endpoint import Endpoint
from gateway.web.lists import limit_of, list_answer
from gateway.web.params import LIMIT, SINCE, read_query
from gateway.web.parts import parts_of
from gateway.web.shapes import AUDIT, outside

PARAMS = (SINCE, LIMIT)


async def search(request: web.Request) -> web.Response:
    """Rows of the access log, newest first."""
    query = read_query(request, PARAMS)
    async with parts_of(request).store.begin() as uow:
        rows = await uow.audits.search(query["since"], limit_of(request, query))
    return await list_answer(request, "audits", AUDIT, [outside(AUDIT, row) for row in rows])


ENDPOINTS = (
    Endpoint(
        "GET",
        "/audits",
        search,
        "Who read, played or exported what, newest first",
        permission="read_audits",
        params=PARAMS,
        gives=AUDIT,
        many=True,
    ),
)
