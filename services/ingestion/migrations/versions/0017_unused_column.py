"""One officer decides the case of a claimed place: the column for a first decision was never used."""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE place_cases DROP COLUMN first_by")
