"""Whose accounts are one human's, as the survivor says."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE aliases (
  survivor uuid NOT NULL,
  alias    uuid NOT NULL CHECK (alias <> survivor),
  PRIMARY KEY (survivor, alias)
);
CREATE INDEX aliases_alias ON aliases (alias);
INSERT INTO aliases SELECT merged_into, person_id FROM accounts WHERE merged_into IS NOT NULL;
DROP INDEX accounts_merged_into;
"""


def upgrade() -> None:
    op.execute(TABLES)
