"""The story of an attempt to forward a duty line: blocked by Asterisk, it becomes a fact with its evidence.

CEL events arrive inside the ingester's transaction, raw SIP from the keeper's journal a moment later. A message that
must be joined to its call waits for the event that names the call, a few seconds at most: the event is on its way,
because Asterisk wrote it before it sent or took the message. After a restart both journals catch up side by side, so
it waits as long as events are behind.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Any

import structlog

from gateway.clock import now
from gateway.core import diversion, forwarding
from gateway.core.cel import CelEvent
from gateway.core.directory import Directory
from gateway.core.forwarding import CallOfMessage, ForwardAttempt, LogLine
from gateway.core.registration import Registration
from gateway.core.sip import SipMessage, user_of
from gateway.ports import LiveFeed, Store, UnitOfWork

log = structlog.get_logger(__name__)

CALL_KNOWN_WITHIN = timedelta(seconds=3)
LOOK_AGAIN_S = 0.1
KEPT = 2_000


class ForwardingWatch:
    """Turns events and messages into attempts, each stored once.

    `directory` gives the newest snapshot; `lag_s` how far the stored events are behind the journal.
    """

    def __init__(
        self, store: Store, live: LiveFeed, directory: Callable[[], Directory], lag_s: Callable[[], float]
    ) -> None:
        self._store = store
        self._live = live
        self._directory = directory
        self._lag_s = lag_s
        self._began = now()
        self._registrations: OrderedDict[str, Registration] = OrderedDict()  # by Call-ID
        self._phones: OrderedDict[str, str] = OrderedDict()  # host → the one phone that registered from there, or ""
        self._takeovers: OrderedDict[str, ForwardAttempt] = OrderedDict()  # by Call-ID of the INVITE with Replaces
        self._events_stored = asyncio.Event()

    async def on_events(self, uow: UnitOfWork, events: Sequence[CelEvent]) -> None:
        """In the ingester's transaction: what Asterisk and the dialplan noticed."""
        directory = self._directory()
        found = forwarding.attempts_in_events(events, directory)
        keyed = {event.linkedid for event in events if event.type == "DTMF"}
        if keyed:
            for of_call in (await uow.events.of_calls(sorted(keyed))).values():
                found += forwarding.feature_codes(of_call, directory)
        for attempt in found:
            await self._store_attempt(uow, attempt)
        self._events_stored.set()

    async def on_message(self, message: SipMessage) -> None:
        """One raw SIP message; returns when what it says is stored. Raises StoreError."""
        if message.method == "INVITE" and 200 <= message.status < 300:
            await self._answered(message)
            return
        registration = self._registrations.get(message.header("call-id"))
        if message.method == "REGISTER":
            self._remember(message, registration)
        if not forwarding.is_suspicious(message, self._directory()):
            return
        call = await self._call_of(message)
        attempt = forwarding.attempt_in_message(message, call, self._directory(), registration)
        if attempt is not None and attempt.method == "replaces":
            self._takeovers[message.header("call-id")] = attempt
            _forget(self._takeovers)
        chain = diversion.chain(message, self._directory()) if call and _begins(message, call) else ()
        if attempt is None and not chain:
            return
        async with self._store.begin() as uow:
            if attempt is not None:
                await self._store_attempt(uow, attempt)
            if call and chain:
                await uow.calls.set_diversion(call.call_id, [asdict(each) for each in chain])

    async def on_log_line(self, line: LogLine) -> None:
        """One line of the engine's log; returns when what it says is stored. Raises StoreError."""
        attempt = forwarding.attempt_in_log(line, self._directory(), self._phones)
        if attempt is not None:
            async with self._store.begin() as uow:
                await self._store_attempt(uow, attempt)

    async def _call_of(self, message: SipMessage) -> CallOfMessage | None:
        """The call that a message is about; waits for an event under way when the message is fresh."""
        if message.method == "REGISTER":
            return None
        sip_call_id = forwarding.replaced_call_id(message) or message.header("call-id")
        while True:
            self._events_stored.clear()
            async with self._store.begin() as uow:
                leg = await uow.calls.leg_of_sip(sip_call_id)
            if leg is not None:
                return CallOfMessage(leg["call_id"], leg["endpoint"], leg["party"], leg["line_number"])
            if now() - max(message.at, self._began) > CALL_KNOWN_WITHIN and self._lag_s() <= 0:
                return None
            try:
                await asyncio.wait_for(self._events_stored.wait(), LOOK_AGAIN_S)
            except TimeoutError:
                continue

    async def _answered(self, answer: SipMessage) -> None:
        """An INVITE was answered: had it Replaces, then it took a call over past everything that denies it."""
        attempt = self._takeovers.pop(answer.header("call-id"), None)
        if attempt is not None:
            async with self._store.begin() as uow:
                await self._store_attempt(uow, forwarding.not_blocked(attempt, answer))

    def _remember(self, message: SipMessage, known: Registration | None) -> None:
        if known is None and message.status:
            return
        now_known = known.after(message) if known else Registration(message)
        self._registrations[message.header("call-id")] = now_known
        if message.status == 200:
            host, phone = now_known.request.source.rpartition(":")[0], user_of(message.header("to"))
            self._phones[host] = phone if self._phones.get(host, phone) == phone else ""  # several: nobody knows which
        for kept in (self._registrations, self._phones):
            _forget(kept)

    async def _store_attempt(self, uow: UnitOfWork, attempt: ForwardAttempt) -> None:
        known = not await uow.forward_attempts.add(attempt)
        if attempt.outcome != forwarding.BLOCKED:
            what = f"{attempt.method} to {attempt.target or '?'} by {attempt.phone or '?'} was not blocked"
            await uow.alarms.raise_("forward_not_blocked", "critical", attempt.key, what, attempt.at)
        if known:
            return
        log.warning("forward_attempt", method=attempt.method, line=attempt.line_number, target=attempt.target)
        what = f"{attempt.method} to {attempt.target or '?'} by {attempt.phone or '?'} was blocked"
        await uow.alarms.raise_("forward_attempt", "warning", attempt.key, what, attempt.at)
        shown = {**asdict(attempt), "at": attempt.at.isoformat(), "evidence": []}
        self._live.publish("forward_attempt", shown)


def _forget(kept: OrderedDict[str, Any]) -> None:
    while len(kept) > KEPT:
        kept.popitem(last=False)


def _begins(message: SipMessage, call: CallOfMessage) -> bool:
    """Whether it is the INVITE with which the call came to us: what it says of diversions is the call's own story."""
    return call.party == "caller" and not message.status and not message.header("replaces")
