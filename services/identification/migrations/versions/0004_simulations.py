"""What a proposed list would do, chunk by chunk, and the band that keeps a published one to it."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE simulations (
  simulation_id uuid PRIMARY KEY,
  jurisdiction  text NOT NULL,
  version       text NOT NULL,
  list          bytea NOT NULL,
  basis         text NOT NULL,
  base_seq      bigint NOT NULL,
  base_digest   text NOT NULL,
  first_month   date NOT NULL CHECK (extract(day FROM first_month) = 1),
  months        smallint NOT NULL CHECK (months BETWEEN 1 AND 36),
  known_at      timestamptz NOT NULL,
  replayed      boolean NOT NULL,
  settled       boolean NOT NULL,
  demo          boolean NOT NULL,
  state         text NOT NULL CHECK (state IN ('waiting', 'running', 'complete', 'failed')),
  fault         text,
  requested_by  text NOT NULL,
  requested_at  timestamptz NOT NULL,
  completed_at  timestamptz,
  chunks        integer NOT NULL,
  chunks_done   integer NOT NULL,
  people        bigint NOT NULL,
  result        bytea
);
ALTER TABLE simulations ALTER COLUMN result SET STORAGE EXTERNAL;
CREATE INDEX simulations_version ON simulations (version, requested_at);
CREATE INDEX simulations_open ON simulations (requested_at) WHERE state IN ('waiting', 'running');

-- The people of a chunk: ids above `after_id` up to `upto_id` (NULL: from the first, to the last).
CREATE TABLE simulation_chunks (
  simulation_id  uuid NOT NULL REFERENCES simulations ON DELETE CASCADE,
  n              integer NOT NULL,
  after_id       uuid,
  upto_id        uuid,
  people         integer,
  PRIMARY KEY (simulation_id, n)
);

-- Whom a list is to change, so that it can be held to it person by person, in whatever order they are decided again.
CREATE TABLE simulated_changes (
  simulation_id  uuid NOT NULL REFERENCES simulations ON DELETE CASCADE,
  person_id      uuid NOT NULL,
  fen            bigint NOT NULL,
  PRIMARY KEY (simulation_id, person_id)
);

-- What a step of deciding again came to, and what was simulated for the same people.
CREATE TABLE watched_steps (
  step             bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  publication      bigint NOT NULL REFERENCES publications,
  people_changed   bigint NOT NULL,
  raised_fen       bigint NOT NULL,
  cut_fen          bigint NOT NULL,
  people_simulated bigint NOT NULL,
  raised_simulated_fen bigint NOT NULL,
  cut_simulated_fen    bigint NOT NULL
);
CREATE INDEX watched_steps_publication ON watched_steps (publication);

ALTER TABLE policies DROP CONSTRAINT policies_state_check;
ALTER TABLE policies ADD CONSTRAINT policies_state_check
  CHECK (state IN ('proposed', 'approved', 'published', 'halted'));

ALTER TABLE publications
  ADD COLUMN simulation_id uuid REFERENCES simulations,
  ADD COLUMN band text,
  ADD COLUMN watched boolean NOT NULL DEFAULT false,
  ADD COLUMN halted_at timestamptz,
  ADD COLUMN halted_by text,
  ADD COLUMN halt_reason text;
"""


def upgrade() -> None:
    op.execute(TABLES)
