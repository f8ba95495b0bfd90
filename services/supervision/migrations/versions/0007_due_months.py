"""Months with a subsidy due, in place of the days with an entitlement to one."""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """CREATE TABLE due_months (
             person_id    uuid NOT NULL,
             item         text NOT NULL,
             jurisdiction text NOT NULL,
             months       datemultirange NOT NULL CHECK (NOT isempty(months)),
             PRIMARY KEY (person_id, item, jurisdiction)
           ) WITH (fillfactor = 80);
           ALTER TABLE people DROP COLUMN longevity_allowance, DROP COLUMN nursing_subsidy,
             DROP COLUMN care_service_subsidy"""
    )
