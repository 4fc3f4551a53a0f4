from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.draft import Row
from gateway.core.inventory import Inventory
from gateway.core.registry import difference, register
from gateway.errors import InventoryError

SECRET = "12345678"
Rows = list[tuple[str, dict[str, Any]]]
CITY: Rows = [
    ("unit", {"code": "CITY", "name": "市政府总值班室", "kind": "city"}),
    ("unit", {"code": "HP", "name": "和平区人民政府", "kind": "district", "parent": "CITY"}),
    ("trunk", {"name": "carrier", "host": "127.0.0.5", "match": "127.0.0.5"}),
    ("line", {"number": "02283000000", "unit": "CITY", "owner": "ours"}),
    ("phone", {"line": "02283000000", "user": "desk1", "secret": "12345678"}),
    ("line", {"number": "02223000001", "unit": "HP", "owner": "remote", "trunk": "carrier", "aliases": "02223000000"}),
    ("number", {"number": "02283000009", "unit": "CITY", "purpose": "fax"}),
    ("radio", {"name": "net1", "uri": "sip:net1@127.0.0.6:5070"}),
    ("station", {"unit": "HP", "radio": "net1", "call_sign": "和平"}),
]


def placed(rows: Rows) -> list[Row]:
    return [Row(table, f"f: {table}!{index}", values) for index, (table, values) in enumerate(rows, start=3)]


def city() -> Inventory:
    return register(Inventory(), placed(CITY), "dutyline")


def faults_of(*rows: tuple[str, dict[str, Any]], inventory: Inventory | None = None) -> list[str]:
    with pytest.raises(InventoryError) as caught:
        register(city() if inventory is None else inventory, placed(list(rows)), "dutyline")
    return list(caught.value.faults)


def unit(code: str, parent: str | None = "CITY", kind: str = "district") -> tuple[str, dict[str, Any]]:
    return "unit", {"code": code, "name": code, "kind": kind, "parent": parent}


def ours(number: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "line", {"number": number, "unit": "CITY", "owner": "ours", **more}


def remote(number: str, **more: Any) -> tuple[str, dict[str, Any]]:
    return "line", {"number": number, "unit": "HP", "owner": "remote", "trunk": "carrier", **more}


def other(number: str, purpose: str, unit_code: str = "HP") -> tuple[str, dict[str, Any]]:
    return "number", {"number": number, "unit": unit_code, "purpose": purpose}


def phone(line: str, user: str, secret: str | None = SECRET) -> tuple[str, dict[str, Any]]:
    return "phone", {"line": line, "user": user, "secret": secret}


def trunk(name: str, match: str, host: str = "127.0.0.9") -> tuple[str, dict[str, Any]]:
    return "trunk", {"name": name, "host": host, "match": match}


def test_a_city_is_registered() -> None:
    inventory = city()
    assert [unit.kind for unit in inventory.units] == ["city_duty_office", "district"]
    assert inventory.trunks[0].host == "127.0.0.5:5060"
    assert inventory.own_lines[0].phones[0].ha1 == hashlib.md5(b"desk1:dutyline:12345678").hexdigest()  # noqa: S324
    assert inventory.lines[1].aliases == ("02223000000",)
    assert inventory.stations[0].call_sign == "和平"


def test_the_same_rows_again_change_nothing() -> None:
    again = register(city(), placed(CITY), "dutyline")
    assert again == city()
    assert difference(city(), again) == {}


def test_an_unknown_parent_is_a_fault_unless_stored() -> None:
    (fault,) = faults_of(unit("HP"), inventory=Inventory())
    assert fault.startswith("f: unit!3: parent: unit 'CITY' is not registered; add the unit")
    (fault,) = faults_of(unit("HX", "CTIY"))
    assert "did you mean 'CITY'" in fault
    assert register(city(), placed([unit("HX", "HP")]), "dutyline").units[2].parent == "HP"


def test_a_second_root_is_a_fault_and_only_the_root_is_the_city_office() -> None:
    (fault,) = faults_of(unit("HX", None))
    assert fault.startswith("f: unit!3: parent: 'HX' has none, but there is a root already (CITY")
    (fault,) = faults_of(unit("HX", "CITY", "city_duty_office"))
    assert fault.startswith("f: unit!3: kind: city_duty_office is the root's kind")


@pytest.mark.parametrize(
    ("units", "cycle"),
    [
        ([unit("A", "A")], "A → A"),
        ([unit("A", "B"), unit("B", "A")], "A → B → A"),
        ([unit("D", "A"), unit("A", "B"), unit("B", "C"), unit("C", "A")], "A → B → C → A"),
    ],
)
def test_a_cycle_is_named_once(units: Rows, cycle: str) -> None:
    (fault,) = faults_of(*units)
    assert f"go round in a circle: {cycle};" in fault


def test_a_long_chain_of_units_is_no_cycle() -> None:
    chain = [unit(f"U{index}", f"U{index - 1}" if index else "CITY") for index in range(2000)]
    assert len(register(city(), placed(chain), "dutyline").units) == 2002


@pytest.mark.parametrize(
    "number", ["13800000000", "+8613800000000", "0086 138 0000 0000", "8613800000000", "013800000000"]
)
def test_a_mobile_is_refused_as_a_line_and_as_an_alias(number: str) -> None:
    assert "a duty line is wired (art. 9(1))" in faults_of(remote(number))[0]
    (fault,) = faults_of(remote("02223000002", aliases=[number]))
    assert fault.startswith("f: line!3: aliases:")
    assert "is a mobile number" in fault


@pytest.mark.parametrize("purpose", ["fax", "hotline", "gate", "guard", "property"])
def test_a_number_with_another_purpose_is_refused_and_its_unit_named(purpose: str) -> None:
    inventory = register(city(), placed([other("02223000005", purpose)]), "dutyline")
    (fault,) = faults_of(remote("+86 22 2300 0005"), inventory=inventory)
    assert f"+862223000005 is already {purpose} of unit HP" in fault
    (fault,) = faults_of(remote("02223000006", aliases="23000005"), inventory=inventory)
    assert fault.startswith("f: line!3: aliases:")


def test_a_duty_number_takes_no_other_purpose() -> None:
    (fault,) = faults_of(other("83000000", "gate"))
    assert fault.startswith(
        "f: number!3: number: 83000000 is already a duty line of unit CITY (stored line 02283000000)"
    )
    (fault,) = faults_of(other("02223000000", "fax"))
    assert "already an alias of duty line 02223000001 of unit HP" in fault


def test_one_number_for_two_lines_is_refused_in_any_notation() -> None:
    (fault,) = faults_of(remote("83000000"))
    assert "83000000 is already a duty line of unit CITY" in fault
    (fault,) = faults_of(remote("02223000002", aliases="02223000001"))
    assert "02223000001 is already a duty line of unit HP" in fault


def test_a_line_may_repeat_its_own_number_among_its_aliases() -> None:
    register(city(), placed([remote("02223000002", aliases="+862223000002")]), "dutyline")


def test_a_line_of_ours_needs_a_phone() -> None:
    (fault,) = faults_of(ours("02283000001"))
    assert fault.startswith("f: line!3: phone: a line of ours needs a phone")
    faults = faults_of(ours("02283000001"), phone("02283000001", "bad user"))
    assert [fault.split(":")[1] for fault in faults] == [" phone!4"]
    (fault,) = faults_of(("phone", {"user": "desk1", "remove": True}))
    assert fault.startswith("stored line 02283000000: phone: a line of ours needs a phone")


def test_a_remote_line_needs_a_trunk_that_exists_and_no_phone() -> None:
    (fault,) = faults_of(remote("02223000002", trunk=None))
    assert fault.startswith("f: line!3: trunk: is missing")
    (fault,) = faults_of(remote("02223000002", trunk="carier"))
    assert "trunk 'carier' is not registered" in fault
    assert "did you mean 'carrier'" in fault
    (fault,) = faults_of(remote("02223000002"), phone("02223000002", "desk9"))
    assert "a remote line has no phone of ours (desk9)" in fault


@pytest.mark.parametrize(
    ("rows", "fault"),
    [
        ([ours("02283000001", unit="X"), phone("02283000001", "d")], "line!3: unit: unit 'X' is not registered"),
        ([phone("02283000077", "d")], "phone!3: line: line '02283000077' is not registered"),
        ([other("119", "guard", "X")], "number!3: unit: unit 'X' is not registered"),
        ([("station", {"unit": "X", "radio": "net1", "call_sign": "x"})], "station!3: unit: unit 'X' is not"),
        ([("station", {"unit": "HP", "radio": "net2", "call_sign": "x"})], "station!3: radio: radio 'net2' is not"),
        (
            [("radio", {"name": "net1", "remove": True})],
            "stored station HP net1: radio: radio 'net1' is not registered",
        ),
        ([("unit", {"code": "HP", "remove": True})], "stored line 02223000001: unit: unit 'HP' is not registered"),
    ],
)
def test_what_is_referred_to_must_be_registered(rows: Rows, fault: str) -> None:
    assert any(fault in found for found in faults_of(*rows))


def test_a_new_phone_needs_a_secret_other_than_its_name() -> None:
    (fault,) = faults_of(phone("02283000000", "desk2", None))
    assert fault.startswith("f: phone!3: secret: is missing, and phone 'desk2' is new")
    (fault,) = faults_of(phone("02283000000", "longname1", "LongName1"))
    assert fault == "f: phone!3: secret: is the same as the user; choose another one"


@pytest.mark.parametrize("name", ["duty-ask", "DUTY-x", "forward-denied", "dutyline", "anonymous", "global"])
def test_reserved_names_are_refused(name: str) -> None:
    assert "is reserved for the system" in faults_of(phone("02283000000", name))[0]
    assert "is reserved for the system" in faults_of(trunk(name, "127.0.0.9"))[0]


def test_endpoint_names_do_not_clash_in_any_case() -> None:
    (fault,) = faults_of(phone("02283000000", "Carrier"))
    assert "'Carrier' is also the name of trunk 'carrier' (stored trunk carrier)" in fault
    (fault,) = faults_of(trunk("DESK1", "127.0.0.9"))
    assert "is also the name of phone 'desk1'" in fault


@pytest.mark.parametrize("match", ["127.0.0.5", "127.0.0.0/24", "127.0.0.9 127.0.0.4/31"])
def test_trunks_do_not_accept_the_same_address(match: str) -> None:
    (fault,) = faults_of(trunk("second", match))
    assert "overlaps 127.0.0.5 of trunk 'carrier'" in fault


def test_a_trunk_that_accepts_everybody_is_refused() -> None:
    assert any("accepts everybody" in fault for fault in faults_of(trunk("second", "0.0.0.0/0")))
    register(city(), placed([trunk("second", "2001:db8::/32 127.0.0.6")]), "dutyline")


def test_all_faults_are_told_at_once_with_those_of_the_file() -> None:
    with pytest.raises(InventoryError) as caught:
        register(city(), placed([unit("HX", None), remote("13800000000"), trunk("duty-x", "x")]), "r", ["f: broken"])
    assert len(caught.value.faults) == 5
    assert str(caught.value).startswith("f: broken\n")


def test_difference_counts_per_table() -> None:
    rows = [
        unit("HX"),
        unit("HP"),
        phone("02283000000", "desk1", "87654321"),
        ("radio", {"name": "net1", "remove": True}),
    ]
    after = register(city(), placed([*rows, ("station", {"unit": "HP", "radio": "net1", "remove": True})]), "dutyline")
    assert difference(city(), after) == {
        "unit": {"added": 1, "changed": 1, "removed": 0},
        "phone": {"added": 0, "changed": 1, "removed": 0},
        "radio": {"added": 0, "changed": 0, "removed": 1},
        "station": {"added": 0, "changed": 0, "removed": 1},
    }


TEXT = st.text(st.characters() | st.sampled_from("\n;[],\"'0123456789abc"), max_size=12)
VALUE = TEXT | st.integers() | st.floats() | st.booleans() | st.none() | st.lists(TEXT, max_size=3)


@settings(max_examples=200)
@given(st.data())
def test_whatever_a_file_holds_it_is_registered_or_told(data: st.DataObject) -> None:
    rows = [(table, dict(values)) for table, values in CITY]
    for _ in range(data.draw(st.integers(1, 4))):
        _, values = data.draw(st.sampled_from(rows))
        values[data.draw(st.sampled_from([*values, "remove", "net"]))] = data.draw(VALUE)
    faults: tuple[str, ...] = ()
    try:
        inventory = register(Inventory(), placed(rows), "dutyline")
    except InventoryError as error:
        faults = error.faults
    if faults:
        assert all(fault.startswith(("f: ", "stored ")) and len(fault.splitlines()) == 1 for fault in faults)
    else:
        assert register(inventory, placed(rows), "dutyline") == inventory
