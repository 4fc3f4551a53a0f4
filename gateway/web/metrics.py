"""Figures for Prometheus. Public on purpose: they hold no number and no name.

Calls are counted from the live feed, each once per call and final disposition, since this process started; what must
survive a restart is in the database. A figure that cannot be had just now is left out rather than shown as it was.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Any, Final

from aiohttp import web
from prometheus_client import CollectorRegistry, Counter, Gauge, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from gateway.errors import PeerError
from gateway.web.endpoint import Endpoint
from gateway.web.parts import PARTS, WebParts, parts_of
from gateway.web.readiness import READINESS, Readiness

FINAL = ("answered", "missed", "rejected", "refused", "abandoned", "failed")
SEVERITIES = ("critical", "warning", "notice")
REMEMBERED_CALLS = 1_000  # a call that is over changes for some seconds more: this many is minutes of a busy city


class Figures:
    """The counters and gauges of one application."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.calls = Counter(
            "dutyline_calls", "Calls that ended, since this process started", ["disposition"], registry=self.registry
        )
        self.missed_news = Counter(
            "dutyline_live_gaps", "Times the live feed overtook the counting", registry=self.registry
        )
        self.alarms = Gauge("dutyline_alarms_standing", "Alarms not cleared", ["severity"], registry=self.registry)
        self.ready = Gauge("dutyline_ready", "1 when the part does its work", ["part"], registry=self.registry)
        self.lag = Gauge("dutyline_journal_lag_seconds", "How far the database is behind", [], registry=self.registry)
        self._counted: OrderedDict[tuple[str, str], None] = OrderedDict()
        for disposition in FINAL:
            self.calls.labels(disposition)

    def count(self, kind: str, data: Mapping[str, Any]) -> None:
        """Takes one piece of news into account."""
        if kind == "gap":
            self.missed_news.inc()
        if kind != "call" or data.get("disposition") not in FINAL:
            return
        key = (str(data.get("id")), str(data["disposition"]))
        if key not in self._counted:
            self._counted[key] = None
            self.calls.labels(key[1]).inc()
            while len(self._counted) > REMEMBERED_CALLS:
                self._counted.popitem(last=False)

    async def measure(self, parts: WebParts, readiness: Readiness) -> None:
        """Brings the gauges up to date."""
        self.ready.clear()
        for part, fault in (await readiness.faults()).items():
            self.ready.labels(part).set(0 if fault else 1)
        self.alarms.clear()
        with suppress(PeerError):  # a dead database is said by dutyline_ready
            async with parts.store.begin() as uow:
                standing = [*parts.waiting_alarms(), *await uow.alarms.standing()]
            for severity in SEVERITIES:
                self.alarms.labels(severity).set(sum(row["severity"] == severity for row in standing))
        lag_s = parts.journal_lag_s()
        self.lag.set(float("nan") if lag_s is None else lag_s)


FIGURES: Final = web.AppKey("figures", Figures)


async def counting(app: web.Application) -> AsyncIterator[None]:
    """Counts calls for as long as the application lives."""
    watching = asyncio.Event()

    async def follow() -> None:
        async with app[PARTS].live.watch() as news:
            watching.set()
            async for kind, data in news:
                app[FIGURES].count(kind, data)

    task = asyncio.create_task(follow(), name="metrics")
    await watching.wait()
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def metrics(request: web.Request) -> web.Response:
    """All figures in Prometheus' text format."""
    figures = request.app[FIGURES]
    await figures.measure(parts_of(request), request.app[READINESS])
    return web.Response(body=generate_latest(figures.registry), headers={"Content-Type": CONTENT_TYPE_PLAIN_0_0_4})


ENDPOINTS = (Endpoint("GET", "/metrics", metrics, "Figures for Prometheus", public=True, media=("text/plain",)),)
