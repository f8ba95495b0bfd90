"""Is what ingestion stores consistent with itself? Every check reads the tables as they stand."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from common.database import Database
from common.privacy import SealBroken, vault

from ingestion.domain import statements_of
from ingestion.store import days, review, statements

PAGE: Final = 1_000
FAULTS_MAX: Final = 100


async def check(database: Database) -> list[str]:
    """Faults in words, at most FAULTS_MAX; people by their surrogate id. Empty: all is well."""
    faults: list[str] = []
    after: str | None = None
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        faults += await review.contradictions(connection, FAULTS_MAX)
        faults += await days.miscounts(connection, FAULTS_MAX)
        while len(faults) < FAULTS_MAX:
            page = await review.list_persons_after(connection, after, PAGE)
            if not page:
                break
            faults += await _faults(connection, page)
            after = page[-1]["person_id"]
    return faults[:FAULTS_MAX]


async def _faults(connection: Any, page: Sequence[Any]) -> list[str]:
    faults = [f"person {row['person_id']}: {fault}" for row in page for fault in _of_statements(row)]
    ids = [row["person_id"] for row in page]
    sealed = {person_id: value for person_id, _, value in await statements.load_vault(connection, ids, ["id_number"])}
    indexes: dict[str, bytes] = {}
    for person_id in ids:
        if person_id not in sealed:
            faults.append(f"person {person_id}: no sealed ID number")
            continue
        try:
            number = vault().open(sealed[person_id], f"{person_id}/id_number".encode()).decode()
        except SealBroken:
            faults.append(f"person {person_id}: the sealed ID number does not open")
            continue
        indexes[person_id] = vault().blind_index(number)
    found = await review.list_identities(connection, list(indexes.values()))
    return faults + [
        f"person {person_id}: not found by the sealed ID number"
        for person_id, index in indexes.items()
        if found.get(index) != person_id
    ]


def _of_statements(row: Any) -> list[str]:
    """One version, one newest instant, every chain in its order, nothing twice."""
    said = statements_of(row["statements"])
    if not said:
        return ["a version, but no statement"] if row["version"] else []
    faults = []
    if not row["version"]:
        faults.append("statements, but no version")
    if row["recorded_at"] != max(s.recorded_at for s in said):
        faults.append("recorded_at is not that of the newest statement")
    last: dict[str, Any] = {}
    for s in said:
        if s.chain in last and s.time < last[s.chain]:
            faults.append(f"chain {s.chain} is out of order")
        last[s.chain] = s.time
    twice = [key for key, times in Counter((s.event_id, s.chain) for s in said).items() if times > 1]
    return faults + [f"event {event_id} stands twice" for event_id, _ in twice]
