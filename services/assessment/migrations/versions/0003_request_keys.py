"""Keys of requests that create are remembered; the unused table of the first version goes."""

from alembic import op
from shell.store.platform_tables import DROP_UNUSED, REQUEST_KEYS

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(DROP_UNUSED)
    op.execute(REQUEST_KEYS)
