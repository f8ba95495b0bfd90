"""The self-check of the stored cases, results and needs. `check` reports each fault with ids only."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import asyncpg
import msgspec
from common.events import AbilitiesDetermined
from rules.scales.ability_scale import Findings, RiskEvent, Scored, assess
from shell.store.database import Database

from assessment import store
from assessment.domain import REQUESTED, Cancel, abilities, decide_case
from assessment.scale import scale_in_use

SIZE: Final[str] = "SELECT count(*) FROM needs"
PAGE: Final = 1_000
PROBLEMS_MAX: Final = 200
_SCORED_FORMS: Final = "SELECT assessment_id, form, assessed_on, total, level FROM cases WHERE form IS NOT NULL"
_DIFFERENT_RESULTS: Final = """SELECT coalesce(r.assessment_id, c.assessment_id) FROM results r
   FULL JOIN (SELECT * FROM cases WHERE state = 'signed') c USING (assessment_id)
   WHERE r.assessment_id IS NULL OR c.assessment_id IS NULL OR r.level <> c.level
      OR r.valid_from <> c.assessed_on OR r.person_id <> c.person_id LIMIT $1"""
_MISCOUNTED_RESULTS: Final = """SELECT person_id, count(r.assessment_id), max(n.ability_version) FROM needs n
   LEFT JOIN results r USING (person_id) GROUP BY person_id
   HAVING count(r.assessment_id) <> max(n.ability_version) LIMIT $1"""


class _ScoredForm(NamedTuple):
    assessment_id: str
    form: bytes
    assessed_on: date
    total: int | None
    level: int


async def check(database: Database, today: date) -> list[str]:
    """Return one sentence per fault, at most 200: wrong scores, unsigned results, missing cases, cases of the dead."""
    found: list[str] = []
    async with database.reading() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        async for row in connection.cursor(_SCORED_FORMS):
            found += _score_faults(_ScoredForm(*row))
        found += await _result_faults(connection)
        async for fault in _need_faults(connection, today):
            found.append(fault)
            if len(found) >= PROBLEMS_MAX:
                break
    return found[:PROBLEMS_MAX]


async def expected_heads(connection: asyncpg.Connection, person_ids: Sequence[str]) -> list[AbilitiesDetermined]:
    """Return the newest state event that the compacted topic must hold for each person with a result.

    The events have the order of `person_ids`. `recorded_at` is that of the newest result. One call takes two
    statements.
    """
    rows = await connection.fetch(
        "SELECT person_id, ability_version FROM needs WHERE person_id = ANY($1::uuid[]) AND ability_version > 0",
        list(person_ids),
    )
    versions: dict[str, int] = {row[0]: row[1] for row in rows}
    results = await store.load_results(connection, person_ids)
    return [
        AbilitiesDetermined(
            person_id=person_id,
            version=versions[person_id],
            recorded_at=max(result.recorded_at for result in results[person_id]),
            abilities=abilities(results[person_id]),
        )
        for person_id in person_ids
        if person_id in versions and person_id in results  # `check` reports a person whose results are lost
    ]


def _score_faults(stored: _ScoredForm) -> list[str]:
    form = msgspec.json.decode(stored.form)
    scored = assess(form["items"], _findings(stored.assessed_on, form), scale_in_use())
    if isinstance(scored, Scored) and (scored.total, scored.level) == (stored.total, stored.level):
        return []
    return [f"assessment {stored.assessment_id}: its score does not follow from its form"]


def _findings(assessed_on: date, form: Mapping[str, Any]) -> Findings:
    events = tuple(RiskEvent(event["kind"], date.fromisoformat(event["on"])) for event in form["risk_events"])
    return Findings(assessed_on, form["coma"], tuple(form["diagnoses"]), events)


async def _result_faults(connection: asyncpg.Connection) -> list[str]:
    different = await connection.fetch(_DIFFERENT_RESULTS, PROBLEMS_MAX)
    miscounted = await connection.fetch(_MISCOUNTED_RESULTS, PROBLEMS_MAX)
    return [
        *(f"assessment {row[0]}: result and signed case differ" for row in different),
        *(f"person {row[0]}: {row[1]} results, but {row[2]} were emitted" for row in miscounted),
    ]


async def _need_faults(connection: asyncpg.Connection, today: date) -> AsyncIterator[str]:
    """Yield a sentence per need with a missed step. A need that acts today is no fault.

    A form without a request needs no entitlement, so a case that it opened waits for its signature.
    """
    after = store.NO_ID
    while needs := await store.page_needs(connection, after, PAGE):
        after = needs[-1].person_id
        person_ids = [need.person_id for need in needs]
        open_cases = await store.load_open_cases(connection, person_ids)
        results = await store.load_results(connection, person_ids)
        for need in needs:
            if need.act_on != today:
                case, signed = open_cases.get(need.person_id), results.get(need.person_id, [])
                step = decide_case(need, case, signed, today, scale_in_use()).step
                waits = isinstance(step, Cancel) and case is not None and case.reason not in REQUESTED
                if step is not None and not waits:
                    yield f"person {need.person_id}: {type(step).__name__.lower()} {step.reason} is due"
