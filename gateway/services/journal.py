"""The story of a fact: a line in a journal becomes a row, exactly once.

For each batch of lines there is one transaction, and in it everything that follows from these lines:

    move the checkpoint ── store events, quarantine bad lines ── fold the calls they belong to ── let others react
                                                                                                  └ then commit

So after a kill at any point either all of it is there or none, and the checkpoint says which. A checkpoint that
somebody else has moved stops the batch: two ingesters of one node never store a line twice.

When the database is gone the batch is tried again until it is back; nothing is read ahead, nothing is dropped. When the
database refuses a batch, its lines are stored one by one: a reaction that fails costs that reaction and an alarm, a
line that does not fit goes to quarantine. One bad line never stops the ones behind it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import datetime
from typing import Any, TypeVar

import structlog

from gateway import clock
from gateway.core.cel import CelEvent
from gateway.errors import PeerError, StoreError, StoreRefusedError
from gateway.ports import Journal, JournalBatch, LiveFeed, SpoiledLine, Store, UnitOfWork
from gateway.services.projection import Projection, UnitsOf

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 5.0

T = TypeVar("T")
Reaction = Callable[[UnitOfWork, list[CelEvent]], Awaitable[None]]
log = structlog.get_logger(__name__)


class OvertakenError(PeerError):
    """The checkpoint is not where we left it: somebody else stores this journal."""


class ReactionError(PeerError):
    """A story that reacts to events failed."""


class Ingester:
    """Stores the journal; `run` never returns by itself.

    `units_of` gives (unit of the line, unit of the caller) of a call. `on_events` is awaited inside the transaction of
    the events it gets, so what it writes is written exactly once.
    """

    def __init__(
        self,
        store: Store,
        journal: Journal,
        feed: LiveFeed,
        *,
        units_of: UnitsOf,
        on_events: Reaction,
        now: Callable[[], datetime] = clock.now,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._journal = journal
        self._feed = feed
        self._projection = Projection(units_of)
        self._on_events = on_events
        self._now = now
        self._pause = pause
        self._waiting: datetime | None = None
        self.fault: str | None = None
        self.stored = 0
        self.quarantined = 0

    @property
    def lag_s(self) -> float:
        """Age of the oldest event that was read and is not stored yet; 0.0 when none is waiting."""
        return 0.0 if self._waiting is None else max(0.0, (self._now() - self._waiting).total_seconds())

    async def run(self) -> None:
        """Stores what the journal gives, for ever."""
        while True:
            async with aclosing(self._journal.follow(self._checkpoint)) as batches:
                try:
                    async for batch in batches:
                        await self._take(batch)
                except OvertakenError as error:
                    log.warning("journal overtaken", detail=str(error))
                    self._projection.forget()

    async def _checkpoint(self, file: str) -> int:
        async def ask() -> int:
            async with self._store.begin() as uow:
                return await uow.events.checkpoint(self._journal.node, file)

        return await self._insist(ask)

    async def _take(self, batch: JournalBatch[CelEvent]) -> None:
        """Stores a batch, whatever it costs."""
        self._waiting = min((event.at for event, _ in batch.events), default=None)
        try:
            await self._insist(lambda: self._keep(batch))
        except (StoreRefusedError, ReactionError) as error:
            log.warning("journal batch refused", file=batch.file, since=batch.since, detail=str(error))
            for single in _singles(batch):
                await self._take_single(single)
        self._waiting = None

    async def _take_single(self, batch: JournalBatch[CelEvent]) -> None:
        try:
            await self._insist(lambda: self._keep(batch))
            return
        except (StoreRefusedError, ReactionError) as error:
            reason = str(error)
        try:
            await self._insist(lambda: self._keep(batch, without_reaction=reason))
        except StoreRefusedError as error:
            lines = tuple(SpoiledLine(event.offset, _line(raw), str(error)) for event, raw in batch.events)
            await self._insist(lambda: self._keep(replace(batch, events=(), spoiled=(*batch.spoiled, *lines))))

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        """Does something with the database, again and again until the database is there for it."""
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                result = await work()
            except StoreRefusedError:
                raise
            except StoreError as error:
                if self.fault is None:
                    log.warning("journal waits for the database", detail=str(error))
                self.fault = str(error)
                await self._pause(pause_s)
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                continue
            if self.fault is not None:
                log.info("journal goes on")
                self.fault = None
            return result

    async def _keep(self, batch: JournalBatch[CelEvent], *, without_reaction: str = "") -> None:
        """One transaction for one batch, then the news of it."""
        async with self._store.begin() as uow:
            if not await uow.events.advance_from(batch.node, batch.file, batch.since, batch.end, self._now()):
                raise OvertakenError(f"The checkpoint of {batch.file} does not stand at {batch.since}.")
            lines = await _not_yet_stored(uow, batch.events) if batch.reread else batch.events
            events = [event for event, _ in lines]
            await uow.events.add(lines)
            alarms = await self._raise_alarms(uow, batch, without_reaction)
            calls = await self._projection.apply(uow, events)
            rows = await self._projection.changed_rows(uow, calls) if self._feed.watchers else ()
            if events and not without_reaction:
                await self._react(uow, events)
        self._projection.remember(calls)
        self.stored += len(events)
        self.quarantined += len(batch.spoiled)
        for row in rows:
            self._feed.publish("call", row)
        for alarm in alarms:
            self._feed.publish("alarm", alarm)

    async def _react(self, uow: UnitOfWork, events: list[CelEvent]) -> None:
        try:
            await self._on_events(uow, events)
        except StoreError:
            raise
        except Exception as error:
            log.exception("reaction to events failed")
            raise ReactionError(f"{type(error).__name__}: {error}") from error

    async def _raise_alarms(
        self, uow: UnitOfWork, batch: JournalBatch[CelEvent], failed: str
    ) -> Sequence[Mapping[str, Any]]:
        """Quarantines what is spoiled and says so; gives the alarms that are new."""
        at = self._now()
        found: list[tuple[str, str, str, str]] = []
        for line in batch.spoiled:
            await uow.events.quarantine(batch.node, batch.file, line.offset, line.raw, line.reason, at)
            detail = f"A line of the journal was put into quarantine: byte {line.offset}: {line.reason}."
            found.append(("journal_quarantine", "warning", f"{batch.node}/{batch.file}", detail))
        if batch.reread and batch.since == 0:
            detail = "A journal file became shorter than what was stored of it; it is read again from its start."
            found.append(("journal_cut", "warning", f"{batch.node}/{batch.file}", detail))
        if failed:
            detail = f"An event was stored, but the reaction to it failed: {failed}"
            found.append(("journal_reaction", "critical", f"{batch.node}/{batch.file}/{batch.since}", detail))
        return [
            {"code": code, "severity": severity, "subject": subject, "detail": detail, "raised_at": at}
            for code, severity, subject, detail in found
            if await uow.alarms.raise_(code, severity, subject, detail, at)
        ]


Lines = Sequence[tuple[CelEvent, Mapping[str, Any]]]


async def _not_yet_stored(uow: UnitOfWork, lines: Lines) -> Lines:
    """Without the lines that were stored under another key, which equal them in everything else."""
    stories = await uow.events.of_calls(sorted({event.linkedid for event, _ in lines}))
    known = {call_id: [replace(event, file="", offset=0) for event in story] for call_id, story in stories.items()}
    return [line for line in lines if replace(line[0], file="", offset=0) not in known[line[0].linkedid]]


def _line(raw: Mapping[str, Any]) -> bytes:
    return json.dumps(raw, ensure_ascii=False).encode()


def _singles(batch: JournalBatch[CelEvent]) -> Iterator[JournalBatch[CelEvent]]:
    """The batch cut into batches of one line each."""
    offsets = sorted({event.offset for event, _ in batch.events} | {line.offset for line in batch.spoiled})
    for since, start, end in zip([batch.since, *offsets[1:]], offsets, [*offsets[1:], batch.end], strict=True):
        yield replace(
            batch,
            since=since,
            end=end,
            events=tuple(line for line in batch.events if line[0].offset == start),
            spoiled=tuple(line for line in batch.spoiled if line.offset == start),
        )
