"""What was told of the divisions of which sources tell every change."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE coverages (
  division text PRIMARY KEY,
  version  integer NOT NULL,
  said     bytea NOT NULL
);
"""


def upgrade() -> None:
    op.execute(TABLES)
