"""The live feed: what happened just now, told to everybody who is watching.

A publisher must never wait for a slow browser, and a slow browser must know that it missed something. So each watcher
has a small box of its own; when it is full the oldest news falls out and one ("gap", {}) is put in front of the rest:

    publish ─┬─> [call call alarm]            watcher that keeps up
             └─> [gap alarm call call … ]     watcher that does not: it reloads, then follows again

Publishers live on the event loop; nothing here is for other threads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

News = tuple[str, Mapping[str, Any]]
BOX_SIZE = 256


class _Box:
    """One watcher's news; waiting for the next may be cancelled without losing any."""

    def __init__(self, size: int) -> None:
        self._news: deque[News] = deque(maxlen=size)
        self._filled = asyncio.Event()
        self._gap = False

    def put(self, news: News) -> None:
        self._gap = self._gap or len(self._news) == self._news.maxlen
        self._news.append(news)
        self._filled.set()

    def __aiter__(self) -> AsyncIterator[News]:
        return self

    async def __anext__(self) -> News:
        await self._filled.wait()
        if self._gap:
            self._gap = False
            return ("gap", {})
        news = self._news.popleft()
        if not self._news:
            self._filled.clear()
        return news


class LiveHub:
    """The live feed inside one process."""

    def __init__(self, box_size: int = BOX_SIZE) -> None:
        self._box_size = box_size
        self._boxes: set[_Box] = set()

    @property
    def watchers(self) -> int:
        """How many are watching."""
        return len(self._boxes)

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tells everybody who is watching now; never waits."""
        for box in self._boxes:
            box.put((kind, data))

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[News]]:
        """News from now on."""
        return self._watch()

    @asynccontextmanager
    async def _watch(self) -> AsyncIterator[AsyncIterator[News]]:
        box = _Box(self._box_size)
        self._boxes.add(box)
        try:
            yield box
        finally:
            self._boxes.discard(box)
