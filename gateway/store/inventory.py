"""The registered inventory: read and replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Table, delete, func, select, text

from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Radio, Station, Trunk, Unit
from gateway.store import tables
from gateway.store.statements import Transaction, insert

# In the order in which rows can be inserted; reversed, in which they can go.
_TABLES: tuple[Table, ...] = (
    tables.units,
    tables.trunks,
    tables.lines,
    tables.phones,
    tables.numbers,
    tables.radios,
    tables.stations,
)
_LOCK = text("LOCK TABLE inventory_versions IN EXCLUSIVE MODE")  # PostgreSQL; readers go on reading


class SqlInventoryRows:
    """`ports.InventoryRows`."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def lock(self) -> None:
        """Makes every other transaction that calls this wait until this one ends: two imports never interleave."""
        await self._transaction.begin_writing()
        if self._transaction.dialect == "postgresql":
            await self._transaction.write(_LOCK)

    async def current(self) -> Inventory:
        """The inventory at its newest version (empty, version 0, before the first import)."""
        version = await self._transaction.first(select(func.max(tables.inventory_versions.c.version).label("version")))
        if version is None or version["version"] is None:
            return Inventory()
        units, trunks, lines, phones, numbers, radios, stations = [
            await self._transaction.read(select(table).order_by(*table.primary_key)) for table in _TABLES
        ]
        phones.sort(key=lambda phone: phone["position"])
        return Inventory(
            units=tuple(Unit(**row) for row in units),
            trunks=tuple(Trunk(row["name"], row["host"], tuple(row["match"])) for row in trunks),
            lines=tuple(_line(row, phones) for row in lines),
            numbers=tuple(OtherNumber(**row) for row in numbers),
            radios=tuple(Radio(**row) for row in radios),
            stations=tuple(Station(**row) for row in stations),
            version=version["version"],
        )

    async def replace(self, inventory: Inventory, *, by: str, source: str, sha256: str, at: datetime) -> int:
        """Stores `inventory` as a whole in place of the former one; gives its version."""
        for table in reversed(_TABLES):
            await self._transaction.write(delete(table))
        rows = _rows(inventory)
        for table in _TABLES:
            if rows[table.name]:
                await self._transaction.write(insert(table, self._transaction.dialect), rows[table.name])
        summary = {name: len(found) for name, found in rows.items()}
        values = {"at": at, "imported_by": by, "source": source[:255], "sha256": sha256, "summary": summary}
        await self._transaction.write(insert(tables.inventory_versions, self._transaction.dialect), values)
        newest = await self._transaction.first(select(func.max(tables.inventory_versions.c.version).label("version")))
        return int(newest["version"]) if newest else 0


def _line(row: dict[str, Any], phones: Sequence[dict[str, Any]]) -> Line:
    return Line(
        number=row["number"],
        unit=row["unit"],
        owner=row["owner"],
        phones=tuple(
            Phone(phone["user"], phone["ha1"], tuple(phone["net"]))
            for phone in phones
            if phone["line_number"] == row["number"]
        ),
        trunk=row["trunk"],
        aliases=tuple(row["aliases"]),
        ring_timeout_s=row["ring_timeout_s"],
        announce_recording=row["announce_recording"],
    )


def _parents_first(units: Sequence[Unit]) -> Iterator[Unit]:
    known = {unit.code for unit in units}
    placed: set[str] = set()
    waiting = list(units)
    while waiting:
        ready = [unit for unit in waiting if unit.parent is None or unit.parent in placed or unit.parent not in known]
        if not ready:
            ready = waiting  # a cycle: the foreign key will refuse it and name it
        yield from ready
        placed.update(unit.code for unit in ready)
        waiting = [unit for unit in waiting if unit.code not in placed]


def _rows(inventory: Inventory) -> dict[str, list[dict[str, Any]]]:
    return {
        "units": [
            {"code": unit.code, "name": unit.name, "kind": unit.kind, "parent": unit.parent}
            for unit in _parents_first(inventory.units)
        ],
        "trunks": [{"name": t.name, "host": t.host, "match": list(t.match)} for t in inventory.trunks],
        "lines": [
            {
                "number": line.number,
                "unit": line.unit,
                "owner": line.owner,
                "trunk": line.trunk,
                "aliases": list(line.aliases),
                "ring_timeout_s": line.ring_timeout_s,
                "announce_recording": line.announce_recording,
            }
            for line in inventory.lines
        ],
        "phones": [
            {"user": p.user, "line_number": line.number, "position": position, "ha1": p.ha1, "net": list(p.net)}
            for line in inventory.lines
            for position, p in enumerate(line.phones)
        ],
        "numbers": [{"number": n.number, "unit": n.unit, "purpose": n.purpose} for n in inventory.numbers],
        "radios": [{"name": radio.name, "uri": radio.uri} for radio in inventory.radios],
        "stations": [{"unit": s.unit, "radio": s.radio, "call_sign": s.call_sign} for s in inventory.stations],
    }
