"""Audit rows are found by person, actor, area and time; each user's reads of a day are counted."""

from alembic import op
from shell.access.read_budget import PERSON_READS

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS = """
-- The area of the actor. Rows from before have none: they are seen by auditors of the nation.
ALTER TABLE audits ADD COLUMN division text;
CREATE INDEX audits_newest ON audits (at, audit_id);
CREATE INDEX audits_of_actor ON audits (actor, at, audit_id);

CREATE TABLE audit_persons (
  person_id uuid NOT NULL,
  at        timestamptz NOT NULL,
  audit_id  bigint NOT NULL,
  actor     text NOT NULL,
  areas     text[] NOT NULL,
  PRIMARY KEY (person_id, at, audit_id) INCLUDE (actor, areas)
);
INSERT INTO audit_persons
  SELECT DISTINCT p::uuid, at, audit_id, actor, '{}'::text[]
  FROM audits, jsonb_array_elements_text(convert_from(person_ids, 'UTF8')::jsonb) AS p;

-- The area of the actor and every area above it.
CREATE TABLE audit_areas (
  area     text NOT NULL,
  actor    text NOT NULL,
  at       timestamptz NOT NULL,
  audit_id bigint NOT NULL,
  PRIMARY KEY (area, at, audit_id)
);
CREATE INDEX audit_areas_of_actor ON audit_areas (area, actor, at, audit_id);
CREATE TRIGGER audits_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_persons
  FOR EACH STATEMENT EXECUTE FUNCTION audits_are_only_added();
CREATE TRIGGER audits_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_areas
  FOR EACH STATEMENT EXECUTE FUNCTION audits_are_only_added();
"""


def upgrade() -> None:
    op.execute(PERSON_READS)
    op.execute(STATEMENTS)
