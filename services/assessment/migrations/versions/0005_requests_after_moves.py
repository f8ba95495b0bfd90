"""Open requests of people who moved stayed in the old area. The daily job looks at every open need again."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """UPDATE needs SET act_on = CURRENT_DATE
           WHERE person_id IN (SELECT person_id FROM cases WHERE state = 'requested')
             AND (act_on IS NULL OR act_on > CURRENT_DATE)"""
    )
