"""The statements of `shouwang verify` about one service run on its migrated, empty database."""

import importlib

import pytest
from shell import clock
from shell.testing import migrated_database
from shouwang.invariants.backlog import DUE
from shouwang.invariants.consistency import APPLIED
from shouwang.runtime.services import STORED


@pytest.mark.parametrize("service", STORED)
async def test_the_statements_about_a_service_run_on_its_empty_database(service: str) -> None:
    verify = importlib.import_module(f"{service}.verify")
    due, applied = DUE.get(service), APPLIED.get(service)
    async with migrated_database(service) as database, database.reading() as connection:
        assert await connection.fetchval(verify.SIZE) == 0, f"{service}/verify.py: SIZE"
        assert await verify.check(database, clock.today()) == [], f"{service}/verify.py: check"
        if due is not None:
            assert await connection.fetchval(due, clock.today(), clock.now()) == 0, f"backlog.py: DUE[{service!r}]"
        if applied is not None:
            statement = await connection.prepare(applied)
            assert await statement.fetch([]) == [], f"consistency.py: APPLIED[{service!r}]"
            columns = [column.name for column in statement.get_attributes()]
            assert columns == ["person_id", "version"], f"consistency.py: APPLIED[{service!r}]"
