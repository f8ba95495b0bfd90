"""People whom an edit of the lists may touch are found by traits. They wait in parts that several processes share."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# Letters of the circumstances in stored traits. A migration that adds a letter names it here and sets all lines to '*'.
LETTERS = {
    "a": "ability",
    "d": "disability",
    "e": "elsewhere",
    "l": "low_income",
    "m": "merits",
    "s": "special",
    "v": "living",
    "w": "wishes",
}
STATEMENTS = """
ALTER TABLE persons DROP COLUMN places, ADD COLUMN traits text COLLATE "C";
UPDATE persons SET traits = '*' WHERE decision IS NOT NULL; -- touched by every edit until they are decided again
CREATE INDEX persons_traits ON persons (traits, person_id) WHERE traits IS NOT NULL;

ALTER TABLE publications DROP COLUMN redecided_after, ADD COLUMN selected_after text COLLATE "C",
  ADD COLUMN selected_at timestamptz, ADD COLUMN people_touched integer NOT NULL DEFAULT 0;
ALTER TABLE publications ALTER COLUMN people_touched DROP DEFAULT;
UPDATE publications SET selected_at = redecided_at, people_touched = people;
CREATE INDEX publications_open ON publications (seq) WHERE redecided_at IS NULL;

CREATE TABLE redecisions (
  part           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  publication    bigint NOT NULL REFERENCES publications,
  people_ids     uuid[] NOT NULL CHECK (cardinality(people_ids) <= 500),
  people         integer NOT NULL,
  people_changed integer NOT NULL
);
CREATE INDEX redecisions_open ON redecisions (part) WHERE cardinality(people_ids) > 0;
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
