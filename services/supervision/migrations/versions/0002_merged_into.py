"""Who is counted as another person."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """ALTER TABLE people ADD COLUMN merged_into uuid;
           CREATE INDEX people_merged_into ON people (merged_into) WHERE merged_into IS NOT NULL"""
    )
