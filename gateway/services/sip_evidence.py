"""The story of a raw SIP message: read from the keeper's journal, weighed once, then passed by for good.

Evidence, not control: a message may be missing (UDP), and nothing here is waited for by a caller. What a message says
is stored under a key of its own, so weighing it twice after a crash changes nothing; the checkpoint follows behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import structlog

from gateway.clock import now
from gateway.core.sip import SipMessage
from gateway.errors import StoreError
from gateway.ports import FollowedJournal, JournalBatch, Store

log = structlog.get_logger(__name__)

RETRY_S = 2.0


class SipEvidence:
    """Follows the SIP journal; `weigh` looks at one message and returns when what it says is stored."""

    def __init__(
        self, journal: FollowedJournal[SipMessage], store: Store, weigh: Callable[[SipMessage], Awaitable[None]]
    ) -> None:
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
                log.warning("sip_evidence_waits_for_the_database", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def _checkpoint(self, file: str) -> int:
        async with self._store.begin() as uow:
            return await uow.events.checkpoint(self._journal.node, file)

    async def _take(self, batch: JournalBatch[SipMessage]) -> None:
        for message, _ in batch.events:
            await self._weigh(message)
        async with self._store.begin() as uow:
            for line in batch.spoiled:
                await uow.events.quarantine(batch.node, batch.file, line.offset, line.raw, line.reason, now())
            await uow.events.advance(batch.node, batch.file, batch.end, now())
