"""The register of sources with its versions, corrections asked for, quotas, signed requests."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE day_counts DROP COLUMN counted_at;
CREATE INDEX source_days_to_compare ON source_days (day) WHERE checked_at IS NULL;

CREATE TABLE registry (
  source     text NOT NULL,
  version    integer NOT NULL CHECK (version > 0),
  since      timestamptz NOT NULL,
  entry      bytea NOT NULL,
  decided_by text NOT NULL,
  reason     text NOT NULL,
  PRIMARY KEY (source, version)
);
CREATE FUNCTION registry_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'versions of sources are only ever added'; END $$;
CREATE TRIGGER registry_is_only_added_to BEFORE UPDATE OR DELETE OR TRUNCATE ON registry
  FOR EACH STATEMENT EXECUTE FUNCTION registry_is_only_added_to();

CREATE TABLE corrections (
  correction_id uuid PRIMARY KEY,
  source        text NOT NULL,
  area          text NOT NULL,
  event_id      uuid NOT NULL,
  kind          text,
  code          text NOT NULL,
  pointer       text NOT NULL,
  reason        text NOT NULL,
  rule          text NOT NULL CHECK (rule IN ('officer', 'quarantine_overdue')),
  asked_by      text NOT NULL,
  asked_at      timestamptz NOT NULL,
  deadline      timestamptz NOT NULL,
  looked_at     timestamptz NOT NULL,
  state         text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'answered', 'withdrawn')),
  answered_at   timestamptz,
  answered_by   uuid,
  CHECK ((state = 'open') = (answered_at IS NULL))
);
CREATE UNIQUE INDEX corrections_one_open ON corrections (event_id) WHERE state = 'open';
CREATE INDEX corrections_of_source ON corrections (source, correction_id);

CREATE TABLE quotas (
  source      text PRIMARY KEY,
  minute_left double precision NOT NULL,
  day_left    double precision NOT NULL,
  at          timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE signatures (
  source text NOT NULL,
  nonce  text NOT NULL,
  at     timestamptz NOT NULL,
  PRIMARY KEY (source, nonce)
);
CREATE INDEX signatures_at ON signatures (at);
"""


def upgrade() -> None:
    op.execute(TABLES)
