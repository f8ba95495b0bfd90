"""Cases between two areas, and what they are about."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        """ALTER TABLE alerts ADD COLUMN other_division text;

           CREATE TABLE move_gaps (
             alert_id      uuid PRIMARY KEY,
             person_id     uuid NOT NULL,
             item          text NOT NULL,
             old           text NOT NULL,
             left_division text NOT NULL,
             moved_to      text NOT NULL,
             moved_on      date NOT NULL,
             first_month   date NOT NULL,
             until_month   date,
             new           text,
             old_policy    text NOT NULL,
             why           text NOT NULL,
             CHECK (until_month > first_month)
           );
           CREATE INDEX move_gaps_person ON move_gaps (person_id);

           CREATE TABLE clauses (
             jurisdiction text NOT NULL,
             item         text NOT NULL,
             valid_from   date NOT NULL,
             valid_to     date,
             item_title   text NOT NULL,
             title        text NOT NULL,
             issuer       text NOT NULL,
             issued_on    date NOT NULL,
             locator      text NOT NULL,
             status       text NOT NULL,
             PRIMARY KEY (jurisdiction, item, valid_from)
           )"""
    )
