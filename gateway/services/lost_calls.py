"""Every channel that began has one end: its own, or one that we write because the engine died first.

Asterisk writes an end when a channel ends. When Asterisk itself ends, its channels have none, and their calls would be
"talking" for ever. So once the engine is known to be gone, an end is written for each of its open legs, marked as ours:

    legs without an end ── lines in gateway.json (CHAN_END, synthetic=engine_lost) ── journal ── rows

The line is a fact like any other, in the journal before it is a row; a later end by Asterisk itself would do no harm.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

from gateway.ports import Journal, Store

REASON = "engine_lost"


async def close_lost_calls(store: Store, journal: Journal, *, before: datetime, at: datetime) -> int:
    """Writes an end, at `at`, for each leg that began before `before` and has none; gives how many there were.

    To be called when the engine that carried these legs is known to be dead and its journal is stored.
    """
    async with store.begin() as uow:
        legs = await uow.calls.open_legs(journal.node, before)
    if legs:
        await journal.append(
            [
                {
                    "eventtype": "CHAN_END",
                    "eventenum": "CHAN_END",
                    "eventtime": max(at, leg["started_at"]).astimezone(UTC).isoformat(timespec="microseconds"),
                    "channame": leg["channel"],
                    "uniqueid": leg["id"],
                    "linkedid": leg["call_id"],
                    "eventextra": json.dumps({"synthetic": REASON}),
                }
                for leg in legs
            ]
        )
    return len(legs)
