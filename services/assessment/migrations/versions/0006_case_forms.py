"""A form that was stored for a case before does not replace a later one, so a case remembers all its forms."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

# Of the forms of older cases only the last one is known.
KNOWN = """INSERT INTO case_forms (assessment_id, form_digest)
  SELECT assessment_id, form_digest FROM cases WHERE form_digest IS NOT NULL"""


def upgrade() -> None:
    op.execute(
        """CREATE TABLE case_forms (
             assessment_id uuid NOT NULL REFERENCES cases (assessment_id),
             form_digest   bytea NOT NULL,
             PRIMARY KEY (assessment_id, form_digest)
           )"""
    )
    op.execute(KNOWN)
