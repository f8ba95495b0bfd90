"""The migrated schema is what the row classes say."""

from ingestion import tables
from ingestion.audits import tables as audit_tables
from ingestion.channels import tables as inbound_tables
from ingestion.exchange import tables as feed_tables
from ingestion.recording import tables as standing_tables
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

SAME = {
    "VARCHAR": "text",
    "BYTEA": "bytea",
    "INTEGER": "integer",
    "DATE": "date",
    "BIGINT": "bigint",
    "UUID": "uuid",
    "TEXT[]": "ARRAY",
}


def declared():
    rows = [
        c
        for module in (tables, feed_tables, audit_tables, inbound_tables, standing_tables)
        for c in vars(module).values()
        if isinstance(c, type) and issubclass(c, SQLModel) and c is not SQLModel
    ]
    found = {}
    for row in rows:
        for column in row.__table__.columns:
            name = column.type.compile(dialect=postgresql.dialect())
            kind = SAME.get(name, name.lower())
            found[row.__tablename__, column.name] = (kind, column.nullable)
    return found


async def test_the_migrated_schema_has_exactly_the_columns_of_the_row_classes(database):
    rows = await database.pool.fetch(
        """SELECT c.table_name, c.column_name, c.data_type, c.is_nullable = 'YES' FROM information_schema.columns c
           JOIN information_schema.tables t USING (table_schema, table_name)
           WHERE c.table_schema = 'ingestion' AND t.table_type = 'BASE TABLE'"""
    )
    ours = declared()
    mine = {table for table, _ in ours}
    assert {(r[0], r[1]): (r[2], r[3]) for r in rows if r[0] in mine} == ours
    platform = {r[0] for r in rows} - mine
    assert platform == {
        "outbox",
        "inbox",
        "consumer_offsets",
        "offset_resumes",
        "parked",
        "job_marks",
        "request_keys",
        "person_reads",
        "schema_versions",
    }
