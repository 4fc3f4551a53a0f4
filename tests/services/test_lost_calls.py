"""No leg without an end: after the engine died, its open legs get one, through the journal."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from gateway.ports import Store
from gateway.services.lost_calls import LostCalls, close_lost_calls
from tests.services.journal_bench import REAL, REAL_EVENTS, Bench, other_call

TALKING = REAL[: REAL.index(b'{"eventtype":"BRIDGE_EXIT"')]


async def no_channels() -> list[str]:
    return []


async def test_legs_of_a_dead_engine_are_ended(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(other_call(1) + TALKING)
    lines = REAL_EVENTS + len(TALKING.splitlines())
    await bench.store_everything(lines)
    open_call = (await bench.rows())[-1]
    assert open_call["disposition"] == "talking"
    died = open_call["answered_at"] + timedelta(seconds=30)

    assert await close_lost_calls(store, bench.journal, before=died, at=died) == 2
    await bench.store_everything(lines + 2)

    closed = (await bench.rows())[-1]
    assert (closed["disposition"], closed["ended_at"]) == ("answered", died)
    async with store.begin() as uow:
        legs = await uow.calls.legs(closed["id"])
    assert [(leg["synthetic_end"], leg["tech_cause"]) for leg in legs] == [(True, "engine_lost")] * 2
    assert await close_lost_calls(store, bench.journal, before=died, at=died) == 0


async def test_an_end_that_the_journal_lost_is_concluded_by_the_second_look(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(TALKING)
    lines = len(TALKING.splitlines())
    await bench.store_everything(lines)
    (call,) = await bench.rows()
    async with store.begin() as uow:
        alive = [leg["id"] for leg in await uow.calls.legs(call["id"])]
    lag_s = [0.0]

    async def channels() -> list[str]:
        return alive

    async def never() -> datetime:
        raise AssertionError("nothing was started")

    lost = LostCalls(store, bench.journal, next_start=never, channels=channels, lag_s=lambda: lag_s[0])
    assert [await lost.look() for _ in range(3)] == [0, 0, 0], "it goes on"
    ended, alive = alive[0], alive[1:]
    assert await lost.look() == 0, "its end may be on its way"
    lag_s = [1.0]
    assert await lost.look() == 0, "or wait to be stored"
    lag_s = [0.0]
    assert await lost.look() == 1
    await bench.store_everything(lines + 1)
    async with store.begin() as uow:
        legs = await uow.calls.legs(call["id"])
    assert [leg["tech_cause"] for leg in legs if leg["ended_at"]] == ["event_lost"]
    assert [leg["id"] for leg in legs if leg["ended_at"]] == [ended]
    assert await lost.look() == 0


async def test_what_the_disk_refuses_is_written_when_it_takes_it_again(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(TALKING)
    lines = len(TALKING.splitlines())
    await bench.store_everything(lines)
    (call,) = await bench.rows()
    starts = iter([call["started_at"] + timedelta(seconds=30)])
    append, refused = bench.journal.append, []

    async def append_at_last(facts: Sequence[Mapping[str, str]]) -> None:
        if not refused:
            refused.append(facts)
            raise OSError(errno.ENOSPC, "No space left on device")
        await append(facts)

    async def next_start() -> datetime:
        for start in starts:
            return start
        return await asyncio.Future()

    async def pause(_: float) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(bench.journal, "append", append_at_last)
    lost = LostCalls(store, bench.journal, next_start=next_start, channels=no_channels, lag_s=lambda: 0.0, pause=pause)
    closing = asyncio.ensure_future(lost._after_each_start())
    await bench.store_everything(lines + 2)
    closing.cancel()
    (closed,) = await bench.rows()
    assert closed["ended_at"] is not None
    assert refused


async def test_calls_of_the_new_engine_are_left_alone(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(TALKING)
    await bench.store_everything(len(TALKING.splitlines()))
    (call,) = await bench.rows()
    assert await close_lost_calls(store, bench.journal, before=call["started_at"], at=call["started_at"]) == 0
