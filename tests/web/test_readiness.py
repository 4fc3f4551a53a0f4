from __future__ import annotations

import asyncio

import pytest

from gateway.errors import StoreError
from gateway.web import readiness
from gateway.web.readiness import FRESH_S, Readiness
from tests.peers.duty_desk import Desk


async def test_asked_once_a_moment_however_many_want_to_know(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = 0

    async def ping() -> None:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)

    monkeypatch.setattr(desk.store, "ping", ping)
    ready = Readiness(desk.parts)
    await asyncio.gather(*(ready.faults() for _ in range(20)))
    assert asked == 1
    desk.clock.turn(FRESH_S)
    await ready.faults()
    assert asked == 2


async def test_fault_is_seen_after_a_moment(desk: Desk) -> None:
    ready = Readiness(desk.parts)
    assert not any((await ready.faults()).values())
    desk.lamps.wrong = {"ari": "silent"}
    desk.clock.turn(FRESH_S)
    assert (await ready.faults())["ari"] == "silent"


async def test_part_that_never_answers(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(readiness, "ANSWER_WITHIN_S", 0.01)
    monkeypatch.setattr(desk.store, "ping", never)
    assert "did not answer" in (await Readiness(desk.parts).faults())["database"]
    monkeypatch.setattr(desk.lamps, "faults", never)
    assert "nobody could say" in (await Readiness(desk.parts).faults())["engine"]


async def test_health_is_believed_about_the_database(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    async def dead() -> None:
        raise StoreError("also wrong")

    monkeypatch.setattr(desk.store, "ping", dead)
    desk.lamps.wrong = {"database": "the disk is full"}
    assert (await Readiness(desk.parts).faults())["database"] == "the disk is full"
