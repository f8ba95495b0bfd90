"""Identity vault, statements, quarantine, completeness, audit."""

from alembic import op
from shell.store.migrate import create_platform_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE identities (
  blind_index bytea PRIMARY KEY,
  person_id   uuid NOT NULL
);

CREATE TABLE persons (
  person_id   uuid PRIMARY KEY,
  version     integer NOT NULL DEFAULT 0,
  recorded_at timestamptz,
  division    text,
  waiting     integer NOT NULL DEFAULT 0 CHECK (waiting >= 0),
  statements  bytea NOT NULL DEFAULT '',
  memory      bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 50, toast_tuple_target = 8160);
-- read and written whole: compressing costs more than it saves
ALTER TABLE persons ALTER COLUMN statements SET STORAGE EXTERNAL, ALTER COLUMN memory SET STORAGE MAIN;

CREATE TABLE vault (
  person_id uuid NOT NULL,
  field     text NOT NULL CHECK (field IN ('id_number', 'name')),
  sealed    bytea NOT NULL,
  PRIMARY KEY (person_id, field)
) WITH (fillfactor = 90);

CREATE TABLE received (
  event_id    uuid PRIMARY KEY,
  source      text NOT NULL,
  kind        text NOT NULL,
  day         date NOT NULL,
  status      text NOT NULL CHECK (status IN ('applied', 'quarantined', 'parked')),
  person_id   uuid NOT NULL,
  chain       uuid,
  household   uuid,
  digest      bytea NOT NULL,
  sealed      bytea NOT NULL,
  recorded_at timestamptz NOT NULL,
  CHECK ((status = 'applied') = (chain IS NOT NULL))
);
ALTER TABLE received ALTER COLUMN sealed SET STORAGE EXTERNAL;
-- days come in order but for late ones, so a block range index is enough and costs nothing to keep
CREATE INDEX received_day ON received USING brin (day);

CREATE VIEW source_day_counts AS
  SELECT source, day, status, count(*) AS events FROM received GROUP BY source, day, status;

CREATE TABLE households (
  household uuid PRIMARY KEY,
  state     bytea NOT NULL DEFAULT ''
) WITH (fillfactor = 75);

CREATE TABLE quarantine (
  event_id     uuid PRIMARY KEY REFERENCES received,
  person_id    uuid NOT NULL,
  source       text NOT NULL,
  kind         text NOT NULL,
  reason       text NOT NULL,
  waits_for    uuid,
  owner        text NOT NULL,
  state        text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'released', 'discarded')),
  since        timestamptz NOT NULL,
  deadline     timestamptz NOT NULL,
  escalated_at timestamptz,
  settled_at   timestamptz,
  settled_by   text,
  note         text,
  CHECK ((state = 'open') = (settled_at IS NULL))
);
CREATE INDEX quarantine_open ON quarantine (person_id) WHERE state = 'open';
CREATE INDEX quarantine_overdue ON quarantine (deadline) WHERE state = 'open' AND escalated_at IS NULL;

CREATE TABLE rejections (
  rejection_id uuid PRIMARY KEY,
  source       text NOT NULL,
  event_id     uuid,
  day          date NOT NULL,
  problems     bytea NOT NULL,
  sealed       bytea NOT NULL,
  recorded_at  timestamptz NOT NULL
);
CREATE INDEX rejections_day ON rejections (source, day);

CREATE TABLE source_days (
  source  text NOT NULL,
  day     date NOT NULL,
  count   integer NOT NULL CHECK (count >= 0),
  digest  text NOT NULL,
  told_at timestamptz NOT NULL,
  PRIMARY KEY (source, day)
);

CREATE TABLE audits (
  audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL,
  actor      text NOT NULL,
  role       text NOT NULL,
  action     text NOT NULL,
  purpose    text NOT NULL,
  cause      text NOT NULL,
  fields     text NOT NULL,
  person_ids bytea NOT NULL
);
CREATE FUNCTION audits_are_only_added() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'audit rows are only ever added'; END $$;
CREATE TRIGGER audits_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audits
  FOR EACH STATEMENT EXECUTE FUNCTION audits_are_only_added();
"""


def upgrade() -> None:
    create_platform_tables()
    op.execute(TABLES)
