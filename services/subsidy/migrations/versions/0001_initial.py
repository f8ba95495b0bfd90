"""Accounts, dues, the ledger, batches and recoveries."""

from typing import Final

from alembic import op
from shell.store.migrate import create_platform_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

ACCOUNTS: Final = """
CREATE TABLE pay_from (
  jurisdiction text PRIMARY KEY,
  month        date NOT NULL CHECK (extract(day FROM month) = 1)
);

CREATE TABLE accounts (
  person_id         uuid PRIMARY KEY,
  version           bigint NOT NULL,
  digest            bytea NOT NULL,
  entitlements      bytea NOT NULL,
  died_on           date,
  through_month     date NOT NULL,
  next_change_month date,
  merged_into       uuid,
  cause_event_id    uuid
) WITH (fillfactor = 60);
ALTER TABLE accounts ALTER COLUMN entitlements SET STORAGE EXTERNAL;
CREATE INDEX accounts_next_change ON accounts (next_change_month) WHERE next_change_month IS NOT NULL;
CREATE INDEX accounts_merged_into ON accounts (merged_into) WHERE merged_into IS NOT NULL;

CREATE TABLE dues (
  person_id       uuid NOT NULL,
  item            text NOT NULL,
  jurisdiction    text NOT NULL,
  service_month   date NOT NULL CHECK (extract(day FROM service_month) = 1),
  amount_fen      bigint NOT NULL CHECK (amount_fen >= 0),
  state           text NOT NULL CHECK (state IN ('due', 'held', 'barred')),
  fund            text NOT NULL,
  paid_fen        bigint NOT NULL DEFAULT 0 CHECK (paid_fen >= 0),
  open_fen        bigint NOT NULL DEFAULT 0 CHECK (open_fen >= 0),
  recovering_fen  bigint NOT NULL DEFAULT 0 CHECK (recovering_fen >= 0),
  written_off_fen bigint NOT NULL DEFAULT 0 CHECK (written_off_fen >= 0),
  reissue         boolean NOT NULL DEFAULT false,
  sequence        integer NOT NULL,
  recover_sequence integer NOT NULL DEFAULT 0,
  cause_event_id  uuid,
  PRIMARY KEY (person_id, item, jurisdiction, service_month),
  -- too much was paid: exactly that is being recovered or was given up
  CHECK (recovering_fen + written_off_fen = greatest(0, paid_fen - amount_fen))
) WITH (fillfactor = 85);
CREATE INDEX dues_to_pay ON dues (jurisdiction, service_month)
  WHERE state = 'due' AND open_fen = 0 AND amount_fen > paid_fen;
"""

LEDGER: Final = """
CREATE TABLE entries (
  payee_type     text NOT NULL CHECK (payee_type = 'person'),
  person_id      uuid NOT NULL,
  item           text NOT NULL,
  jurisdiction   text NOT NULL,
  service_month  date NOT NULL,
  kind           text NOT NULL
                 CHECK (kind IN ('due', 'pay', 'back_pay', 'recover', 'return', 'reissue', 'write_off')),
  sequence       integer NOT NULL,
  entry_id       uuid NOT NULL,
  debit_account  text NOT NULL,
  credit_account text NOT NULL,
  amount_fen     bigint NOT NULL CHECK (amount_fen > 0),
  state          text NOT NULL CHECK (state IN ('pending', 'posted', 'voided', 'held')),
  fund           text NOT NULL,
  batch_id       uuid,
  cause_event_id uuid,
  recorded_at    timestamptz NOT NULL,
  posted_at      timestamptz,
  PRIMARY KEY (person_id, item, jurisdiction, service_month, kind, sequence, payee_type),
  CHECK (debit_account <> credit_account),
  CHECK ((state = 'posted') = (posted_at IS NOT NULL))
);

CREATE FUNCTION entries_only_grow() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE settled entries;
BEGIN
  IF TG_OP = 'UPDATE' AND OLD.state = 'pending' AND NEW.state <> 'pending' THEN
    settled := NEW;
    settled.state := OLD.state;
    settled.posted_at := OLD.posted_at;
    IF settled IS NOT DISTINCT FROM OLD THEN
      RETURN NEW;
    END IF;
  END IF;
  RAISE EXCEPTION 'the ledger only grows: an entry may become posted, voided or held once, and nothing else'
    USING ERRCODE = 'integrity_constraint_violation';
END $$;
CREATE TRIGGER entries_only_grow BEFORE UPDATE OR DELETE ON entries
  FOR EACH ROW EXECUTE FUNCTION entries_only_grow();
CREATE TRIGGER entries_never_emptied BEFORE TRUNCATE ON entries
  FOR EACH STATEMENT EXECUTE FUNCTION entries_only_grow();
"""

BATCHES: Final = """
CREATE TABLE batches (
  batch_id     uuid PRIMARY KEY,
  jurisdiction text NOT NULL,
  month        date NOT NULL,
  state        text NOT NULL CHECK (state IN ('reserved', 'submitted', 'approved', 'rejected')),
  maker        text NOT NULL,
  checker      text CHECK (checker <> maker),
  reason       text,
  created_at   timestamptz NOT NULL,
  submitted_at timestamptz,
  decided_at   timestamptz
);
CREATE INDEX batches_area ON batches (jurisdiction, month);

CREATE TABLE batch_lines (
  line_id       uuid PRIMARY KEY,
  batch_id      uuid NOT NULL REFERENCES batches,
  person_id     uuid NOT NULL,
  item          text NOT NULL,
  jurisdiction  text NOT NULL,
  service_month date NOT NULL,
  kind          text NOT NULL CHECK (kind IN ('pay', 'back_pay', 'reissue')),
  sequence      integer NOT NULL,
  amount_fen    bigint NOT NULL CHECK (amount_fen > 0),
  state         text NOT NULL
                CHECK (state IN ('reserved', 'ordered', 'settled', 'returned', 'taken_out', 'rejected')),
  reason        text,
  settled_on    date
);
CREATE INDEX batch_lines_batch ON batch_lines (batch_id, line_id);

CREATE TABLE recoveries (
  recovery_id    uuid PRIMARY KEY,
  person_id      uuid NOT NULL,
  item           text NOT NULL,
  jurisdiction   text NOT NULL,
  service_month  date NOT NULL,
  amount_fen     bigint NOT NULL CHECK (amount_fen > 0),
  state          text NOT NULL CHECK (state IN ('open', 'collected', 'withdrawn', 'written_off')),
  reason         text NOT NULL,
  cause_event_id uuid,
  opened_at      timestamptz NOT NULL,
  closed_at      timestamptz,
  closed_by      text,
  CHECK ((state = 'open') = (closed_at IS NULL))
);
"""


def upgrade() -> None:
    create_platform_tables()
    for statement in (ACCOUNTS, LEDGER, BATCHES):
        op.execute(statement)
