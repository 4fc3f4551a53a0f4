"""Live news as server-sent events.

    retry: 2000
    id: 01k…-1        event: call       data: {"id": "…", "disposition": "ringing", …}
    :                 a heartbeat comment when there is no news for a while, so that proxies and dead peers show
    event: gap        data: {}          something was missed: load again what you show

Old news is not kept: a browser that comes back after a break (Last-Event-ID) is told `gap` at once.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from typing import Any, Final

import structlog
from aiohttp import web

from gateway.errors import PeerError
from gateway.ids import new_id
from gateway.web.auth import find_person
from gateway.web.endpoint import Endpoint
from gateway.web.parts import parts_of
from gateway.web.shapes import iso

log = structlog.get_logger("web")

RETRY_MS = 2000
RECHECK_S = 60.0
STREAMS: Final = web.AppKey("streams", set[asyncio.Task[Any]])


def _plain(value: object) -> str:
    return iso(value) if isinstance(value, datetime) else str(value)


def frame(news_id: str, kind: str, data: Mapping[str, Any]) -> bytes:
    """One event as it goes over the wire; JSON keeps line breaks out of it."""
    return f"id: {news_id}\nevent: {kind}\ndata: {json.dumps(data, ensure_ascii=False, default=_plain)}\n\n".encode()


async def _write_news(
    request: web.Request,
    response: web.StreamResponse,
    news: AsyncIterator[tuple[str, Mapping[str, Any]]],
    name: str,
) -> None:
    parts = parts_of(request)
    number, checked_s = 0, parts.monotonic_s()
    waiting: asyncio.Future[tuple[str, Mapping[str, Any]]] = asyncio.ensure_future(anext(news))
    try:
        while True:
            await asyncio.wait({waiting}, timeout=parts.heartbeat_s)
            if parts.monotonic_s() - checked_s > RECHECK_S:
                if not await _is_still_known(request):
                    return
                checked_s = parts.monotonic_s()
            if not waiting.done():
                await response.write(b":\n\n")
                continue
            kind, data = waiting.result()
            waiting = asyncio.ensure_future(anext(news))
            number += 1
            await response.write(frame(f"{name}-{number}", kind, data))
    finally:
        waiting.cancel()


async def _is_still_known(request: web.Request) -> bool:
    """False after a logout or the session's end; while nobody can say, watching goes on."""
    try:
        return await find_person(request) is not None
    except PeerError as error:
        log.warning("watcher_not_checked", error=str(error))
        return True


async def live(request: web.Request) -> web.StreamResponse:
    """News until the browser or the house closes."""
    parts = parts_of(request)
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    name = new_id("live")
    with _closable(request.app[STREAMS]):
        async with parts.live.watch() as news:
            await response.prepare(request)
            with suppress(ConnectionResetError):  # the browser is gone: that is how watching ends
                await response.write(f"retry: {RETRY_MS}\n\n".encode())
                if request.headers.get("Last-Event-ID"):
                    await response.write(frame(f"{name}-0", "gap", {}))
                await _write_news(request, response, news, name)
    return response


@contextmanager
def _closable(streams: set[asyncio.Task[Any]]) -> Iterator[None]:
    task = asyncio.current_task()
    if task is None:
        raise RuntimeError("a request is always answered by a task")
    streams.add(task)
    try:
        yield
    finally:
        streams.discard(task)


async def close_streams(app: web.Application) -> None:
    """Ends all streams, so that stopping does not wait for browsers."""
    streams = app[STREAMS]
    for task in tuple(streams):
        task.cancel()


ENDPOINTS = (Endpoint("GET", "/live", live, "Live news as server-sent events", media=("text/event-stream",)),)
