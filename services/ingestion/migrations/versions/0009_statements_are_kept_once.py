"""What waits to be sent of a person is what the person's row holds: it is not written a second time."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS = """
ALTER TABLE outbox ALTER COLUMN payload DROP NOT NULL,
  ADD CONSTRAINT outbox_payload_is_somewhere
    CHECK (payload IS NOT NULL OR (state AND topic = 'ingestion.person'));
CREATE VIEW outgoing AS
  SELECT seq, topic, key, urgent, state, events, headers, causes, created_at,
    coalesce(payload, (
      SELECT convert_to(
        '{"person_id":"' || person_id || '","version":' || version || ',"recorded_at":"'
          || replace(to_char(recorded_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), '.000000Z', 'Z')
          || '","statements":[', 'UTF8')
        || statements || convert_to(']}', 'UTF8')
      FROM persons WHERE person_id = key::uuid)) AS payload
  FROM outbox;
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
