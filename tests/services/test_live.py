from __future__ import annotations

import asyncio

import pytest

from gateway.services.live import LiveHub


async def test_everybody_who_watches_is_told() -> None:
    hub = LiveHub()
    async with hub.watch() as one, hub.watch() as two:
        hub.publish("call", {"id": "1"})
        assert await anext(one) == await anext(two) == ("call", {"id": "1"})


async def test_only_from_now_on() -> None:
    hub = LiveHub()
    hub.publish("call", {"id": "old"})
    async with hub.watch() as news:
        hub.publish("call", {"id": "new"})
        assert await anext(news) == ("call", {"id": "new"})


async def test_slow_watcher_loses_the_oldest_and_is_told() -> None:
    hub = LiveHub(box_size=2)
    async with hub.watch() as news:
        for number in range(5):
            hub.publish("call", {"id": number})
        assert [await anext(news) for _ in range(3)] == [("gap", {}), ("call", {"id": 3}), ("call", {"id": 4})]
        hub.publish("call", {"id": 5})
        assert await anext(news) == ("call", {"id": 5})


async def test_waiting_may_be_cancelled_without_loss() -> None:
    hub = LiveHub()
    async with hub.watch() as news:
        waiting = asyncio.ensure_future(anext(news))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        hub.publish("call", {"id": "1"})
        assert await anext(news) == ("call", {"id": "1"})


async def test_leaving_is_noticed() -> None:
    hub = LiveHub()
    async with hub.watch():
        assert hub.watchers == 1
    assert hub.watchers == 0
