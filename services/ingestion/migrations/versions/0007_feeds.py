"""Table exchange: how far each front-end table is read, what each of its rows said last, and the rows refused."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE feeds (
  feed         text PRIMARY KEY,
  state        text NOT NULL DEFAULT 'idle' CHECK (state IN ('idle', 'reading', 'ending', 'held')),
  run          bigint NOT NULL DEFAULT 0,
  newest       bytea NOT NULL DEFAULT '',
  cursor       bytea NOT NULL DEFAULT '',
  from_start   boolean NOT NULL DEFAULT false,
  headers      bytea NOT NULL DEFAULT '',
  failures     integer NOT NULL DEFAULT 0,
  problem      bytea NOT NULL DEFAULT '',
  problem_at   timestamptz,
  worked_at    timestamptz,
  next_at      timestamptz
) WITH (fillfactor = 50);

CREATE TABLE feed_runs (
  feed         text NOT NULL REFERENCES feeds,
  run          bigint NOT NULL,
  state        text NOT NULL CHECK (state IN ('reading', 'ending', 'held', 'done', 'unsure')),
  started_at   timestamptz NOT NULL,
  finished_at  timestamptz,
  rows_before  bigint,
  rows_read    bigint NOT NULL DEFAULT 0,
  accepted     bigint NOT NULL DEFAULT 0,
  unchanged    bigint NOT NULL DEFAULT 0,
  quarantined  bigint NOT NULL DEFAULT 0,
  rejected     bigint NOT NULL DEFAULT 0,
  missing      bigint NOT NULL DEFAULT 0,
  ended        bigint NOT NULL DEFAULT 0,
  problem      bytea NOT NULL DEFAULT '',
  confirmed_by text,
  PRIMARY KEY (feed, run),
  -- every row that was read is in exactly one of the four
  CHECK (rows_read = accepted + unchanged + quarantined + rejected)
) WITH (fillfactor = 50);

CREATE TABLE feed_rows (
  feed         text NOT NULL REFERENCES feeds,
  row_key      bytea NOT NULL,
  seen_run     bigint NOT NULL,
  version      integer NOT NULL,
  life         text NOT NULL CHECK (life IN ('silent', 'alive', 'ended', 'annulled')),
  at           timestamptz NOT NULL,
  mark         bytea NOT NULL,
  raw          bytea NOT NULL,
  line         bytea NOT NULL,
  said         bytea NOT NULL,
  valid_from   date,
  valid_to     date,
  head         integer NOT NULL DEFAULT 0,
  earlier      bytea NOT NULL DEFAULT '',
  PRIMARY KEY (feed, row_key)
) WITH (fillfactor = 70);

CREATE TABLE feed_rejects (
  feed         text NOT NULL REFERENCES feeds,
  row_key      bytea NOT NULL,
  run          bigint NOT NULL,
  at           timestamptz NOT NULL,
  problems     bytea NOT NULL,
  sealed       bytea NOT NULL,
  PRIMARY KEY (feed, row_key)
);
ALTER TABLE feed_rejects ALTER COLUMN sealed SET STORAGE EXTERNAL;
"""


def upgrade() -> None:
    op.execute(TABLES)
