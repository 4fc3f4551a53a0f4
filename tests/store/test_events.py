"""Events, checkpoints, quarantine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.core.cel import CelEvent, cel_event
from gateway.ports import Store

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)


def line(offset: int, linkedid: str = "node1-1.0", name: str = '和平区 \\ " 😀') -> tuple[CelEvent, dict[str, Any]]:
    raw = {
        "eventtype": "ANSWER",
        "eventtime": (AT + timedelta(microseconds=offset)).isoformat(),
        "name": name,
        "channame": "PJSIP/carrier-1",
        "uniqueid": "node1-1.0",
        "linkedid": linkedid,
        "eventextra": '{"digit":"1"}',
    }
    return cel_event(raw, node="node1", file="f", offset=offset), raw


async def test_events_come_back_as_they_were(store: Store) -> None:
    lines = [line(2), line(1), line(3, "node1-2.0")]
    async with store.begin() as uow:
        assert await uow.events.add(lines) == 3
        assert await uow.events.add([]) == 0
        stories = await uow.events.of_calls(["node1-1.0", "node1-2.0", "none"])
        rows = await uow.calls.events("node1-1.0")
        assert await uow.events.call_ids("", 10) == ["node1-1.0", "node1-2.0"]
        assert await uow.events.call_ids("node1-1.0", 10) == ["node1-2.0"]
    assert stories == {"node1-1.0": [lines[1][0], lines[0][0]], "node1-2.0": [lines[2][0]], "none": []}
    assert [(row["offset"], row["at"], row["raw"]) for row in rows] == [
        (e.offset, e.at, raw) for e, raw in (lines[1], lines[0])
    ]


async def test_an_event_is_stored_once_by_node_file_and_offset(store: Store) -> None:
    async with store.begin() as uow:
        await uow.events.add([line(1), line(2)])
    async with store.begin() as uow:
        assert await uow.events.add([line(2, name="other"), line(3)]) == 1
        (story,) = (await uow.events.of_calls(["node1-1.0"])).values()
    assert [event.offset for event in story] == [1, 2, 3]
    assert story[1].caller_name == line(2)[0].caller_name


async def test_a_checkpoint_moves_only_from_where_it_stands(store: Store) -> None:
    async with store.begin() as uow:
        assert await uow.events.checkpoint("node1", "f") == 0
        assert await uow.events.advance_from("node1", "f", 0, 10, AT)
    async with store.begin() as uow:
        assert not await uow.events.advance_from("node1", "f", 0, 20, AT)
        assert await uow.events.checkpoint("node1", "f") == 10
        assert await uow.events.advance_from("node1", "f", 10, 20, AT)
        await uow.events.advance("node1", "f", 30, AT)
        assert await uow.events.checkpoint("node1", "f") == 30
        assert await uow.events.checkpoint("node2", "f") == 0


async def test_quarantine_keeps_the_bytes(store: Store) -> None:
    async with store.begin() as uow:
        for _ in range(2):
            await uow.events.quarantine("node1", "f", 7, b"\xff\0rubbish", "no event", AT)
        assert await uow.events.quarantined() == 1


async def test_more_calls_than_a_statement_has_places(store: Store) -> None:
    async with store.begin() as uow:
        await uow.events.add([line(n, f"node1-{n}.0") for n in range(600)])
        stories = await uow.events.of_calls([f"node1-{n}.0" for n in range(600)])
    assert all(len(story) == 1 for story in stories.values())
