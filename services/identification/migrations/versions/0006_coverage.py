"""What is told where decides with the lists: it is declared, and then in force like a published list."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE coverages (
  division text PRIMARY KEY,
  version  integer NOT NULL,
  said     bytea NOT NULL,
  event_id uuid NOT NULL,
  applied  boolean NOT NULL
);
ALTER TABLE publications ALTER COLUMN jurisdiction DROP NOT NULL, ALTER COLUMN version DROP NOT NULL,
  ADD COLUMN coverage bytea,
  ADD CHECK ((jurisdiction IS NULL) = (coverage IS NOT NULL)), ADD CHECK ((jurisdiction IS NULL) = (version IS NULL));
"""


def upgrade() -> None:
    op.execute(TABLES)
