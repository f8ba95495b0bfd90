"""Holds and open hospital stays with their days, and the reason of a visit."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """ALTER TABLE tasks ADD COLUMN reason text;
           CREATE INDEX tasks_unplaced ON tasks (task_id) WHERE state = 'unplaced';

           CREATE TABLE matters (
             person_id      uuid NOT NULL,
             check_id       text NOT NULL,
             subject        uuid NOT NULL,
             since          timestamptz NOT NULL,
             due_at         timestamptz NOT NULL,
             division       text NOT NULL,
             correlation_id uuid,
             raised         boolean NOT NULL DEFAULT false,
             PRIMARY KEY (person_id, check_id)
           );
           CREATE INDEX matters_due ON matters (due_at) WHERE NOT raised"""
    )
