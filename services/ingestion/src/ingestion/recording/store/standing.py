"""Every SQL statement of recording about standing: counts of foreign events, cases of places, hints, groups."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

from common.calendar import start_of_day
from shell.store import bulk
from shell.store.transaction import Tx

SourceKind = tuple[str, str]  # URN of the source, and kind


async def count_foreign(tx: Tx, added: Mapping[SourceKind, int], day: date) -> dict[SourceKind, int]:
    """Add to the counts of a day; return the new counts. Rows are locked in order, so that writers never deadlock."""
    if not added:
        return {}
    rows = await tx.sql.fetch(
        """INSERT INTO foreign_counts AS c (source, kind, day, events)
           SELECT u.source, u.kind, $4, u.events
           FROM unnest($1::text[], $2::text[], $3::int[]) AS u(source, kind, events)
           ON CONFLICT (source, kind, day) DO UPDATE SET events = c.events + excluded.events
           RETURNING source, kind, events""",
        *bulk.columns_of([(*key, added[key]) for key in sorted(added)]),
        day,
    )
    return {(source, kind): events for source, kind, events in rows}


async def count_refuted(tx: Tx, pairs: Collection[tuple[str, str]]) -> dict[tuple[str, str], int]:
    """The number of discarded deaths by (person_id, source). A correction or an end of a death is not counted."""
    if not pairs:
        return {}
    rows = await tx.sql.fetch(
        """SELECT q.person_id, q.source, count(*) FROM quarantine q
           JOIN unnest($1::uuid[], $2::text[]) AS u(person_id, source) USING (person_id, source)
           WHERE q.kind = 'death' AND q.state = 'discarded'
             AND q.waits_for IS NULL AND coalesce(q.chain, q.event_id) = q.event_id
           GROUP BY 1, 2""",
        *bulk.columns_of(list(pairs)),
    )
    return {(person_id, source): count for person_id, source, count in rows}


class PlaceCase(NamedTuple):
    case_id: str
    person_id: str
    chain: str
    source: str
    kind: str
    division: str
    county_left: str


async def insert_place_cases(
    tx: Tx, cases: Sequence[PlaceCase], since: datetime, deadline: datetime, silent_on: date
) -> set[str]:
    """Open cases; returns the ids of those that were not open. The county left owns them first.

    A closed case opens again for three reasons. Its source states the place again. The facts that vouched for the place
    are gone. Or a decision about another place of the chain has replaced the one about this place."""
    if not cases:
        return set()
    rows = await tx.sql.fetch(
        """INSERT INTO place_cases (case_id, person_id, chain, source, kind, division, county_left, owner,
                                    since, deadline, silent_on)
           SELECT u.*, u.county_left, $8, $9, $10
           FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::text[], $6::text[], $7::text[])
             AS u(case_id, person_id, chain, source, kind, division, county_left)
           ON CONFLICT (case_id) DO UPDATE
             SET state = 'open', county_left = excluded.county_left, owner = excluded.owner, since = excluded.since,
                 deadline = excluded.deadline, silent_on = excluded.silent_on, group_id = NULL, escalated_at = NULL,
                 settled_at = NULL, settled_by = NULL, note = NULL
             WHERE place_cases.state <> 'open'
           RETURNING case_id""",
        *bulk.columns_of(sorted(cases)),
        since,
        deadline,
        silent_on,
    )
    return {row[0] for row in rows}


class SettledCase(NamedTuple):
    case_id: str
    person_id: str
    chain: str
    division: str


async def settle_place_cases(
    tx: Tx, person_ids: Sequence[str], still: Collection[str], at: datetime
) -> list[SettledCase]:
    """Close the open cases of these persons, except those in `still`."""
    if not person_ids:
        return []
    rows = await tx.sql.fetch(
        """UPDATE place_cases SET state = 'vouched', settled_at = $3
           WHERE person_id = ANY($1::uuid[]) AND state = 'open' AND NOT case_id = ANY($2::uuid[])
           RETURNING case_id, person_id, chain, division""",
        list(person_ids),
        list(still),
        at,
    )
    return [SettledCase(*row) for row in rows]


async def name_outcome(tx: Tx, case_ids: Sequence[str], outcome: str) -> None:
    """Set the outcome of cases that are closed already."""
    if case_ids:
        await tx.sql.execute(
            "UPDATE place_cases SET state = $2 WHERE case_id = ANY($1::uuid[])", list(case_ids), outcome
        )


async def insert_hints(tx: Tx, rows: Sequence[tuple[str, str]], ends_on: date) -> None:
    """Insert hints that end on `ends_on`. `rows`: chain and person id. A known hint keeps its day."""
    if rows:
        await tx.sql.execute(
            """INSERT INTO hints (chain, person_id, ends_on)
               SELECT u.*, $3 FROM unnest($1::uuid[], $2::uuid[]) AS u ON CONFLICT DO NOTHING""",
            *bulk.columns_of(rows),
            ends_on,
        )


# ── groups ──────────────────────────────────────────────────────────────────────────────────────────────────


class NewGroup(NamedTuple):
    """The group of a source's rows of one kind and day."""

    group_id: str
    source: str
    kind: str
    day: date
    holds: Literal["events", "places"]
    owner: str

    @property
    def begin(self) -> datetime:
        return start_of_day(self.day)

    @property
    def end(self) -> datetime:
        return start_of_day(self.day + timedelta(days=1))


async def insert_group(tx: Tx, group: NewGroup, since: datetime, deadline: datetime) -> bool:
    """Insert a group; returns whether it is new."""
    found = await tx.sql.fetchval(
        """INSERT INTO groups (group_id, source, kind, day, holds, owner, since, deadline)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING 1""",
        *group,
        since,
        deadline,
    )
    return bool(found)


async def gather_events(tx: Tx, group: NewGroup) -> None:
    """Put the waiting events of the group's source, kind and day into the group."""
    await tx.sql.execute(
        """UPDATE quarantine SET group_id = $1
           WHERE source = $2 AND kind = $3 AND state = 'open' AND group_id IS NULL AND since >= $4 AND since < $5
             AND reason IN ('source_not_of_person', 'standing_by_silence', 'registered_elsewhere')""",
        group.group_id,
        group.source,
        group.kind,
        group.begin,
        group.end,
    )


async def gather_places(tx: Tx, group: NewGroup) -> None:
    """Put the open cases of the group's source, kind and day into the group."""
    await tx.sql.execute(
        """UPDATE place_cases SET group_id = $1
           WHERE source = $2 AND kind = $3 AND state = 'open' AND group_id IS NULL AND since >= $4 AND since < $5""",
        group.group_id,
        group.source,
        group.kind,
        group.begin,
        group.end,
    )
