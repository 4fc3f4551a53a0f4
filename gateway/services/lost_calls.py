"""Every channel that began has one end: its own, or one that we write because the engine died first.

Asterisk writes an end when a channel ends. When Asterisk itself ends, its channels have none, and their calls would be
"talking" for ever. So once the engine is known to be gone, an end is written for each of its open legs, marked as ours:

    legs without an end ── lines in gateway.json (CHAN_END, synthetic=engine_lost) ── journal ── rows

The line is a fact like any other, in the journal before it is a row; a later end by Asterisk itself would do no harm.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from gateway import clock
from gateway.ports import Journal, Store

log = structlog.get_logger(__name__)

REASON = "engine_lost"
SETTLED_AFTER_S = 1.0  # what the dead engine wrote last is read by then
LOOK_AGAIN_S = 0.2


async def close_lost_calls(store: Store, journal: Journal, *, before: datetime, at: datetime) -> int:
    """Writes an end, at `at`, for each leg that began before `before` and has none; gives how many there were.

    To be called when the engine that carried these legs is known to be dead and its journal is stored.
    """
    async with store.begin() as uow:
        legs = await uow.calls.open_legs(journal.node, before)
    if legs:
        await journal.append(
            [
                {
                    "eventtype": "CHAN_END",
                    "eventenum": "CHAN_END",
                    "eventtime": max(at, leg["started_at"]).astimezone(UTC).isoformat(timespec="microseconds"),
                    "channame": leg["channel"],
                    "uniqueid": leg["id"],
                    "linkedid": leg["call_id"],
                    "eventextra": json.dumps({"synthetic": REASON}),
                }
                for leg in legs
            ]
        )
    return len(legs)


class LostCalls:
    """Settles, after each start of the engine, what the one before left open."""

    def __init__(
        self,
        store: Store,
        journal: Journal,
        *,
        next_start: Callable[[], Awaitable[datetime]],
        lag_s: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._journal = journal
        self._next_start = next_start
        self._lag_s = lag_s
        self._pause = pause

    async def run(self) -> None:
        """For ever; `next_start` gives the moment at which the engine now running was started."""
        while True:
            started_at = await self._next_start()
            await self._pause(SETTLED_AFTER_S)
            while self._lag_s() > 0:
                await self._pause(LOOK_AGAIN_S)
            count = await close_lost_calls(self._store, self._journal, before=started_at, at=clock.now())
            if count:
                log.warning("legs_closed_for_a_dead_engine", legs=count, engine_started_at=started_at.isoformat())
