"""Who is behind a number, for the pages and searches of people: the directory of the inventory in force.

Indexing an inventory takes a while and a list is asked for often, so the index of the newest version is kept.
"""

from __future__ import annotations

from typing import Final

from aiohttp import web

from gateway.core.directory import Directory
from gateway.ports import UnitOfWork


class Directories:
    """The directory of the newest inventory that was asked for."""

    def __init__(self) -> None:
        self._kept: Directory | None = None

    async def current(self, uow: UnitOfWork) -> Directory:
        """The directory of the inventory in force."""
        inventory = await uow.inventory.current()
        if self._kept is None or self._kept.inventory.version != inventory.version:
            self._kept = Directory.of(inventory)
        return self._kept


DIRECTORIES: Final = web.AppKey("directories", Directories)


async def directory_of(request: web.Request, uow: UnitOfWork) -> Directory:
    """The directory of the application that answers `request`."""
    return await request.app[DIRECTORIES].current(uow)


class UnitNames:
    """Names of units as pages show them."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def all(self) -> dict[str, str]:
        """Code → name of every unit, in order of code."""
        return {unit.code: unit.name for unit in self._directory.inventory.units}

    def of_code(self, code: str | None) -> str:
        """The name; a code that is registered no more stays a code."""
        unit = self._directory.unit(code) if code else None
        return unit.name if unit else code or ""

    def of_number(self, number: str) -> str:
        """The name of the unit that has this number, or nothing."""
        unit = self._directory.unit_of_number(number)
        return unit.name if unit else ""


async def unit_names(request: web.Request, uow: UnitOfWork) -> UnitNames:
    """The names in force."""
    return UnitNames(await directory_of(request, uow))
