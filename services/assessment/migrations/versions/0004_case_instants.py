"""A case says when its form was stored and when it was cancelled, so that it can be read as it was known."""

import sqlalchemy as sa
from alembic import op
from shell import clock

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The instants of older cases are unknown. The latest possible one shows nothing as known too early.
FORMS = sa.text(
    """UPDATE cases SET scored_at = coalesce(signed_at, greatest(requested_at, :now)),
         form_at = coalesce(signed_at, greatest(requested_at, :now)) WHERE form IS NOT NULL"""
)
CANCELLED = sa.text("UPDATE cases SET cancelled_at = greatest(requested_at, :now) WHERE state = 'cancelled'")


def upgrade() -> None:
    op.execute(
        """ALTER TABLE cases ADD COLUMN scored_at timestamptz, ADD COLUMN form_at timestamptz,
             ADD COLUMN cancelled_at timestamptz"""
    )
    for statement in (FORMS, CANCELLED):
        op.execute(statement.bindparams(now=clock.now()))
    op.execute(
        """ALTER TABLE cases ADD CHECK ((form IS NULL) = (scored_at IS NULL)),
             ADD CHECK ((form IS NULL) = (form_at IS NULL)),
             ADD CHECK ((state = 'cancelled') = (cancelled_at IS NOT NULL))"""
    )
