"""Store and read providers: their register entries, the areas that they serve, and their number of open tasks."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid4

import asyncpg
from common.codes import divisions
from common.errors import NotAllowed
from shell.access.scopes import Areas, Everything, OwnProvider, Scope
from shell.store import reads
from shell.store.reads import Select, select
from shell.store.transaction import Tx

from dispatch.domain.providers import Provider
from dispatch.store.tasks import insert_areas
from dispatch.tables import ProviderAreaRow, ProviderRow

_DIVISIONS: Final = "(SELECT string_agg(division, ',' ORDER BY division) FROM provider_areas a WHERE a.uscc = p.uscc)"
_ENTRIES: Final = f"""SELECT p.uscc, p.name, {_DIVISIONS} AS divisions, p.items, p.capacity_per_day, p.subscription,
  p.topic_state FROM providers p"""  # noqa: S608


class ProviderEntry(NamedTuple):
    """The register's entry of a provider."""

    uscc: str
    name: str
    divisions: tuple[str, ...]
    items: tuple[str, ...]
    capacity_per_day: int
    subscription: str
    topic_state: str


class NewEntry(NamedTuple):
    uscc: str
    name: str
    divisions: list[str]
    items: list[str]
    capacity_per_day: int
    subscription: str


class Rematch(NamedTuple):
    """A provider that is new or has changed. `after`: the last unplaced task that was already compared with it, at
    first an id below every task id."""

    provider: Provider
    after: str


async def load_providers_of(tx: Tx, areas: Iterable[str]) -> list[Provider]:
    """Return the providers that serve any of `areas`, with the stored number of open tasks.

    It holds registrations until this transaction ends. So each task without a provider is stored before a new provider
    is compared with such tasks. `reserve_numbers` updates the number with every change of a task: counting the tasks
    for every batch is too slow.
    """
    await tx.sql.execute("SELECT pg_advisory_xact_lock_shared(hashtext('dispatch.providers'))")
    rows = await tx.sql.fetch(
        """SELECT p.uscc, p.items, p.capacity_per_day, p.open_tasks, string_agg(a.division, ',') AS divisions
           FROM provider_areas a JOIN providers p USING (uscc)
           WHERE a.division = ANY($1::text[]) GROUP BY p.uscc""",
        list(areas),
    )
    return [
        Provider(
            uscc=uscc,
            divisions=_codes(served),
            items=_codes(items),
            capacity_per_day=capacity_per_day,
            open_tasks=open_tasks,
        )
        for uscc, items, capacity_per_day, open_tasks, served in rows
    ]


async def lock_provider_divisions(tx: Tx, uscc: str) -> list[str]:
    """Lock a provider's row. Returns the areas that the provider serves; empty for an unknown provider.

    It waits for the transactions that choose providers (see `load_providers_of`). They lock rows of providers later.
    """
    await tx.sql.execute("SELECT pg_advisory_xact_lock(hashtext('dispatch.providers'))")
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = $1 FOR UPDATE", uscc)
    return await load_areas_served(tx.sql, uscc)


async def upsert_provider(tx: Tx, entry: NewEntry, now: datetime) -> ProviderEntry:
    """Insert or replace an entry. The unplaced tasks are compared with it again. Its topics are created if it
    subscribes by Kafka, else no message waits for them any more."""
    await tx.sql.execute(
        """INSERT INTO providers AS p (uscc, name, items, capacity_per_day, subscription, topic_state, rematch_after,
             created_at)
           VALUES ($1, $2, $3, $4, $5, CASE $5 WHEN 'kafka' THEN 'pending' ELSE 'none' END, $6, $7)
           ON CONFLICT (uscc) DO UPDATE SET name = excluded.name, items = excluded.items,
             capacity_per_day = excluded.capacity_per_day, subscription = excluded.subscription,
             rematch_after = excluded.rematch_after,
             topic_state = CASE WHEN p.subscription = excluded.subscription THEN p.topic_state
                                ELSE excluded.topic_state END""",
        entry.uscc,
        entry.name,
        ",".join(entry.items),
        entry.capacity_per_day,
        entry.subscription,
        _new_start(),
        now,
    )
    if entry.subscription != "kafka":
        await tx.sql.execute("UPDATE feed SET published = true WHERE provider = $1 AND NOT published", entry.uscc)
    await _replace_areas(tx, entry.uscc, entry.divisions)
    return await load_provider(tx, entry.uscc)


def _new_start() -> str:
    """Return an id below every task id, another one for each change, so that `set_rematch` notices the change."""
    return str(UUID(int=uuid4().int >> 64))


async def _replace_areas(tx: Tx, uscc: str, served: list[str]) -> None:
    await tx.sql.execute("DELETE FROM provider_areas WHERE uscc = $1 AND NOT division = ANY($2::text[])", uscc, served)
    await tx.sql.execute(
        """INSERT INTO provider_areas (division, uscc) SELECT unnest($2::text[]), $1 ON CONFLICT DO NOTHING""",
        uscc,
        served,
    )
    await insert_areas(tx, served)


async def load_provider(tx: Tx, uscc: str) -> ProviderEntry:
    """The entry of a registered provider."""
    return _entry(await tx.sql.fetchrow(f"{_ENTRIES} WHERE uscc = $1", uscc))


async def page_providers(connection: asyncpg.Connection, scope: Scope, after: str, limit: int) -> list[ProviderEntry]:
    """The providers that serve any part of the caller's area, or the caller's own, in the order of codes."""
    area, own = _area_and_own(scope)
    rows = await connection.fetch(
        f"""{_ENTRIES}
            WHERE p.uscc > $1 AND ($2::text IS NULL OR p.uscc = $2)
              AND ($3::text[] IS NULL OR EXISTS (SELECT 1 FROM provider_areas a WHERE a.uscc = p.uscc AND (
                a.division = ANY($3) OR a.division IN (SELECT division FROM areas WHERE area = $4))))
            ORDER BY p.uscc LIMIT $5""",  # noqa: S608
        after,
        own,
        None if area is None else [area, *divisions.ancestors(area)],
        area,
        limit,
    )
    return [_entry(row) for row in rows]


def _area_and_own(scope: Scope) -> tuple[str | None, str | None]:
    """Return the area and the provider that limit a list of providers; None: no limit.

    Raises NotAllowed for a scope that sees no provider.
    """
    match scope:
        case Everything():
            return None, None
        case Areas(area):
            return area, None
        case OwnProvider(provider):
            return None, provider
        case _:
            raise NotAllowed("no provider is in your scope")


@reads.values
def load_areas_served(uscc: str) -> Select[str]:
    """The areas that a provider serves; empty for an unknown one."""
    return select(ProviderAreaRow.division).where(ProviderAreaRow.uscc == uscc).order_by(ProviderAreaRow.division)


async def provider_serves(tx: Tx, uscc: str, item: str, division: str) -> bool:
    """Whether the provider offers this item in this area, or in an area above it."""
    items = await tx.sql.fetchval(
        """SELECT p.items FROM providers p WHERE p.uscc = $1 AND EXISTS (
             SELECT 1 FROM provider_areas a WHERE a.uscc = p.uscc AND a.division = ANY($2::text[]))""",
        uscc,
        [division, *divisions.ancestors(division)],
    )
    return items is not None and item in _codes(items)


@reads.values
def list_topic_owners(topic_state: str, after: str, limit: int) -> Select[str]:
    """The providers whose topics have this state, in the order of codes."""
    return (
        select(ProviderRow.uscc)
        .where(ProviderRow.topic_state == topic_state, ProviderRow.uscc > after)
        .order_by(ProviderRow.uscc)
        .limit(limit)
    )


async def load_next_rematch(tx: Tx) -> Rematch | None:
    """Return the next provider that must be compared with unplaced tasks; None if there is none."""
    row = await tx.sql.fetchrow(
        f"""SELECT p.uscc, p.items, p.capacity_per_day, {_DIVISIONS}, rematch_after FROM providers p
            WHERE rematch_after IS NOT NULL ORDER BY uscc LIMIT 1"""  # noqa: S608
    )
    if row is None:
        return None
    uscc, items, capacity_per_day, served, after = row
    provider = Provider(uscc=uscc, divisions=_codes(served), items=_codes(items), capacity_per_day=capacity_per_day)
    return Rematch(provider, after)


async def set_rematch(tx: Tx, uscc: str, before: str, reached: str | None) -> None:
    """Store how far a provider was compared with unplaced tasks: from task `before` to `reached`, None for the end.

    A provider that changed in the meantime is left unchanged, because it starts again.
    """
    await tx.sql.execute(
        "UPDATE providers SET rematch_after = $3 WHERE uscc = $1 AND rematch_after = $2", uscc, before, reached
    )


def _codes(joined: str) -> tuple[str, ...]:
    return tuple(joined.split(","))


def _entry(row: Any) -> ProviderEntry:
    uscc, name, served, items, capacity_per_day, subscription, topic_state = row
    return ProviderEntry(uscc, name, _codes(served), _codes(items), capacity_per_day, subscription, topic_state)
