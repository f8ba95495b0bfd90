"""The last content of the files of an area, so that a changed file is noticed and proposed once."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

# The newest version that came from files is the content that was seen last.
TABLES = """
CREATE TABLE seeded_lists (
  jurisdiction text PRIMARY KEY,
  version      text NOT NULL,
  seen_at      timestamptz NOT NULL
);
INSERT INTO seeded_lists
  SELECT DISTINCT ON (jurisdiction) jurisdiction, version, proposed_at FROM policies
  WHERE proposed_by = 'contracts/policy' ORDER BY jurisdiction, proposed_at DESC, version;
"""


def upgrade() -> None:
    op.execute(TABLES)
