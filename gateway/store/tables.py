"""Every table, as SQLAlchemy Core. Migrations create them; `db/schema.sql` is generated from here for reading.

Times are UTC with microseconds. On SQLite they are kept as ISO text of fixed width, so that they sort as text.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.types import TypeDecorator, TypeEngine

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Json = JSON().with_variant(JSONB(), "postgresql")
BigId = BigInteger().with_variant(Integer(), "sqlite")  # SQLite only counts up by itself in INTEGER columns


class Instant(TypeDecorator[datetime]):
    """An aware UTC datetime; `timestamptz` on PostgreSQL, 27 characters of text on SQLite."""

    impl = String(27)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The native type where there is one."""
        native: TypeEngine[Any] = TIMESTAMP(timezone=True) if dialect.name == "postgresql" else String(27)
        return dialect.type_descriptor(native)

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """Refuses naive times: nobody knows which zone they mean."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value!r} must not reach the database")
        utc = value.astimezone(UTC)
        return utc if dialect.name == "postgresql" else utc.isoformat(timespec="microseconds").replace("+00:00", "Z")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Aware UTC again."""
        if value is None or isinstance(value, datetime):
            return value.astimezone(UTC) if value else None
        return datetime.fromisoformat(value)


# --- inventory ---------------------------------------------------------------------------------------------------

units = Table(
    "units",
    metadata,
    Column("code", String(32), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("parent", String(32), ForeignKey("units.code")),
)
trunks = Table(
    "trunks",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("match", Json, nullable=False),
)
lines = Table(
    "lines",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("unit", String(32), ForeignKey("units.code"), nullable=False),
    Column("owner", String(8), nullable=False),
    Column("trunk", String(64), ForeignKey("trunks.name")),
    Column("aliases", Json, nullable=False),
    Column("ring_timeout_s", Integer),
    Column("announce_recording", Boolean),
)
phones = Table(
    "phones",
    metadata,
    Column("user", String(64), primary_key=True),
    Column("line_number", String(32), ForeignKey("lines.number"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("ha1", String(32), nullable=False),
    Column("net", Json, nullable=False),
)
numbers = Table(
    "numbers",
    metadata,
    Column("number", String(32), primary_key=True),
    Column("unit", String(32), ForeignKey("units.code"), nullable=False),
    Column("purpose", String(16), nullable=False),
)
radios = Table(
    "radios",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("uri", String(255), nullable=False),
)
stations = Table(
    "stations",
    metadata,
    Column("unit", String(32), ForeignKey("units.code"), primary_key=True),
    Column("radio", String(64), ForeignKey("radios.name"), primary_key=True),
    Column("call_sign", String(64), nullable=False),
)
inventory_versions = Table(
    "inventory_versions",
    metadata,
    Column("version", BigId, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("imported_by", String(64), nullable=False),
    Column("source", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("summary", Json, nullable=False),
)

# --- journals and events -----------------------------------------------------------------------------------------

events = Table(
    "events",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("node", String(64), nullable=False),
    Column("file", String(64), nullable=False),
    Column("offset", BigInteger, nullable=False),
    Column("at", Instant, nullable=False),
    Column("type", String(32), nullable=False),
    Column("user_type", String(64), nullable=False),
    Column("channel", String(255), nullable=False),
    Column("uniqueid", String(150), nullable=False),
    Column("linkedid", String(150), nullable=False),
    Column("raw", Json, nullable=False),  # the whole line
    UniqueConstraint("node", "file", "offset"),
    Index("ix_events_linkedid", "linkedid"),
    Index("ix_events_at", "at"),
)
journal_checkpoints = Table(
    "journal_checkpoints",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
quarantined_lines = Table(
    "quarantined_lines",
    metadata,
    Column("node", String(64), primary_key=True),
    Column("file", String(64), primary_key=True),
    Column("offset", BigInteger, primary_key=True),
    Column("at", Instant, nullable=False),
    Column("reason", Text, nullable=False),
    Column("raw", LargeBinary, nullable=False),
)

# --- projections of the events -----------------------------------------------------------------------------------

calls = Table(
    "calls",
    metadata,
    Column("id", String(150), primary_key=True),
    Column("node", String(64), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("line_number", String(32)),
    Column("unit", String(32)),  # the unit of the line, frozen at the call
    Column("dialled_number", String(255), nullable=False),
    Column("caller_number", String(255), nullable=False),
    Column("caller_name", String(255), nullable=False),
    Column("caller_unit", String(32)),  # from the directory, by number: not proof of identity
    Column("started_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("ended_at", Instant),
    Column("disposition", String(16), nullable=False),
    Column("answered_by", String(64)),
    Column("message_left", Boolean, nullable=False),
    Column("lookup", String(16), nullable=False),
    Column("recording_state", String(16), nullable=False),
    Column("reason", String(64), nullable=False),
    Column("diversion", Json, nullable=False),  # chain of diverting numbers, latest first; [] when none was seen
    Index("ix_calls_started_at", "started_at"),
    Index("ix_calls_line_number_started_at", "line_number", "started_at"),
    Index("ix_calls_unit_started_at", "unit", "started_at"),
    Index("ix_calls_caller_number_started_at", "caller_number", "started_at"),
)
legs = Table(
    "legs",
    metadata,
    Column("id", String(150), primary_key=True),
    Column("call_id", String(150), nullable=False),
    Column("channel", String(255), nullable=False),
    Column("party", String(16), nullable=False),
    Column("endpoint", String(64), nullable=False),
    Column("number", String(255), nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("answered_at", Instant),
    Column("ended_at", Instant),
    Column("cause", Integer),
    Column("tech_cause", String(64), nullable=False),
    Column("sip_call_id", String(255), nullable=False),
    Column("synthetic_end", Boolean, nullable=False),
    Index("ix_legs_call_id", "call_id"),
    Index("ix_legs_sip_call_id", "sip_call_id"),
)

# --- evidence ----------------------------------------------------------------------------------------------------

recordings = Table(
    "recordings",
    metadata,
    Column("id", String(150), primary_key=True),  # file stem given by the dialplan: <uniqueid>-talk or -message
    Column("call_id", String(150), nullable=False),
    Column("line_number", String(32)),
    Column("kind", String(16), nullable=False),  # talk, message
    Column("state", String(16), nullable=False),  # capturing, sealed, missing
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("length_s", Float),
    Column("rate_hz", Integer),
    Column("ours_path", String(255)),  # below recordings/, what our side said
    Column("ours_sha256", String(64)),
    Column("theirs_path", String(255)),
    Column("theirs_sha256", String(64)),
    Column("note", String(255), nullable=False),
    Index("ix_recordings_call_id", "call_id"),
    Index("ix_recordings_started_at", "started_at"),
)
forward_attempts = Table(
    "forward_attempts",
    metadata,
    Column("key", String(255), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("method", String(32), nullable=False),
    Column("line_number", String(32)),
    Column("phone", String(64)),
    Column("target", String(255), nullable=False),
    Column("call_id", String(150)),
    Column("outcome", String(16), nullable=False),
    Column("evidence", Json, nullable=False),
    Index("ix_forward_attempts_at", "at"),
    Index("ix_forward_attempts_call_id", "call_id"),
)
alarms = Table(
    "alarms",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("code", String(48), nullable=False),
    Column("severity", String(16), nullable=False),  # critical, warning, notice
    Column("subject", String(255), nullable=False),  # call id, line number, file …
    Column("detail", Text, nullable=False),
    Column("raised_at", Instant, nullable=False),
    Column("cleared_at", Instant),
    Column("cleared_by", String(64)),
    Index("ix_alarms_raised_at", "raised_at"),
    Index(
        "uq_alarms_standing",
        "code",
        "subject",
        unique=True,  # one standing alarm per fault, whoever raises it at the same time
        sqlite_where=text("cleared_at IS NULL"),
        postgresql_where=text("cleared_at IS NULL"),
    ),
)

# --- people ------------------------------------------------------------------------------------------------------

users = Table(
    "users",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("password_hash", String(255), nullable=False),
    Column("role", String(32), nullable=False),  # administrator, general_office, clerk, auditor
    Column("created_at", Instant, nullable=False),
    Column("disabled_at", Instant),
)
sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_name", String(64), ForeignKey("users.name"), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
)
tokens = Table(
    "tokens",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("user_name", String(64), nullable=False),
    Column("role", String(32), nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("revoked_at", Instant),
)
access_audits = Table(
    "access_audits",
    metadata,
    Column("id", BigId, primary_key=True, autoincrement=True),
    Column("at", Instant, nullable=False),
    Column("actor", String(64), nullable=False),
    Column("action", String(32), nullable=False),  # login, play, download, list, export, token_create, import …
    Column("object_type", String(32), nullable=False),
    Column("object_id", String(150), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", Json, nullable=False),
    Index("ix_access_audits_at", "at"),
)
