"""The inventory: units, trunks, lines, phones, radios, as one frozen value.

A line is a *duty line* when its purpose is `duty`. Art. 9(1): a duty line is wired, serves no second purpose and is
never forwarded. `ours` ends on a phone of our own duty room; `remote` is another unit's, reached through a trunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from gateway.core import number as numbers

Owner = Literal["ours", "remote"]
UNIT_KINDS = (
    "city_duty_office",
    "district",
    "department",
    "mass_org",
    "municipal_enterprise",
    "municipal_institution",
    "university",
    "central_in_city",
)
OTHER_PURPOSES = ("fax", "hotline", "gate", "guard", "property")


@dataclass(frozen=True, slots=True)
class Unit:
    """A body of the city's government: the tree has one root."""

    code: str
    name: str
    kind: str
    parent: str | None = None


@dataclass(frozen=True, slots=True)
class Trunk:
    """A carrier or exchange: `host` is where we send (host:port), `match` what we accept (addresses or networks)."""

    name: str
    host: str
    match: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Phone:
    """A wired SIP phone of a duty room. `ha1` is MD5(user:realm:secret): the secret itself is never kept."""

    user: str
    ha1: str
    net: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A duty line. `number` as its owner writes it; `aliases` are numbers the carrier may present for it."""

    number: str
    unit: str
    owner: Owner
    phones: tuple[Phone, ...] = ()
    trunk: str | None = None
    aliases: tuple[str, ...] = ()
    ring_timeout_s: int | None = None
    announce_recording: bool | None = None


@dataclass(frozen=True, slots=True)
class OtherNumber:
    """A number with another purpose (fax, hotline, gate, guard, property); may never be a duty line."""

    number: str
    unit: str
    purpose: str


@dataclass(frozen=True, slots=True)
class Radio:
    """A radio channel behind a SIP radio gateway."""

    name: str
    uri: str


@dataclass(frozen=True, slots=True)
class Station:
    """A unit's station on a radio channel."""

    unit: str
    radio: str
    call_sign: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything that is registered, at one version."""

    units: tuple[Unit, ...] = ()
    trunks: tuple[Trunk, ...] = ()
    lines: tuple[Line, ...] = ()
    numbers: tuple[OtherNumber, ...] = ()
    radios: tuple[Radio, ...] = ()
    stations: tuple[Station, ...] = ()
    version: int = field(default=0, compare=False)

    @property
    def own_lines(self) -> tuple[Line, ...]:
        """The duty lines that end in our own duty rooms."""
        return tuple(line for line in self.lines if line.owner == "ours")


def home_area_code(own_numbers: Iterable[str]) -> str | None:
    """The area code of the city, as the first of our own lines that has one says it; completes local numbers."""
    return next((code for code in map(numbers.area_code_of, own_numbers) if code), None)
