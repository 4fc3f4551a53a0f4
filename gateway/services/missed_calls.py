"""A missed duty call is raised as an alarm: it stands until somebody has called back or cleared it (art. 16(3))."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.core.cel import CelEvent
from gateway.ports import LiveFeed, UnitOfWork

_WHY = {"noanswer": "nobody answered", "busy": "every phone was busy", "unreachable": "no phone could be reached"}


class MissedCalls:
    """Raises `missed_call` with the call as its subject, in the transaction of the event."""

    def __init__(self, live: LiveFeed) -> None:
        self._live = live

    async def on_events(self, uow: UnitOfWork, events: Sequence[CelEvent]) -> None:
        """One alarm for each MISSED event."""
        for event in events:
            if event.user_type != "MISSED":
                continue
            line, reason = event.fact("line"), event.fact("reason")
            caller = event.caller_number or "an unknown number"
            detail = f"{line}: a call from {caller} was missed: {_WHY.get(reason, reason)}"
            if await uow.alarms.raise_("missed_call", "critical", event.linkedid, detail, event.at):
                told = {"code": "missed_call", "severity": "critical", "subject": event.linkedid, "detail": detail}
                self._live.publish("alarm", {**told, "raised_at": event.at})
