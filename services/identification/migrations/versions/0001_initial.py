"""People, their decisions, and the lists they are decided by."""

from alembic import op
from shell.store.migrate import create_platform_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE persons (
  person_id         uuid PRIMARY KEY,
  version           integer NOT NULL CHECK (version >= 0),
  facts_version     integer NOT NULL CHECK (facts_version >= 0),
  abilities_version integer NOT NULL CHECK (abilities_version >= 0),
  recorded_at       timestamptz NOT NULL,
  residence         text,
  hukou             text,
  places            text NOT NULL,
  next_edge_on      date,
  policy_digest     text NOT NULL,
  facts             bytea,
  abilities         bytea,
  choices           bytea,
  decision          bytea,
  CHECK ((version = 0) = (decision IS NULL))
) WITH (fillfactor = 50, toast_tuple_target = 8160);
-- Read and written whole: compressing costs more than it saves, and so does laying the large columns aside. One person
-- to a page: the new row finds room beside the old one, so no index is touched and the next reader clears the old one
-- away, which halves the cost of an update; and no page more is used than by rows that wander.
ALTER TABLE persons ALTER COLUMN facts SET STORAGE EXTERNAL, ALTER COLUMN abilities SET STORAGE EXTERNAL,
                    ALTER COLUMN choices SET STORAGE EXTERNAL, ALTER COLUMN decision SET STORAGE EXTERNAL;
CREATE INDEX persons_next_edge ON persons (next_edge_on, person_id) WHERE next_edge_on IS NOT NULL;

CREATE TABLE decisions (
  person_id         uuid NOT NULL,
  version           integer NOT NULL,
  decided_at        timestamptz NOT NULL,
  recorded_at       timestamptz NOT NULL,
  facts_version     integer NOT NULL,
  abilities_version integer NOT NULL,
  policy_digest     text NOT NULL,
  said              bytea NOT NULL,
  PRIMARY KEY (person_id, version)
) WITH (toast_tuple_target = 8160);
ALTER TABLE decisions ALTER COLUMN said SET STORAGE EXTERNAL;

CREATE TABLE policies (
  version      text PRIMARY KEY,
  jurisdiction text NOT NULL,
  state        text NOT NULL CHECK (state IN ('proposed', 'approved', 'published')),
  proposed_by  text NOT NULL,
  proposed_at  timestamptz NOT NULL,
  approvals    text NOT NULL,
  list         bytea NOT NULL
);
CREATE INDEX policies_jurisdiction ON policies (jurisdiction);

CREATE TABLE publications (
  seq             bigint PRIMARY KEY,
  jurisdiction    text NOT NULL,
  version         text NOT NULL REFERENCES policies,
  published_at    timestamptz NOT NULL,
  published_by    text NOT NULL,
  approved_by     text NOT NULL,
  running_digest  text NOT NULL,
  event_id        uuid NOT NULL,
  redecided_after uuid,
  redecided_at    timestamptz,
  people          integer NOT NULL,
  people_changed  integer NOT NULL
);
CREATE INDEX publications_jurisdiction ON publications (jurisdiction, seq);
CREATE INDEX publications_running ON publications (running_digest, seq);
"""


def upgrade() -> None:
    create_platform_tables()
    op.execute(TABLES)
