"""The row classes declare exactly the columns of the migrated schema."""

from ingestion import tables
from ingestion.audits import tables as audits
from ingestion.channels import tables as channels
from ingestion.completeness import tables as completeness
from ingestion.corrections import tables as corrections
from ingestion.exchange import tables as exchange
from ingestion.recording import tables as recording
from ingestion.register import tables as register
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

MODULES = (tables, audits, channels, completeness, corrections, exchange, recording, register)
SAME = {
    "VARCHAR": "text",
    "BYTEA": "bytea",
    "INTEGER": "integer",
    "DATE": "date",
    "BIGINT": "bigint",
    "UUID": "uuid",
    "TEXT[]": "ARRAY",
}


def row_classes():
    for module in MODULES:
        for value in vars(module).values():
            if isinstance(value, type) and issubclass(value, SQLModel) and value is not SQLModel:
                yield value


def declared_columns():
    found = {}
    for row in row_classes():
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
    declared = declared_columns()
    own_tables = {table for table, _ in declared}
    assert {(r[0], r[1]): (r[2], r[3]) for r in rows if r[0] in own_tables} == declared
    platform = {r[0] for r in rows} - own_tables
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
