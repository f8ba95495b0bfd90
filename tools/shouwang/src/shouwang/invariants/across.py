"""What one service knows, held against what the next one has made of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from common.money import yuan
from ingestion.domain.person import statements_of
from ingestion.domain.standing import NOT_COUNTED
from shell.store.database import Database
from supervision.domain.dues import ITEMS

from shouwang.invariants.quiet import Databases
from shouwang.invariants.report import Line

PAGE: Final = 2_000
# Where each reader of entitlements keeps the version it has applied.
APPLIED: Final = {
    "assessment": "SELECT person_id, version FROM heads WHERE person_id = ANY($1::uuid[])",
    "dispatch": "SELECT person_id, version FROM heads WHERE person_id = ANY($1::uuid[])",
    "subsidy": "SELECT person_id, version FROM accounts WHERE person_id = ANY($1::uuid[])",
    "supervision": "SELECT person_id, version FROM people WHERE person_id = ANY($1::uuid[])",
}


async def compare_versions(databases: Databases) -> list[Line]:
    """Everybody ingestion knows is decided from the newest facts; every decision has reached all who act on it."""
    facts = Line("everybody's newest facts have reached identification")
    async for people in _pages(
        databases["ingestion"], "SELECT person_id, version FROM persons WHERE version > 0 AND", "person_id"
    ):
        await _compare(
            facts,
            people,
            databases["identification"],
            "SELECT person_id, facts_version AS version FROM persons WHERE person_id = ANY($1::uuid[])",
        )
    lines = [facts]
    for service, applied in APPLIED.items():
        line = Line(f"every decision has reached {service}")
        select = "SELECT person_id, version FROM persons WHERE version > 0 AND"
        async for people in _pages(databases["identification"], select, "person_id"):
            await _compare(line, people, databases[service], applied)
        lines.append(line)
    return lines


async def _compare(line: Line, people: list[Any], database: Database, applied: str) -> None:
    async with database.reading() as connection:
        rows = await connection.fetch(applied, [row["person_id"] for row in people])
    found = {row["person_id"]: row["version"] for row in rows}
    for row in people:
        line.count += 1
        there = found.get(row["person_id"])
        if there != row["version"]:
            line.fault(f"{row['person_id']}: version {there} there, {row['version']} here")


async def check_inputs(database: Database) -> list[Line]:
    """Every accepted input is in exactly one place: applied (it stands in the person's or a household's statements),
    quarantined (open there) or parked (discarded, or withdrawn by its source); the counts are shown per source."""
    places = Line("every accepted input is in exactly one place")
    counts: Counter[tuple[str, str]] = Counter()
    async for rows in _pages(database, _RECEIVED, "event_id"):
        said = await _said(database, {row["person_id"] for row in rows if row["status"] == "applied"})
        for row in rows:
            places.count += 1
            counts[row["source"], row["status"]] += 1
            fault = _misplaced(row, said)
            if fault is not None:
                places.fault(f"{row['event_id']} ({row['source']}): {fault}")
    async with database.reading() as connection:
        lost = await connection.fetchval(
            """SELECT count(*) FROM quarantine q LEFT JOIN received r USING (event_id)
               WHERE r.event_id IS NULL AND q.part_of IS NULL"""
        )
    if lost:
        places.fault(f"{lost} events in quarantine were never received")
    return [places, *_per_source(counts)]


_RECEIVED: Final = """
SELECT r.event_id, r.source, r.kind, r.status, r.person_id, q.state FROM
  (SELECT * FROM received WHERE """


def _misplaced(row: Any, said: set[str]) -> str | None:
    stands, state = row["event_id"] in said, row["state"]
    match row["status"]:
        case "applied" if state == "open":
            return "applied, and open in quarantine"
        case "applied" if not stands and row["kind"] != "household":
            return "applied, but nobody's statement"
        case "quarantined" if state != "open" or stands:
            return f"quarantined, but {state} there" if not stands else "quarantined, and a statement already"
        case "parked" if state not in ("discarded", "withdrawn"):
            return f"parked, but {state} in quarantine"
    return None


async def _said(database: Database, person_ids: set[str]) -> set[str]:
    async with database.reading() as connection:
        rows = await connection.fetch(
            "SELECT statements FROM persons WHERE person_id = ANY($1::uuid[])", sorted(person_ids)
        )
    said = (s for row in rows if row["statements"] for s in statements_of(row["statements"]))
    return {s.event_id for s in said if s.standing_at() not in NOT_COUNTED}


def _per_source(counts: Counter[tuple[str, str]]) -> list[Line]:
    lines = []
    for source in sorted({source for source, _ in counts}):
        by = {status: counts[source, status] for status in ("applied", "quarantined", "parked")}
        note = ", ".join(f"{number:,} {status}" for status, number in by.items() if number)
        lines.append(Line(f"  inputs of {source}", count=sum(by.values()), note=note))
    return lines


async def check_suspicions(databases: Databases) -> Line:
    """Every suspected death has a paused plan with its check in dispatch and a counted hold in supervision."""
    line = Line("every suspected death is checked and its hold is counted")
    async for people in _pages(databases["identification"], _SUSPECTED, "person_id"):
        ids = [row["person_id"] for row in people]
        line.count += len(ids)
        for service, query in _FOLLOWED.items():
            async with databases[service].reading() as connection:
                found = {row[0] for row in await connection.fetch(query, ids)}
            for person_id in ids:
                if person_id not in found:
                    line.fault(f"{person_id}: a death is suspected, and {service} does not follow it")
    return line


# A decision names a suspicion only while there is one. A merged person's is the survivor's.
_SUSPECTED: Final = """SELECT person_id FROM persons
  WHERE merged_into IS NULL AND position('"death_suspected_on":'::bytea IN decision) > 0 AND"""
_FOLLOWED: Final = {
    "dispatch": "SELECT person_id FROM plans WHERE cause = 'suspicion' AND person_id = ANY($1::uuid[])",
    "supervision": "SELECT person_id FROM matters WHERE check_id = 'hold_overdue' AND person_id = ANY($1::uuid[])",
}


async def check_due_months(databases: Databases) -> Line:
    """Supervision counts exactly the months for which subsidy states a due in state due."""
    line = Line("the statistics count the dues that subsidy states")
    async for people in _pages(databases["subsidy"], "SELECT person_id FROM accounts WHERE", "person_id"):
        ids = [row["person_id"] for row in people]
        months = []
        for service, query in _DUE_MONTHS.items():
            async with databases[service].reading() as connection:
                months.append({tuple(row) for row in await connection.fetch(query, ids, ITEMS)})
        line.count += len(months[0])
        for person_id, item, jurisdiction, month in sorted(months[0] ^ months[1]):
            line.fault(f"{person_id}: {item} of {jurisdiction} for {month:%Y-%m} is due in one of the two only")
    return line


_DUE_MONTHS: Final = {
    "subsidy": """SELECT person_id::text, item, jurisdiction, service_month FROM dues
      WHERE person_id = ANY($1::uuid[]) AND item = ANY($2) AND state = 'due' AND amount_fen > 0""",
    "supervision": """SELECT person_id::text, item, jurisdiction, month::date FROM due_months, unnest(months) r,
      generate_series(lower(r), upper(r) - 1, interval '1 month') month
      WHERE person_id = ANY($1::uuid[]) AND item = ANY($2)""",
}


async def check_money(database: Database) -> Line:
    """Over all posted entries debits equal credits, and what persons are owed is what was not yet paid."""
    line = Line("trial balance: debits = credits")
    async with database.reading() as connection:
        rows = await connection.fetch(
            """SELECT account, sum(debit)::bigint AS debit_fen, sum(credit)::bigint AS credit_fen FROM (
                 SELECT debit_account AS account, amount_fen AS debit, 0 AS credit FROM entries WHERE state = 'posted'
                 UNION ALL SELECT credit_account, 0, amount_fen FROM entries WHERE state = 'posted') legs
               GROUP BY account ORDER BY account"""
        )
        line.count = await connection.fetchval("SELECT count(*) FROM entries WHERE state = 'posted'")
    debit, credit = sum(row["debit_fen"] for row in rows), sum(row["credit_fen"] for row in rows)
    if debit != credit:
        line.fault(f"debits {debit} fen, credits {credit} fen")
    line.note = f"{yuan(debit)} 元"
    return line


async def check_parked(databases: Databases) -> Line:
    """What waits for a human is told; a bug is a fault."""
    line = Line("what could not be processed is parked with its reason")
    told: list[str] = []
    for name, database in databases.items():
        async with database.reading() as connection:
            rows = await connection.fetch(
                "SELECT reason, count(*) AS parked FROM parked WHERE state = 'parked' GROUP BY reason ORDER BY reason"
            )
        for row in rows:
            line.count += row["parked"]
            told.append(f"{name} {row['reason']} {row['parked']}")
            if row["reason"] in ("bug", "behind_parked"):
                line.fault(f"{name}: {row['parked']} records are parked for `{row['reason']}`")
    line.note = ", ".join(told)
    return line


async def _pages(database: Database, select: str, key: str) -> AsyncIterator[list[Any]]:
    """Rows a page at a time, in the order of `key`. `select` ends where the condition on the key follows."""
    tail = ") r LEFT JOIN quarantine q USING (event_id) ORDER BY r.event_id" if key == "event_id" else ""
    after: str | None = None
    while True:
        async with database.reading() as connection:
            rows = await connection.fetch(
                f"{select} ($1::uuid IS NULL OR {key} > $1) ORDER BY {key} LIMIT {PAGE}{tail}",
                after,
            )
        if rows:
            yield rows
        if len(rows) < PAGE:
            return
        after = rows[-1][key]
