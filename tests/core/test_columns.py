from __future__ import annotations

import pytest

from gateway.core.columns import TABLES, table_named


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_keys_and_labels_are_unambiguous(table) -> None:  # type: ignore[no-untyped-def]
    keys = [column.key for column in table.columns]
    labels = [column.label for column in table.columns]
    assert len(set(keys + labels)) == 2 * len(keys)
    assert all(column.explanation for column in table.columns)
    assert all(table.column(key) is not None and table.column(key).required for key in table.key)
    assert table.columns[-1].key == "remove"


@pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
def test_the_choices_offered_are_accepted(table) -> None:  # type: ignore[no-untyped-def]
    for column in table.columns:
        for choice in column.choices:
            column.read(choice)


def test_tables_are_found_by_key_and_label() -> None:
    assert table_named("line") is TABLES["line"]
    assert table_named(" Line ") is TABLES["line"]
    assert table_named("值班电话") is TABLES["line"]
    assert table_named("lines") is None
    assert TABLES["line"].column("colour") is None
