"""How often the process died while it worked on a file or a front-end table; keys of requests that create. An unused
table and an unused view go."""

from alembic import op
from shell.store.platform_tables import DROP_UNUSED, REQUEST_KEYS

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

DEATHS = """
ALTER TABLE imports ADD COLUMN deaths integer NOT NULL DEFAULT 0;
ALTER TABLE feeds ADD COLUMN deaths integer NOT NULL DEFAULT 0;
"""


def upgrade() -> None:
    op.execute(DEATHS)
    op.execute("DROP VIEW source_day_counts")
    op.execute(DROP_UNUSED)
    op.execute(REQUEST_KEYS)
