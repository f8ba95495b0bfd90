"""The row classes and the migrated database have the same schema."""

from shell.schema_comparison import schema_differences


async def test_the_row_classes_declare_the_migrated_schema() -> None:
    assert await schema_differences("dispatch") == []
