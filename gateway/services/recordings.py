"""A recording is begun, ended, sealed; after a crash it is recovered. Nothing is ever filed as good without sound.

    RECORDING started ──▶ row capturing          in the ingester's transaction, exactly once
    HANGUP of its leg ──▶ row gets ended_at      in the same way; then, after the commit, outside any transaction:
        1 wait until Asterisk has closed both files   4 rename into the day's folder, sync
        2 rewrite wrong sizes                         5 one transaction: row sealed, alarms
        3 measure, sync, hash                         6 drop the dialplan's note

A crash anywhere leaves a state from which the same steps give the same row: before 4 the files are in live/, between 4
and 5 they are found in the day's folder, after 5 only the note is left to drop. What was queued in memory when the
process died is found again by `recover` at start and by a sweep each minute: live/ is itself the durable queue, so a
full queue, too, only delays.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from gateway.clock import now
from gateway.core import recording as rules
from gateway.core.cel import CelEvent
from gateway.errors import EngineError, SoundError, StoreError
from gateway.ports import LiveFeed, Row, SoundFiles, Store, UnitOfWork
from gateway.services.recording_folder import RecordingFolder, sha256_of

LEG_ENDS = ("HANGUP", "CHAN_END")
QUEUE_SIZE = 2000
SEALERS = 4
SETTLED_S = 3.0  # longer than one block takes: a file that is silent for this long has no writer any more
CLOSING_LIMIT_S = 30.0
POLL_S = 0.1
COMMIT_WAITS_S = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
SWEEP_EVERY_S = 60.0
RECOVERED = "recovered"

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
        is_call_alive: Callable[[str], Awaitable[bool]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._sounds = sounds
        self._feed = feed
        self._folder = RecordingFolder(folder)
        self._is_call_alive = is_call_alive
        self._pause = pause
        self._recorded: dict[str, set[str]] = {}  # uniqueid of a recorded channel → recordings
        self._queue: asyncio.Queue[str] = asyncio.Queue(QUEUE_SIZE)
        self._sealing: set[str] = set()
        self._overdue: set[str] = set()

    # --- in the ingester's transaction ------------------------------------------------------------------------

    async def on_events(self, uow: UnitOfWork, events: Sequence[CelEvent]) -> None:
        """Records what events say about recordings; the work on files comes after the commit."""
        for event in events:
            if (said := rules.announced(event)) is not None:
                await self._begin(uow, event, said)
            elif event.type in LEG_ENDS and event.uniqueid in self._recorded:
                for recording_id in self._recorded.pop(event.uniqueid):
                    await self._end(uow, await uow.recordings.get(recording_id), event.at)
            elif event.type == "LINKEDID_END":
                for row in await uow.recordings.of_call(event.linkedid):
                    await self._end(uow, row, event.at)

    async def _begin(self, uow: UnitOfWork, event: CelEvent, said: rules.Announced) -> None:
        known = await uow.recordings.get(said.recording_id)
        if said.begun:
            self._recorded.setdefault(said.channel_id, set()).add(said.recording_id)
            if known is None:
                await uow.recordings.save(_new_row(said.recording_id, event.linkedid, said.kind, event.at))
            return
        if known is None:
            row = _new_row(said.recording_id, event.linkedid, said.kind, event.at)
            await uow.recordings.save({**row, "state": "missing", "ended_at": event.at, "note": "could not start"})
        await uow.alarms.raise_("recording_failed", "critical", said.recording_id, "录音未能启动", event.at)
        self._enqueue(said.recording_id)

    async def _end(self, uow: UnitOfWork, row: Row | None, at: datetime) -> None:
        if row is None or row["ended_at"] is not None:
            return
        await uow.recordings.save({**row, "ended_at": at})
        self._enqueue(row["id"])

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
            if row["state"] == "missing":
                self._publish(row, ["recording_failed"])
            else:
                await self._seal_or_alarm(recording_id, "")
        except StoreError as error:
            log.warning("recording_not_sealed_yet", recording=recording_id, error=str(error))

    async def _committed(self, recording_id: str) -> Row | None:
        for wait_s in COMMIT_WAITS_S:
            async with self._store.begin() as uow:
                row = await uow.recordings.get(recording_id)
            if row is not None and row["ended_at"] is not None:
                return row
            await self._pause(wait_s)
        return None

    async def _seal_or_alarm(self, recording_id: str, note: str) -> None:
        """Seals; when the disk or the sound refuses, raises an alarm that the next success clears."""
        try:
            await self.seal(recording_id, note)
        except (SoundError, OSError) as error:
            log.error("recording_not_filed", recording=recording_id, error=str(error))
            async with self._store.begin() as uow:
                await uow.alarms.raise_("recording_unfiled", "critical", recording_id, f"录音未能归档:{error}", now())

    async def seal(self, recording_id: str, note: str = "") -> Row | None:
        """Files one recording whose call is over; gives its row, or None when it is being sealed just now.

        May be run again at any time and gives the same. Raises SoundError or OSError when it cannot be filed.
        """
        if recording_id in self._sealing:
            return None
        self._sealing.add(recording_id)
        try:
            return await self._seal(recording_id, note)
        finally:
            self._sealing.discard(recording_id)

    async def _seal(self, recording_id: str, note: str) -> Row:
        row = await self._row(recording_id)
        starts = _starts(row)
        if row["state"] == "sealed":
            if await asyncio.to_thread(self._folder.captured, recording_id):
                raise SoundError(f"{recording_id}: is sealed, but there is more of it in live/")
            await asyncio.to_thread(self._folder.drop_sidecar, recording_id)
            return await self._settle(row, {})
        present = await asyncio.to_thread(self._folder.sides, recording_id, starts)
        measured = await asyncio.gather(*(self._measure(path) for path in present.values()))
        found: dict[str, Any] = {}
        for (side, path), facts in zip(present.items(), measured, strict=True):
            if facts is None:
                await asyncio.to_thread(self._folder.set_apart, path)
                continue
            found[f"{side}_path"] = await asyncio.to_thread(self._folder.file, path, starts[0])
            found[f"{side}_sha256"], found[f"{side}_s"], found["rate_hz"], repaired = facts
            note = RECOVERED if repaired else note
        sealed = await self._settle(row, _outcome(row, found, note))
        await asyncio.to_thread(self._folder.drop_sidecar, recording_id)
        return sealed

    async def _row(self, recording_id: str) -> Row:
        """The row; for a recording nobody told us of, a new one from the dialplan's note and the name."""
        call_id, kind = rules.call_of(recording_id)
        async with self._store.begin() as uow:
            known = await uow.recordings.get(recording_id)
        noted = await asyncio.to_thread(self._folder.sidecar, recording_id)
        row = known or _new_row(recording_id, call_id, kind, rules.start_of(call_id) or now())
        return {**row, "line_number": row["line_number"] or noted.get("line") or None}

    async def _measure(self, path: Path) -> tuple[str, float, int, bool] | None:
        """(SHA-256, seconds, rate in Hz, whether repaired) of a file that is closed; None when it holds no audio."""
        await self._until_closed(path)
        try:
            repaired = await self._sounds.repair(str(path))
            length_s, rate_hz = await self._sounds.length(str(path))
        except SoundError as error:
            log.error("recording_unreadable", path=str(path), error=str(error))
            return None
        return (await asyncio.to_thread(sha256_of, path), length_s, rate_hz, repaired) if length_s > 0 else None

    async def _until_closed(self, path: Path) -> None:
        """Returns when the writer has closed the file, or is gone; raises SoundError when it never stops writing."""
        size, quiet_s, waited_s = -1, 0.0, 0.0
        while not await self._sounds.closed(str(path)):
            stat = await asyncio.to_thread(path.stat)
            quiet_s = quiet_s + POLL_S if stat.st_size == size else 0.0
            if quiet_s >= SETTLED_S or now().timestamp() - stat.st_mtime >= SETTLED_S:
                return
            if waited_s >= CLOSING_LIMIT_S:
                raise SoundError(f"{path}: is still being written {CLOSING_LIMIT_S:.0f} s after its call ended")
            size = stat.st_size
            waited_s += POLL_S
            await self._pause(POLL_S)

    async def _settle(self, row: Row, outcome: Mapping[str, Any]) -> Row:
        """Saves the outcome over whatever events have added meanwhile, with the alarms it deserves, and tells it."""
        async with self._store.begin() as uow:
            settled = {**(await uow.recordings.get(row["id"]) or row), **outcome}
            await uow.recordings.save(settled)
            raised = []
            for code, severity, detail in _faults(settled, await _talk_s(uow, settled)):
                if await uow.alarms.raise_(code, severity, row["id"], detail, now()):
                    raised.append(code)
            await uow.alarms.clear("recording_unfiled", row["id"], "gateway", now())
        self._publish(settled, raised)
        return settled

    def _publish(self, row: Row, alarms: Iterable[str]) -> None:
        told = ("id", "call_id", "line_number", "kind", "state", "length_s")
        self._feed.publish("recording", {name: row[name] for name in told})
        for code in alarms:
            self._feed.publish("alarm", {"code": code, "subject": row["id"]})

    # --- after a crash ----------------------------------------------------------------------------------------

    async def recover(self) -> int:
        """At start: seals everything captured whose call is over; gives how many. Raises EngineError, StoreError."""
        over = await self._captured_of_ended_calls()
        for first in range(0, len(over), SEALERS):
            await asyncio.gather(*(self._seal_or_alarm(each, RECOVERED) for each in over[first : first + SEALERS]))
        return len(over)

    async def sweep(self) -> None:
        """Seals what two sweeps in a row found left over: events lost, a full queue, a disk that is well again."""
        over = set(await self._captured_of_ended_calls())
        for recording_id in sorted(over & self._overdue):
            await self._seal_or_alarm(recording_id, RECOVERED)
        self._overdue = over

    async def _sweep_regularly(self) -> None:
        while True:
            await self._pause(SWEEP_EVERY_S)
            try:
                await self.sweep()
            except (StoreError, EngineError, OSError) as error:
                log.warning("recordings_not_swept", error=str(error))

    async def _captured_of_ended_calls(self) -> list[str]:
        names = await asyncio.to_thread(self._folder.sizes)
        async with self._store.begin() as uow:
            rows = await uow.recordings.capturing()
        candidates = sorted({*names, *(row["id"] for row in rows)})
        return [each for each in candidates if not await self._is_call_alive(rules.call_of(each)[0])]


def _new_row(recording_id: str, call_id: str, kind: str, started_at: datetime) -> dict[str, Any]:
    empty = (
        "line_number",
        "ended_at",
        "length_s",
        "rate_hz",
        "ours_path",
        "ours_sha256",
        "theirs_path",
        "theirs_sha256",
    )
    known = {
        "id": recording_id,
        "call_id": call_id,
        "kind": kind,
        "started_at": started_at,
        "state": "capturing",
        "note": "",
    }
    return {**dict.fromkeys(empty), **known}


def _starts(row: Row) -> list[datetime]:
    """The days it may be filed under: by its own start, and by its call's when the row was not known at the time."""
    of_call = rules.start_of(row["call_id"])
    return [row["started_at"], *([of_call] if of_call else [])]


def _outcome(row: Row, found: dict[str, Any], note: str) -> dict[str, Any]:
    """What looking at the files changes in the row; `found` holds per side its path, hash and seconds."""
    lengths = [found.pop(name) for name in [f"{side}_s" for side in rules.SIDES] if name in found]
    state = rules.step(row["state"], "seal" if lengths else "lose")
    more = {"state": state, "length_s": max(lengths, default=None), "note": note or row["note"]}
    return {**found, **more, "line_number": row["line_number"]}


async def _talk_s(uow: UnitOfWork, row: Row) -> float:
    call: Row = await uow.calls.get(row["call_id"]) or {"answered_at": None, "ended_at": None}
    return rules.talk_s(row["kind"], call["answered_at"], row["started_at"], row["ended_at"] or call["ended_at"])


def _faults(row: Row, talk_s: float) -> list[tuple[str, str, str]]:
    """(code, severity, sentence) of each alarm that the outcome deserves."""
    if row["state"] == "missing":
        return [("recording_missing", "critical", "通话没有录音文件或录音为空")]
    faults = []
    absent = [name for side, name in (("ours", "本方"), ("theirs", "对方")) if row[f"{side}_path"] is None]
    if absent:
        faults.append(("recording_one_sided", "critical", f"录音缺少{absent[0]}声音"))
    if rules.is_short(row["length_s"], talk_s):
        faults.append(("recording_short", "warning", f"录音 {row['length_s']:.1f} 秒,通话 {talk_s:.1f} 秒"))
    return faults
