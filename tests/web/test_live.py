from __future__ import annotations

import asyncio

from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from gateway.services import people
from gateway.web.app import create_app
from gateway.web.auth import SESSION_COOKIE
from gateway.web.live import frame
from tests.peers.duty_desk import AFTERNOON, Desk

LIVE = "/api/v1/live"


async def block(stream: ClientResponse) -> str:
    async with asyncio.timeout(10):
        return (await stream.content.readuntil(b"\n\n")).decode()


async def event(stream: ClientResponse) -> str:
    while (found := await block(stream)).startswith(":"):
        continue
    return found


async def test_news(client: TestClient, desk: Desk) -> None:
    async with client.get(LIVE, headers=await desk.token("clerk")) as stream:
        assert stream.content_type == "text/event-stream"
        assert await block(stream) == "retry: 2000\n\n"
        desk.live.publish("call", {"id": "1", "caller_name": "a\nb", "at": AFTERNOON})
        first, second = await event(stream), None
        desk.live.publish("alarm", {})
        second = await event(stream)
    lines = first.split("\n")
    assert lines[0].startswith("id: live-")
    assert lines[1:3] == [
        "event: call",
        'data: {"id": "1", "caller_name": "a\\nb", "at": "2026-11-23T05:05:01.123456Z"}',
    ]
    assert second.split("\n")[0] != lines[0]


async def test_heartbeat(client: TestClient, desk: Desk) -> None:
    async with client.get(LIVE, headers=await desk.token("clerk")) as stream:
        await block(stream)
        assert [await block(stream), await block(stream)] == [":\n\n", ":\n\n"]


async def test_coming_back_is_told_of_a_gap(client: TestClient, desk: Desk) -> None:
    async with client.get(LIVE, headers={**await desk.token("clerk"), "Last-Event-ID": "live-x-3"}) as stream:
        await block(stream)
        assert "event: gap" in await block(stream)


async def test_news_end_with_the_session(client: TestClient, desk: Desk) -> None:
    async with desk.store.begin() as uow:
        await people.save_user(uow, "li.si", "correct horse", "clerk", desk.clock.now(), str.upper)
        secret, _ = await people.open_session(uow, "li.si", desk.clock.now())
    async with client.get(LIVE, cookies={SESSION_COOKIE: secret}) as stream:
        await block(stream)
        desk.clock.turn(people.SESSION_LENGTH.total_seconds())
        async with asyncio.timeout(10):
            assert set(await stream.content.read()) <= set(b":\n")


async def test_watcher_is_forgotten_when_it_leaves(client: TestClient, desk: Desk) -> None:
    before = desk.live.watchers
    async with client.get(LIVE, headers=await desk.token("clerk")) as stream:
        await block(stream)
        assert desk.live.watchers == before + 1
    async with asyncio.timeout(10):
        while desk.live.watchers > before:
            await client.get("/api/v1/health/live")


async def test_stopping_does_not_wait_for_browsers(desk: Desk) -> None:
    client = TestClient(TestServer(create_app(desk.parts)))
    await client.start_server()
    stream = await client.get(LIVE, headers=await desk.token("clerk"))
    await block(stream)
    async with asyncio.timeout(3):
        await client.server.close()
    await client.close()
    assert desk.live.watchers == 0


def test_frame_is_one_line_of_data() -> None:
    assert frame("1", "call", {"a": "\r\n\r\nevent: evil"}).count(b"\n") == 4
