"""Event lag: from Asterisk's own time of an event to the moment its row can be read through the API.

A watcher follows /api/v1/live like a browser. The call row that it is sent carries the CEL times of the events that
made it, so the first row with an `answered_at` says when the answer became visible, and `answered_at` when it happened:

    CEL time ── journal line ── transaction committed ── row arrives at the watcher       (started, answered, ended)
             └ how late the line itself is on disk: the least that anybody who reads the journal could reach

One call in SAMPLE is read with GET /calls/{id} at once, to show that what was told is there.
"""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
from asyncinotify import Inotify, Mask

from tests.bench.city import Subject
from tests.bench.machine import Meter
from tests.bench.report import Report
from tests.bench.spread import Spread, quantile
from tests.bench.traffic import Side

TALK_MS = 1000
SAMPLE = 20
LAST_NEWS_S = 2.0
WINDOWS = 3
MOMENTS = ("started_at", "answered_at", "ended_at")


@dataclass(slots=True)
class Watcher:
    """What a browser would have seen, and when."""

    subject: Subject
    lags: list[tuple[float, float]] = field(default_factory=list)  # (arrival, ms)
    sampled: int = 0
    unreadable: list[str] = field(default_factory=list)
    gaps: int = 0
    watching: asyncio.Event = field(default_factory=asyncio.Event)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _reads: set[asyncio.Task[None]] = field(default_factory=set)

    async def run(self) -> None:
        """Until cancelled."""
        everlasting = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(headers=self.subject.headers(), timeout=everlasting) as session,
            session.get(f"http://{self.subject.http}/api/v1/live") as stream,
        ):
            stream.raise_for_status()
            kind = ""
            async for line in stream.content:
                at = time.time()
                name, _, value = line.decode().strip().partition(": ")
                if name == "event":
                    kind = value
                    self.gaps += value == "gap"
                elif name == "retry":
                    self.watching.set()
                elif name == "data" and kind == "call":
                    self._take(json.loads(value), at, session)

    def _take(self, row: dict[str, Any], at: float, session: aiohttp.ClientSession) -> None:
        for moment in MOMENTS:
            if row[moment] and (row["id"], moment) not in self._seen:
                self._seen.add((row["id"], moment))
                self.lags.append((at, (at - _seconds(row[moment])) * 1000))
                if moment == "ended_at" and len(self._seen) % SAMPLE < len(MOMENTS):
                    reading = asyncio.create_task(self._read(row["id"], session))
                    self._reads.add(reading)
                    reading.add_done_callback(self._reads.discard)

    async def _read(self, call_id: str, session: aiohttp.ClientSession) -> None:
        async with session.get(f"http://{self.subject.http}/api/v1/calls/{call_id}") as answer:
            found = await answer.json() if answer.status == 200 else {}
        self.sampled += 1
        types = {event["type"] for event in found.get("events", ())}
        if not found.get("ended_at") or "CHAN_START" not in types:
            self.unreadable.append(call_id)


async def _follow(path: Path, lags: list[float]) -> None:
    """How late each line of the journal can be read from the file, in ms; until cancelled."""
    with Inotify() as inotify, path.open("rb") as journal:
        inotify.add_watch(path, Mask.MODIFY)
        journal.seek(0, 2)
        rest = b""
        async for _ in inotify:
            at = time.time()
            *lines, rest = (rest + journal.read()).split(b"\n")
            lags += [(at - _seconds(json.loads(line)["eventtime"])) * 1000 for line in lines]


def _seconds(instant: str) -> float:
    return datetime.fromisoformat(instant).astimezone(UTC).timestamp()


async def measure(product: Side, report: Report, *, calls: int, rate_hz: float) -> None:
    """Runs the load once and reports the lags over its windows."""
    subject = product.subject
    watcher, lines = Watcher(subject), list[float]()
    async with asyncio.TaskGroup() as group:
        journal = subject.live_dir.parents[1] / "journal/cel.json"
        tasks = [group.create_task(watcher.run()), group.create_task(_follow(journal, lines))]
        await watcher.watching.wait()
        meter, began = Meter(subject.pids), time.time()
        outcome = await product.call(calls=calls, rate_hz=rate_hz, talk_ms=TALK_MS)
        spent = meter.read()
        await asyncio.sleep(LAST_NEWS_S)
        for task in tasks:
            task.cancel()
    if outcome.answered != calls:
        report.doubt(f"event lag: {outcome.answered} of {calls} calls answered")
    if len(watcher.lags) != calls * len(MOMENTS) or watcher.gaps:
        report.doubt(f"event lag: {len(watcher.lags)} of {calls * len(MOMENTS)} moments seen, {watcher.gaps} gaps")
    if spent.saturated:
        report.doubt(f"event lag: the machine was busy to {spent.busy:.0%}")
    _tell(watcher, lines, began, report)


def _tell(watcher: Watcher, lines: list[float], began: float, report: Report) -> None:
    report.raw["event_lag_ms"] = {"rows": watcher.lags, "journal_lines": lines}
    length_s = (max(at for at, _ in watcher.lags) - began) / WINDOWS
    windows = [
        [lag for at, lag in watcher.lags if began + i * length_s <= at <= began + (i + 1) * length_s]
        for i in range(WINDOWS)
    ]
    whole = [lag for _, lag in watcher.lags]
    for share, goal in ((0.5, 60.0), (0.99, 250.0)):
        spread = Spread.of([quantile(window, share) for window in windows if window])
        value = quantile(whole, share)
        name = f"event lag p{share * 100:g}, CEL time → row at the watcher"
        text = f"{value:.0f} ms  ({spread.least:.0f} to {spread.most:.0f}, {spread.count} windows)"
        report.line(name, text, f"≤ {goal:g} ms", met=value <= goal)
    least = f"p50 {quantile(lines, 0.5):.1f} ms, p99 {quantile(lines, 0.99):.1f} ms, {len(lines)} lines"
    report.line("  of it until the line is in the journal (baseline)", least)
    readable = watcher.sampled - len(watcher.unreadable)
    report.line("  rows read back at once with GET /calls/{id}", f"{readable} of {watcher.sampled}")
