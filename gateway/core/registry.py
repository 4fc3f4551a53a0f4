"""What must hold of the inventory as a whole, and the one way in: `register`.

- The units are one tree (art. 7): one root, parents that exist, no cycles.
- A number has one purpose over lines, aliases and other numbers (art. 9(1)); numbers compare in their normal form.
- A duty line is wired: a mainland mobile is refused, as an alias too.
- A line of ours ends on phones, another unit's is reached through a trunk.
- Phones and trunks become endpoints of one Asterisk: their names differ from each other and from the dialplan's own,
  and no address is accepted by two trunks.

Each rule is a function that yields faults; all run, so all faults are told at once.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from gateway.core import number as numbers
from gateway.core.columns import TABLES
from gateway.core.draft import Draft, Entry, Key, Row, draft_of, inventory_of, merge
from gateway.core.fields import nearest, one_line
from gateway.core.inventory import Inventory, home_area_code
from gateway.errors import InventoryError

RESERVED_PREFIXES = ("duty-", "anonymous")  # Asterisk lets every stranger in as an endpoint named anonymous
RESERVED_NAMES = ("forward-denied", "dutyline", "general", "global", "system", "default")

Rule = Callable[[Draft], Iterator[str]]


def register(inventory: Inventory, rows: Sequence[Row], realm: str, faults: Sequence[str] = ()) -> Inventory:
    """The inventory with the rows merged in, valid as a whole.

    `faults` are those of reading the file: they are told together with the others. Raises InventoryError.
    """
    found = list(faults)
    draft = merge(inventory, rows, found)
    for rule in RULES:
        found += rule(draft)
    if found:
        raise InventoryError(tuple(dict.fromkeys(map(one_line, found))))
    return inventory_of(draft, realm)


# --- the tree of units -------------------------------------------------------------------------------------------


def one_root(draft: Draft) -> Iterator[str]:
    """Art. 7: one unit is over all others, and only it may be the city duty office."""
    roots = [unit for unit in draft.entries("unit") if unit["parent"] is None and "parent" not in unit.bad]
    for unit in roots[1:]:
        first = f"{roots[0]['code']} at {roots[0].place}"
        yield unit.fault("parent", f"'{unit['code']}' has none, but there is a root already ({first}); give its parent")
    for unit in draft.entries("unit"):
        if unit["parent"] is not None and unit["kind"] == "city_duty_office":
            yield unit.fault("kind", "city_duty_office is the root's kind, and this unit has a parent; correct either")


def no_cycles(draft: Draft) -> Iterator[str]:
    """Every unit's parents lead to the root."""
    parents = {str(unit["code"]): unit["parent"] for unit in draft.entries("unit")}
    settled: set[str] = set()
    for unit in draft.entries("unit"):
        path: list[str] = []
        code = str(unit["code"])
        while code in parents and code not in settled and code not in path:
            path.append(code)
            code = str(parents[code]) if parents[code] is not None else ""
        if code in path:
            first = next(other for other in draft.entries("unit") if other["code"] == code)
            cycle = " → ".join([*path[path.index(code) :], code])
            yield first.fault("parent", f"the units go round in a circle: {cycle}; give one of them another parent")
        settled.update(path)


# --- references --------------------------------------------------------------------------------------------------

_REFERENCES = (
    ("unit", "parent", "unit"),
    ("line", "unit", "unit"),
    ("line", "trunk", "trunk"),
    ("number", "unit", "unit"),
    ("station", "unit", "unit"),
    ("station", "radio", "radio"),
)


def known_references(draft: Draft) -> Iterator[str]:
    """Whatever is referred to is registered."""
    for table, name, target in _REFERENCES:
        known = [str(key) for key in draft.tables[target]]
        for entry in draft.entries(table):
            wanted = entry[name]
            if wanted is not None and not draft.knows(target, wanted):
                advice = f"add the {target}, or correct it{nearest(wanted, known)}"
                yield entry.fault(name, f"{target} '{wanted}' is not registered; {advice}")
    for phone in draft.entries("phone"):
        number = phone["line"]
        if number is not None and not draft.knows("line", numbers.normalise(number)):
            yield phone.fault("line", f"line '{number}' is not registered; add the line, or correct the number")


# --- numbers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Use:
    entry: Entry
    field: str
    number: str
    meaning: str


def _uses(draft: Draft) -> list[_Use]:
    uses: list[_Use] = []
    for line in draft.entries("line"):
        uses.append(_Use(line, "number", line["number"], f"a duty line of unit {line['unit']}"))
        meaning = f"an alias of duty line {line['number']} of unit {line['unit']}"
        own = numbers.normalise(line["number"])
        uses += [
            _Use(line, "aliases", alias, meaning) for alias in line["aliases"] or () if numbers.normalise(alias) != own
        ]
    uses += [
        _Use(other, "number", other["number"], f"{other['purpose']} of unit {other['unit']}")
        for other in draft.entries("number")
    ]
    return sorted(uses, key=lambda use: not use.entry.stored)


def _area_code(draft: Draft) -> str | None:
    lines = draft.tables["line"].values()
    return home_area_code(str(line["number"]) for line in lines if line["owner"] == "ours")


def one_purpose(draft: Draft) -> Iterator[str]:
    """Art. 9(1): a number has one purpose, and one owner."""
    area_code = _area_code(draft)
    seen: dict[str, _Use] = {}
    for use in _uses(draft):
        first = seen.setdefault(numbers.normalise(use.number, area_code), use)
        if first is not use:
            text = (
                f"{use.number} is already {first.meaning} ({first.entry.place}); a number has one purpose (art. 9(1))"
            )
            yield use.entry.fault(use.field, f"{text}: take it out here or there")


def wired(draft: Draft) -> Iterator[str]:
    """Art. 9(1): a duty line is a wired desk phone."""
    for line in draft.entries("line"):
        for name, number in [("number", line["number"]), *(("aliases", alias) for alias in line["aliases"] or ())]:
            if numbers.is_mobile(number):
                text = f"{number} is a mobile number; a duty line is wired (art. 9(1)): give the fixed line's number"
                yield line.fault(name, text)


# --- lines and phones --------------------------------------------------------------------------------------------


def ends_somewhere(draft: Draft) -> Iterator[str]:
    """A line of ours ends on phones; another unit's is reached through a trunk and has no phone of ours."""
    phones = draft.phones_by_line()
    for line in draft.entries("line"):
        if line["owner"] == "ours" and line.key not in phones and line.key not in draft.phoned:
            yield line.fault("phone", "a line of ours needs a phone; add one with user, secret and net")
        if line["owner"] == "remote":
            if line["trunk"] is None and "trunk" not in line.bad:
                yield line.fault("trunk", "is missing; name the trunk through which this remote line is reached")
            if line.key in phones:
                users = ", ".join(str(phone["user"]) for phone in phones[line.key])
                yield line.fault("phone", f"a remote line has no phone of ours ({users}); take it out, or write ours")


def phone_secrets(draft: Draft) -> Iterator[str]:
    """A new phone needs a secret of its own."""
    for phone in draft.entries("phone"):
        secret = phone["secret"]
        if secret is None and "secret" not in phone.bad and phone["user"] not in draft.ha1:
            yield phone.fault("secret", f"is missing, and phone '{phone['user']}' is new; give at least 8 characters")
        if secret is not None and secret.lower() == str(phone["user"]).lower():
            yield phone.fault("secret", "is the same as the user; choose another one")


# --- endpoints ---------------------------------------------------------------------------------------------------


def endpoint_names(draft: Draft) -> Iterator[str]:
    """Phones and trunks share one space of names with the dialplan; Asterisk's files know no upper and lower case."""
    endpoints = [(phone, "user") for phone in draft.entries("phone")]
    endpoints += [(trunk, "name") for trunk in draft.entries("trunk")]
    seen: dict[str, tuple[Entry, str]] = {}
    for entry, name in sorted(endpoints, key=lambda endpoint: not endpoint[0].stored):
        text = str(entry[name])
        first, first_name = seen.setdefault(text.lower(), (entry, name))
        if text.lower().startswith(RESERVED_PREFIXES) or text.lower() in RESERVED_NAMES:
            yield entry.fault(name, f"'{text}' is reserved for the system; choose another name")
        if first is not entry:
            other = f"{first.table} '{first[first_name]}' ({first.place})"
            yield entry.fault(name, f"'{text}' is also the name of {other}; choose another name")


def separate_trunks(draft: Draft) -> Iterator[str]:
    """What is accepted says which trunk it came from: no address matches two, and none matches everything."""
    accepted = [
        (trunk, ipaddress.ip_network(text)) for trunk in draft.entries("trunk") for text in trunk["match"] or ()
    ]
    for index, (trunk, network) in enumerate(accepted):
        if network.prefixlen == 0:
            yield trunk.fault("match", f"{network} accepts everybody; name the carrier's addresses")
        for other, other_network in accepted[:index]:
            if other.key == trunk.key or other_network.version != network.version:
                continue
            if network.subnet_of(other_network) or network.supernet_of(other_network):  # type: ignore[arg-type]
                text = f"{_shown(network)} overlaps {_shown(other_network)} of trunk '{other['name']}' ({other.place})"
                yield trunk.fault("match", f"{text}; an address belongs to one trunk")


def _shown(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    return str(network).removesuffix(f"/{network.max_prefixlen}")


RULES: tuple[Rule, ...] = (
    one_root,
    no_cycles,
    known_references,
    wired,
    one_purpose,
    ends_somewhere,
    phone_secrets,
    endpoint_names,
    separate_trunks,
)


def difference(old: Inventory, new: Inventory) -> dict[str, dict[str, int]]:
    """How many things of each table were added, changed and removed; tables without a difference are left out."""
    before, after = _content(old), _content(new)
    counts: dict[str, dict[str, int]] = {}
    for table in TABLES:
        common = before[table].keys() & after[table].keys()
        count = {
            "added": len(after[table].keys() - common),
            "changed": sum(before[table][key] != after[table][key] for key in common),
            "removed": len(before[table].keys() - common),
        }
        if any(count.values()):
            counts[table] = count
    return counts


def _content(inventory: Inventory) -> dict[str, dict[Key, object]]:
    draft = draft_of(inventory)
    return {
        table: {
            key: (entry.values, draft.ha1.get(str(key)) if table == "phone" else None) for key, entry in found.items()
        }
        for table, found in draft.tables.items()
    }
