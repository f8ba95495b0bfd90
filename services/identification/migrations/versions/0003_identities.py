"""Who decides for whom, and what is kept under other identities."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE persons ADD COLUMN merged_into uuid, ADD COLUMN others bytea")
