"""The waiting followers of an event are found, also under another number."""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

FOLLOWERS = """
CREATE INDEX quarantine_followers ON quarantine (waits_for)
    WHERE waits_for IS NOT NULL AND state IN ('open', 'withdrawn');
"""


def upgrade() -> None:
    op.execute(FOLLOWERS)
