"""The rows from which states on compacted topics are made."""

from uuid import UUID

from shell.testing import migrated_database
from shouwang.invariants.source_rows import SOURCES

_NEEDS = """INSERT INTO needs (person_id, periods, merged, correlation_id, cases, ability_version)
            SELECT id, '[]', false, '', 1, 1 FROM unnest($1::uuid[]) AS u(id)"""
_CASES = """INSERT INTO cases (assessment_id, person_id, state, reason, requested_at, correlation_id, form, level,
              submitted_by, signed_by, signed_at, scored_at, form_at)
            SELECT id, id, 'signed', 'first', now(), '', '{}', 1, 'a', 'b', now(), now(), now()
            FROM unnest($1::uuid[]) AS u(id)"""
_RESULTS = """INSERT INTO results (assessment_id, person_id, scale, scale_version, level, valid_from, valid_until,
                recorded_at)
              SELECT id, id, 's', '1', 1, '2026-11-01', '2027-11-01', now() FROM unnest($1::uuid[]) AS u(id)"""


async def test_a_person_whose_results_are_lost_hides_no_other_person_from_verification() -> None:
    first, lost, last = (str(UUID(int=n)) for n in (1, 2, 3))
    async with migrated_database("assessment") as database:
        await database.pool.execute(_NEEDS, [first, lost, last])
        for statement in (_CASES, _RESULTS):
            await database.pool.execute(statement, [first, last])
        async with database.reading() as connection:
            heads = await SOURCES["assessment.ability"].page(connection, None, 2, False)
            counted = await connection.fetchval(SOURCES["assessment.ability"].count_statement)
    assert [head.key for head in heads] == [first, last]
    assert counted == 2
