"""Bringing a database to the newest schema, from a checkout and from an installed wheel alike.

Two processes may start at once: the second waits for the first (`BEGIN IMMEDIATE`, or an advisory lock) and then finds
nothing to do. Either all steps are made or none.
"""

from __future__ import annotations

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from gateway.share import share
from gateway.store.engine import blame, make_engine

_ADVISORY_LOCK = 0x6475_7479  # "duty"


def alembic_config() -> Config:
    """Alembic's configuration, without an ini file."""
    config = Config()
    config.set_main_option("script_location", str(share("migrations")).replace("%", "%%"))
    return config


def newest_revision() -> str:
    """The revision that this version of the program works with."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


async def revision(url: str) -> str | None:
    """The revision of the database at `url`; None when it has no tables of ours yet. Raises StoreError."""
    engine = make_engine(url)
    try:
        with blame():
            async with engine.connect() as connection:
                return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())
    finally:
        await engine.dispose()


async def migrate(url: str) -> None:
    """Brings the database at `url` to the newest revision."""
    engine = make_engine(url)
    try:
        with blame():
            async with engine.connect() as connection:
                await connection.run_sync(_upgrade)
                await connection.commit()
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("BEGIN IMMEDIATE")
    else:
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _ADVISORY_LOCK})
    config = alembic_config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
