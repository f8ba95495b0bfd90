"""The job that counts the rows that wait for officers, for the metrics."""

from collections import Counter
from typing import Final

from common.codes import divisions
from prometheus_client import Gauge
from shell.store.database import Database

from ingestion.review.store import place_cases as store

TABLES: Final = ("quarantine", "place_cases", "groups")
LEVELS: Final = ("nation", "province", "city", "county")
waiting = Gauge("shouwang_waiting_for_officers", "Open rows that wait for officers", ["table", "level"])


async def count_waiting(database: Database) -> int:
    """Set the gauges. A group counts until it is settled, and its open rows count as well. Returns 0: the job never has
    more to do at once."""
    async with database.reading() as connection:
        rows = await store.count_open(connection)
    counts: Counter[tuple[str, str]] = Counter()
    for row in rows:
        counts[row.table, level_of(row.owner)] += row.rows
    for table in TABLES:
        for level in LEVELS:
            waiting.labels(table, level).set(counts[table, level])
    return 0


def level_of(area: str) -> str:
    """The level of an area by the structure of GB/T 2260; an area without such a code counts as a county."""
    if area == divisions.NATION:
        return "nation"
    if area.endswith("0000") and len(area) == divisions.COUNTY_DIGITS:
        return "province"
    return "city" if area.endswith("00") and len(area) == divisions.COUNTY_DIGITS else "county"
