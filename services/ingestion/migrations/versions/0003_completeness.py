"""Counts of a source's days that are kept, not made anew from the events; alarms of gaps and silence."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE tallies (
  tally_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at       timestamptz NOT NULL,
  entries  bytea NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 20000);

CREATE TABLE day_counts (
  source     text NOT NULL,
  day        date NOT NULL,
  kind       text NOT NULL,
  events     integer NOT NULL CHECK (events > 0),
  digest     bytea,
  counted_at timestamptz NOT NULL,
  PRIMARY KEY (source, day, kind)
) WITH (fillfactor = 80);
-- the ids of what came before are sealed: these days are compared by their counts alone
INSERT INTO day_counts (source, day, kind, events, counted_at)
  SELECT source, day, kind, count(*), max(recorded_at) FROM received GROUP BY source, day, kind;

CREATE TABLE source_kinds (
  source       text NOT NULL,
  kind         text NOT NULL,
  heard_at     timestamptz,
  silent_since timestamptz,
  PRIMARY KEY (source, kind)
) WITH (fillfactor = 80);
INSERT INTO source_kinds (source, kind, heard_at)
  SELECT source, kind, max(counted_at) FROM day_counts GROUP BY source, kind;

ALTER TABLE source_days
  ALTER COLUMN count DROP NOT NULL, ALTER COLUMN digest DROP NOT NULL, ALTER COLUMN told_at DROP NOT NULL,
  ADD COLUMN checked_at timestamptz,
  ADD COLUMN gap_since timestamptz,
  ADD COLUMN gap_state text,
  ADD CHECK ((gap_since IS NULL) = (gap_state IS NULL)),
  ADD CHECK ((told_at IS NULL) = (count IS NULL) AND (count IS NULL) = (digest IS NULL));
CREATE INDEX source_days_gaps ON source_days (source, day) WHERE gap_since IS NOT NULL;

CREATE INDEX quarantine_unsettled ON quarantine (source) WHERE state <> 'released';
"""


def upgrade() -> None:
    op.execute(TABLES)
