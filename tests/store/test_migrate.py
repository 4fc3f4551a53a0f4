"""Migrations: they give the schema of the tables, can be repeated, and guard the evidence."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from gateway.core.cel import cel_event
from gateway.errors import StoreRefusedError
from gateway.ports import Store
from gateway.store.append_only import EVIDENCE, append_only
from gateway.store.engine import make_engine
from gateway.store.migrate import migrate, newest_revision
from gateway.store.schema import schema_sql
from gateway.store.tables import metadata

AT = datetime(2026, 11, 23, 5, 0, tzinfo=UTC)
ROOT = Path(__file__).parent.parent.parent


async def test_migrations_give_the_schema_of_the_tables(url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    engine = make_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        assert (await connection.execute(text("SELECT version_num FROM alembic_version"))).scalar() == newest_revision()
    await engine.dispose()


async def test_migrating_again_changes_nothing_even_at_the_same_time(url: str) -> None:
    await asyncio.gather(migrate(url), migrate(url), migrate(url))


async def test_two_processes_may_create_the_database_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/new.db"
    await asyncio.gather(migrate(url), migrate(url))


@pytest.mark.parametrize("table", EVIDENCE)
@pytest.mark.parametrize("statement", ["UPDATE {} SET at = at", "DELETE FROM {}"])
async def test_evidence_cannot_be_changed(store: Store, table: str, statement: str) -> None:
    raw = {"eventtype": "ANSWER", "eventtime": AT.isoformat(), "uniqueid": "1", "linkedid": "1"}
    async with store.begin() as uow:
        await uow.events.add([(cel_event(raw, node="n", file="f", offset=0), raw)])
        await uow.audits.add(
            at=AT, actor="a", action="play", object_type="recording", object_id="r", address="", detail={}
        )
    with pytest.raises(StoreRefusedError, match="append-only"):
        async with store.begin() as uow:
            await uow.events._transaction.write(text(statement.format(table)))  # type: ignore[attr-defined]
    async with store.begin() as uow:
        assert len(await uow.calls.events("1")) == 1
        assert len(await uow.audits.search(None, 10)) == 1


async def test_evidence_cannot_be_emptied_or_replaced(store: Store) -> None:
    async with store.begin() as uow:
        await uow.audits.add(at=AT, actor="a", action="play", object_type="r", object_id="r", address="", detail={})
        sqlite = uow.audits._transaction.dialect == "sqlite"  # type: ignore[attr-defined]
    statement = "REPLACE INTO access_audits SELECT * FROM access_audits" if sqlite else "TRUNCATE access_audits"
    with pytest.raises(StoreRefusedError, match="append-only"):
        async with store.begin() as uow:
            await uow.audits._transaction.write(text(statement))  # type: ignore[attr-defined]


def test_schema_sql_is_current() -> None:
    written = (ROOT / "db" / "schema.sql").read_text()
    assert written == schema_sql(), "run: python -m gateway.store.schema > db/schema.sql"


def test_the_first_revision_holds_the_triggers_as_they_are_shown() -> None:
    source = (ROOT / "db" / "migrations" / "versions" / "0001_first_schema.py").read_text()
    spaces_aside = "".join(source.replace('"\n    "', "").split())
    for dialect in ("sqlite", "postgresql"):
        for statement in append_only(dialect):
            assert "".join(statement.replace("CREATE OR REPLACE", "CREATE").split()) in spaces_aside
