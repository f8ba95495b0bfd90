"""Topics of sources, and counts of Kafka records whose sender is unknown."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE source_topics (
  source    text PRIMARY KEY,
  tries     integer NOT NULL,
  try_at    timestamptz NOT NULL,
  problem   text,
  opened_at timestamptz
);
CREATE TABLE unverified (
  day     date NOT NULL,
  topic   text NOT NULL,
  source  text NOT NULL,
  reason  text NOT NULL,
  records bigint NOT NULL,
  parked  bigint NOT NULL,
  PRIMARY KEY (day, topic, source, reason)
);
"""


def upgrade() -> None:
    op.execute(TABLES)
