"""Every channel that began has one end: its own, or one that we write because Asterisk's is not in the journal.

Asterisk writes an end when a channel ends. When Asterisk itself ends, its channels have none; on a full disk it cannot
write them. The calls would be "talking" for ever, so an end is written for each of these legs, marked as ours:

    legs without an end ── lines in gateway.json (CHAN_END, synthetic=<why>) ── journal ── rows

    engine_lost   the engine that carried them is known to be dead: another one is running
    event_lost    it lives, but two looks in a row found no such channel in it

The line is a fact like any other, in the journal before it is a row; a later end by Asterisk itself would do no harm.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Collection, Iterable
from datetime import UTC, datetime

import structlog

from gateway import clock
from gateway.errors import EngineError, StoreError
from gateway.ports import Journal, Row, Store

log = structlog.get_logger(__name__)

ENGINE_LOST, EVENT_LOST = "engine_lost", "event_lost"
SETTLED_AFTER_S = 1.0  # what the dead engine wrote last is read by then
LOOK_AGAIN_S = 1.0
LOOK_EVERY_S = 30.0


async def close_lost_calls(store: Store, journal: Journal, *, before: datetime, at: datetime) -> int:
    """Writes an end, at `at`, for each leg that began before `before` and has none; gives how many there were.

    To be called when the engine that carried these legs is known to be dead and its journal is stored.
    """
    legs = await _open_legs(store, journal, before)
    await _end(journal, legs, ENGINE_LOST, at)
    return len(legs)


async def _open_legs(store: Store, journal: Journal, before: datetime) -> Collection[Row]:
    async with store.begin() as uow:
        return await uow.calls.open_legs(journal.node, before)


async def _end(journal: Journal, legs: Iterable[Row], reason: str, at: datetime) -> None:
    lines = [
        {
            "eventtype": "CHAN_END",
            "eventenum": "CHAN_END",
            "eventtime": max(at, leg["started_at"]).astimezone(UTC).isoformat(timespec="microseconds"),
            "channame": leg["channel"],
            "uniqueid": leg["id"],
            "linkedid": leg["call_id"],
            "eventextra": json.dumps({"synthetic": reason}),
        }
        for leg in legs
    ]
    if lines:
        await journal.append(lines)


class LostCalls:
    """Settles what an engine that died left open, after each start, and what the journal lost, from time to time.

    `next_start` gives the moment at which the engine now running was started, `channels` the ids of what lives in it.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        next_start: Callable[[], Awaitable[datetime]],
        channels: Callable[[], Awaitable[Collection[str]]],
        lag_s: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._journal = journal
        self._next_start = next_start
        self._channels = channels
        self._lag_s = lag_s
        self._pause = pause
        self._gone: set[str] = set()

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._after_each_start())
            group.create_task(self._look_regularly())

    async def _after_each_start(self) -> None:
        while True:
            started_at = await self._next_start()
            await self._pause(SETTLED_AFTER_S)
            while not await self._closed_before(started_at):
                await self._pause(LOOK_AGAIN_S)

    async def _closed_before(self, started_at: datetime) -> bool:
        """Closes what the engine before left open; False while the journal is not stored or the disk takes nothing."""
        if self._lag_s() > 0:
            return False
        try:
            count = await close_lost_calls(self._store, self._journal, before=started_at, at=clock.now())
        except (StoreError, OSError) as error:
            log.warning("legs_of_a_dead_engine_not_closed_yet", error=str(error))
            return False
        if count:
            log.warning("legs_closed_for_a_dead_engine", legs=count, engine_started_at=started_at.isoformat())
        return True

    async def _look_regularly(self) -> None:
        while True:
            await self._pause(LOOK_EVERY_S)
            try:
                await self.look()
            except (EngineError, StoreError, OSError) as error:  # the disk may still be full
                log.warning("lost_ends_not_settled", error=str(error))

    async def look(self) -> int:
        """Ends the legs that this look and the one before did not find in the engine; gives how many there were."""
        legs = {leg["id"]: leg for leg in await _open_legs(self._store, self._journal, clock.now())}
        gone = legs.keys() - set(await self._channels()) if legs else set()
        lost = gone & self._gone if self._lag_s() == 0 else set()
        await _end(self._journal, [legs[leg_id] for leg_id in sorted(lost)], EVENT_LOST, clock.now())
        self._gone = gone - lost
        if lost:
            log.error("legs_closed_without_their_end", legs=sorted(lost))
        return len(lost)
