"""What the door to people needs from the rest of the house: ports, a clock and a few figures, in one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from aiohttp import web

from gateway import clock
from gateway.ports import Health, LiveFeed, Row, SoundFiles, Store
from gateway.services.people import Person


def _unknown_lag() -> float | None:
    return None


def _none_waiting() -> Sequence[Row]:
    return ()


@dataclass(frozen=True, slots=True)
class WebParts:
    """Everything the console and the API are built from.

    `journal_lag_s` gives how far the database is behind the journal, or None when nobody knows. `waiting_alarms` gives
    those that stand and that the database cannot take now. `trusted_proxies` are the addresses whose X-Forwarded-For
    and X-Forwarded-Proto are believed.
    """

    store: Store
    live: LiveFeed
    health: Health
    sounds: SoundFiles
    recordings_dir: Path
    version: str
    now: Callable[[], datetime] = clock.now
    monotonic_s: Callable[[], float] = clock.monotonic_s
    journal_lag_s: Callable[[], float | None] = _unknown_lag
    waiting_alarms: Callable[[], Sequence[Row]] = _none_waiting
    trusted_proxies: frozenset[str] = frozenset()
    heartbeat_s: float = 15.0


PARTS: Final = web.AppKey("parts", WebParts)
PERSON: Final = web.RequestKey("person", Person)

HEALTH_PARTS = ("engine", "ari", "journal", "database", "recordings")


def parts_of(request: web.Request) -> WebParts:
    """The parts of the application that answers `request`."""
    return request.app[PARTS]


def person_of(request: web.Request) -> Person:
    """Who asks; only for endpoints that are not public."""
    return request[PERSON]


def address_of(request: web.Request) -> str:
    """Where the request came from: the nearest address that is not one of our own proxies."""
    address = request.remote or "unknown"
    forwarded = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    while forwarded and address in parts_of(request).trusted_proxies:
        address = forwarded.pop()
    return address[:64]


def is_https(request: web.Request) -> bool:
    """Whether the browser speaks https, with us or with a proxy of ours."""
    trusted = request.remote in parts_of(request).trusted_proxies
    return request.secure or (trusted and request.headers.get("X-Forwarded-Proto") == "https")
