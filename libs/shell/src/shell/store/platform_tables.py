"""The tables that every service has: outbox, inbox, offsets, parked records, job marks.

A service that creates things by HTTP also has the table of request keys.
"""

from typing import Final

# Added after the first version. Each statement is harmless if the column or table exists.
POSITIONS: Final = """
ALTER TABLE consumer_offsets
  ADD COLUMN IF NOT EXISTS record_ms bigint,    -- timestamp of the record handled last, ms since 1970
  ADD COLUMN IF NOT EXISTS stopped text,        -- why the partition is not read: a code, and a sentence
  ADD COLUMN IF NOT EXISTS stopped_why text,
  ADD COLUMN IF NOT EXISTS stopped_at timestamptz;
ALTER TABLE parked ADD COLUMN IF NOT EXISTS record_ms bigint;
-- every decision of an operator on where a consumer reads on; never changed, never deleted
CREATE TABLE IF NOT EXISTS offset_resumes (
  resume_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  consumer     text NOT NULL,
  topic        text NOT NULL,
  part         integer NOT NULL,
  from_offset  bigint,             -- the next offset before; null: nothing was read yet
  to_offset    bigint NOT NULL,
  log_start    bigint NOT NULL,
  log_end      bigint NOT NULL,
  skipped_from bigint,             -- the records skipped, both ends included
  skipped_to   bigint,
  stopped      text,
  stopped_why  text,
  resumed_by   text NOT NULL,
  resumed_at   timestamptz NOT NULL DEFAULT now(),
  CHECK ((skipped_from IS NULL) = (skipped_to IS NULL))
);
"""

# A table of the first version that was never used.
DROP_UNUSED: Final = "DROP TABLE IF EXISTS idempotency;"
REQUEST_KEYS: Final = """
-- which request a key of a caller stands for (shell.http.idempotency)
CREATE TABLE request_keys (
  request_id uuid PRIMARY KEY,     -- of caller and key
  request    bytea NOT NULL,       -- digest of route, path and body
  created_id text,                 -- of the thing created
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX request_keys_created_at ON request_keys (created_at);
"""

_TABLES: Final = """
CREATE SEQUENCE outbox_seq;
CREATE TABLE outbox (
  seq       bigint NOT NULL DEFAULT nextval('outbox_seq'),
  topic     text NOT NULL,  -- '' in a row that packs several events, which name theirs inside
  key       text NOT NULL,
  urgent    boolean NOT NULL DEFAULT false,
  state     boolean NOT NULL DEFAULT false,
  events    integer NOT NULL DEFAULT 1,
  payload   bytea NOT NULL,
  headers   bytea NOT NULL,
  causes    text NOT NULL DEFAULT '',
  created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
  PRIMARY KEY (seq)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
        autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_scale_factor = 0,
        autovacuum_analyze_threshold = 20000, toast_tuple_target = 8160);
-- payloads are small JSON and live for milliseconds: compressing them costs more than it saves
ALTER TABLE outbox ALTER COLUMN payload SET STORAGE EXTERNAL, ALTER COLUMN headers SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX outbox_one_pending_state ON outbox (topic, key) WHERE state;
CREATE INDEX outbox_urgent ON outbox (seq) WHERE urgent;

CREATE TABLE inbox (
  consumer   text NOT NULL,
  generation integer NOT NULL DEFAULT 0,
  event_id   uuid NOT NULL,
  claimed_at timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, generation, event_id)
);
CREATE INDEX inbox_claimed_at ON inbox USING brin (claimed_at);

CREATE TABLE consumer_offsets (
  consumer    text NOT NULL,
  topic       text NOT NULL,
  part        integer NOT NULL,
  next_offset bigint,
  epoch       bigint NOT NULL DEFAULT 0,
  moved_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (consumer, topic, part)
) WITH (fillfactor = 50);

CREATE TABLE parked (
  parked_id  uuid PRIMARY KEY,
  consumer   text NOT NULL,
  topic      text NOT NULL,
  part       integer NOT NULL,
  "offset"   bigint NOT NULL,
  key        bytea,
  sealed     bytea NOT NULL,
  reason     text NOT NULL,
  error_type text,
  state      text NOT NULL DEFAULT 'parked' CHECK (state IN ('parked', 'replayed', 'superseded', 'discarded')),
  generation integer NOT NULL DEFAULT 0,
  parked_at  timestamptz NOT NULL DEFAULT now(),
  settled_at timestamptz
);
CREATE INDEX parked_open ON parked (consumer, key) WHERE state = 'parked';

CREATE TABLE job_marks (
  job      text PRIMARY KEY,
  mark     text NOT NULL,
  moved_at timestamptz NOT NULL DEFAULT now()
);
"""
PLATFORM_TABLES: Final = _TABLES + POSITIONS
