from __future__ import annotations

from aiohttp import ClientSession
from aiohttp.test_utils import TestClient

from gateway.web.app import create_app, serve
from tests.peers.duty_desk import Desk


async def test_serve_on_a_free_port(desk: Desk) -> None:
    async with serve(create_app(desk.parts), "127.0.0.1", 0) as (host, port), ClientSession() as session:
        answer = await session.get(f"http://{host}:{port}/api/v1/health/live")
        assert (host, answer.status) == ("127.0.0.1", 200)


async def test_headers_of_every_answer(client: TestClient) -> None:
    for path in ("/login", "/api/v1/health/live", "/api/v1/none", "/static/console.js"):
        headers = (await client.get(path)).headers
        assert "'unsafe" not in headers["Content-Security-Policy"]
        assert "script-src 'self'" in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
    assert (await client.get("/api/v1/health/live")).headers["Cache-Control"] == "no-store"
    assert (await client.get("/static/console.js")).headers["Cache-Control"] == "no-cache"


async def test_body_has_a_limit(client: TestClient) -> None:
    answer = await client.post("/api/v1/login", data=b"x" * 100_000)
    assert answer.status == 413
