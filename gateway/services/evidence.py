"""The story of a piece of evidence: read from a file that somebody else writes, weighed once, then passed by for good.

Evidence, not control: a message may be missing (UDP), and nothing here is waited for by a caller. What a message says
is stored under a key of its own, so weighing it twice after a crash changes nothing; the checkpoint follows behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Generic, TypeVar

import structlog

from gateway.clock import now
from gateway.errors import StoreError
from gateway.ports import FollowedJournal, JournalBatch, Store

log = structlog.get_logger(__name__)

RETRY_S = 2.0

Fact = TypeVar("Fact")


class Evidence(Generic[Fact]):
    """Follows a journal of evidence; `weigh` looks at one fact and returns when what it says is stored."""

    def __init__(self, journal: FollowedJournal[Fact], store: Store, weigh: Callable[[Fact], Awaitable[None]]) -> None:
        self._journal = journal
        self._store = store
        self._weigh = weigh

    async def run(self) -> None:
        """For ever; when the database is gone, tries again from the last checkpoint."""
        while True:
            try:
                async with aclosing(self._journal.follow(self._checkpoint)) as batches:
                    async for batch in batches:
                        await self._take(batch)
            except StoreError as error:
                log.warning("evidence_waits_for_the_database", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _checkpoint(self, file: str) -> int:
        async with self._store.begin() as uow:
            return await uow.events.checkpoint(self._journal.node, file)

    async def _take(self, batch: JournalBatch[Fact]) -> None:
        for fact, _ in batch.events:
            await self._weigh(fact)
        async with self._store.begin() as uow:
            for line in batch.spoiled:
                await uow.events.quarantine(batch.node, batch.file, line.offset, line.raw, line.reason, now())
            await uow.events.advance(batch.node, batch.file, batch.end, now())
