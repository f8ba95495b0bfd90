"""The audit log with its hash chain, as in every service."""

from alembic import op
from shell.audit.tables import AUDIT_LOG

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(AUDIT_LOG)
