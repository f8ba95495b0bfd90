"""Reads from the databases which sources and providers may use Kafka."""

from __future__ import annotations

import asyncpg
from shell.store.database import Database
from shell.store.failures import UNAVAILABLE

from shouwang.runtime import clock
from shouwang.runtime.databases import open_database
from shouwang.runtime.kafka_acls import Registers
from shouwang.runtime.problems import LocalProblem
from shouwang.runtime.stores import Stores


async def load_registers(runtime: Stores) -> Registers:
    """Load both registers. Raises LocalProblem if a database does not answer, ends the connection or has no tables
    yet."""
    try:
        async with open_database(runtime, "ingestion") as ingestion:
            sources = await _load_sources(ingestion, runtime)
        async with open_database(runtime, "dispatch") as dispatch:
            rows = await dispatch.pool.fetch("SELECT uscc FROM providers WHERE subscription = 'kafka'")
    except asyncpg.UndefinedTableError as missing:
        raise LocalProblem("The registers of sources and providers do not exist yet: run `shouwang up`.") from missing
    except UNAVAILABLE as lost:
        raise LocalProblem("The registers of sources and providers cannot be read now: try again.") from lost
    return Registers(sources, frozenset(row["uscc"] for row in rows))


async def _load_sources(ingestion: Database, runtime: Stores) -> dict[str, bool]:
    from ingestion.register.shapes import Entry
    from ingestion.register.store.registry import load_in_force

    in_force = await load_in_force(ingestion.pool, clock.business_time(runtime.home))
    entries = {row.source: Entry.model_validate_json(row.entry) for row in in_force}
    return {urn: entry.kafka for urn, entry in entries.items() if entry.active and not entry.internal}
