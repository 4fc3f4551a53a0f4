"""What services need from the doors, one small port per noun; each method's contract is one sentence.

A `UnitOfWork` is a transaction: leaving its block commits, an exception rolls everything back. Services never commit.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from gateway.core.call import Call, CelEvent
from gateway.core.forwarding import ForwardAttempt
from gateway.core.inventory import Inventory

Row = Mapping[str, Any]
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class CallFilter:
    """What a search asks for; None means any.

    `number` matches caller, dialled and line numbers by suffix or part; `numbers_of_unit` says under which dial strings
    we call the `unit`; every word of `text` stands in a number, a name or the name of a unit concerned.
    """

    number: str | None = None
    unit: str | None = None
    numbers_of_unit: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    text: str | None = None
    limit: int = 50
    cursor: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, and the cursor of the next page, or None."""

    rows: Sequence[Row]
    cursor: str | None


class InventoryRows(Protocol):
    """The registered inventory."""

    async def lock(self) -> None:
        """Makes every other transaction that calls this wait until this one ends: two imports never interleave."""

    async def current(self) -> Inventory:
        """The inventory at its newest version (empty, version 0, before the first import)."""

    async def replace(self, inventory: Inventory, *, by: str, source: str, sha256: str, at: datetime) -> int:
        """Stores `inventory` as a whole in place of the former one; gives its version."""


class EventRows(Protocol):
    """CEL events, checkpoints and quarantined lines."""

    async def checkpoint(self, node: str, file: str) -> int:
        """The offset up to which `file` is stored; 0 when unknown."""

    async def add(self, events: Sequence[tuple[CelEvent, Mapping[str, Any]]]) -> int:
        """Stores events with their raw lines, each once; gives how many were new."""

    async def quarantine(self, node: str, file: str, offset: int, raw: bytes, reason: str, at: datetime) -> None:
        """Keeps a line that cannot be understood."""

    async def advance(self, node: str, file: str, offset: int, at: datetime) -> None:
        """Moves the checkpoint, in the same transaction as the events before it."""

    async def advance_from(self, node: str, file: str, since: int, offset: int, at: datetime) -> bool:
        """Moves the checkpoint if it stands at `since`; False (nothing moved) when somebody else moved it."""

    async def quarantined(self) -> int:
        """How many lines are in quarantine."""

    async def of_calls(self, linkedids: Sequence[str]) -> dict[str, list[CelEvent]]:
        """All events of the given calls, in order of time, then offset."""

    async def call_ids(self, after: str, limit: int) -> Sequence[str]:
        """Linkedids that have events, in order of text, beginning behind `after`."""


class CallRows(Protocol):
    """Calls and legs, projected from events."""

    async def save(self, calls: Sequence[Call], units: Mapping[str, tuple[str | None, str | None]]) -> None:
        """Inserts or updates calls with their legs; `units` maps call id → (unit of the line, unit of the caller)."""

    async def set_diversion(self, call_id: str, chain: Sequence[Mapping[str, Any]]) -> None:
        """Keeps the chain of diverting numbers of an inbound call."""

    async def leg_of_sip(self, sip_call_id: str) -> Row | None:
        """The leg that has this SIP Call-ID, with its call's `line_number`, or None."""

    async def search(self, wanted: CallFilter) -> Page:
        """Calls, newest first."""

    async def get(self, call_id: str) -> Row | None:
        """One call, or None."""

    async def rows(self, call_ids: Sequence[str]) -> Sequence[Row]:
        """The calls of these ids that exist, in no order."""

    async def rang_until(self, call_ids: Sequence[str]) -> Mapping[str, datetime]:
        """When the last phone of each call rang no more; calls in which none did, or one still does, are left out."""

    async def legs(self, call_id: str) -> Sequence[Row]:
        """Legs of a call in order of start."""

    async def open_legs(self, node: str, before: datetime) -> Sequence[Row]:
        """Legs of a node that began before an instant and have no end yet."""

    async def events(self, call_id: str) -> Sequence[Row]:
        """Events of a call in order of time."""


class RecordingRows(Protocol):
    """Facts about recordings."""

    async def save(self, row: Mapping[str, Any]) -> None:
        """Inserts or updates the columns given, by `id`."""

    async def end(self, recording_id: str, at: datetime) -> bool:
        """Says when it ended; False when that is known already, or there is no such recording."""

    async def get(self, recording_id: str) -> Row | None:
        """One recording, or None."""

    async def of_call(self, call_id: str) -> Sequence[Row]:
        """Recordings of a call in order of start."""

    async def search(self, since: datetime | None, until: datetime | None, limit: int) -> Sequence[Row]:
        """Recordings, newest first."""

    async def capturing(self) -> Sequence[Row]:
        """Recordings neither sealed nor missing yet, oldest first."""


class ForwardAttemptRows(Protocol):
    """Attempts to forward a duty line."""

    async def add(self, attempt: ForwardAttempt) -> bool:
        """Stores an attempt once by key, or adds its evidence to the stored one; True when it was new."""

    async def search(self, since: datetime | None, until: datetime | None, limit: int) -> Sequence[Row]:
        """Attempts, newest first."""

    async def of_call(self, call_id: str) -> Sequence[Row]:
        """Attempts during a call in order of time."""


class AlarmRows(Protocol):
    """Alarms: raised, shown until cleared."""

    async def raise_(self, code: str, severity: str, subject: str, detail: str, at: datetime) -> bool:
        """Raises an alarm unless the same code and subject is already raised; True when it was new."""

    async def clear(self, code: str, subject: str, by: str, at: datetime) -> bool:
        """Clears it; False when there was none."""

    async def standing(self) -> Sequence[Row]:
        """Alarms not cleared, newest first."""

    async def search(self, limit: int) -> Sequence[Row]:
        """All alarms, newest first."""


class PeopleRows(Protocol):
    """Users, sessions, tokens."""

    async def user(self, name: str) -> Row | None:
        """A user, or None."""

    async def any_user(self) -> bool:
        """Whether there is a user at all."""

    async def users(self) -> Sequence[Row]:
        """All users by name."""

    async def save_user(self, name: str, password_hash: str, role: str, at: datetime) -> None:
        """Creates or changes a user."""

    async def open_session(self, token_sha256: str, name: str, at: datetime, expires_at: datetime) -> None:
        """Remembers a login."""

    async def session(self, token_sha256: str, at: datetime) -> Row | None:
        """User name and role of a session that is still valid."""

    async def close_session(self, token_sha256: str) -> None:
        """Forgets a login."""

    async def close_sessions_of(self, name: str, but: str) -> None:
        """Forgets every login of a user but one (by its fingerprint; empty: every one)."""

    async def save_token(self, token_sha256: str, name: str, role: str, at: datetime) -> None:
        """Remembers an API token."""

    async def token(self, token_sha256: str) -> Row | None:
        """User name and role of a token that is not revoked."""

    async def revoke_tokens_of(self, name: str, at: datetime) -> int:
        """Makes every API token that stands for `name` void; gives how many there were."""

    async def disable_user(self, name: str, at: datetime) -> bool:
        """Keeps a user from logging in until saved anew; False when there is no such user who may."""


class AuditRows(Protocol):
    """Who read, played or exported what. Append-only."""

    async def add(
        self, *, at: datetime, actor: str, action: str, object_type: str, object_id: str, address: str, detail: Row
    ) -> None:
        """Appends one row."""

    async def search(self, since: datetime | None, limit: int) -> Sequence[Row]:
        """Rows, newest first."""


class UnitOfWork(Protocol):
    """One transaction over all nouns."""

    inventory: InventoryRows
    events: EventRows
    calls: CallRows
    recordings: RecordingRows
    forward_attempts: ForwardAttemptRows
    alarms: AlarmRows
    people: PeopleRows
    audits: AuditRows


class Store(Protocol):
    """The database."""

    def begin(self) -> AbstractAsyncContextManager[UnitOfWork]:
        """A transaction; raises StoreError when the database does not answer."""

    async def ping(self) -> None:
        """Raises StoreError unless the database answers and can be written."""

    async def close(self) -> None:
        """Gives all connections back."""


@dataclass(frozen=True, slots=True)
class SpoiledLine:
    """A journal line that could not be understood as it stands, and why."""

    offset: int
    raw: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class JournalBatch(Generic[Fact]):
    """Whole lines of one journal file from offset `since` up to `end`, in order.

    `reread`: the file was cut short after it had been stored, so some of these lines may be stored already.
    """

    node: str
    file: str
    since: int
    end: int
    events: Sequence[tuple[Fact, Mapping[str, Any]]]
    spoiled: Sequence[SpoiledLine] = ()
    reread: bool = False


class FollowedJournal(Protocol[Fact]):
    """Facts on local disk that somebody writes and we read."""

    @property
    def node(self) -> str:
        """Whose journal this is; part of every key."""

    def follow(self, checkpoint: Callable[[str], Awaitable[int]]) -> AsyncGenerator[JournalBatch[Fact], None]:
        """Batches for ever, from each file's checkpoint; asking for the next says that the former is stored."""


class Journal(FollowedJournal[CelEvent], Protocol):
    """The facts on local disk, before they are rows."""

    async def append(self, facts: Sequence[Mapping[str, str]]) -> None:
        """Writes facts of our own, in the fields of CEL, down to the disk; `follow` then gives them like Asterisk's."""


class LiveFeed(Protocol):
    """News for people who are watching: (kind, data) such as ("call", {...}), ("alarm", {...})."""

    @property
    def watchers(self) -> int:
        """How many are watching; with none, news need not be gathered."""

    def publish(self, kind: str, data: Mapping[str, Any]) -> None:
        """Tells everybody who is watching now; never waits."""

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[tuple[str, Mapping[str, Any]]]]:
        """News from now on; a watcher that is too slow loses the oldest and gets ("gap", {})."""


class Health(Protocol):
    """Which parts are alive."""

    async def faults(self) -> Mapping[str, str]:
        """Part → what is wrong with it; empty when all is well. Parts: engine, ari, journal, database, recordings."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet. Cells are text, numbers, truth values, times, None, or `Unreadable` with the reason.

    `merged` holds ranges of merged cells with their last row, counted from 1: ("A5:B6", 6). `hidden`: nobody who opens
    the workbook sees it.
    """

    name: str
    rows: Sequence[Sequence[object]]
    merged: Sequence[tuple[str, int]] = ()
    hidden: bool = False


class Spreadsheets(Protocol):
    """Workbooks as tables of cells."""

    def read_sheets(self, path: Path) -> Sequence[Sheet]:
        """The sheets in order; raises RequestError when the file is no workbook that can be read."""


class SoundFiles(Protocol):
    """Recorded sound, as people play it. All paths are absolute; work is done off the event loop."""

    async def length(self, path: str) -> tuple[float, int]:
        """(seconds, rate in Hz) of a WAV by its data, not by its header; raises SoundError."""

    async def closed(self, path: str) -> bool:
        """Whether the writer has closed a WAV: it holds audio and its header agrees; raises SoundError when absent."""

    async def repair(self, path: str) -> bool:
        """Rewrites wrong sizes in a WAV's header, down to the disk; True when changed; raises SoundError."""

    async def mixed(self, ours: str | None, theirs: str | None, form: str) -> str:
        """Path of the mixed file (`wav` stereo: left ours, right theirs; `opus`, `mp3`), made once and kept."""

    async def peaks(self, ours: str | None, theirs: str | None, buckets: int) -> Mapping[str, Sequence[float]]:
        """{"ours": […], "theirs": […]}: loudest sample per bucket, 0.0 to 1.0."""
