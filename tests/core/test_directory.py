from __future__ import annotations

import pytest

from gateway.core.directory import Directory
from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Trunk, Unit

CITY = Unit("CITY", "市政府总值班室", "city_duty_office")
HP = Unit("HP", "和平区人民政府", "district", "CITY")
OURS = Line(
    "02283000000", "CITY", "ours", (Phone("desk1", "0" * 32), Phone("desk2", "1" * 32)), aliases=("02283000100",)
)
REMOTE = Line("02223000001", "HP", "remote", trunk="second", aliases=("02223000000",))
EXTENSION = Line("8001", "CITY", "ours", (Phone("desk3", "2" * 32),))
FIRST = Trunk("first", "127.0.0.5:5060", ("127.0.0.5",))
SECOND = Trunk("second", "127.0.0.6:5060", ("127.0.0.6",))
FAX = OtherNumber("02223000009", "HP", "fax")
CITY_DIRECTORY = Directory.of(
    Inventory((CITY, HP), (FIRST, SECOND), (OURS, REMOTE, EXTENSION), numbers=(FAX,), version=3)
)


@pytest.mark.parametrize("dialled", ["02283000000", "+862283000000", "862283000000", "83000000", "83000100"])
def test_a_line_is_found_in_every_form(dialled: str) -> None:
    assert CITY_DIRECTORY.line_of(dialled) is OURS


@pytest.mark.parametrize("dialled", ["02283000001", "01083000000", "", "anonymous", "02283000000;x", "02223000009"])
def test_strangers_have_no_line(dialled: str) -> None:
    assert CITY_DIRECTORY.line_of(dialled) is None


def test_units_are_found_by_line_alias_and_other_number() -> None:
    assert CITY_DIRECTORY.unit_of_number("23000001") is HP
    assert CITY_DIRECTORY.unit_of_number("02223000000") is HP
    assert CITY_DIRECTORY.unit_of_number("02223000009") is HP
    assert CITY_DIRECTORY.unit_of_number("8001") is CITY
    assert CITY_DIRECTORY.unit_of_number("anonymous") is None
    assert CITY_DIRECTORY.unit("HP") is HP
    assert CITY_DIRECTORY.unit("XX") is None


def test_phones_lead_to_their_line() -> None:
    assert CITY_DIRECTORY.line_of_phone("desk2") is OURS
    assert CITY_DIRECTORY.line_of_phone("desk9") is None


def test_a_remote_line_is_reached_through_its_trunk_and_others_through_the_first() -> None:
    assert CITY_DIRECTORY.trunk_for("+862223000001") is SECOND
    assert CITY_DIRECTORY.trunk_for("02283000000") is FIRST
    assert CITY_DIRECTORY.trunk_for("01083000000") is FIRST
    assert Directory.of(Inventory()).trunk_for("110") is None


def test_dial_forms_of_a_line_cover_its_aliases_and_lead_back() -> None:
    forms = CITY_DIRECTORY.dial_forms(OURS)
    assert forms[0] == "02283000000"
    assert {"+862283000000", "83000000", "02283000100", "83000100"} <= set(forms)
    assert len(set(forms)) == len(forms)
    assert {CITY_DIRECTORY.line_of(form) for form in forms} == {OURS}
    assert CITY_DIRECTORY.dial_forms(EXTENSION) == ("8001",)


def test_forms_of_a_unit_are_those_of_all_its_numbers() -> None:
    inventory = Inventory((CITY, HP), (FIRST,), (OURS,), (OtherNumber("02283000009", OURS.unit, "fax"),))
    forms = Directory.of(inventory).forms_of_unit(OURS.unit)
    assert {OURS.number, "83000000", "02283000009", "+862283000009"} <= set(forms)
    assert Directory.of(inventory).forms_of_unit("HP") == ()


def test_a_line_of_another_city_has_no_local_form() -> None:
    elsewhere = Line("01083000000", "HP", "remote", trunk="first")
    directory = Directory.of(Inventory((CITY, HP), (FIRST,), (OURS, elsewhere)))
    assert "83000000" not in directory.dial_forms(elsewhere)
    assert directory.line_of("83000000") is OURS
    assert directory.line_of("01083000000") is elsewhere
