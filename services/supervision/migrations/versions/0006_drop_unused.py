"""The unused table of the first version goes."""

from alembic import op
from shell.store.platform_tables import DROP_UNUSED

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(DROP_UNUSED)
