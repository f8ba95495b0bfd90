"""A task says whether a call may take the place of the visit."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """
ALTER TABLE tasks ADD COLUMN by text NOT NULL DEFAULT 'visit' CHECK (by IN ('visit', 'call'));
"""
    )
