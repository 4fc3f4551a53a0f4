"""The first schema: inventory, journals, calls, evidence, people.

The types are spelt out here and not imported, because a revision must never change with the program.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Instant = sa.String(27).with_variant(postgresql.TIMESTAMP(timezone=True), "postgresql")
Json = sa.JSON().with_variant(postgresql.JSONB(), "postgresql")
BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

POSTGRESQL = (
    """CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$""",
    "CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER events_not_emptied BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER access_audits_append_only BEFORE UPDATE OR DELETE ON access_audits "
    "FOR EACH ROW EXECUTE FUNCTION refuse_change()",
    "CREATE TRIGGER access_audits_not_emptied BEFORE TRUNCATE ON access_audits "
    "FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()",
)
SQLITE = (
    "CREATE TRIGGER events_no_update BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END",
    "CREATE TRIGGER events_no_delete BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'events is append-only'); END",
    "CREATE TRIGGER access_audits_no_update BEFORE UPDATE ON access_audits "
    "BEGIN SELECT RAISE(ABORT, 'access_audits is append-only'); END",
    "CREATE TRIGGER access_audits_no_delete BEFORE DELETE ON access_audits "
    "BEGIN SELECT RAISE(ABORT, 'access_audits is append-only'); END",
)


def upgrade() -> None:
    op.create_table(
        "access_audits",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("object_type", sa.String(length=32), nullable=False),
        sa.Column("object_id", sa.String(length=150), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("detail", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_access_audits")),
    )
    op.create_index("ix_access_audits_at", "access_audits", ["at"], unique=False)
    op.create_table(
        "alarms",
        sa.Column("id", sa.String(length=40), nullable=False),
        sa.Column("code", sa.String(length=48), nullable=False),
        sa.Column("severity", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("raised_at", Instant, nullable=False),
        sa.Column("cleared_at", Instant, nullable=True),
        sa.Column("cleared_by", sa.String(length=64), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index("ix_alarms_raised_at", "alarms", ["raised_at"], unique=False)
    op.create_index(
        "uq_alarms_standing",
        "alarms",
        ["code", "subject"],
        unique=True,
        sqlite_where=sa.text("cleared_at IS NULL"),
        postgresql_where=sa.text("cleared_at IS NULL"),
    )
    op.create_table(
        "calls",
        sa.Column("id", sa.String(length=150), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("line_number", sa.String(length=32), nullable=True),
        sa.Column("unit", sa.String(length=32), nullable=True),
        sa.Column("dialled_number", sa.String(length=255), nullable=False),
        sa.Column("caller_number", sa.String(length=255), nullable=False),
        sa.Column("caller_name", sa.String(length=255), nullable=False),
        sa.Column("caller_unit", sa.String(length=32), nullable=True),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("answered_at", Instant, nullable=True),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("disposition", sa.String(length=16), nullable=False),
        sa.Column("answered_by", sa.String(length=64), nullable=True),
        sa.Column("message_left", sa.Boolean(), nullable=False),
        sa.Column("lookup", sa.String(length=16), nullable=False),
        sa.Column("recording_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.String(length=64), nullable=False),
        sa.Column("diversion", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_calls")),
    )
    op.create_index("ix_calls_caller_number_started_at", "calls", ["caller_number", "started_at"], unique=False)
    op.create_index("ix_calls_line_number_started_at", "calls", ["line_number", "started_at"], unique=False)
    op.create_index("ix_calls_started_at", "calls", ["started_at"], unique=False)
    op.create_index("ix_calls_unit_started_at", "calls", ["unit", "started_at"], unique=False)
    op.create_table(
        "events",
        sa.Column("id", BigId, autoincrement=True, nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("type", sa.String(length=32), nullable=False),
        sa.Column("user_type", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("uniqueid", sa.String(length=150), nullable=False),
        sa.Column("linkedid", sa.String(length=150), nullable=False),
        sa.Column("raw", Json, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("node", "file", "offset", name=op.f("uq_events_node_file_offset")),
    )
    op.create_index("ix_events_at", "events", ["at"], unique=False)
    op.create_index("ix_events_linkedid", "events", ["linkedid"], unique=False)
    op.create_table(
        "forward_attempts",
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("method", sa.String(length=32), nullable=False),
        sa.Column("line_number", sa.String(length=32), nullable=True),
        sa.Column("phone", sa.String(length=64), nullable=True),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("call_id", sa.String(length=150), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("evidence", Json, nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_forward_attempts")),
    )
    op.create_index("ix_forward_attempts_at", "forward_attempts", ["at"], unique=False)
    op.create_index("ix_forward_attempts_call_id", "forward_attempts", ["call_id"], unique=False)
    op.create_table(
        "inventory_versions",
        sa.Column("version", BigId, autoincrement=True, nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("imported_by", sa.String(length=64), nullable=False),
        sa.Column("source", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("summary", Json, nullable=False),
        sa.PrimaryKeyConstraint("version", name=op.f("pk_inventory_versions")),
    )
    op.create_table(
        "journal_checkpoints",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", Instant, nullable=False),
        sa.PrimaryKeyConstraint("node", "file", name=op.f("pk_journal_checkpoints")),
    )
    op.create_table(
        "legs",
        sa.Column("id", sa.String(length=150), nullable=False),
        sa.Column("call_id", sa.String(length=150), nullable=False),
        sa.Column("channel", sa.String(length=255), nullable=False),
        sa.Column("party", sa.String(length=16), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("number", sa.String(length=255), nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("answered_at", Instant, nullable=True),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("cause", sa.Integer(), nullable=True),
        sa.Column("tech_cause", sa.String(length=64), nullable=False),
        sa.Column("sip_call_id", sa.String(length=255), nullable=False),
        sa.Column("synthetic_end", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_legs")),
    )
    op.create_index("ix_legs_call_id", "legs", ["call_id"], unique=False)
    op.create_index("ix_legs_sip_call_id", "legs", ["sip_call_id"], unique=False)
    op.create_table(
        "quarantined_lines",
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.Column("file", sa.String(length=64), nullable=False),
        sa.Column("offset", sa.BigInteger(), nullable=False),
        sa.Column("at", Instant, nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("node", "file", "offset", name=op.f("pk_quarantined_lines")),
    )
    op.create_table(
        "radios",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("uri", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_radios")),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.String(length=150), nullable=False),
        sa.Column("call_id", sa.String(length=150), nullable=False),
        sa.Column("line_number", sa.String(length=32), nullable=True),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("started_at", Instant, nullable=False),
        sa.Column("ended_at", Instant, nullable=True),
        sa.Column("length_s", sa.Float(), nullable=True),
        sa.Column("rate_hz", sa.Integer(), nullable=True),
        sa.Column("ours_path", sa.String(length=255), nullable=True),
        sa.Column("ours_sha256", sa.String(length=64), nullable=True),
        sa.Column("theirs_path", sa.String(length=255), nullable=True),
        sa.Column("theirs_sha256", sa.String(length=64), nullable=True),
        sa.Column("note", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
    )
    op.create_index("ix_recordings_call_id", "recordings", ["call_id"], unique=False)
    op.create_index("ix_recordings_started_at", "recordings", ["started_at"], unique=False)
    op.create_table(
        "tokens",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("revoked_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_tokens")),
    )
    op.create_table(
        "trunks",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("host", sa.String(length=255), nullable=False),
        sa.Column("match", Json, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_trunks")),
    )
    op.create_table(
        "units",
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("parent", sa.String(length=32), nullable=True),
        sa.ForeignKeyConstraint(["parent"], ["units.code"], name=op.f("fk_units_parent")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_units")),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password_hash", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=32), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("disabled_at", Instant, nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )
    op.create_table(
        "lines",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=8), nullable=False),
        sa.Column("trunk", sa.String(length=64), nullable=True),
        sa.Column("aliases", Json, nullable=False),
        sa.Column("ring_timeout_s", sa.Integer(), nullable=True),
        sa.Column("announce_recording", sa.Boolean(), nullable=True),
        sa.ForeignKeyConstraint(["trunk"], ["trunks.name"], name=op.f("fk_lines_trunk")),
        sa.ForeignKeyConstraint(["unit"], ["units.code"], name=op.f("fk_lines_unit")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_lines")),
    )
    op.create_table(
        "numbers",
        sa.Column("number", sa.String(length=32), nullable=False),
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["unit"], ["units.code"], name=op.f("fk_numbers_unit")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_numbers")),
    )
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("user_name", sa.String(length=64), nullable=False),
        sa.Column("created_at", Instant, nullable=False),
        sa.Column("expires_at", Instant, nullable=False),
        sa.ForeignKeyConstraint(["user_name"], ["users.name"], name=op.f("fk_sessions_user_name")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sessions")),
    )
    op.create_table(
        "stations",
        sa.Column("unit", sa.String(length=32), nullable=False),
        sa.Column("radio", sa.String(length=64), nullable=False),
        sa.Column("call_sign", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["radio"], ["radios.name"], name=op.f("fk_stations_radio")),
        sa.ForeignKeyConstraint(["unit"], ["units.code"], name=op.f("fk_stations_unit")),
        sa.PrimaryKeyConstraint("unit", "radio", name=op.f("pk_stations")),
    )
    op.create_table(
        "phones",
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("line_number", sa.String(length=32), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("ha1", sa.String(length=32), nullable=False),
        sa.Column("net", Json, nullable=False),
        sa.ForeignKeyConstraint(["line_number"], ["lines.number"], name=op.f("fk_phones_line_number")),
        sa.PrimaryKeyConstraint("user", name=op.f("pk_phones")),
    )
    for statement in POSTGRESQL if op.get_context().dialect.name == "postgresql" else SQLITE:
        op.execute(statement)
