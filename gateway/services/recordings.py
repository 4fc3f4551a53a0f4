"""A recording is begun, ended, sealed; after a crash it is recovered. Nothing is ever filed as good without sound.

    RECORDING started ──▶ row capturing          in the ingester's transaction, exactly once
    HANGUP of its leg ──▶ row gets ended_at      in the same way; then, after the commit, outside any transaction:
                          row sealed or missing  (`recording_seal.py`)

What was queued in memory when the process died is found again by `recover` at start and by a sweep each minute: live/
is itself the durable queue, so a full queue, too, only delays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from pathlib import Path

import structlog

from gateway.core import recording as rules
from gateway.core.cel import CelEvent
from gateway.errors import EngineError, StoreError
from gateway.ports import LiveFeed, Row, SoundFiles, Store, UnitOfWork
from gateway.services.recording_folder import RecordingFolder
from gateway.services.recording_seal import RECOVERED, RecordingSeal, new_row

LOOKUP = "Local/"  # the dialplan's question to us runs beside a call, on a pair that nobody records
LEG_ENDS = ("HANGUP", "CHAN_END")
QUEUE_SIZE = 2000
SEALERS = 4
COMMIT_WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SWEEP_EVERY_S = 60.0
COULD_NOT_START = "could not start"
NOT_STARTED = ("recording_failed", "critical", "the recording did not start")

log = structlog.get_logger(__name__)


class Recordings:
    """The story of all recordings. `run` is the background part; `on_events` belongs to the ingester."""

    def __init__(
        self,
        *,
        store: Store,
        sounds: SoundFiles,
        feed: LiveFeed,
        folder: Path,
        calls_alive: Callable[[Collection[str]], Awaitable[set[str]]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._folder = RecordingFolder(folder)
        self._calls_alive = calls_alive
        self._pause = pause
        self._seal = RecordingSeal(store=store, sounds=sounds, feed=feed, folder=self._folder, pause=pause)
        self._begun: dict[str, str] = {}  # recording → uniqueid of the recorded channel, where known
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_SIZE)
        self._overdue: set[str] = set()

    def begun(self) -> frozenset[str]:
        """Recordings that the engine says are running now: their files have to be there and to grow."""
        return frozenset(self._begun)

    async def seal(self, recording_id: str, note: str = "") -> Row | None:
        """Files one recording whose call is over, as `RecordingSeal.seal` does."""
        return await self._seal.seal(recording_id, note)

    # --- in the ingester's transaction ------------------------------------------------------------------------

    async def on_events(self, uow: UnitOfWork, events: Sequence[CelEvent]) -> None:
        """Records what events say about recordings; the work on files comes after the commit."""
        for event in events:
            if (said := rules.announced(event)) is not None:
                await self._begin(uow, event, said)
            elif event.type in LEG_ENDS:
                for recording_id in [each for each, channel in self._begun.items() if channel == event.uniqueid]:
                    await self._end(uow, recording_id, event.at)
            elif event.type == "LINKEDID_END" and not event.channel.startswith(LOOKUP):
                for row in await uow.recordings.of_call(event.linkedid):
                    await self._end(uow, row["id"], event.at)

    async def _begin(self, uow: UnitOfWork, event: CelEvent, said: rules.Announced) -> None:
        known = await uow.recordings.get(said.recording_id)
        row = new_row(said.recording_id, event.linkedid, said.kind, event.at)
        if said.begun:
            if known is None:
                await uow.recordings.save(row)
            if known is None or known["ended_at"] is None:
                self._begun[said.recording_id] = said.channel_id
            return
        if known is None:
            await uow.recordings.save({**row, "state": "missing", "ended_at": event.at, "note": COULD_NOT_START})
            self._enqueue(said.recording_id)
        code, severity, detail = NOT_STARTED
        await uow.alarms.raise_(code, severity, said.recording_id, detail, event.at)

    async def _end(self, uow: UnitOfWork, recording_id: str, at: datetime) -> None:
        self._begun.pop(recording_id, None)
        if await uow.recordings.end(recording_id, at):
            self._enqueue(recording_id)

    def _enqueue(self, recording_id: str) -> None:
        try:
            self._queue.put_nowait(recording_id)
        except asyncio.QueueFull:
            log.warning("recording_left_to_the_sweep", recording=recording_id)

    # --- after the commit -------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Seals what has ended, for ever; call `recover` before. Cancel it to stop: nothing is lost by that."""
        async with asyncio.TaskGroup() as group:
            for _ in range(SEALERS):
                group.create_task(self._seal_queued())
            group.create_task(self._sweep_regularly())

    async def _seal_queued(self) -> None:
        while True:
            await self.seal_next()

    async def seal_next(self) -> None:
        """Waits for the next recording that ended and seals it."""
        recording_id = await self._queue.get()
        try:
            row = await self._committed(recording_id)
            if row is None:  # the transaction was rolled back: its events come again
                return
            if row["note"] == COULD_NOT_START:
                self._seal.publish(row)
                self._seal.publish_alarms(recording_id, [NOT_STARTED])
            else:
                await self._seal.seal_or_alarm(recording_id, known=row)
        except StoreError as error:
            log.warning("recording_not_sealed_yet", recording=recording_id, error=str(error))

    async def _committed(self, recording_id: str) -> Row | None:
        for wait_s in COMMIT_WAITS_S:
            await self._pause(wait_s)  # first: the transaction that told us has not even ended
            async with self._store.begin() as uow:
                row = await uow.recordings.get(recording_id)
            if row is not None and row["ended_at"] is not None:
                return row
        return None

    # --- after a crash ----------------------------------------------------------------------------------------

    async def recover(self) -> int:
        """At start: seals everything captured whose call is over; gives how many. Raises EngineError, StoreError."""
        over = await self._left_by_ended_calls()
        for first in range(0, len(over), SEALERS):
            some = over[first : first + SEALERS]
            await asyncio.gather(*(self._seal.seal_or_alarm(recording_id, RECOVERED) for recording_id in some))
        return len(over)

    async def sweep(self) -> None:
        """Seals what two sweeps in a row found left over: events lost, a full queue, a disk that is well again."""
        over = set(await self._left_by_ended_calls())
        for recording_id in sorted(over & self._overdue):
            await self._seal.seal_or_alarm(recording_id, RECOVERED)
        self._overdue = over

    async def _sweep_regularly(self) -> None:
        while True:
            await self._pause(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except (StoreError, EngineError, OSError) as error:
                log.warning("recordings_not_swept", error=str(error))

    async def _left_by_ended_calls(self) -> list[str]:
        """What lies in live/ or is not settled in the database although its call is over; what still runs is begun."""
        names = await asyncio.to_thread(self._folder.names)
        async with self._store.begin() as uow:
            unsettled = {row["id"] for row in await uow.recordings.capturing()}
        calls = {recording_id: rules.call_of(recording_id)[0] for recording_id in sorted(names | unsettled)}
        alive = await self._calls_alive(set(calls.values())) if calls else set()
        left = []
        for recording_id, call_id in calls.items():
            if call_id not in alive:
                left.append(recording_id)
            elif recording_id in unsettled:
                self._begun.setdefault(recording_id, "")
        return left
