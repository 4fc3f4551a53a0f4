"""Calls and legs as a projection of their events: kept up while events arrive, and rebuilt from scratch at will.

The events of calls that are going on are remembered, so that a new event costs no reading; a call is forgotten when it
is over, or when too many are remembered, and read again from the database when another event of it comes. What a
transaction changes is remembered only once it is committed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from gateway.core.call import Call, fold
from gateway.core.cel import CelEvent
from gateway.ports import Row, Store, UnitOfWork

REMEMBERED_CALLS = 2_000
REBUILT_AT_ONCE = 500

UnitsOf = Callable[[Call], tuple[str | None, str | None]]
_NO_PART = ("DTMF",)  # a caller can send any number of digits; none changes his call


@dataclass(frozen=True, slots=True)
class CallNow:
    """A call as last saved, and the events it was folded from."""

    call: Call | None
    events: list[CelEvent]


class Projection:
    """The calls that are going on."""

    def __init__(self, units_of: UnitsOf, *, remembered: int = REMEMBERED_CALLS) -> None:
        self._units_of = units_of
        self._remembered = remembered
        self._calls: OrderedDict[str, CallNow] = OrderedDict()

    async def apply(self, uow: UnitOfWork, events: Iterable[CelEvent]) -> dict[str, CallNow]:
        """Saves the calls that `events`, already stored in this transaction, belong to; gives what to remember."""
        fresh: dict[str, list[CelEvent]] = {}
        for event in events:
            if event.type not in _NO_PART:
                fresh.setdefault(event.linkedid, []).append(event)
        unknown = [call_id for call_id, added in fresh.items() if call_id not in self._calls and not _begins(added)]
        stored = await uow.events.of_calls(unknown)
        changes: dict[str, CallNow] = {}
        for call_id, added in fresh.items():
            if call_id in stored:
                known = [event for event in stored[call_id] if event.type not in _NO_PART]
            else:
                known = [*(self._calls[call_id].events if call_id in self._calls else ()), *added]
            changes[call_id] = CallNow(fold(known), known)
        changed = [now.call for call_id, now in changes.items() if now.call and now.call != self._last(call_id)]
        await uow.calls.save(changed, {call.id: self._units_of(call) for call in changed})
        return changes

    async def changed_rows(self, uow: UnitOfWork, changes: dict[str, CallNow]) -> Sequence[Row]:
        """The rows of the calls that these changes changed."""
        return await uow.calls.rows([i for i, now in changes.items() if now.call and now.call != self._last(i)])

    def remember(self, changes: dict[str, CallNow]) -> None:
        """Keeps what was committed, as far as it is still going on."""
        for call_id, now in changes.items():
            self._calls.pop(call_id, None)
            if all(event.type != "LINKEDID_END" for event in now.events):
                self._calls[call_id] = now
        while len(self._calls) > self._remembered:
            self._calls.popitem(last=False)

    def forget(self) -> None:
        """Drops everything that is remembered: the database knows better."""
        self._calls.clear()

    def _last(self, call_id: str) -> Call | None:
        last = self._calls.get(call_id)
        return last.call if last else None


def _begins(events: Sequence[CelEvent]) -> bool:
    """Whether the call begins here, so that there is nothing to read of it: its first channel is created."""
    return events[0].type == "CHAN_START" and events[0].uniqueid == events[0].linkedid


async def rebuild(store: Store, units_of: UnitsOf) -> int:
    """Folds all calls anew from the events in the database; gives how many calls there are."""
    after, count = "", 0
    while True:
        async with store.begin() as uow:
            call_ids = await uow.events.call_ids(after, REBUILT_AT_ONCE)
            if not call_ids:
                return count
            stories = await uow.events.of_calls(call_ids)
            calls = [call for call in map(fold, stories.values()) if call]
            await uow.calls.save(calls, {call.id: units_of(call) for call in calls})
        after, count = call_ids[-1], count + len(calls)
