"""The inventory: stored and replaced as a whole."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Radio, Station, Trunk, Unit
from gateway.errors import StoreRefusedError
from gateway.ports import Store

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
CITY = Inventory(
    units=(
        Unit("A", "甲区", "district", "CITY"),
        Unit("CITY", "市政府", "city_duty_office"),
    ),  # children first: any order
    trunks=(Trunk("carrier", "127.0.0.5:5060", ("127.0.0.5",)),),
    lines=(
        Line("02223000001", "A", "remote", trunk="carrier", aliases=("02223000000",)),
        Line(
            "02283000000",
            "CITY",
            "ours",
            phones=(Phone("desk2", "0" * 32, ("127.0.0.0/8",)), Phone("desk1", "1" * 32)),
            ring_timeout_s=30,
            announce_recording=True,
        ),
    ),
    numbers=(OtherNumber("02283000099", "CITY", "fax"),),
    radios=(Radio("net1", "sip:net1@127.0.0.6:5070"),),
    stations=(Station("A", "net1", "和平"),),
)


async def put(store: Store, inventory: Inventory) -> int:
    async with store.begin() as uow:
        await uow.inventory.lock()
        return await uow.inventory.replace(inventory, by="clerk1", source="city.toml", sha256="0" * 64, at=AT)


async def test_empty_before_the_first_import(store: Store) -> None:
    async with store.begin() as uow:
        inventory = await uow.inventory.current()
    assert inventory == Inventory()
    assert inventory.version == 0


async def test_comes_back_whole_and_is_replaced_whole(store: Store) -> None:
    assert await put(store, CITY) == 1
    async with store.begin() as uow:
        assert await uow.inventory.current() == CITY
    assert await put(store, replace(CITY, stations=(), radios=())) == 2
    async with store.begin() as uow:
        now = await uow.inventory.current()
    assert (now.version, now.radios, now.lines) == (2, (), CITY.lines)


async def test_what_hangs_in_the_air_is_refused_and_changes_nothing(store: Store) -> None:
    await put(store, CITY)
    with pytest.raises(StoreRefusedError):
        await put(store, replace(CITY, units=(Unit("A", "甲区", "district", "NOWHERE"),)))
    async with store.begin() as uow:
        assert await uow.inventory.current() == CITY


async def test_two_imports_at_once_come_one_after_the_other(store: Store) -> None:
    versions = await asyncio.gather(*(put(store, CITY) for _ in range(4)))
    assert sorted(versions) == [1, 2, 3, 4]
