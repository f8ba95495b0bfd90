"""Two officers who release an event must also agree on the days for which its source is granted its kind."""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE quarantine ADD COLUMN first_grant_days integer")
