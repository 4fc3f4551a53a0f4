"""`python -m gateway.store.schema > db/schema.sql`: the schema as a text to be read, generated from the tables."""

from __future__ import annotations

import sys

from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import CreateIndex, CreateTable

from gateway.store.append_only import append_only
from gateway.store.tables import metadata

_HEAD = """\
-- Made by `python -m gateway.store.schema` from gateway/store/tables.py, to be read; migrations make the real one.
-- Shown as PostgreSQL; on SQLite times are text of fixed width and JSONB is JSON.
"""


def schema_sql() -> str:
    """Every table, index and trigger, as PostgreSQL would be told."""
    dialect = postgresql.dialect()  # type: ignore[no-untyped-call]  # SQLAlchemy leaves it unannotated
    parts = [_HEAD]
    for table in metadata.sorted_tables:
        parts.append(str(CreateTable(table).compile(dialect=dialect)).strip() + ";\n")
        indexes = sorted(table.indexes, key=lambda index: str(index.name))
        parts.extend(str(CreateIndex(index).compile(dialect=dialect)).strip() + ";\n" for index in indexes)
    parts.extend(statement + ";\n" for statement in append_only("postgresql"))
    return "\n".join("\n".join(line.rstrip() for line in part.splitlines()) + "\n" for part in parts)


if __name__ == "__main__":
    sys.stdout.write(schema_sql())
