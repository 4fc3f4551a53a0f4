from __future__ import annotations

import hashlib

from gateway.core.columns import TABLES
from gateway.core.draft import Row, draft_of, inventory_of, key_of, merge
from gateway.core.inventory import Inventory, Line, OtherNumber, Phone, Radio, Station, Trunk, Unit

STORED = Inventory(
    units=(Unit("CITY", "市政府总值班室", "city_duty_office"), Unit("HP", "和平区人民政府", "district", "CITY")),
    trunks=(Trunk("carrier", "127.0.0.5:5060", ("127.0.0.5",)),),
    lines=(
        Line("02283000000", "CITY", "ours", (Phone("desk1", "a" * 32), Phone("desk2", "b" * 32, ("10.0.0.0/8",)))),
        Line("02223000001", "HP", "remote", (), "carrier", ("02223000000",), 30, True),
    ),
    numbers=(OtherNumber("02283000009", "CITY", "fax"),),
    radios=(Radio("net1", "sip:net1@127.0.0.6:5070"),),
    stations=(Station("HP", "net1", "和平"),),
    version=4,
)


def merged(*rows: Row, inventory: Inventory = STORED) -> tuple[Inventory, list[str]]:
    faults: list[str] = []
    return inventory_of(merge(inventory, rows, faults), "realm"), faults


def row(table: str, whole_phones: bool = False, **values: object) -> Row:
    return Row(table, f"f: {table} {sorted(map(str, values.values()))}", values, whole_phones=whole_phones)


def test_a_draft_of_an_inventory_gives_it_back() -> None:
    assert inventory_of(draft_of(STORED), "realm") == STORED


def test_a_row_given_again_replaces_and_nothing_else_goes() -> None:
    after, faults = merged(row("unit", code="HP", name="新和平", kind="district", parent="CITY"))
    assert faults == []
    assert after.units == (STORED.units[0], Unit("HP", "新和平", "district", "CITY"))
    assert (after.lines, after.trunks, after.numbers) == (STORED.lines, STORED.trunks, STORED.numbers)


def test_a_replaced_row_does_not_keep_what_it_no_longer_says() -> None:
    after, _ = merged(row("line", number="02223000001", unit="HP", owner="remote", trunk="carrier"))
    assert after.lines[1] == Line("02223000001", "HP", "remote", (), "carrier")


def test_numbers_are_the_same_line_in_every_notation() -> None:
    after, faults = merged(row("line", number="+86 22 83000000", unit="CITY", owner="ours"))
    assert faults == []
    assert after.lines[0].number == "+862283000000"
    assert after.lines[0].phones == STORED.lines[0].phones


def test_a_phone_without_a_secret_keeps_its_own_and_with_one_gets_a_digest() -> None:
    after, _ = merged(
        row("phone", line="02283000000", user="desk1", net="10.0.0.0/8"),
        row("phone", line="02283000000", user="desk2", secret="new-secret"),
    )
    digest = hashlib.md5(b"desk2:realm:new-secret").hexdigest()  # noqa: S324
    assert after.lines[0].phones == (Phone("desk1", "a" * 32, ("10.0.0.0/8",)), Phone("desk2", digest))


def test_a_line_that_says_its_phones_has_no_others() -> None:
    after, _ = merged(
        row("line", True, number="02283000000", unit="CITY", owner="ours"),
        row("phone", line="02283000000", user="desk3", secret="12345678"),
        row("phone", line="02283000000", user="desk1"),
    )
    assert [phone.user for phone in after.lines[0].phones] == ["desk3", "desk1"]
    assert after.lines[0].phones[1].ha1 == "a" * 32


def test_remove_takes_one_thing_away_and_a_line_takes_its_phones_along() -> None:
    after, faults = merged(
        row("line", number="022-83000000", remove=True),
        row("number", number="02283000009", remove="是"),
        row("station", unit="HP", radio="net1", remove="true"),
    )
    assert faults == []
    assert after.lines == STORED.lines[1:]
    assert (after.numbers, after.stations) == ((), ())


def test_remove_of_one_phone() -> None:
    after, faults = merged(row("phone", user="desk2", remove=True))
    assert faults == []
    assert [phone.user for phone in after.lines[0].phones] == ["desk1"]


def test_remove_false_removes_nothing() -> None:
    after, faults = merged(row("radio", name="net1", uri="sip:net1@127.0.0.7", remove="false"))
    assert faults == []
    assert after.radios == (Radio("net1", "sip:net1@127.0.0.7"),)


def faults_of(*rows: Row) -> list[str]:
    faults: list[str] = []
    merge(STORED, rows, faults)
    return faults


def test_remove_of_a_stranger_is_a_fault() -> None:
    assert faults_of(Row("trunk", "f: x!2", {"name": "nobody", "remove": True})) == [
        "f: x!2: name: 'nobody' is not registered, so it cannot be removed; delete the row"
    ]


def test_the_same_thing_twice_in_a_file_is_a_fault_that_names_both() -> None:
    again = {"number": "02283000009", "unit": "CITY", "purpose": "fax"}
    assert faults_of(Row("number", "f: n!3", again), Row("number", "f: n!4", {**again, "number": "+862283000009"})) == [
        "f: n!4: number: '+862283000009' is given twice, first at f: n!3; keep one"
    ]


def test_a_phone_is_not_taken_from_another_line_unless_that_line_gives_it_up() -> None:
    line = Row("line", "f: line!3", {"number": "02283000001", "unit": "CITY", "owner": "ours"})
    phone = Row("phone", "f: phone!3", {"line": "02283000001", "user": "desk2"})
    (fault,) = faults_of(line, phone)
    assert fault.startswith("f: phone!3: user: 'desk2' is a phone of line 02283000000 already; remove it there first")
    given_up = row("line", True, number="02283000000", unit="CITY", owner="ours")
    assert faults_of(given_up, row("phone", line="02283000000", user="desk1"), line, phone) == []


def test_every_fault_of_a_row_is_told() -> None:
    faults = faults_of(Row("unit", "f: unit!3", {"code": "A B", "kind": "x", "nmae": "y", "remove": "perhaps"}))
    assert [fault.split(": ")[2] for fault in faults] == ["nmae", "code", "name", "kind", "remove"]
    assert "did you mean 'name'" in faults[0]


def test_faults_told_elsewhere_are_not_repeated() -> None:
    assert faults_of(Row("phone", "f: line!3", {"user": "d"}, "phone.", frozenset({"line"}))) == []


def test_a_key_needs_all_its_parts() -> None:
    assert key_of(TABLES["station"], {"unit": "HP"}) is None
    assert key_of(TABLES["station"], {"unit": "HP", "radio": "net1"}) == ("HP", "net1")
    assert key_of(TABLES["line"], {"number": "022 83000000"}) == "+862283000000"
