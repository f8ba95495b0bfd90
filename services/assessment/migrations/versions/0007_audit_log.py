"""The audit log with its hash chain, as in every service."""

from alembic import op
from shell.audit.tables import AUDIT_LOG

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(AUDIT_LOG)
