"""How many rows of a front-end table were known when a full load began."""

from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

# A full load that is in progress gets the number by which it would have been judged before.
KNOWN_BEFORE = """
ALTER TABLE feed_runs ADD COLUMN known_before bigint;
UPDATE feed_runs r SET known_before = (
  SELECT count(*) FROM feed_rows s
  WHERE s.feed = r.feed AND s.life = 'alive' AND (s.valid_to IS NULL OR s.valid_to > current_date))
WHERE r.state = 'reading' AND r.rows_before IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(KNOWN_BEFORE)
