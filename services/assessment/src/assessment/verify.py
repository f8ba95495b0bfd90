"""Whether what assessment stores agrees with itself: `check` names every disagreement, by ids and never by name."""

from collections.abc import AsyncIterator, Sequence
from datetime import date
from typing import Any, Final

import asyncpg
import msgspec
from common.events import AbilitiesDetermined
from rules.scales.ability_scale import Findings, RiskEvent, Scored, assess
from shell.store.database import Database

from assessment import store
from assessment.domain import abilities, decide_case
from assessment.scale import scale_in_use

PAGE: Final = 1_000
PROBLEMS_MAX: Final = 200


async def check(database: Database, today: date) -> list[str]:
    """Faults found, at most 200: wrong scores, results without signature, needs without a case, cases of the dead."""
    found: list[str] = []
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor("SELECT * FROM cases WHERE form IS NOT NULL"):
            found += _score_faults(row)
        found += await _result_faults(connection)
        async for fault in _need_faults(connection, today):
            found.append(fault)
            if len(found) >= PROBLEMS_MAX:
                break
    return found[:PROBLEMS_MAX]


async def expected_heads(connection: asyncpg.Connection, person_ids: Sequence[str]) -> list[AbilitiesDetermined]:
    """For each of these persons with a result, the AbilitiesDetermined that must be the head of the compacted topic
    (its `recorded_at` is that of the newest result). In the order given; any page of ids is two statements."""
    rows = await connection.fetch(
        "SELECT person_id, ability_version FROM needs WHERE person_id = ANY($1::uuid[]) AND ability_version > 0",
        list(person_ids),
    )
    versions = {row["person_id"]: row["ability_version"] for row in rows}
    results = await store.results_of(connection, person_ids)
    return [
        AbilitiesDetermined(
            person_id=person_id,
            version=versions[person_id],
            recorded_at=max(r.recorded_at for r in results[person_id]),
            abilities=abilities(results[person_id]),
        )
        for person_id in person_ids
        if person_id in versions
    ]


def _score_faults(row: Any) -> list[str]:
    form = msgspec.json.decode(row["form"])
    events = tuple(RiskEvent(e["kind"], date.fromisoformat(e["on"])) for e in form["risk_events"])
    findings = Findings(row["assessed_on"], form["coma"], tuple(form["diagnoses"]), events)
    scored = assess(form["items"], findings, scale_in_use())
    if isinstance(scored, Scored) and (scored.total, scored.level) == (row["total"], row["level"]):
        return []
    return [f"assessment {row['assessment_id']}: its score does not follow from its form"]


async def _result_faults(connection: asyncpg.Connection) -> list[str]:
    rows = await connection.fetch(
        """SELECT coalesce(r.assessment_id, c.assessment_id) AS id FROM results r
           FULL JOIN (SELECT * FROM cases WHERE state = 'signed') c USING (assessment_id)
           WHERE r.assessment_id IS NULL OR c.assessment_id IS NULL OR r.level <> c.level
              OR r.valid_from <> c.assessed_on OR r.person_id <> c.person_id LIMIT $1""",
        PROBLEMS_MAX,
    )
    return [f"assessment {row['id']}: result and signed case disagree" for row in rows] + [
        f"person {row[0]}: {row[1]} results, but {row[2]} were told"
        for row in await connection.fetch(
            """SELECT person_id, count(r.assessment_id), max(n.ability_version) FROM needs n
               LEFT JOIN results r USING (person_id) GROUP BY person_id
               HAVING count(r.assessment_id) <> max(n.ability_version) LIMIT $1""",
            PROBLEMS_MAX,
        )
    ]


async def _need_faults(connection: asyncpg.Connection, today: date) -> AsyncIterator[str]:
    """A need whose day has come is the clock's next step and no fault unless a day old."""
    after = store.NO_ID
    while needs := await store.page_needs(connection, after, PAGE):
        after = needs[-1].person_id
        persons = [need.person_id for need in needs]
        open_cases = await store.open_cases(connection, persons)
        results = await store.results_of(connection, persons)
        for need in needs:
            if need.act_on == today:
                continue
            decided = decide_case(
                need, open_cases.get(need.person_id), results.get(need.person_id, []), today, scale_in_use()
            )
            if decided.step is not None:
                yield f"person {need.person_id}: {type(decided.step).__name__.lower()} {decided.step.reason} is due"
