"""The number of judgements of each visit, so that two equal verdicts are two events."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("ALTER TABLE tasks ADD COLUMN judgements int NOT NULL DEFAULT 0")
