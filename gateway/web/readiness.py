"""Which parts do their work, asked at most once a second.

Readiness is public and every open page asks for it, while proving that a database can be written takes its writer's
lock; so one answer serves everybody for a moment, and whoever comes while it is sought waits for the same. A part that
does not answer at all is a fault too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from aiohttp import web

from gateway.errors import PeerError
from gateway.web.parts import HEALTH_PARTS, WebParts

FRESH_S = 1.0
ANSWER_WITHIN_S = 5.0


class Readiness:
    """The newest answer of one application."""

    def __init__(self, parts: WebParts) -> None:
        self._parts = parts
        self._asking = asyncio.Lock()
        self._faults: dict[str, str] = {}
        self._asked_s: float | None = None

    async def faults(self) -> dict[str, str]:
        """Every part → what is wrong with it, or "" when it is well."""
        async with self._asking:
            now_s = self._parts.monotonic_s()
            if self._asked_s is None or now_s - self._asked_s >= FRESH_S:
                self._faults = await self._ask()
                self._asked_s = now_s
            return dict(self._faults)

    async def _ask(self) -> dict[str, str]:
        found = dict(await self._health())
        if "database" not in found:
            found |= await self._database()
        return {part: found.get(part, "") for part in (*HEALTH_PARTS, *sorted(set(found) - set(HEALTH_PARTS)))}

    async def _health(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                return await self._parts.health.faults()
        except TimeoutError:
            return {"engine": f"nobody could say within {ANSWER_WITHIN_S:.0f} s whether it works"}

    async def _database(self) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                await self._parts.store.ping()
        except TimeoutError:
            return {"database": f"did not answer within {ANSWER_WITHIN_S:.0f} s"}
        except PeerError as error:
            return {"database": str(error)}
        return {}


READINESS: Final = web.AppKey("readiness", Readiness)
