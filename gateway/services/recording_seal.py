"""The seal: what makes a captured recording evidence. Its steps, each of which may be run again:

    1 wait until Asterisk has closed both files   4 rename into the day's folder, sync
    2 rewrite wrong sizes                         5 one transaction: row sealed, alarms
    3 measure, sync, hash                         6 drop the dialplan's note

A crash anywhere leaves a state from which the same steps give the same row: before 4 the files are in live/, between 4
and 5 they are found in the day's folder, after 5 only the note is left to drop.

The note is written before anything rings, so most notes without sound belong to calls that nobody answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog

from gateway.clock import now
from gateway.core import recording as rules
from gateway.errors import SoundError
from gateway.ports import LiveFeed, Row, SoundFiles, Store, UnitOfWork
from gateway.services.recording_folder import RecordingFolder, sha256_of

SETTLED_S = 3.0  # longer than one block takes: a file that is silent for this long has no writer any more
CLOSING_LIMIT_S = 30.0
POLL_S = 0.1
RECOVERED = "recovered"

Alarm = tuple[str, str, str]  # code, severity, sentence

log = structlog.get_logger(__name__)


class RecordingSeal:
    """Files recordings whose call is over."""

    def __init__(
        self,
        *,
        store: Store,
        sounds: SoundFiles,
        feed: LiveFeed,
        folder: RecordingFolder,
        pause: Callable[[float], Awaitable[None]],
    ) -> None:
        self._store = store
        self._sounds = sounds
        self._feed = feed
        self._folder = folder
        self._pause = pause
        self._at_work: set[str] = set()

    async def seal_or_alarm(self, recording_id: str, note: str = "", known: Row | None = None) -> None:
        """Seals; when the disk or the sound refuses, raises an alarm that the next success clears."""
        try:
            await self.seal(recording_id, note, known)
        except (SoundError, OSError) as error:
            log.error("recording_not_filed", recording=recording_id, error=str(error))
            alarm = ("recording_unfiled", "critical", f"the recording could not be filed: {error}")
            async with self._store.begin() as uow:
                raised = await _raise(uow, recording_id, [alarm])
            self.publish_alarms(recording_id, raised)

    async def seal(self, recording_id: str, note: str = "", known: Row | None = None) -> Row | None:
        """Files one recording; gives its row, or None when there is nothing to file (yet) or it is filed just now.

        May be run again at any time and gives the same. Raises SoundError or OSError when it cannot be filed.
        """
        if recording_id in self._at_work:
            return None
        self._at_work.add(recording_id)
        try:
            return await self._seal(recording_id, note, known or await self._row_of(recording_id))
        finally:
            self._at_work.discard(recording_id)

    async def _seal(self, recording_id: str, note: str, known: Row | None) -> Row | None:
        row = await self._with_note(known, recording_id)
        if row["state"] == "sealed":
            if await asyncio.to_thread(self._folder.captured, recording_id):
                raise SoundError(f"{recording_id}: is sealed, but there is more of it in live/")
            return await self._settle(row, {})
        present = await asyncio.to_thread(self._folder.sides, recording_id, _starts(row))
        if not present and row["state"] == "missing":
            await asyncio.to_thread(self._folder.drop_sidecar, recording_id)
            return row
        if not present and known is None:
            fate = rules.fate_of_note(row["kind"], await self._call_of(recording_id), _age_s(row))
            if fate == "drop":
                await asyncio.to_thread(self._folder.drop_sidecar, recording_id)
            if fate != "lose":
                return None
        return await self._settle(row, await self._filed(row, present, note))

    async def _row_of(self, recording_id: str) -> Row | None:
        async with self._store.begin() as uow:
            return await uow.recordings.get(recording_id)

    async def _call_of(self, recording_id: str) -> Row | None:
        async with self._store.begin() as uow:
            return await uow.calls.get(rules.call_of(recording_id)[0])

    async def _with_note(self, known: Row | None, recording_id: str) -> Row:
        """The row; for a recording nobody told us of, a new one from the dialplan's note and the name."""
        call_id, kind = rules.call_of(recording_id)
        noted = await asyncio.to_thread(self._folder.sidecar, recording_id)
        row = known or new_row(recording_id, call_id, kind, rules.start_of(call_id) or now())
        return {**row, "line_number": row["line_number"] or noted.get("line") or None}

    async def _filed(self, row: Row, present: Mapping[str, Path], note: str) -> dict[str, Any]:
        """Measures and moves the sides; gives what that changes in the row."""
        measured = await asyncio.gather(*(self._measure(path) for path in present.values()))
        found: dict[str, Any] = {"line_number": row["line_number"]}
        lengths_s = []
        for (side, path), facts in zip(present.items(), measured, strict=True):
            if facts is None:
                await asyncio.to_thread(self._folder.set_apart, path)
                continue
            found[f"{side}_sha256"], length_s, found["rate_hz"], repaired = facts
            found[f"{side}_path"] = await asyncio.to_thread(self._folder.file, path, row["started_at"])
            lengths_s.append(length_s)
            note = RECOVERED if repaired else note
        state = rules.step(row["state"], "seal" if lengths_s else "lose")
        return {**found, "state": state, "length_s": max(lengths_s, default=None), "note": note or row["note"]}

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
        """Saves the outcome beside whatever events have added meanwhile, with the alarms it deserves, and tells it."""
        async with self._store.begin() as uow:
            known = await uow.recordings.get(row["id"])
            settled = {**(known or row), **outcome}
            if outcome:
                await uow.recordings.save({"id": row["id"], **outcome} if known else settled)
            raised = await _raise(uow, row["id"], _faults(settled, await _talk_s(uow, settled)))
            await uow.alarms.clear("recording_unfiled", row["id"], "gateway", now())
        await asyncio.to_thread(self._folder.drop_sidecar, row["id"])
        self.publish(settled)
        self.publish_alarms(row["id"], raised)
        return settled

    def publish(self, row: Row) -> None:
        """Tells how far a recording is."""
        told = ("id", "call_id", "line_number", "kind", "state", "length_s")
        self._feed.publish("recording", {name: row[name] for name in told})

    def publish_alarms(self, recording_id: str, alarms: Iterable[Alarm]) -> None:
        """Tells alarms that are new."""
        for code, severity, detail in alarms:
            told = {"code": code, "severity": severity, "subject": recording_id, "detail": detail}
            self._feed.publish("alarm", told)


async def _raise(uow: UnitOfWork, recording_id: str, alarms: Iterable[Alarm]) -> list[Alarm]:
    """Raises alarms about a recording; gives those that are new."""
    return [alarm for alarm in alarms if await uow.alarms.raise_(alarm[0], alarm[1], recording_id, alarm[2], now())]


def new_row(recording_id: str, call_id: str, kind: str, started_at: datetime) -> dict[str, Any]:
    """The row of a recording that has just begun."""
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


def _age_s(row: Row) -> float:
    return float((now() - row["started_at"]).total_seconds())


def _starts(row: Row) -> list[datetime]:
    """The days it may be filed under: by its own start, and by its call's when the row was not known at the time."""
    of_call = rules.start_of(row["call_id"])
    return [row["started_at"], *([of_call] if of_call else [])]


async def _talk_s(uow: UnitOfWork, row: Row) -> float:
    call: Row = await uow.calls.get(row["call_id"]) or {"answered_at": None, "ended_at": None}
    return rules.talk_s(row["kind"], call["answered_at"], row["started_at"], row["ended_at"] or call["ended_at"])


def _faults(row: Row, talk_s: float) -> list[Alarm]:
    """The alarms that the outcome deserves."""
    if row["state"] == "missing":
        if rules.had_no_time(row["started_at"], row["ended_at"]):
            return []
        return [("recording_missing", "critical", "the call has no recording, or an empty one")]
    faults = []
    absent = [
        name for side, name in (("ours", "our side"), ("theirs", "the other side")) if row[f"{side}_path"] is None
    ]
    if absent:
        faults.append(("recording_one_sided", "critical", f"the recording lacks {absent[0]}"))
    if rules.is_short(row["length_s"], talk_s):
        faults.append(("recording_short", "warning", f"{row['length_s']:.1f} s were recorded of {talk_s:.1f} s"))
    return faults
