from __future__ import annotations

from gateway.core.inventory import Inventory, Line, home_area_code


def test_own_lines_are_those_that_end_here() -> None:
    ours = Line("02283000000", "CITY", "ours")
    remote = Line("02223000001", "HP", "remote", trunk="carrier")
    assert Inventory(lines=(remote, ours)).own_lines == (ours,)


def test_the_version_does_not_make_an_inventory_different() -> None:
    assert Inventory(version=1) == Inventory(version=2)


def test_the_city_is_where_the_first_own_line_that_tells_is() -> None:
    assert home_area_code(["8001", "02283000000", "01083000000"]) == "022"
    assert home_area_code(["8001", "110"]) is None
    assert home_area_code([]) is None
