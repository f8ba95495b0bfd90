"""A database is a demonstration's or a real office's, and stays what it is."""

import asyncio

import pytest
from shell.service import Service
from shell.store.database import Database
from shell.store.mode import WrongMode, keep_mode


@pytest.mark.parametrize(("first", "says"), [(True, "start with SHOUWANG_DEMO=1"), (False, "start without SHOUWANG")])
async def test_a_database_is_not_carried_on_in_the_other_mode(database: Database, first: bool, says: str) -> None:
    await keep_mode(database, demo=first)
    await keep_mode(database, demo=first)
    with pytest.raises(WrongMode, match=says):
        await keep_mode(database, demo=not first)
    await keep_mode(database, demo=first)


async def test_of_two_first_starts_in_two_modes_one_is_refused(database: Database) -> None:
    starts = [keep_mode(database, demo=demo) for demo in (True, False)]
    found = await asyncio.gather(*starts, return_exceptions=True)
    assert sorted(type(one) for one in found if one is not None) == [WrongMode]


async def test_a_service_without_the_variable_does_not_start_on_the_database_of_a_demonstration(
    database: Database,
) -> None:
    await keep_mode(database, demo=True)
    service = Service("probe")
    service.database = Database(database.url, "probe")
    with pytest.raises(WrongMode, match="start with SHOUWANG_DEMO=1"):
        async with service.app.router.lifespan_context(service.app):
            pytest.fail("it has started")
    await service.database.close()
