"""The reasons of every automatic no, kept as they were."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE unexplained (
  person_id uuid NOT NULL,
  version   integer NOT NULL,
  adverse   bytea NOT NULL,
  failed_at timestamptz,
  PRIMARY KEY (person_id, version)
);

CREATE TABLE adverse (
  person_id    uuid NOT NULL,
  version      integer NOT NULL,
  item         text NOT NULL,
  on_day       date NOT NULL,
  outcome      text NOT NULL CHECK (outcome IN ('refused', 'less', 'suppressed', 'choice_required', 'suspended')),
  explained_at timestamptz NOT NULL,
  explanation  bytea NOT NULL,
  PRIMARY KEY (person_id, version, item)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
