"""The growth watch: a recording that stops growing raises its alarm within 5 s, never silence.

Twice a second it looks at the sizes in live/ and at what the engine says has begun (which must have a file). That
needs neither the database nor an event; the rule itself is `core/recording.py`. A file that no longer grows is no alarm
when its writer has closed it or its call is over. When this cannot be found out in time, it is one: doubt is told, not
hidden. `on_stalled` is called before anything is written to the database. Alarms that the database cannot take now, on
a full disk perhaps, are told to whoever watches, shown as waiting, and tried again.

A stall that ends with the call stays a standing alarm until a person clears it: there is a hole in the evidence.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import structlog

from gateway.clock import monotonic_s, now
from gateway.core import recording as rules
from gateway.errors import PeerError, StoreError
from gateway.ports import LiveFeed, Row, SoundFiles, Store
from gateway.services.recording_folder import RecordingFolder

ASK_LIMIT_S = 0.5
RETRY_S = 1.0
ENOUGH_AGAIN = 1.1  # times the minimum: a disk at the edge does not flicker
MB = 1_000_000

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _News:
    """An alarm to raise, or with None as (severity, detail) to clear."""

    code: str
    subject: str
    alarm: tuple[str, str] | None
    at: datetime

    @property
    def told(self) -> dict[str, object]:
        """As the live feed tells it."""
        severity, detail = self.alarm or ("", "")
        return {
            "code": self.code,
            "subject": self.subject,
            **({"severity": severity, "detail": detail} if self.alarm else {"cleared": True}),
        }


class GrowthWatch:
    """Watches all recordings being captured. `run` until cancelled."""

    def __init__(
        self,
        *,
        store: Store,
        sounds: SoundFiles,
        feed: LiveFeed,
        folder: Path,
        begun: Callable[[], Iterable[str]],
        is_call_alive: Callable[[str], Awaitable[bool]],
        on_stalled: Callable[[str, str], Awaitable[None]],
        stalled_after_s: float,
        min_free_mb: int,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._store = store
        self._sounds = sounds
        self._feed = feed
        self._folder = RecordingFolder(folder)
        self._begun = begun
        self._is_call_alive = is_call_alive
        self._on_stalled = on_stalled
        self._limit_s = rules.stall_limit_s(stalled_after_s)
        self._min_free_bytes = min_free_mb * MB
        self._pause = pause
        self._growths: Mapping[str, rules.Growth] = {}
        self._sizes: dict[str, tuple[int, ...]] = {}
        self._listing: asyncio.Future[tuple[dict[str, tuple[int, ...]], int]] | None = None
        self._disk_low = False
        self._noted: dict[tuple[str, str], bool] = {}  # (code, subject) → raised, as noted last
        self._untold: list[_News] = []
        self._heard = 0  # of the untold, those that the live feed has told already
        self.fault = ""
        self._something_to_tell = asyncio.Event()

    async def run(self) -> None:
        """Looks and tells for ever."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._look_on())
            group.create_task(self._tell_on())

    async def _look_on(self) -> None:
        last_s = monotonic_s()
        while True:
            await self._pause(rules.LOOK_EVERY_S)
            now_s = monotonic_s()
            await self.look(now_s - last_s)
            last_s = now_s

    async def _tell_on(self) -> None:
        while True:
            await self._something_to_tell.wait()
            try:
                await self.tell()
            except StoreError as error:
                log.warning("alarms_wait_for_the_database", error=str(error), waiting=len(self._untold))
                self.fault = f"{len(self._untold)} alarms wait for the database: {error}"
                self._tell_watchers()
                await self._pause(RETRY_S)

    def _tell_watchers(self) -> None:
        for news in self._untold[self._heard :]:
            if news.alarm is not None:
                self._feed.publish("alarm", news.told)
        self._heard = len(self._untold)

    def waiting_alarms(self) -> list[Row]:
        """Alarms that stand and that the database has not taken yet, newest first, as rows."""
        standing = {(news.code, news.subject): news for news in self._untold}
        return [
            {
                "id": f"waiting:{news.code}:{news.subject}",
                "code": news.code,
                "severity": news.alarm[0],
                "subject": news.subject,
                "detail": news.alarm[1],
                "raised_at": news.at,
                "cleared_at": None,
                "cleared_by": None,
            }
            for news in reversed(standing.values())
            if news.alarm is not None
        ]

    async def look(self, elapsed_s: float) -> None:
        """One look, `elapsed_s` after the one before."""
        await self._list()
        nothing_yet = {recording_id: (0,) * len(rules.SIDES) for recording_id in self._begun()}
        seen = rules.look(self._growths, nothing_yet | self._sizes, elapsed_s, self._limit_s)
        self._growths = seen.growths
        for recording_id in seen.resumed:
            self._note("recording_stalled", recording_id, None)
        await asyncio.gather(*(self._stalled(recording_id) for recording_id in seen.stalled))

    async def _list(self) -> None:
        """Takes the sizes anew; a disk that does not answer leaves the old ones, which then count as no growth."""
        if self._listing is None:
            self._listing = asyncio.ensure_future(asyncio.to_thread(self._sizes_and_free))
        done, _ = await asyncio.wait([self._listing], timeout=rules.LOOK_EVERY_S)
        if not done:
            return
        listing, self._listing = self._listing, None
        subject = str(self._folder.live)
        try:
            self._sizes, free_bytes = listing.result()
        except OSError as error:
            self._note("recording_folder", subject, ("critical", f"the folder cannot be read: {error.strerror}"))
            return
        self._note("recording_folder", subject, None)
        self._judge_disk(free_bytes)

    def _sizes_and_free(self) -> tuple[dict[str, tuple[int, ...]], int]:
        return self._folder.sizes(), shutil.disk_usage(self._folder.live).free

    def _judge_disk(self, free_bytes: int) -> None:
        if free_bytes < self._min_free_bytes:
            self._disk_low = True
            detail = f"{free_bytes // MB} MB are free, less than {self._min_free_bytes // MB} MB"
            self._note("disk_low", str(self._folder.root), ("critical", detail))
        elif not self._disk_low or free_bytes >= self._min_free_bytes * ENOUGH_AGAIN:
            self._disk_low = False
            self._note("disk_low", str(self._folder.root), None)

    async def _stalled(self, recording_id: str) -> None:
        call_id, _ = rules.call_of(recording_id)
        try:
            async with asyncio.timeout(ASK_LIMIT_S):
                if await self._is_closed(recording_id) or not await self._is_call_alive(call_id):
                    return
        except (TimeoutError, PeerError, OSError) as error:
            log.warning("stall_not_confirmed", recording=recording_id, error=str(error))
        log.error("recording_stalled", recording=recording_id, limit_s=self._limit_s)
        detail = f"nothing was written for {self._limit_s:.0f} s"
        self._note("recording_stalled", recording_id, ("critical", detail))
        try:
            await self._on_stalled(call_id, recording_id)
        except PeerError as error:
            log.error("stall_not_announced", recording=recording_id, error=str(error))

    async def _is_closed(self, recording_id: str) -> bool:
        sides = await asyncio.to_thread(self._folder.captured, recording_id)
        return len(sides) == len(rules.SIDES) and all([await self._sounds.closed(str(path)) for path in sides.values()])

    # --- alarms -----------------------------------------------------------------------------------------------

    def _note(self, code: str, subject: str, alarm: tuple[str, str] | None) -> None:
        """Notes (severity, detail) of an alarm, or with None its end, when that is news."""
        if self._noted.get((code, subject)) == (alarm is not None):
            return
        self._noted[code, subject] = alarm is not None
        self._untold.append(_News(code, subject, alarm, now()))
        self._something_to_tell.set()

    async def tell(self) -> None:
        """Writes what has been noted, in order and with its own time; raises StoreError, and then keeps it."""
        untold = tuple(self._untold)
        told = []
        async with self._store.begin() as uow:
            for number, news in enumerate(untold):
                if news.alarm is None:
                    changed = await uow.alarms.clear(news.code, news.subject, "gateway", news.at)
                else:
                    severity, detail = news.alarm
                    changed = await uow.alarms.raise_(news.code, severity, news.subject, detail, news.at)
                if changed and (news.alarm is None or number >= self._heard):
                    told.append(news.told)
        del self._untold[: len(untold)]
        self._heard, self.fault = max(0, self._heard - len(untold)), ""
        if not self._untold:
            self._something_to_tell.clear()
        for data in told:
            self._feed.publish("alarm", data)
