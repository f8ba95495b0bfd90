"""A decision that waits in the outbox is the one its person's row holds: it is not written a second time."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE outbox ALTER COLUMN payload DROP NOT NULL,
  ADD CONSTRAINT outbox_payload_is_somewhere
    CHECK (payload IS NOT NULL OR (state AND topic = 'identification.entitlement'));
CREATE VIEW outgoing AS
  SELECT seq, topic, key, urgent, state, events, headers, causes, created_at,
    coalesce(payload, (SELECT decision FROM persons WHERE person_id = key::uuid)) AS payload
  FROM outbox;
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
