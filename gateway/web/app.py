"""The application: API, console and static files over one set of parts, and serving it.

problems ── turns every error into an answer
  └─ headers ── what every answer carries: no foreign script, frame or guess of a type
       └─ guarded handler ── who asks, may they, then the work
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway.web import (
    alarms,
    audits,
    calls,
    forward_attempts,
    health,
    live,
    metrics,
    people,
    recordings,
)
from gateway.web.auth import HASHING, HASHING_AT_ONCE, THROTTLE
from gateway.web.console import add_console, error_page
from gateway.web.directories import DIRECTORIES, Directories
from gateway.web.endpoint import Endpoint, add_endpoint
from gateway.web.exports import add_exports
from gateway.web.listening import Listenings
from gateway.web.openapi import document
from gateway.web.parts import PARTS, WebParts, is_https
from gateway.web.problem import problems
from gateway.web.readiness import READINESS, Readiness
from gateway.web.throttle import LoginThrottle

__all__ = ["ENDPOINTS", "WebParts", "create_app", "serve"]

STATIC_DIR: Final = Path(__file__).parent / "static"
BODY_MAX_BYTES = 65_536
STOP_WITHIN_S = 5.0
CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "media-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


async def _openapi(request: web.Request) -> web.Response:
    return web.json_response(document(ENDPOINTS, request.app[PARTS].version))


ENDPOINTS: Final[tuple[Endpoint, ...]] = (
    *health.ENDPOINTS,
    *metrics.ENDPOINTS,
    *people.ENDPOINTS,
    *calls.ENDPOINTS,
    *recordings.ENDPOINTS,
    *forward_attempts.ENDPOINTS,
    *alarms.ENDPOINTS,
    *audits.ENDPOINTS,
    *live.ENDPOINTS,
    Endpoint("GET", "/openapi.json", _openapi, "This document", public=True, schema={"type": "object"}),
)


async def _add_headers(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault("Cache-Control", "no-cache" if request.path.startswith("/static/") else "no-store")
    if is_https(request):
        response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")


def create_app(parts: WebParts) -> web.Application:
    """The application over these parts."""
    app = web.Application(middlewares=[problems(error_page)], client_max_size=BODY_MAX_BYTES)
    app[PARTS] = parts
    app[THROTTLE] = LoginThrottle()
    app[HASHING] = asyncio.Semaphore(HASHING_AT_ONCE)
    app[recordings.LISTENINGS] = Listenings()
    app[metrics.FIGURES] = metrics.Figures()
    app[READINESS] = Readiness(parts)
    app[DIRECTORIES] = Directories()
    app[live.STREAMS] = set()
    app.on_response_prepare.append(_add_headers)
    app.on_shutdown.append(live.close_streams)
    app.cleanup_ctx.append(metrics.counting)
    for endpoint in ENDPOINTS:
        add_endpoint(app, endpoint)
    app.router.add_get("/metrics", metrics.metrics)
    app.router.add_static("/static/", STATIC_DIR)
    add_console(app)
    add_exports(app)
    return app


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[tuple[str, int]]:
    """Serves `app` within the block; gives the address it is reached at (port 0 chooses a free one)."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_WITHIN_S)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        address = runner.addresses[0]
        yield str(address[0]), int(address[1])
    finally:
        await runner.cleanup()
