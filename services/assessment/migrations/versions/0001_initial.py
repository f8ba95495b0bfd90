"""Needs, cases and results."""

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

CREATE TABLE needs (
  person_id       uuid PRIMARY KEY,
  periods         bytea NOT NULL,
  division        text,
  died_on         date,
  merged          boolean NOT NULL,
  correlation_id  text NOT NULL,
  cases           integer NOT NULL,
  ability_version integer NOT NULL,
  act_on          date
) WITH (fillfactor = 80);
CREATE INDEX needs_act_on ON needs (act_on) WHERE act_on IS NOT NULL;

CREATE TABLE cases (
  assessment_id  uuid PRIMARY KEY,
  person_id      uuid NOT NULL,
  state          text NOT NULL CHECK (state IN ('requested', 'scored', 'signed', 'cancelled')),
  reason         text NOT NULL CHECK (reason IN ('first', 'regular', 'incident', 'dispute', 'other')),
  division       text,
  requested_at   timestamptz NOT NULL,
  due_on         date,
  correlation_id text NOT NULL,
  cancelled_for  text,
  scale          text,
  scale_version  text,
  form           bytea,
  form_digest    bytea,
  assessed_on    date,
  total          integer,
  level          integer CHECK (level BETWEEN 0 AND 4),
  changed_by     text,
  submitted_by   text,
  signed_by      text,
  signed_at      timestamptz,
  CHECK (signed_by <> submitted_by),
  CHECK ((state = 'signed') = (signed_by IS NOT NULL)),
  CHECK (state NOT IN ('scored', 'signed') OR (form IS NOT NULL AND level IS NOT NULL AND submitted_by IS NOT NULL))
) WITH (fillfactor = 80);
ALTER TABLE cases ALTER COLUMN form SET STORAGE EXTERNAL;
CREATE UNIQUE INDEX cases_one_open ON cases (person_id) WHERE state IN ('requested', 'scored');
CREATE INDEX cases_of_person ON cases (person_id);

CREATE TABLE results (
  assessment_id uuid PRIMARY KEY REFERENCES cases (assessment_id),
  person_id     uuid NOT NULL,
  scale         text NOT NULL,
  scale_version text NOT NULL,
  level         integer NOT NULL CHECK (level BETWEEN 0 AND 4),
  valid_from    date NOT NULL,
  valid_until   date NOT NULL CHECK (valid_from < valid_until),
  recorded_at   timestamptz NOT NULL
);
CREATE INDEX results_of_person ON results (person_id);
"""


def upgrade() -> None:
    create_platform_tables()
    op.execute(TABLES)
