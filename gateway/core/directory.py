"""Who is behind a number: look-ups in a frozen snapshot of the inventory, while a call is waiting.

Numbers are compared in their normal form; local numbers are taken for numbers of our own city. What is not in the
inventory, or is no number at all, is None: the caller of a look-up decides what a stranger gets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core import number as numbers
from gateway.core.inventory import Inventory, Line, Trunk, Unit, home_area_code


@dataclass(frozen=True, slots=True)
class Directory:
    """The index of one inventory; make it with `Directory.of`."""

    inventory: Inventory
    area_code: str | None
    _lines: Mapping[str, Line] = field(repr=False)
    _phones: Mapping[str, Line] = field(repr=False)
    _units: Mapping[str, Unit] = field(repr=False)
    _unit_codes: Mapping[str, str] = field(repr=False)
    _trunks: Mapping[str, Trunk] = field(repr=False)

    @classmethod
    def of(cls, inventory: Inventory) -> Directory:
        """Indexes `inventory` once; every look-up after that is one step."""
        area_code = home_area_code(line.number for line in inventory.own_lines)
        lines = {
            numbers.normalise(number, area_code): line
            for line in inventory.lines
            for number in (*line.aliases, line.number)
        }
        unit_codes = {numbers.normalise(other.number, area_code): other.unit for other in inventory.numbers}
        return cls(
            inventory=inventory,
            area_code=area_code,
            _lines=lines,
            _phones={phone.user: line for line in inventory.lines for phone in line.phones},
            _units={unit.code: unit for unit in inventory.units},
            _unit_codes=unit_codes | {normal: line.unit for normal, line in lines.items()},
            _trunks={trunk.name: trunk for trunk in inventory.trunks},
        )

    def _normal(self, text: str) -> str:
        try:
            return numbers.normalise(text, self.area_code)
        except ValueError:
            return ""  # anonymous, sip:name and the like: no number, so in no index

    def line_of(self, dialled: str) -> Line | None:
        """The duty line that has this number or alias, in any form a carrier may present."""
        return self._lines.get(self._normal(dialled))

    def line_of_phone(self, user: str) -> Line | None:
        """The duty line that ends on this phone."""
        return self._phones.get(user)

    def unit(self, code: str) -> Unit | None:
        """The unit of that code."""
        return self._units.get(code)

    def unit_of_number(self, number: str) -> Unit | None:
        """The unit that has this number as a duty line, an alias, or for another purpose."""
        return self._units.get(self._unit_codes.get(self._normal(number), ""))

    def trunk_for(self, number: str) -> Trunk | None:
        """The trunk of the line with this number, else the first trunk; None when there is no trunk."""
        line = self.line_of(number)
        named = self._trunks.get(line.trunk) if line is not None and line.trunk else None
        return named or next(iter(self.inventory.trunks), None)

    def dial_forms(self, line: Line) -> tuple[str, ...]:
        """Every dial string under which a carrier may deliver a call to `line`: its number and its aliases."""
        forms = [form for number in (line.number, *line.aliases) for form in self._forms(number)]
        return tuple(dict.fromkeys(forms))

    def forms_of_unit(self, code: str) -> tuple[str, ...]:
        """Every dial string that reaches a number of this unit."""
        lines = (form for line in self.inventory.lines if line.unit == code for form in self.dial_forms(line))
        others = (form for other in self.inventory.numbers if other.unit == code for form in self._forms(other.number))
        return tuple(dict.fromkeys((*lines, *others)))

    def _forms(self, number: str) -> tuple[str, ...]:
        return numbers.presented_forms(number, self.area_code)
