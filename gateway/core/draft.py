"""A draft of the inventory: what is stored, with the rows of a file merged in, not yet checked as a whole.

    rows of a file ──read_entry──▶ entries ──put──▶ Draft ◀── of(inventory in force)
                                                     │ rules (registry.py) find no fault
                                                     ▼
                                                  Inventory

A row given again replaces the stored one of the same key; nothing goes unless a row says `remove`. An entry with a
faulty field stays in the draft without that field, so one mistake is reported once and not again by whatever refers
to it. Every entry knows its place: a fault can say where to look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateway.core import fields
from gateway.core.columns import TABLES, Column, Table
from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Radio, Station, Trunk, Unit
from gateway.core.number import normalise

Key = str | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One thing as a file gives it. `place` reads like `city.xlsx: line!5`.

    `prefix` goes before field names (`phone.`); faults of `silent` fields are told elsewhere already; `whole_phones`
    marks a line's row that says which phones the line has.
    """

    table: str
    place: str
    values: Mapping[str, object]
    prefix: str = ""
    silent: frozenset[str] = frozenset()
    whole_phones: bool = False


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was read. `values` holds readable fields only, `bad` names the others."""

    table: str
    key: Key
    place: str
    values: Mapping[str, Any]
    bad: frozenset[str] = frozenset()
    prefix: str = ""
    stored: bool = False

    def __getitem__(self, name: str) -> Any:
        return self.values.get(name)

    def fault(self, name: str, text: str) -> str:
        """A line that says where, which field, what is wrong and what to do."""
        return f"{self.place}: {self.prefix}{name}: {text}"


@dataclass(slots=True)
class Draft:
    """Entries by table and key. `spoiled` holds keys that were given but could not be read, as they stand."""

    tables: dict[str, dict[Key, Entry]] = field(default_factory=lambda: {name: {} for name in TABLES})
    ha1: dict[str, str] = field(default_factory=dict)
    spoiled: dict[str, set[str]] = field(default_factory=lambda: {name: set() for name in TABLES})
    phoned: set[str] = field(default_factory=set)  # lines for which a phone's row stands, readable or not
    given: dict[tuple[str, Key], str] = field(default_factory=dict)  # place where this file gave it first

    def entries(self, table: str) -> Iterator[Entry]:
        """The entries of a table: stored ones first, so that a fault falls on what is new."""
        return iter(sorted(self.tables[table].values(), key=lambda entry: not entry.stored))

    def knows(self, table: str, key: str) -> bool:
        """Whether there is such a thing, or a row that was meant to be it."""
        return key in self.tables[table] or key in self.spoiled[table]

    def phones_by_line(self) -> dict[Key, list[Entry]]:
        """The phones of each line, in order, by the line's key."""
        phones: dict[Key, list[Entry]] = {}
        for phone in self.tables["phone"].values():
            if phone["line"] is not None:
                phones.setdefault(normalise(phone["line"]), []).append(phone)
        return phones


def key_of(table: Table, values: Mapping[str, Any]) -> Key | None:
    """The key of a row, or None when a part of it is not there. Numbers count in their normal form."""
    parts = [values.get(name) for name in table.key]
    if any(part is None for part in parts):
        return None
    if table.key == ("number",):
        return normalise(str(parts[0]))
    return str(parts[0]) if len(parts) == 1 else tuple(map(str, parts))


def _fields_of(table: Table, row: Row, removes: bool) -> Iterator[tuple[str, Any, str | None]]:
    """(field, value, fault) of every field given or missing; exactly one of value and fault is not None."""
    columns: dict[str, Column] = {column.key: column for column in table.columns}
    for name in row.values:
        if name not in columns:
            near = fields.nearest(str(name), columns)
            yield str(name), None, f"is unknown{near}; a {table.name} has {', '.join(columns)}"
    for name, column in columns.items():
        raw = row.values.get(name)
        if removes and name not in (*table.key, "remove"):
            continue
        if fields.blank(raw) or raw == []:
            if column.required:
                yield name, None, "is missing; fill it in"
            continue
        try:
            yield name, column.read(raw), None
        except ValueError as error:
            yield name, None, str(error)


def _says_remove(row: Row) -> bool:
    try:
        return not fields.blank(row.values.get("remove")) and fields.read_truth(row.values["remove"])
    except ValueError:
        return False


def read_entry(row: Row, faults: list[str], draft: Draft) -> Entry | None:
    """The entry of a row; None when it cannot be said which thing it is. Faults are added to `faults`."""
    table = TABLES[row.table]
    values: dict[str, Any] = {}
    bad: set[str] = set()
    for name, value, fault in _fields_of(table, row, _says_remove(row)):
        if fault is None:
            values[name] = value
            continue
        bad.add(name)
        if name not in row.silent:
            faults.append(f"{row.place}: {row.prefix}{name}: {fault}")
    if row.table == "phone" and "line" in values:
        draft.phoned.add(normalise(values["line"]))
    key = key_of(table, values)
    if key is None:
        draft.spoiled[row.table].add(str(row.values.get(table.key[0], "")).strip())
        return None
    return Entry(row.table, key, row.place, values, frozenset(bad), row.prefix)


def put(draft: Draft, entry: Entry, faults: list[str]) -> None:
    """Merges one entry: it replaces or removes what stands under its key."""
    name = TABLES[entry.table].key[-1]
    place = f"{entry.place} {entry.prefix}".rstrip(" .")
    first = draft.given.setdefault((entry.table, entry.key), place)
    if first != place:
        faults.append(entry.fault(name, f"'{entry[name]}' is given twice, first at {first}; keep one"))
        return
    standing = draft.tables[entry.table]
    if not entry["remove"]:
        faults += _taken_from_another_line(entry, standing.get(entry.key))
        standing[entry.key] = entry
    elif standing.pop(entry.key, None) is None:
        faults.append(entry.fault(name, f"'{entry[name]}' is not registered, so it cannot be removed; delete the row"))


def _taken_from_another_line(phone: Entry, stored: Entry | None) -> Iterator[str]:
    """A phone is never moved by naming it elsewhere: one slip would silence the line that it rings for."""
    if phone.table != "phone" or stored is None or phone["line"] is None:
        return
    if normalise(stored["line"]) != normalise(phone["line"]):
        text = (
            f"'{phone['user']}' is a phone of line {stored['line']} already; remove it there first, or choose another"
        )
        yield phone.fault("user", f"{text} user")


def merge(inventory: Inventory, rows: Sequence[Row], faults: list[str]) -> Draft:
    """The inventory as a draft, with the rows merged in. A removed line takes its phones along."""
    draft = draft_of(inventory)
    stored_phones = draft.phones_by_line()
    merged: list[Entry] = []
    for row in rows:
        entry = read_entry(row, faults, draft)
        if entry is None:
            continue
        merged.append(entry)
        if row.whole_phones or (entry.table == "line" and entry["remove"]):
            for phone in stored_phones.pop(entry.key, ()):
                del draft.tables["phone"][phone.key]
    for entry in merged:
        put(draft, entry, faults)
    return draft


def draft_of(inventory: Inventory) -> Draft:
    """What is registered, as entries."""
    draft = Draft()

    def add(table: str, **values: Any) -> None:
        given = {name: value for name, value in values.items() if value is not None}
        key = key_of(TABLES[table], given)
        if key is None:
            raise ValueError(f"stored {table} {values} has no key")
        shown = " ".join(str(given[name]) for name in TABLES[table].key)
        draft.tables[table][key] = Entry(table, key, f"stored {table} {shown}", given, stored=True)

    for unit in inventory.units:
        add("unit", code=unit.code, name=unit.name, kind=unit.kind, parent=unit.parent)
    for trunk in inventory.trunks:
        add("trunk", name=trunk.name, host=trunk.host, match=trunk.match)
    for line in inventory.lines:
        add(
            "line",
            number=line.number,
            unit=line.unit,
            owner=line.owner,
            trunk=line.trunk,
            aliases=line.aliases,
            ring_timeout_s=line.ring_timeout_s,
            announce_recording=line.announce_recording,
        )
        for phone in line.phones:
            add("phone", line=line.number, user=phone.user, net=phone.net)
            draft.ha1[phone.user] = phone.ha1
    for other in inventory.numbers:
        add("number", number=other.number, unit=other.unit, purpose=other.purpose)
    for radio in inventory.radios:
        add("radio", name=radio.name, uri=radio.uri)
    for station in inventory.stations:
        add("station", unit=station.unit, radio=station.radio, call_sign=station.call_sign)
    return draft


def _phone(entry: Entry, stored_ha1: Mapping[str, str], realm: str) -> Phone:
    user, secret = entry["user"], entry["secret"]
    if secret is None:
        return Phone(user, stored_ha1[user], entry["net"] or ())
    digest = hashlib.md5(f"{user}:{realm}:{secret}".encode(), usedforsecurity=False).hexdigest()  # RFC 7616's A1
    return Phone(user, digest, entry["net"] or ())


def inventory_of(draft: Draft, realm: str) -> Inventory:
    """The inventory of a draft without faults."""
    tables = {name: list(entries.values()) for name, entries in draft.tables.items()}
    phones = draft.phones_by_line()
    return Inventory(
        units=tuple(Unit(e["code"], e["name"], e["kind"], e["parent"]) for e in tables["unit"]),
        trunks=tuple(Trunk(e["name"], e["host"], e["match"]) for e in tables["trunk"]),
        lines=tuple(
            Line(
                number=e["number"],
                unit=e["unit"],
                owner=e["owner"],
                phones=tuple(_phone(phone, draft.ha1, realm) for phone in phones.get(e.key, ())),
                trunk=e["trunk"],
                aliases=e["aliases"] or (),
                ring_timeout_s=e["ring_timeout_s"],
                announce_recording=e["announce_recording"],
            )
            for e in tables["line"]
        ),
        numbers=tuple(OtherNumber(e["number"], e["unit"], e["purpose"]) for e in tables["number"]),
        radios=tuple(Radio(e["name"], e["uri"]) for e in tables["radio"]),
        stations=tuple(Station(e["unit"], e["radio"], e["call_sign"]) for e in tables["station"]),
    )
