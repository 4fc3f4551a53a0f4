from __future__ import annotations

import pytest

from gateway.web.lists import csv_text, safe_cell


@pytest.mark.parametrize("start", ["=1+1", "+86", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "＝1", "  =1"])
def test_formula_is_disarmed(start: str) -> None:
    assert safe_cell(start) == "'" + start


@pytest.mark.parametrize(
    ("value", "cell"),
    [(None, ""), (True, "true"), (3, "3"), (-2.5, "-2.5"), ("和平", "和平"), ([{"a": "值"}], '[{"a": "值"}]')],
)
def test_plain_cells(value: object, cell: str) -> None:
    assert safe_cell(value) == cell


def test_file_has_a_byte_order_mark_and_quotes_what_needs_it() -> None:
    assert csv_text(("a", "b"), [('x "y"', "1,2\n3")]) == '\ufeffa,b\r\n"x ""y""","1,2\n3"\r\n'
