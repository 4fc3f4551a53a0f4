"""Evidence cannot be changed: triggers refuse UPDATE and DELETE on events and access audits, on both databases.

They stop mistakes and tools, not somebody who owns the database; against that stand the journal files themselves.
"""

from __future__ import annotations

EVIDENCE = ("events", "access_audits")

_POSTGRESQL_FUNCTION = """\
CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$"""


def append_only(dialect: str) -> list[str]:
    """The statements that make the evidence tables append-only."""
    if dialect == "postgresql":
        return [_POSTGRESQL_FUNCTION, *(statement for table in EVIDENCE for statement in _postgresql(table))]
    return [statement for table in EVIDENCE for statement in _sqlite(table)]


def _postgresql(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table} "
        "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
        f"CREATE TRIGGER {table}_not_emptied BEFORE TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    ]


def _sqlite(table: str) -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{change.lower()} BEFORE {change} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for change in ("UPDATE", "DELETE")
    ]
