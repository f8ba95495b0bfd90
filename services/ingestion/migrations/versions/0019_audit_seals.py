"""The audit log gets a hash chain, and rows name the account besides the human. Rows from before are sealed, too."""

from alembic import op
from shell.audit.tables import AUDIT_SEALS, SEAL_TABLES, only_added

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE audits ADD COLUMN account text NOT NULL DEFAULT '';
INSERT INTO audit_queue (audit_id) SELECT audit_id FROM audits;
"""


def upgrade() -> None:
    op.execute(AUDIT_SEALS)
    op.execute(only_added(*SEAL_TABLES))
    op.execute(STATEMENTS)
