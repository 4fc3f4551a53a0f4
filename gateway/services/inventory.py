"""The story of an import: a file is read, merged into what is registered, judged as a whole, stored or refused.

    read_rows ─▶ lock ─▶ current ─▶ register ─▶ replace ─▶ audit        all or nothing, in one transaction
                                       └─ InventoryError with every fault: nothing is stored

The lock makes imports wait for each other, so that two at once cannot lose each other's rows. A file that changes
nothing makes no new version: whoever watches the version does nothing then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import structlog

from gateway.core.inventory import Inventory
from gateway.core.registry import difference, register
from gateway.ports import Spreadsheets, Store
from gateway.services.inventory_files import read_rows

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: `summary` is table → {added, changed, removed}, tables without a difference left out."""

    version: int
    summary: Mapping[str, Mapping[str, int]]
    inventory: Inventory

    def __str__(self) -> str:
        """`version 3: line 2 added, 1 changed; trunk 1 added`."""
        tables = [
            f"{table} " + ", ".join(f"{count} {verb}" for verb, count in counts.items() if count)
            for table, counts in self.summary.items()
        ]
        return f"version {self.version}: {'; '.join(tables) or 'nothing new'}"


async def import_inventory(
    store: Store, path: Path, by: str, now: datetime, realm: str, sheets: Spreadsheets
) -> Imported:
    """Imports a TOML, XLSX or CSV file; `by` is who did it, `realm` that of the phones' passwords.

    Raises InventoryError with every fault; nothing is stored then.
    """
    file = await asyncio.to_thread(read_rows, path, sheets)
    async with store.begin() as uow:
        await uow.inventory.lock()
        before = await uow.inventory.current()
        after = register(before, file.rows, realm, file.faults)
        summary = difference(before, after)
        version = before.version
        if summary:
            version = await uow.inventory.replace(after, by=by, source=path.name, sha256=file.sha256, at=now)
        await uow.audits.add(
            at=now,
            actor=by,
            action="import",
            object_type="inventory",
            object_id=str(version),
            address="",
            detail={"source": path.name, "sha256": file.sha256, "summary": summary},
        )
    _log.info("inventory_imported", version=version, source=path.name, by=by, summary=summary)
    return Imported(version, summary, replace(after, version=version))
