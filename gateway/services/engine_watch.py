"""The watch over Asterisk: SIP must answer, ARI must answer, or it is restarted and people are told.

The keeper restarts an Asterisk that ended; this watch finds one that still runs and does nothing. Two ways of asking,
because a deadlock in one part leaves the other answering.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import structlog

from gateway.clock import monotonic_s, now
from gateway.errors import EngineError, StoreError
from gateway.ports import LiveFeed, Store

log = structlog.get_logger()

EVERY_S = 2.0
PATIENCE_S = 8.0  # silence after which Asterisk is taken for hanging

Ask = Callable[[], Awaitable[None]]


@dataclass(slots=True)
class EngineWatch:
    """`asks` raise EngineError when their part is silent; `starts` says how often Asterisk was started so far.

    `guard` looks after the keeper and raises EngineError while it is gone.
    """

    asks: dict[str, Ask]
    starts: Callable[[], int]
    restart: Callable[[], None]
    guard: Ask
    store: Store
    live: LiveFeed
    faults: dict[str, str] = field(default_factory=dict)
    _good_s: float = field(default_factory=monotonic_s)
    _known_starts: int = 0
    _alarmed: bool = True  # an alarm of a former life is cleared by the first good look

    async def run(self) -> None:
        """Until cancelled."""
        self._known_starts = self.starts()
        while True:
            await self.look()
            await asyncio.sleep(EVERY_S)  # a sampling watch

    async def look(self) -> None:
        """One look at every part; restarts an Asterisk that has been silent for too long."""
        found = await self._silent(self.asks)
        self.faults = {**found, **await self._silent({"keeper": self.guard})}
        silent_s = monotonic_s() - self._good_s
        hangs = bool(found) and silent_s >= PATIENCE_S
        if hangs:  # act first: telling may have to wait for a database
            log.error("engine_hangs", silent_s=round(silent_s, 1), faults=found)
            self.restart()
        if hangs or not found:
            self._good_s = monotonic_s()  # a new one gets its time
        await self._tell_of_restarts()
        if hangs:
            self._alarmed = True
            await self._raise("engine_silent", "; ".join(found.values()))
        elif not found:
            await self._all_well()

    async def _silent(self, asks: Mapping[str, Ask]) -> dict[str, str]:
        results = await asyncio.gather(*(ask() for ask in asks.values()), return_exceptions=True)
        found = {}
        for part, result in zip(asks, results, strict=True):
            if isinstance(result, EngineError):
                found[part] = str(result)
            elif isinstance(result, BaseException):
                raise result
        return found

    async def _tell_of_restarts(self) -> None:
        starts = self.starts()
        if starts > self._known_starts > 0:
            log.error("engine_restarted", starts=starts)
            await self._raise("engine_restarted", "Asterisk ended and was started again; calls under way were lost")
        if starts:
            self._known_starts = starts

    async def _all_well(self) -> None:
        if not self._alarmed:
            return
        try:
            async with self.store.begin() as uow:
                cleared = await uow.alarms.clear("engine_silent", "asterisk", "engine_watch", now())
        except StoreError as error:
            log.warning("alarm_not_cleared", error=str(error))
            return
        self._alarmed = False
        if cleared:
            self.live.publish("alarm", {"code": "engine_silent", "cleared": True})

    async def _raise(self, code: str, detail: str) -> None:
        try:
            async with self.store.begin() as uow:
                await uow.alarms.raise_(code, "critical", "asterisk", detail, now())
        except StoreError as error:  # an alarm must be heard of somewhere even when the database is gone
            log.error("alarm_not_stored", code=code, detail=detail, error=str(error))
        self.live.publish("alarm", {"code": code, "severity": "critical", "subject": "asterisk", "detail": detail})
