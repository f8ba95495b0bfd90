"""What a correction is asked of: a refused, a waiting or an applied event."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
ALTER TABLE corrections ADD COLUMN target text NOT NULL CHECK (target IN ('rejected', 'waiting', 'applied'));
CREATE INDEX corrections_to_look_at ON corrections (looked_at) WHERE state = 'open';
CREATE INDEX rejections_event ON rejections (event_id) WHERE event_id IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(TABLES)
