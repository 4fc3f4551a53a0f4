"""Imports against the real store on SQLite: what is told, what is stored, and that nothing is lost."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import spreadsheet
from gateway.core.inventory import Inventory
from gateway.errors import InventoryError
from gateway.ports import Store
from gateway.services.inventory import Imported, import_inventory
from gateway.store.engine import open_store
from gateway.store.migrate import migrate

DATA = Path(__file__).parent.parent / "data" / "inventory"
NOW = datetime(2026, 11, 23, 13, 5, 1, 123456, UTC)


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    url = f"sqlite:///{tmp_path}/dutyline.db"
    await migrate(url)
    opened = await open_store(url)
    yield opened
    await opened.close()


async def imported(store: Store, path: Path, by: str = "admin") -> Imported:
    return await import_inventory(store, path, by, NOW, "dutyline", spreadsheet)


async def current(store: Store) -> Inventory:
    async with store.begin() as uow:
        return await uow.inventory.current()


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


async def test_the_design_example_is_imported(store: Store) -> None:
    result = await imported(store, DATA / "design.toml")
    stored = await current(store)
    assert (result.version, stored.version) == (1, 1)
    assert set(result.inventory.lines) == set(stored.lines)
    assert str(result) == (
        "version 1: unit 2 added; trunk 1 added; line 2 added; phone 1 added; number 1 added; radio 1 added; "
        "station 1 added"
    )
    (ours,) = stored.own_lines
    assert ours.phones[0].ha1 == hashlib.md5(b"desk1:dutyline:made-up-secret").hexdigest()  # noqa: S324
    assert "made-up-secret" not in repr(stored)


async def test_an_import_is_audited_without_secrets(store: Store) -> None:
    await imported(store, DATA / "design.toml", by="li")
    async with store.begin() as uow:
        (row,) = await uow.audits.search(None, 10)
    assert (row["actor"], row["action"], row["object_type"], row["object_id"]) == ("li", "import", "inventory", "1")
    assert row["at"] == NOW
    assert row["detail"]["source"] == "design.toml"
    assert row["detail"]["sha256"] == hashlib.sha256((DATA / "design.toml").read_bytes()).hexdigest()
    assert row["detail"]["summary"]["line"] == {"added": 2, "changed": 0, "removed": 0}
    assert "made-up-secret" not in repr(row)


async def test_the_same_file_again_makes_no_version(store: Store) -> None:
    await imported(store, DATA / "design.toml")
    again = await imported(store, DATA / "design.toml")
    assert (again.version, again.summary) == (1, {})
    assert str(again) == "version 1: nothing new"
    async with store.begin() as uow:
        assert len(await uow.audits.search(None, 10)) == 2


async def test_every_fault_is_told_and_nothing_is_imported(store: Store) -> None:
    await imported(store, DATA / "design.toml")
    before = await current(store)
    with pytest.raises(InventoryError) as caught:
        await imported(store, DATA / "faulty.toml")
    assert list(caught.value.faults) == (DATA / "faulty.txt").read_text(encoding="utf-8").splitlines()
    after = await current(store)
    assert (after, after.version) == (before, 1)


async def test_one_fault_among_good_rows_stops_them_all(store: Store, tmp_path: Path) -> None:
    good = (DATA / "design.toml").read_text(encoding="utf-8")
    path = written(tmp_path, "city.toml", good + '[[number]]\nnumber = "83000000"\nunit = "CITY"\npurpose = "gate"\n')
    with pytest.raises(InventoryError) as caught:
        await imported(store, path)
    (fault,) = caught.value.faults
    assert fault.startswith(
        "city.toml:37: [[number]] 2 (83000000): number: 83000000 is already a duty line of unit CITY"
    )
    assert (await current(store)).version == 0


async def test_csv_goes_into_what_is_there(store: Store, tmp_path: Path) -> None:
    await imported(store, DATA / "design.toml")
    await imported(store, written(tmp_path, "unit.csv", "code,name,kind,parent\nHX,河西区人民政府,district,CITY\n"))
    lines = "number,unit,owner,trunk\n022-23000011,HX,remote,carrier\n"
    result = await imported(store, written(tmp_path, "line.csv", lines))
    assert (result.version, result.summary) == (3, {"line": {"added": 1, "changed": 0, "removed": 0}})
    stored = await current(store)
    assert [unit.code for unit in stored.units] == ["CITY", "HP", "HX"]
    assert {line.number for line in stored.lines} == {"02283000000", "02223000001", "02223000011"}
    assert stored.own_lines[0].phones[0].user == "desk1"


async def test_an_export_can_be_changed_and_imported_again(store: Store, tmp_path: Path) -> None:
    await imported(store, DATA / "design.toml")
    path = tmp_path / "export.xlsx"
    spreadsheet.export_inventory(await current(store), path)
    assert (await imported(store, path)).summary == {}


async def test_two_imports_at_once_lose_nothing(store: Store, tmp_path: Path) -> None:
    await imported(store, DATA / "design.toml")
    paths = [
        written(tmp_path, f"number-{index}.csv", f"number,unit,purpose\n0222300010{index},HP,gate\n")
        for index in range(8)
    ]
    results = await asyncio.gather(*(imported(store, path) for path in paths))
    assert sorted(result.version for result in results) == list(range(2, 10))
    assert len((await current(store)).numbers) == 9


async def test_imports_through_two_connections_lose_nothing(store: Store, tmp_path: Path) -> None:
    await imported(store, DATA / "design.toml")
    other = await open_store(f"sqlite:///{tmp_path}/dutyline.db")
    try:
        paths = [
            written(tmp_path, f"number-{index}.csv", f"number,unit,purpose\n0222300020{index},HP,fax\n")
            for index in (1, 2)
        ]
        await asyncio.gather(imported(store, paths[0]), imported(other, paths[1]))
    finally:
        await other.close()
    assert len((await current(store)).numbers) == 3
