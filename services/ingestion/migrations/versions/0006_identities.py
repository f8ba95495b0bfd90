"""Which persons are one human."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE persons ADD COLUMN circle uuid, ADD COLUMN merged_into uuid,
                    ADD COLUMN identities bytea NOT NULL DEFAULT '';
CREATE INDEX persons_circle ON persons (circle) WHERE circle IS NOT NULL;
"""


def upgrade() -> None:
    op.execute(COLUMNS)
