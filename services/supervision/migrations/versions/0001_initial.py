"""Steps of every chain, what is known of people and visits, alerts."""

from alembic import op
from shell.store.migrate import create_platform_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_platform_tables()
    # The key begins with the change, so that one change's chain lies together; `at` alone has a BRIN index, since
    # rows come in the order of time and only the removal of old ones asks for it.
    op.execute("""
    CREATE TABLE steps (
      correlation_id uuid NOT NULL,
      event_id       uuid NOT NULL,
      causation_id   uuid,
      led_by         uuid,
      person_id      uuid,
      at             timestamptz NOT NULL,
      version        bigint,
      service        text NOT NULL,
      what           text NOT NULL,
      PRIMARY KEY (correlation_id, event_id)
    ) WITH (autovacuum_vacuum_insert_scale_factor = 0.5);
    CREATE INDEX steps_person ON steps (person_id);
    CREATE INDEX steps_at ON steps USING brin (at);

    CREATE TABLE people (
      person_id  uuid PRIMARY KEY,
      version    bigint NOT NULL,
      decided_at timestamptz NOT NULL,
      division   text,
      died_on    date,
      longevity_allowance  datemultirange NOT NULL,
      nursing_subsidy      datemultirange NOT NULL,
      care_service_subsidy datemultirange NOT NULL,
      visiting_care        datemultirange NOT NULL,
      visiting_before      datemultirange NOT NULL DEFAULT '{}'
    ) WITH (fillfactor = 80);
    CREATE INDEX people_division ON people (division);

    CREATE TABLE abilities (
      person_id uuid PRIMARY KEY,
      version   bigint NOT NULL,
      level_0   datemultirange NOT NULL,
      level_1   datemultirange NOT NULL,
      level_2   datemultirange NOT NULL,
      level_3   datemultirange NOT NULL,
      level_4   datemultirange NOT NULL
    ) WITH (fillfactor = 80);

    CREATE TABLE tasks (
      task_id        uuid PRIMARY KEY,
      person_id      uuid NOT NULL,
      item           text NOT NULL,
      division       text NOT NULL,
      provider       text,
      window_from    date NOT NULL,
      window_to      date NOT NULL,
      state          text NOT NULL,
      at             timestamptz NOT NULL,
      checked_in_at  timestamptz,
      checked_out_at timestamptz,
      worker         text,
      outcome        text,
      correlation_id uuid,
      verdict        text CHECK (verdict IN ('waiting', 'verified', 'disputed')),
      blocks         text NOT NULL DEFAULT '',
      warnings       text NOT NULL DEFAULT '',
      waived         text NOT NULL DEFAULT '',
      CHECK ((verdict IS NULL) = (checked_out_at IS NULL))
    ) WITH (fillfactor = 80);
    CREATE INDEX tasks_person ON tasks (person_id);
    CREATE INDEX tasks_worker ON tasks (provider, worker, checked_in_at) WHERE checked_out_at IS NOT NULL;
    CREATE INDEX tasks_judged ON tasks (person_id) WHERE verdict IS NOT NULL;
    CREATE INDEX tasks_waiting ON tasks (at) WHERE verdict = 'waiting';

    CREATE TABLE alerts (
      alert_id       uuid PRIMARY KEY,
      check_id       text NOT NULL,
      severity       text NOT NULL CHECK (severity IN ('block', 'warn')),
      state          text NOT NULL CHECK (state IN ('raised', 'explained', 'confirmed', 'dismissed', 'closed')),
      subject        text NOT NULL,
      person_id      uuid,
      provider       text,
      division       text,
      correlation_id uuid,
      raised_at      timestamptz NOT NULL,
      explain_by     timestamptz NOT NULL,
      decide_by      timestamptz NOT NULL,
      close_by       timestamptz NOT NULL,
      explanation    text CHECK (length(explanation) <= 2000),
      explained_by   text,
      outcome        text CHECK (outcome IN ('confirmed', 'dismissed')),
      decision       text CHECK (length(decision) <= 2000),
      decided_by     text,
      closed_at      timestamptz
    ) WITH (fillfactor = 80);
    CREATE INDEX alerts_subject ON alerts (subject);
    CREATE INDEX alerts_open ON alerts (raised_at, alert_id) WHERE state <> 'closed';
    """)
