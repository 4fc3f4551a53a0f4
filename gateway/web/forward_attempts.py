"""Attempts to forward a duty line (art. 9: 严禁转移使用)."""

from __future__ import annotations

from aiohttp import web

from gateway.web.endpoint import Endpoint
from gateway.web.lists import limit_of, list_answer
from gateway.web.params import LIMIT, SINCE, UNTIL, read_query
from gateway.web.parts import parts_of
from gateway.web.shapes import FORWARD_ATTEMPT, outside

PARAMS = (SINCE, UNTIL, LIMIT)


async def search(request: web.Request) -> web.Response:
    """Forward attempts, newest first."""
    query = read_query(request, PARAMS)
    async with parts_of(request).store.begin() as uow:
        rows = await uow.forward_attempts.search(query["since"], query["until"], limit_of(request, query))
    items = [outside(FORWARD_ATTEMPT, row) for row in rows]
    return await list_answer(request, "forward-attempts", FORWARD_ATTEMPT, items)


ENDPOINTS = (
    Endpoint(
        "GET",
        "/forward-attempts",
        search,
        "Attempts to forward a duty line, newest first",
        params=PARAMS,
        gives=FORWARD_ATTEMPT,
        many=True,
    ),
)
