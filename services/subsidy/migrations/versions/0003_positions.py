"""A consumer remembers which record it handled last, why it stopped, and who resumed it."""

from alembic import op
from shell.store.platform_tables import POSITIONS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(POSITIONS)
