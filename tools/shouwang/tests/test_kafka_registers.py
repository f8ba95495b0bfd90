"""The registers of sources and providers, as the job of Kafka's grants reads them."""

from pathlib import Path

import pytest
from shell.store.database import Database
from shell.testing import migrated_database
from shouwang.runtime import kafka_registers
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores


async def test_a_connection_that_the_database_ends_is_a_problem_to_try_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any other error ends the supervisor, which starts dead processes again."""

    async def end(database: Database, _runtime: Stores) -> dict[str, bool]:
        await database.pool.execute("SELECT pg_terminate_backend(pg_backend_pid())")
        return {}

    monkeypatch.setattr(kafka_registers, "_load_sources", end)
    async with migrated_database("ingestion") as database:
        monkeypatch.setenv("SHOUWANG_DATABASE_URL_INGESTION", database.url)
        with pytest.raises(LocalProblem, match="try again"):
            await kafka_registers.load_registers(Stores(tmp_path))
