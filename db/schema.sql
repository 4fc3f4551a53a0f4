-- Made by `python -m gateway.store.schema` from gateway/store/tables.py, to be read; migrations make the real one.
-- Shown as PostgreSQL; on SQLite times are text of fixed width and JSONB is JSON.

CREATE TABLE access_audits (
	id BIGSERIAL NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	actor VARCHAR(64) NOT NULL,
	action VARCHAR(32) NOT NULL,
	object_type VARCHAR(32) NOT NULL,
	object_id VARCHAR(150) NOT NULL,
	address VARCHAR(64) NOT NULL,
	detail JSONB NOT NULL,
	CONSTRAINT pk_access_audits PRIMARY KEY (id)
);

CREATE INDEX ix_access_audits_at ON access_audits (at);

CREATE TABLE alarms (
	id VARCHAR(40) NOT NULL,
	code VARCHAR(48) NOT NULL,
	severity VARCHAR(16) NOT NULL,
	subject VARCHAR(255) NOT NULL,
	detail TEXT NOT NULL,
	raised_at TIMESTAMP WITH TIME ZONE NOT NULL,
	cleared_at TIMESTAMP WITH TIME ZONE,
	cleared_by VARCHAR(64),
	CONSTRAINT pk_alarms PRIMARY KEY (id)
);

CREATE INDEX ix_alarms_raised_at ON alarms (raised_at);

CREATE UNIQUE INDEX uq_alarms_standing ON alarms (code, subject) WHERE cleared_at IS NULL;

CREATE TABLE calls (
	id VARCHAR(150) NOT NULL,
	node VARCHAR(64) NOT NULL,
	direction VARCHAR(16) NOT NULL,
	line_number VARCHAR(32),
	unit VARCHAR(32),
	dialled_number VARCHAR(255) NOT NULL,
	caller_number VARCHAR(255) NOT NULL,
	caller_name VARCHAR(255) NOT NULL,
	caller_unit VARCHAR(32),
	started_at TIMESTAMP WITH TIME ZONE NOT NULL,
	answered_at TIMESTAMP WITH TIME ZONE,
	ended_at TIMESTAMP WITH TIME ZONE,
	disposition VARCHAR(16) NOT NULL,
	answered_by VARCHAR(64),
	message_left BOOLEAN NOT NULL,
	lookup VARCHAR(16) NOT NULL,
	recording_state VARCHAR(16) NOT NULL,
	reason VARCHAR(64) NOT NULL,
	diversion JSONB NOT NULL,
	CONSTRAINT pk_calls PRIMARY KEY (id)
);

CREATE INDEX ix_calls_caller_number_started_at ON calls (caller_number, started_at);

CREATE INDEX ix_calls_line_number_started_at ON calls (line_number, started_at);

CREATE INDEX ix_calls_started_at ON calls (started_at);

CREATE INDEX ix_calls_unit_started_at ON calls (unit, started_at);

CREATE TABLE events (
	id BIGSERIAL NOT NULL,
	node VARCHAR(64) NOT NULL,
	file VARCHAR(64) NOT NULL,
	"offset" BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	type VARCHAR(32) NOT NULL,
	user_type VARCHAR(64) NOT NULL,
	channel VARCHAR(255) NOT NULL,
	uniqueid VARCHAR(150) NOT NULL,
	linkedid VARCHAR(150) NOT NULL,
	raw JSONB NOT NULL,
	CONSTRAINT pk_events PRIMARY KEY (id),
	CONSTRAINT uq_events_node_file_offset UNIQUE (node, file, "offset")
);

CREATE INDEX ix_events_at ON events (at);

CREATE INDEX ix_events_linkedid ON events (linkedid);

CREATE TABLE forward_attempts (
	key VARCHAR(255) NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	method VARCHAR(32) NOT NULL,
	line_number VARCHAR(32),
	phone VARCHAR(64),
	target VARCHAR(255) NOT NULL,
	call_id VARCHAR(150),
	outcome VARCHAR(16) NOT NULL,
	evidence JSONB NOT NULL,
	CONSTRAINT pk_forward_attempts PRIMARY KEY (key)
);

CREATE INDEX ix_forward_attempts_at ON forward_attempts (at);

CREATE INDEX ix_forward_attempts_call_id ON forward_attempts (call_id);

CREATE TABLE inventory_versions (
	version BIGSERIAL NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	imported_by VARCHAR(64) NOT NULL,
	source VARCHAR(255) NOT NULL,
	sha256 VARCHAR(64) NOT NULL,
	summary JSONB NOT NULL,
	CONSTRAINT pk_inventory_versions PRIMARY KEY (version)
);

CREATE TABLE journal_checkpoints (
	node VARCHAR(64) NOT NULL,
	file VARCHAR(64) NOT NULL,
	"offset" BIGINT NOT NULL,
	updated_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_journal_checkpoints PRIMARY KEY (node, file)
);

CREATE TABLE legs (
	id VARCHAR(150) NOT NULL,
	call_id VARCHAR(150) NOT NULL,
	channel VARCHAR(255) NOT NULL,
	party VARCHAR(16) NOT NULL,
	endpoint VARCHAR(64) NOT NULL,
	number VARCHAR(255) NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE NOT NULL,
	answered_at TIMESTAMP WITH TIME ZONE,
	ended_at TIMESTAMP WITH TIME ZONE,
	cause INTEGER,
	tech_cause VARCHAR(64) NOT NULL,
	sip_call_id VARCHAR(255) NOT NULL,
	synthetic_end BOOLEAN NOT NULL,
	CONSTRAINT pk_legs PRIMARY KEY (id)
);

CREATE INDEX ix_legs_call_id ON legs (call_id);

CREATE INDEX ix_legs_sip_call_id ON legs (sip_call_id);

CREATE TABLE quarantined_lines (
	node VARCHAR(64) NOT NULL,
	file VARCHAR(64) NOT NULL,
	"offset" BIGINT NOT NULL,
	at TIMESTAMP WITH TIME ZONE NOT NULL,
	reason TEXT NOT NULL,
	raw BYTEA NOT NULL,
	CONSTRAINT pk_quarantined_lines PRIMARY KEY (node, file, "offset")
);

CREATE TABLE radios (
	name VARCHAR(64) NOT NULL,
	uri VARCHAR(255) NOT NULL,
	CONSTRAINT pk_radios PRIMARY KEY (name)
);

CREATE TABLE recordings (
	id VARCHAR(150) NOT NULL,
	call_id VARCHAR(150) NOT NULL,
	line_number VARCHAR(32),
	kind VARCHAR(16) NOT NULL,
	state VARCHAR(16) NOT NULL,
	started_at TIMESTAMP WITH TIME ZONE NOT NULL,
	ended_at TIMESTAMP WITH TIME ZONE,
	length_s FLOAT,
	rate_hz INTEGER,
	ours_path VARCHAR(255),
	ours_sha256 VARCHAR(64),
	theirs_path VARCHAR(255),
	theirs_sha256 VARCHAR(64),
	note VARCHAR(255) NOT NULL,
	CONSTRAINT pk_recordings PRIMARY KEY (id)
);

CREATE INDEX ix_recordings_call_id ON recordings (call_id);

CREATE INDEX ix_recordings_started_at ON recordings (started_at);

CREATE TABLE tokens (
	token_sha256 VARCHAR(64) NOT NULL,
	user_name VARCHAR(64) NOT NULL,
	role VARCHAR(32) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	revoked_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_tokens PRIMARY KEY (token_sha256)
);

CREATE TABLE trunks (
	name VARCHAR(64) NOT NULL,
	host VARCHAR(255) NOT NULL,
	match JSONB NOT NULL,
	CONSTRAINT pk_trunks PRIMARY KEY (name)
);

CREATE TABLE units (
	code VARCHAR(32) NOT NULL,
	name VARCHAR(200) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	parent VARCHAR(32),
	CONSTRAINT pk_units PRIMARY KEY (code),
	CONSTRAINT fk_units_parent FOREIGN KEY(parent) REFERENCES units (code)
);

CREATE TABLE users (
	name VARCHAR(64) NOT NULL,
	password_hash VARCHAR(255) NOT NULL,
	role VARCHAR(32) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	disabled_at TIMESTAMP WITH TIME ZONE,
	CONSTRAINT pk_users PRIMARY KEY (name)
);

CREATE TABLE lines (
	number VARCHAR(32) NOT NULL,
	unit VARCHAR(32) NOT NULL,
	owner VARCHAR(8) NOT NULL,
	trunk VARCHAR(64),
	aliases JSONB NOT NULL,
	ring_timeout_s INTEGER,
	announce_recording BOOLEAN,
	CONSTRAINT pk_lines PRIMARY KEY (number),
	CONSTRAINT fk_lines_unit FOREIGN KEY(unit) REFERENCES units (code),
	CONSTRAINT fk_lines_trunk FOREIGN KEY(trunk) REFERENCES trunks (name)
);

CREATE TABLE numbers (
	number VARCHAR(32) NOT NULL,
	unit VARCHAR(32) NOT NULL,
	purpose VARCHAR(16) NOT NULL,
	CONSTRAINT pk_numbers PRIMARY KEY (number),
	CONSTRAINT fk_numbers_unit FOREIGN KEY(unit) REFERENCES units (code)
);

CREATE TABLE sessions (
	token_sha256 VARCHAR(64) NOT NULL,
	user_name VARCHAR(64) NOT NULL,
	created_at TIMESTAMP WITH TIME ZONE NOT NULL,
	expires_at TIMESTAMP WITH TIME ZONE NOT NULL,
	CONSTRAINT pk_sessions PRIMARY KEY (token_sha256),
	CONSTRAINT fk_sessions_user_name FOREIGN KEY(user_name) REFERENCES users (name)
);

CREATE TABLE stations (
	unit VARCHAR(32) NOT NULL,
	radio VARCHAR(64) NOT NULL,
	call_sign VARCHAR(64) NOT NULL,
	CONSTRAINT pk_stations PRIMARY KEY (unit, radio),
	CONSTRAINT fk_stations_unit FOREIGN KEY(unit) REFERENCES units (code),
	CONSTRAINT fk_stations_radio FOREIGN KEY(radio) REFERENCES radios (name)
);

CREATE TABLE phones (
	"user" VARCHAR(64) NOT NULL,
	line_number VARCHAR(32) NOT NULL,
	position INTEGER NOT NULL,
	ha1 VARCHAR(32) NOT NULL,
	net JSONB NOT NULL,
	CONSTRAINT pk_phones PRIMARY KEY ("user"),
	CONSTRAINT fk_phones_line_number FOREIGN KEY(line_number) REFERENCES lines (number)
);

CREATE OR REPLACE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'integrity_constraint_violation';
END
$$;

CREATE TRIGGER events_append_only BEFORE UPDATE OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER events_not_emptied BEFORE TRUNCATE ON events FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();

CREATE TRIGGER access_audits_append_only BEFORE UPDATE OR DELETE ON access_audits FOR EACH ROW EXECUTE FUNCTION refuse_change();

CREATE TRIGGER access_audits_not_emptied BEFORE TRUNCATE ON access_audits FOR EACH STATEMENT EXECUTE FUNCTION refuse_change();
