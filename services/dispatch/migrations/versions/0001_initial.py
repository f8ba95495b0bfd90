"""Plans, tasks, providers and what they were told."""

from alembic import op
from shell.store.migrate import create_platform_tables

revision = "0001"
down_revision = None

TABLES = """
CREATE TABLE heads (
  person_id uuid PRIMARY KEY,
  version   bigint NOT NULL,
  digest    bigint NOT NULL
) WITH (fillfactor = 70);

CREATE TABLE plans (
  person_id      uuid NOT NULL,
  item           text NOT NULL,
  state          text NOT NULL CHECK (state IN ('active', 'paused', 'waiting', 'stopped')),
  cause          text,
  epoch          integer NOT NULL,
  division       text,
  tier           text,
  interval_days  integer CHECK (interval_days > 0),
  entitlement_id uuid,
  started_on     date,
  last_from      date,
  opened_until   date,
  suspected_on   date,
  act_on         date,
  part           bytea NOT NULL,
  correlation_id text NOT NULL,
  PRIMARY KEY (person_id, item)
) WITH (fillfactor = 80);
ALTER TABLE plans ALTER COLUMN part SET STORAGE EXTERNAL;
CREATE INDEX plans_act_on ON plans (act_on) WHERE act_on IS NOT NULL;

CREATE TABLE tasks (
  task_id        uuid PRIMARY KEY,
  person_id      uuid NOT NULL,
  item           text NOT NULL,
  reason         text NOT NULL,
  division       text NOT NULL,
  window_from    date NOT NULL,
  window_to      date NOT NULL,
  entitlement_id uuid NOT NULL,
  correlation_id text NOT NULL,
  tier           text,
  origin_task_id uuid,
  redispatches   integer NOT NULL DEFAULT 0,
  state          text NOT NULL CHECK (state IN ('planned', 'offered', 'accepted', 'in_progress', 'completed', 'missed',
                                                'failed', 'excused', 'expired', 'cancelled')),
  provider       text,
  cause          text,
  accept_by      timestamptz,
  checked_in_at  timestamptz,
  checked_out_at timestamptz,
  worker         text,
  outcome        text,
  tried          text NOT NULL DEFAULT '',
  act_at         timestamptz,
  verdict        text,
  CHECK (window_from < window_to),
  CHECK (checked_in_at <= checked_out_at),
  CHECK (state NOT IN ('offered', 'accepted', 'in_progress', 'completed') OR provider IS NOT NULL),
  CHECK ((act_at IS NOT NULL) = (state IN ('planned', 'offered', 'accepted', 'in_progress')))
) WITH (fillfactor = 80);
CREATE INDEX tasks_of_person ON tasks (person_id);
CREATE INDEX tasks_act_at ON tasks (act_at) WHERE act_at IS NOT NULL;
CREATE INDEX tasks_of_provider ON tasks (provider, state) WHERE provider IS NOT NULL;
CREATE INDEX tasks_unplaced ON tasks (task_id) WHERE state = 'planned' AND cause IS NOT NULL;

CREATE TABLE areas (
  area     text NOT NULL,
  division text NOT NULL,
  PRIMARY KEY (area, division)
);

CREATE TABLE providers (
  uscc             text PRIMARY KEY CHECK (uscc ~ '^[0-9A-Z]{18}$'),
  name             text NOT NULL CHECK (length(name) BETWEEN 1 AND 200),
  items            text NOT NULL,
  capacity_per_day integer NOT NULL CHECK (capacity_per_day BETWEEN 1 AND 100000),
  subscription     text NOT NULL CHECK (subscription IN ('kafka', 'webhook', 'poll')),
  topic_state      text NOT NULL CHECK (topic_state IN ('none', 'pending', 'ready')),
  feed_seq         bigint NOT NULL DEFAULT 0,
  open_tasks       integer NOT NULL DEFAULT 0,
  rematch_after    uuid,
  created_at       timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE provider_areas (
  division text NOT NULL,
  uscc     text NOT NULL REFERENCES providers (uscc),
  PRIMARY KEY (division, uscc)
);

CREATE TABLE feed (
  provider       text NOT NULL,
  seq            bigint NOT NULL,
  event_id       uuid NOT NULL,
  wire_type      text NOT NULL,
  task_id        uuid NOT NULL,
  at             timestamptz NOT NULL,
  correlation_id text NOT NULL,
  causation_id   uuid,
  payload        bytea NOT NULL,
  published      boolean NOT NULL,
  PRIMARY KEY (provider, seq)
);
ALTER TABLE feed ALTER COLUMN payload SET STORAGE EXTERNAL;
CREATE INDEX feed_unpublished ON feed (provider, seq) WHERE NOT published;
CREATE INDEX feed_at ON feed USING brin (at);

CREATE TABLE answers (
  answer_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  task_id     uuid NOT NULL,
  given_by    text NOT NULL,
  answer      text NOT NULL,
  at          timestamptz NOT NULL,
  received_at timestamptz NOT NULL,
  via         text NOT NULL,
  evidence    text,
  refused     text
);
CREATE INDEX answers_of_task ON answers (task_id);
"""


def upgrade() -> None:
    create_platform_tables()
    op.execute(TABLES)
