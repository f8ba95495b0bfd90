"""The migrated tables equal the table classes."""

import pytest
from identification.tables import (
    CoverageRow,
    DecisionRow,
    PersonRow,
    PolicyRow,
    PublicationRow,
    RedecisionRow,
    SeededListRow,
    SimulatedChangeRow,
    SimulationChunkRow,
    SimulationRow,
    WatchedStepRow,
)
from shell.store.database import Database
from sqlalchemy.dialects import postgresql
from sqlmodel import SQLModel

MODELS = [
    PersonRow,
    DecisionRow,
    PolicyRow,
    PublicationRow,
    SeededListRow,
    CoverageRow,
    RedecisionRow,
    SimulationRow,
    SimulationChunkRow,
    SimulatedChangeRow,
    WatchedStepRow,
]


@pytest.mark.parametrize("model", MODELS)
async def test_the_migrated_table_has_exactly_the_columns_of_its_class(
    database: Database, model: type[SQLModel]
) -> None:
    table = SQLModel.metadata.tables[f"identification.{model.__tablename__}"]
    rows = await database.pool.fetch(
        """SELECT a.attname, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull FROM pg_attribute a
           WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped""",
        f"identification.{model.__tablename__}",
    )
    stored = {name: (kind, nullable) for name, kind, nullable in rows}
    dialect = postgresql.dialect()
    names = {"timestamp with time zone": "TIMESTAMP WITH TIME ZONE"}
    declared = {c.name: (c.type.compile(dialect=dialect), c.nullable) for c in table.columns}
    assert {n: (names.get(k, k.upper()), null) for n, (k, null) in stored.items()} == declared
