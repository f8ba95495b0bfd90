from dispatch import tables
from sqlmodel import SQLModel


async def test_the_migrated_schema_has_exactly_the_columns_of_the_tables(database):
    rows = await database.pool.fetch(
        "SELECT table_name, column_name, is_nullable FROM information_schema.columns WHERE table_schema = 'dispatch'"
    )
    stored = {(r[0], r[1], r[2] == "YES") for r in rows}
    ours = [t for t in SQLModel.metadata.tables.values() if t.schema == tables.SCHEMA]
    assert len(ours) == 8
    names = {t.name for t in ours}
    assert {(t.name, c.name, bool(c.nullable)) for t in ours for c in t.columns} == {s for s in stored if s[0] in names}
