"""Which source may state what about whom: waiting parts of households, cases of places, groups, hints."""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE quarantine
  DROP CONSTRAINT quarantine_event_id_fkey,
  DROP CONSTRAINT quarantine_state_check,
  ADD CONSTRAINT quarantine_state_check CHECK (state IN ('open', 'released', 'discarded', 'withdrawn')),
  ADD COLUMN part_of uuid REFERENCES received,
  ADD COLUMN household uuid,
  ADD COLUMN group_id uuid,
  ADD COLUMN chain uuid,
  ADD COLUMN first_by text,
  ADD COLUMN first_outcome text,
  ADD COLUMN refuted_by uuid,
  ADD CONSTRAINT quarantine_part_has_its_household CHECK ((part_of IS NULL) = (household IS NULL));
DROP INDEX quarantine_overdue, quarantine_open;
CREATE INDEX quarantine_open ON quarantine (person_id) WHERE state IN ('open', 'withdrawn');
CREATE INDEX quarantine_overdue ON quarantine (deadline) WHERE state = 'open';
CREATE INDEX quarantine_of_owner ON quarantine (owner, event_id) WHERE state = 'open' AND group_id IS NULL;
CREATE INDEX quarantine_of_group ON quarantine (group_id, event_id) WHERE group_id IS NOT NULL;
CREATE INDEX quarantine_deaths ON quarantine (person_id, source) WHERE kind = 'death' AND state = 'discarded';

ALTER TABLE corrections
  DROP CONSTRAINT corrections_rule_check,
  ADD CONSTRAINT corrections_rule_check CHECK (rule IN ('officer', 'quarantine_overdue', 'standing'));

CREATE TABLE place_cases (
  case_id     uuid PRIMARY KEY,
  person_id   uuid NOT NULL,
  chain       uuid NOT NULL,
  source      text NOT NULL,
  kind        text NOT NULL,
  division    text NOT NULL,
  county_left text NOT NULL,
  owner       text NOT NULL,
  group_id    uuid,
  state       text NOT NULL DEFAULT 'open'
              CHECK (state IN ('open', 'confirmed', 'objected', 'silent', 'vouched', 'withdrawn')),
  since       timestamptz NOT NULL,
  deadline    timestamptz NOT NULL,
  silent_on   date NOT NULL,
  escalated_at timestamptz,
  settled_at  timestamptz,
  settled_by  text,
  note        text,
  first_by    text,
  CHECK ((state = 'open') = (settled_at IS NULL))
);
CREATE INDEX place_cases_of_person ON place_cases (person_id) WHERE state = 'open';
CREATE INDEX place_cases_of_owner ON place_cases (state, owner, case_id);
CREATE INDEX place_cases_of_group ON place_cases (group_id, case_id) WHERE group_id IS NOT NULL;
CREATE INDEX place_cases_silent ON place_cases (silent_on) WHERE state = 'open';
CREATE INDEX place_cases_overdue ON place_cases (deadline) WHERE state = 'open';

CREATE TABLE foreign_counts (
  source text NOT NULL,
  kind   text NOT NULL,
  day    date NOT NULL,
  events integer NOT NULL CHECK (events > 0),
  PRIMARY KEY (source, kind, day)
) WITH (fillfactor = 50);

CREATE TABLE groups (
  group_id   uuid PRIMARY KEY,
  source     text NOT NULL,
  kind       text NOT NULL,
  day        date NOT NULL,
  holds      text NOT NULL CHECK (holds IN ('events', 'places')),
  owner      text NOT NULL,
  state      text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'settling', 'settled')),
  since      timestamptz NOT NULL,
  deadline   timestamptz NOT NULL,
  escalated_at timestamptz,
  first_by   text,
  outcome    text CHECK (outcome IN ('release', 'discard')),
  grant_days integer,
  reason     text,
  decided_at timestamptz,
  settled_at timestamptz,
  settled_by text,
  done       integer NOT NULL DEFAULT 0,
  UNIQUE (source, kind, day, holds)
);
CREATE INDEX groups_open ON groups (deadline) WHERE state <> 'settled';

CREATE TABLE hints (
  chain     uuid PRIMARY KEY,
  person_id uuid NOT NULL,
  ends_on   date NOT NULL
);
CREATE INDEX hints_ending ON hints (ends_on);
"""


def upgrade() -> None:
    op.execute(TABLES)
