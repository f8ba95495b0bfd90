"""Store people and their ability levels, one row per person with the newest decision, and count people."""

from collections.abc import Sequence
from datetime import date
from typing import Any, Final, NamedTuple

import asyncpg
from common.codes import divisions
from shell.store.transaction import Tx

from supervision.domain.statistics import CLASSES, LEVELS, Counts


class PersonLine(NamedTuple):
    """A decision about a person. `division`: the residence, else the hukou. `visiting_care`: the days with it, as a
    multirange."""

    person_id: str
    version: int
    decided_at: str
    division: str | None
    died_on: date | None
    merged_into: str | None
    visiting_care: str


_UPSERT: Final = """
WITH changed AS (
INSERT INTO people AS t (person_id, version, decided_at, division, died_on, merged_into, visiting_care)
SELECT a::uuid, b, c::timestamptz, d, e, m::uuid, f::datemultirange
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::date[], $6::text[], $7::text[])
  AS u(a, b, c, d, e, m, f)
ON CONFLICT (person_id) DO UPDATE SET
  version = excluded.version, decided_at = excluded.decided_at, division = excluded.division,
  died_on = excluded.died_on, merged_into = excluded.merged_into, visiting_care = excluded.visiting_care,
  visiting_before = t.visiting_before + t.visiting_care
    * datemultirange(daterange(NULL, (excluded.decided_at AT TIME ZONE 'Asia/Shanghai')::date, '[]'))
WHERE t.version < excluded.version
RETURNING old.merged_into AS before, new.merged_into AS after)
SELECT DISTINCT before FROM changed WHERE before IS NOT NULL AND after IS DISTINCT FROM before
"""
_UPSERT_ABILITIES: Final = """
INSERT INTO abilities AS t (person_id, version, level_0, level_1, level_2, level_3, level_4)
SELECT a::uuid, b, c::datemultirange, d::datemultirange, e::datemultirange, f::datemultirange, g::datemultirange
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
  AS u(a, b, c, d, e, f, g)
ON CONFLICT (person_id) DO UPDATE SET
  version = excluded.version, level_0 = excluded.level_0, level_1 = excluded.level_1, level_2 = excluded.level_2,
  level_3 = excluded.level_3, level_4 = excluded.level_4
WHERE t.version < excluded.version
"""
# A loose index scan: it finds the few distinct areas of many people.
_AREAS: Final = """
WITH RECURSIVE hop AS (
  (SELECT division FROM people WHERE division IS NOT NULL ORDER BY division LIMIT 1)
  UNION ALL
  SELECT (SELECT p.division FROM people p WHERE p.division > hop.division ORDER BY p.division LIMIT 1)
  FROM hop WHERE hop.division IS NOT NULL
)
SELECT division FROM hop WHERE division IS NOT NULL
"""
# A merged person is counted with the survivor: dues and visits of both count for the survivor. The ability level of an
# alias counts only if the survivor has none. $1: the areas, $2: the reference day, $3: the first day of its month.
_COUNTS: Final = """
SELECT division,
       count(*) FILTER (WHERE la AND NOT nu AND NOT ca) AS longevity_allowance,
       count(*) FILTER (WHERE nu AND NOT la AND NOT ca) AS nursing_subsidy,
       count(*) FILTER (WHERE ca AND NOT la AND NOT nu) AS care_service_subsidy,
       count(*) FILTER (WHERE la::int + nu::int + ca::int > 1) AS combined,
       count(*) FILTER (WHERE to_visit) AS to_visit,
       count(*) FILTER (WHERE to_visit AND visited) AS visited,
       count(*) FILTER (WHERE level_0) AS level_0, count(*) FILTER (WHERE level_1) AS level_1,
       count(*) FILTER (WHERE level_2) AS level_2, count(*) FILTER (WHERE level_3) AS level_3,
       count(*) FILTER (WHERE level_4) AS level_4
FROM (
  SELECT p.division,
         coalesce(d.la, false) AS la, coalesce(d.nu, false) AS nu, coalesce(d.ca, false) AS ca,
         visiting_care && daterange($3, $2, '[]') AS to_visit,
         v.person_id IS NOT NULL AS visited,
         alive AND coalesce(a.level_0, o.level_0) @> $2 AS level_0,
         alive AND coalesce(a.level_1, o.level_1) @> $2 AS level_1,
         alive AND coalesce(a.level_2, o.level_2) @> $2 AS level_2,
         alive AND coalesce(a.level_3, o.level_3) @> $2 AS level_3,
         alive AND coalesce(a.level_4, o.level_4) @> $2 AS level_4
  FROM (SELECT *, (died_on IS NULL OR died_on > $2) AS alive FROM people
        WHERE merged_into IS NULL AND ($1::text[] IS NULL OR division = ANY($1))) p
  LEFT JOIN (SELECT coalesce(m.merged_into, t.person_id) AS person_id, bool_or(item = 'longevity_allowance') AS la,
                    bool_or(item = 'nursing_subsidy') AS nu, bool_or(item = 'care_service_subsidy') AS ca
             FROM due_months t LEFT JOIN people m ON m.person_id = t.person_id AND m.merged_into IS NOT NULL
             WHERE t.months @> $3::date GROUP BY 1) d USING (person_id)
  LEFT JOIN abilities a USING (person_id)
  LEFT JOIN (SELECT DISTINCT ON (m.merged_into) m.merged_into AS person_id, b.* FROM people m
             JOIN (SELECT person_id AS alias, version, level_0, level_1, level_2, level_3, level_4 FROM abilities) b
               ON b.alias = m.person_id
             WHERE m.merged_into IS NOT NULL ORDER BY m.merged_into, b.version DESC, b.alias) o USING (person_id)
  LEFT JOIN (SELECT DISTINCT coalesce(m.merged_into, t.person_id) AS person_id FROM tasks t
             LEFT JOIN people m ON m.person_id = t.person_id AND m.merged_into IS NOT NULL
             WHERE item = 'visiting_care' AND verdict <> 'disputed' AND outcome <> 'not_found'
               AND (checked_in_at AT TIME ZONE 'Asia/Shanghai')::date BETWEEN $3 AND $2) v USING (person_id)
) days
GROUP BY division
"""


async def upsert_people(tx: Tx, rows: Sequence[PersonLine]) -> set[str]:
    """Insert people, or replace older decisions about them. `rows`: unique by person.

    Returns the former survivors of people whose survivor changed.
    """
    if not rows:
        return set()
    return {row[0] for row in await tx.sql.fetch(_UPSERT, *_columns(rows))}


async def load_versions(tx: Tx, person_ids: Sequence[str]) -> dict[str, int]:
    """Return the version of each person's stored decision, by person id."""
    rows = await tx.sql.fetch("SELECT person_id, version FROM people WHERE person_id = ANY($1::uuid[])", person_ids)
    return dict(rows)


async def upsert_abilities(tx: Tx, rows: Sequence[Sequence[Any]]) -> None:
    """Insert ability levels, or replace older ones. `rows`: person_id, version, then the days of each level 0 … 4;
    unique by person."""
    if rows:
        await tx.sql.execute(_UPSERT_ABILITIES, *_columns(rows))


def _columns(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the rows as columns, sorted by person. All writers use this order, so that they cannot deadlock."""
    return [list(column) for column in zip(*sorted(rows, key=lambda row: str(row[0])), strict=True)]


async def list_areas(connection: asyncpg.Connection, division: str) -> list[str] | None:
    """Return the stored areas of people (residence, else hukou) that lie in `division`.

    None for the nation, because it includes people without an area."""
    if division == divisions.NATION:
        return None
    rows = await connection.fetch(_AREAS)
    return [row[0] for row in rows if divisions.within(row[0], division)]


async def count_people(
    connection: asyncpg.Connection, areas: list[str] | None, on: date
) -> list[tuple[str | None, Counts]]:
    """Count the people of these areas (None: all) by division, every person once.

    The counts cover dues of the month of `on`, visits of that month up to `on`, and ability levels on that day. They
    are exact and must be protected before publication.
    """
    rows = await connection.fetch(_COUNTS, areas, on, on.replace(day=1))
    return [(row["division"], _counts(row)) for row in rows]


def _counts(row: asyncpg.Record) -> Counts:
    classes = {name: row[name] for name in CLASSES}
    levels = {level: row[f"level_{level}"] for level in LEVELS}
    return Counts(classes, levels, row["to_visit"], row["visited"])
