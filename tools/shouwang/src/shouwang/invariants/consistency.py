"""Compares the state of each service with the state of the services that depend on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, NamedTuple

from common.money import yuan
from ingestion.domain.person import statements_of
from ingestion.domain.stated_chains import NOT_COUNTED
from shell.store.database import Database
from supervision.domain.dues import ITEMS

from shouwang.invariants.backlog import Databases
from shouwang.invariants.report import Line

PAGE: Final = 2_000
# The version that each reader of entitlements has applied.
APPLIED: Final = {
    "assessment": "SELECT person_id, version FROM heads WHERE person_id = ANY($1::uuid[])",
    "dispatch": "SELECT person_id, version FROM heads WHERE person_id = ANY($1::uuid[])",
    "subsidy": "SELECT person_id, version FROM accounts WHERE person_id = ANY($1::uuid[])",
    "supervision": "SELECT person_id, version FROM people WHERE person_id = ANY($1::uuid[])",
}
_VERSIONS: Final = "SELECT person_id, version FROM persons WHERE version > 0 AND"
_FACTS_VERSIONS: Final = "SELECT person_id, facts_version AS version FROM persons WHERE person_id = ANY($1::uuid[])"


async def compare_versions(databases: Databases) -> list[Line]:
    """Check that identification has used the newest facts, and that every reader has applied the newest decision.

    Returns one line for identification and one per reader of decisions.
    """
    facts = Line("everybody's newest facts have reached identification")
    await _compare_versions(facts, databases["ingestion"], databases["identification"], _FACTS_VERSIONS)
    lines = [facts]
    for service, applied in APPLIED.items():
        line = Line(f"every decision has reached {service}")
        await _compare_versions(line, databases["identification"], databases[service], applied)
        lines.append(line)
    return lines


async def _compare_versions(line: Line, owner: Database, reader: Database, applied: str) -> None:
    """Add a fault to `line` for each person whose applied version differs. `applied`: the SQL that loads the versions
    which the reader has applied."""
    async for people in _pages(owner, _VERSIONS, "person_id"):
        line.count += len(people)
        found = await _versions(reader, applied, [row["person_id"] for row in people])
        for person_id, version in people:
            if found.get(person_id) != version:
                line.fault(f"{person_id}: version {found.get(person_id)} there, {version} here")


async def _versions(reader: Database, applied: str, person_ids: list[Any]) -> dict[Any, int]:
    """Return by person id the version that the reader has applied. `applied`: the SQL for it."""
    async with reader.reading() as connection:
        return dict(await connection.fetch(applied, person_ids))


# -- inputs


class _Input(NamedTuple):
    """An accepted event. `status`: as received (`applied`, `quarantined`, `parked`). `state`: its state in quarantine,
    None if it is not there."""

    event_id: str
    source: str
    kind: str
    status: str
    person_id: str | None
    state: str | None


_RECEIVED: Final = """
SELECT r.event_id, r.source, r.kind, r.status, r.person_id, q.state FROM
  (SELECT * FROM received WHERE """


async def check_inputs(database: Database) -> list[Line]:
    """Check that every accepted input is in exactly one place. One more line per source counts its inputs.

    An applied input is a statement of a person that counts. A quarantined one is open in quarantine. A parked one was
    discarded or withdrawn there. The statements of an applied `household` event are not searched.
    """
    places = Line("every accepted input is in exactly one place")
    counts: Counter[tuple[str, str]] = Counter()
    async for rows in _pages(database, _RECEIVED, "event_id"):
        inputs = [_Input(*row) for row in rows]
        counted = await _counted(database, {i.person_id for i in inputs if i.person_id and i.status == "applied"})
        counts.update((i.source, i.status) for i in inputs)
        places.count += len(inputs)
        places.add(_misplaced(inputs, counted))
    lost = await _never_received(database)
    if lost:
        places.fault(f"{lost} events in quarantine were never received")
    return [places, *_per_source(counts)]


async def _never_received(database: Database) -> int:
    """Return the number of whole events in quarantine that are not among the received events."""
    async with database.reading() as connection:
        count = await connection.fetchval(
            """SELECT count(*) FROM quarantine q LEFT JOIN received r USING (event_id)
               WHERE r.event_id IS NULL AND q.part_of IS NULL"""
        )
    return int(count)


def _misplaced(inputs: list[_Input], counted: set[str]) -> Iterator[str]:
    """Yield a sentence per input in a wrong place. `counted`: event ids of statements that count."""
    for accepted in inputs:
        fault = _misplacement(accepted, accepted.event_id in counted)
        if fault is not None:
            yield f"{accepted.event_id} ({accepted.source}): {fault}"


def _misplacement(accepted: _Input, is_statement: bool) -> str | None:
    """The fault in the place of an input, None if there is none."""
    state = accepted.state
    match accepted.status:
        case "applied" if state == "open":
            return "applied, and open in quarantine"
        case "applied" if not is_statement and accepted.kind != "household":
            return "applied, but no statement of a person"
        case "quarantined" if is_statement:
            return "quarantined, and a statement already"
        case "quarantined" if state != "open":
            return f"quarantined, but {state} there"
        case "parked" if state not in ("discarded", "withdrawn"):
            return f"parked, but {state} in quarantine"
    return None


async def _counted(database: Database, person_ids: set[str]) -> set[str]:
    """Return the event ids of these persons' statements, without statements that do not count for the person."""
    async with database.reading() as connection:
        rows = await connection.fetch(
            "SELECT statements FROM persons WHERE person_id = ANY($1::uuid[])", sorted(person_ids)
        )
    found = set()
    for row in rows:
        statements = statements_of(row["statements"]) if row["statements"] else ()
        found |= {s.event_id for s in statements if s.standing_at() not in NOT_COUNTED}
    return found


def _per_source(counts: Counter[tuple[str, str]]) -> list[Line]:
    lines = []
    for source in sorted({source for source, _ in counts}):
        by_status = {status: counts[source, status] for status in ("applied", "quarantined", "parked")}
        note = ", ".join(f"{number:,} {status}" for status, number in by_status.items() if number)
        lines.append(Line(f"  inputs of {source}", count=sum(by_status.values()), note=note))
    return lines


# -- suspected deaths

# A decision contains a suspicion only while it is open. The suspicion of a merged person belongs to the survivor.
_SUSPECTED: Final = """SELECT person_id FROM persons
  WHERE merged_into IS NULL AND position('"death_suspected_on":'::bytea IN decision) > 0 AND"""
_FOLLOWED: Final = {
    "dispatch": "SELECT person_id FROM plans WHERE cause = 'suspicion' AND person_id = ANY($1::uuid[])",
    "supervision": "SELECT person_id FROM matters WHERE check_id = 'hold_overdue' AND person_id = ANY($1::uuid[])",
}


async def check_suspicions(databases: Databases) -> Line:
    """Check every suspected death: dispatch has a plan with cause `suspicion`, and supervision counts the hold."""
    line = Line("every suspected death is checked and its hold is counted")
    async for people in _pages(databases["identification"], _SUSPECTED, "person_id"):
        ids = [row["person_id"] for row in people]
        line.count += len(ids)
        for service, query in _FOLLOWED.items():
            for person_id in await _not_found(databases[service], query, ids):
                line.fault(f"{person_id}: a death is suspected, and {service} does not follow it")
    return line


async def _not_found(database: Database, query: str, person_ids: list[Any]) -> list[Any]:
    """Return the persons that the query does not find."""
    async with database.reading() as connection:
        found = {row[0] for row in await connection.fetch(query, person_ids)}
    return [person_id for person_id in person_ids if person_id not in found]


# -- money

_DUE_MONTHS: Final = {
    "subsidy": """SELECT person_id::text, item, jurisdiction, service_month FROM dues
      WHERE person_id = ANY($1::uuid[]) AND item = ANY($2) AND state = 'due' AND amount_fen > 0""",
    "supervision": """SELECT person_id::text, item, jurisdiction, month::date FROM due_months, unnest(months) r,
      generate_series(lower(r), upper(r) - 1, interval '1 month') month
      WHERE person_id = ANY($1::uuid[]) AND item = ANY($2)""",
}


async def check_due_months(databases: Databases) -> Line:
    """Check that supervision counts exactly the months that are due in subsidy.

    It compares the items of the statistics (ITEMS), for the persons with an account in subsidy.
    """
    line = Line("the statistics count the dues that subsidy states")
    async for people in _pages(databases["subsidy"], "SELECT person_id FROM accounts WHERE", "person_id"):
        ids = [row["person_id"] for row in people]
        due = await _due_months(databases, "subsidy", ids)
        counted = await _due_months(databases, "supervision", ids)
        line.count += len(due)
        for person_id, item, jurisdiction, month in sorted(due ^ counted):
            line.fault(f"{person_id}: {item} of {jurisdiction} for {month:%Y-%m} is due in one of the two only")
    return line


async def _due_months(databases: Databases, service: str, person_ids: list[Any]) -> set[tuple[Any, ...]]:
    """Return person id, item, jurisdiction and first day of the month of every due month of these persons."""
    async with databases[service].reading() as connection:
        return {tuple(row) for row in await connection.fetch(_DUE_MONTHS[service], person_ids, ITEMS)}


async def check_money(database: Database) -> Line:
    """Show the sum of the debits and compare it with the sum of the credits, over all posted entries.

    Both are always equal, because an entry is one row with both accounts.
    """
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
    """Count the parked records by service and reason.

    A record that is parked for a bug, or because it follows a parked record of its key, is a fault.
    """
    line = Line("what could not be processed is parked with its reason")
    notes: list[str] = []
    for name, database in databases.items():
        for reason, count in await _parked_by_reason(database):
            line.count += count
            notes.append(f"{name} {reason} {count}")
            if reason in _BUGS:
                line.fault(f"{name}: {count} records are parked for `{reason}`")
    line.note = ", ".join(notes)
    return line


_BUGS: Final = ("bug", "behind_parked")


async def _parked_by_reason(database: Database) -> list[Any]:
    """Return rows of reason and number of parked records."""
    async with database.reading() as connection:
        rows: list[Any] = await connection.fetch(
            "SELECT reason, count(*) AS parked FROM parked WHERE state = 'parked' GROUP BY reason ORDER BY reason"
        )
    return rows


async def _pages(database: Database, select: str, key: str) -> AsyncIterator[list[Any]]:
    """Yield the rows of a statement in pages of PAGE rows, in the order of `key`.

    `select`: the beginning of the SQL, up to `WHERE` or `AND`; this function adds the condition on `key`, the order and
    the limit. With the key `event_id`, `select` is `_RECEIVED`; its subquery is closed here and joined to `quarantine`.
    """
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
