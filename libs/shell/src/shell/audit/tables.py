"""The tables of the audit log that every service has. Rows are only added; only the queue of the sealer loses rows.

`audits` holds the rows, `audit_persons` and `audit_areas` find them. `audit_queue` names the rows that wait for a seal.
`audit_seals` is the hash chain, and `audit_links` has the digest of each sealed row.
"""

from typing import Final

# Ingestion has the first three tables since its first versions; a migration adds the rest there.
_LOG: Final = """
CREATE TABLE audits (
  audit_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  at         timestamptz NOT NULL,
  actor      text NOT NULL,               -- the human
  role       text NOT NULL,
  action     text NOT NULL,
  purpose    text NOT NULL,
  cause      text NOT NULL,
  fields     text NOT NULL,               -- joined by commas
  person_ids bytea NOT NULL,              -- JSON
  division   text,                        -- the area of the actor
  account    text NOT NULL DEFAULT ''     -- the account of the actor; empty in old rows
);
CREATE INDEX audits_newest ON audits (at, audit_id);
CREATE INDEX audits_of_actor ON audits (actor, at, audit_id);

CREATE TABLE audit_persons (
  person_id uuid NOT NULL,
  at        timestamptz NOT NULL,
  audit_id  bigint NOT NULL,
  actor     text NOT NULL,
  areas     text[] NOT NULL,              -- the areas whose auditors may see the row
  PRIMARY KEY (person_id, at, audit_id) INCLUDE (actor, areas)
);

-- the area of the actor and every area above it
CREATE TABLE audit_areas (
  area     text NOT NULL,
  actor    text NOT NULL,
  at       timestamptz NOT NULL,
  audit_id bigint NOT NULL,
  PRIMARY KEY (area, at, audit_id)
);
CREATE INDEX audit_areas_of_actor ON audit_areas (area, actor, at, audit_id);
"""
AUDIT_SEALS: Final = """
-- a transaction that commits late leaves a row here with a low id: no cursor can miss it
CREATE TABLE audit_queue (audit_id bigint PRIMARY KEY) WITH (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_insert_scale_factor = 0, autovacuum_analyze_scale_factor = 0, autovacuum_analyze_threshold = 20000);

CREATE TABLE audit_seals (
  seal      bigint PRIMARY KEY CHECK (seal > 0),  -- 1, 2, 3, …
  sealed_at timestamptz NOT NULL,
  rows      bigint NOT NULL,                      -- sealed so far, with those of this seal
  head      bytea NOT NULL
);

CREATE TABLE audit_links (
  seal     bigint NOT NULL,
  audit_id bigint NOT NULL,
  digest   bytea NOT NULL,
  PRIMARY KEY (seal, audit_id)
);
CREATE UNIQUE INDEX audit_links_of_row ON audit_links (audit_id);
"""
AUDIT_TABLES: Final = _LOG + AUDIT_SEALS
LOG_TABLES: Final = ("audits", "audit_persons", "audit_areas")
SEAL_TABLES: Final = ("audit_seals", "audit_links")
ONLY_ADDED_FUNCTION: Final = """
CREATE OR REPLACE FUNCTION audits_are_only_added() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'audit rows are only ever added'; END $$;
"""


def only_added(*tables: str) -> str:
    """Return the SQL after which PostgreSQL refuses each change and removal of rows of these tables."""
    return "".join(
        f"""CREATE TRIGGER audits_are_only_added BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
              FOR EACH STATEMENT EXECUTE FUNCTION audits_are_only_added();\n"""
        for table in tables
    )


# Everything, for the migration of a service that has no audit log yet.
AUDIT_LOG: Final = AUDIT_TABLES + ONLY_ADDED_FUNCTION + only_added(*LOG_TABLES, *SEAL_TABLES)
