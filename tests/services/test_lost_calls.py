"""No leg without an end: after the engine died, its open legs get one, through the journal."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from gateway.ports import Store
from gateway.services.lost_calls import close_lost_calls
from tests.services.journal_bench import REAL, REAL_EVENTS, Bench, other_call

TALKING = REAL[: REAL.index(b'{"eventtype":"BRIDGE_EXIT"')]


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


async def test_calls_of_the_new_engine_are_left_alone(tmp_path: Path, store: Store) -> None:
    bench = Bench(tmp_path / "journal", store)
    bench.append(TALKING)
    await bench.store_everything(len(TALKING.splitlines()))
    (call,) = await bench.rows()
    assert await close_lost_calls(store, bench.journal, before=call["started_at"], at=call["started_at"]) == 0
