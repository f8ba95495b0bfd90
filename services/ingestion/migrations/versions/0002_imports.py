"""Files that came through the import door, how far each is worked through, and the rows that were refused."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE imports (
  import_id     uuid PRIMARY KEY,
  source        text,
  owner         text NOT NULL,
  actor         text NOT NULL,
  kind          text,
  format        text NOT NULL,
  mapping       bytea NOT NULL,
  spool         uuid,
  bytes         bigint NOT NULL CHECK (bytes >= 0),
  bytes_read    bigint NOT NULL DEFAULT 0,
  state         text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'failed')),
  problems      bytea NOT NULL DEFAULT '',
  headers       bytea NOT NULL DEFAULT '',
  rows_read     bigint NOT NULL DEFAULT 0,
  accepted      bigint NOT NULL DEFAULT 0,
  duplicates    bigint NOT NULL DEFAULT 0,
  quarantined   bigint NOT NULL DEFAULT 0,
  rejected      bigint NOT NULL DEFAULT 0,
  formula_rows  bigint NOT NULL DEFAULT 0,
  tables_skipped integer NOT NULL DEFAULT 0,
  received_at   timestamptz NOT NULL,
  worked_at     timestamptz,
  settled_at    timestamptz,
  -- every row that was read is in exactly one of the four
  CHECK (rows_read = accepted + duplicates + quarantined + rejected),
  CHECK ((state IN ('done', 'failed')) = (settled_at IS NOT NULL))
) WITH (fillfactor = 50);
CREATE INDEX imports_open ON imports (worked_at) WHERE state IN ('waiting', 'running');
CREATE INDEX imports_settled ON imports (settled_at) WHERE rejected > 0;

CREATE TABLE import_rejects (
  import_id uuid NOT NULL REFERENCES imports,
  row       bigint NOT NULL,
  problems  bytea NOT NULL,
  sealed    bytea NOT NULL,
  PRIMARY KEY (import_id, row)
);
ALTER TABLE import_rejects ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    op.execute(TABLES)
