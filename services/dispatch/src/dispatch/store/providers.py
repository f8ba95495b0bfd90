"""Providers, where they serve, and what they have in hand."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import asyncpg
from common.codes import divisions
from common.errors import NotAllowed
from shell.access.scopes import Areas, Everything, OwnProvider, Scope
from shell.store.transaction import Tx

from dispatch.domain.market import Provider
from dispatch.store.tasks import NO_ID, insert_areas

_AREAS: Final = "(SELECT string_agg(division, ',' ORDER BY division) FROM provider_areas a WHERE a.uscc = p.uscc)"


async def load_market(tx: Tx, areas: Iterable[str]) -> list[Provider]:
    """The providers that serve any of `areas`, with what they have in hand: a number kept with every move of a task
    (`feed.tell_providers`), since counting their tasks for every batch would cost more than all else here."""
    rows = await tx.sql.fetch(
        """SELECT p.uscc, p.items, p.capacity_per_day, p.open_tasks, string_agg(a.division, ',') AS divisions
           FROM provider_areas a JOIN providers p USING (uscc)
           WHERE a.division = ANY($1::text[]) GROUP BY p.uscc""",
        list(areas),
    )
    return [_provider(row, row["open_tasks"]) for row in rows]


async def provider_divisions(tx: Tx, uscc: str) -> list[str]:
    """Where a registered provider serves; empty for an unknown one. Holds its row."""
    await tx.sql.execute("SELECT 1 FROM providers WHERE uscc = $1 FOR UPDATE", uscc)
    rows = await tx.sql.fetch("SELECT division FROM provider_areas WHERE uscc = $1 ORDER BY division", uscc)
    return [row[0] for row in rows]


async def upsert_provider(tx: Tx, provider: dict[str, Any], now: datetime) -> Any:
    """Insert or replace; its unplaced tasks are gone through anew, its topics made if it wants Kafka."""
    uscc: str = provider["uscc"]
    await tx.sql.execute(
        """INSERT INTO providers AS p (uscc, name, items, capacity_per_day, subscription, topic_state, rematch_after,
             created_at)
           VALUES ($1, $2, $3, $4, $5, CASE $5 WHEN 'kafka' THEN 'pending' ELSE 'none' END, $6, $7)
           ON CONFLICT (uscc) DO UPDATE SET name = excluded.name, items = excluded.items,
             capacity_per_day = excluded.capacity_per_day, subscription = excluded.subscription,
             rematch_after = excluded.rematch_after,
             topic_state = CASE WHEN p.subscription = excluded.subscription THEN p.topic_state
                                ELSE excluded.topic_state END""",
        uscc,
        provider["name"],
        ",".join(provider["items"]),
        provider["capacity_per_day"],
        provider["subscription"],
        NO_ID,
        now,
    )
    await tx.sql.execute(
        "DELETE FROM provider_areas WHERE uscc = $1 AND NOT division = ANY($2::text[])", uscc, provider["divisions"]
    )
    await tx.sql.execute(
        """INSERT INTO provider_areas (division, uscc) SELECT unnest($2::text[]), $1 ON CONFLICT DO NOTHING""",
        uscc,
        provider["divisions"],
    )
    await insert_areas(tx, provider["divisions"])
    return await load_provider(tx, uscc)


async def load_provider(tx: Tx, uscc: str) -> Any:
    return await tx.sql.fetchrow(f"SELECT p.*, {_AREAS} AS divisions FROM providers p WHERE uscc = $1", uscc)  # noqa: S608


async def page_providers(connection: asyncpg.Connection, scope: Scope, after: str, limit: int) -> list[Any]:
    """Those that serve any part of an area, or the caller's own."""
    area, own = _area_and_own(scope)
    rows: list[Any] = await connection.fetch(
        f"""SELECT p.*, {_AREAS} AS divisions FROM providers p
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
    return rows


def _area_and_own(scope: Scope) -> tuple[str | None, str | None]:
    """The area and the provider that bound a list of providers. Raises NotAllowed for a scope without either."""
    match scope:
        case Everything():
            return None, None
        case Areas(area):
            return area, None
        case OwnProvider(provider):
            return None, provider
        case _:
            raise NotAllowed("no provider is in your scope")


async def areas_served(connection: asyncpg.Connection, uscc: str) -> list[str]:
    """Where a registered provider serves; empty for an unknown one."""
    rows = await connection.fetch("SELECT division FROM provider_areas WHERE uscc = $1 ORDER BY division", uscc)
    return [row[0] for row in rows]


async def provider_serves(tx: Tx, uscc: str, item: str, division: str) -> bool:
    """Whether the provider does this item in this area, or in an area above it."""
    served = await tx.sql.fetchrow(
        """SELECT p.items FROM providers p WHERE p.uscc = $1 AND EXISTS (
             SELECT 1 FROM provider_areas a WHERE a.uscc = p.uscc AND a.division = ANY($2::text[]))""",
        uscc,
        [division, *divisions.ancestors(division)],
    )
    return served is not None and item in served["items"].split(",")


async def list_topic_owners(connection: asyncpg.Connection, topic_state: str, after: str, limit: int) -> list[str]:
    """Providers whose topics are in that state, in the order of their codes."""
    rows = await connection.fetch(
        "SELECT uscc FROM providers WHERE topic_state = $1 AND uscc > $2 ORDER BY uscc LIMIT $3",
        topic_state,
        after,
        limit,
    )
    return [row[0] for row in rows]


async def next_rematch(tx: Tx) -> tuple[Provider, str] | None:
    """A provider that is new or has changed, and how far the unplaced tasks were gone through for it."""
    row = await tx.sql.fetchrow(
        f"""SELECT p.*, {_AREAS} AS divisions FROM providers p
            WHERE rematch_after IS NOT NULL ORDER BY uscc LIMIT 1"""  # noqa: S608
    )
    return (_provider(row, 0), row["rematch_after"]) if row else None


async def set_rematch(tx: Tx, uscc: str, before: str, reached: str | None) -> None:
    """Only from where it stood: a provider changed meanwhile begins anew."""
    await tx.sql.execute(
        "UPDATE providers SET rematch_after = $3 WHERE uscc = $1 AND rematch_after = $2", uscc, before, reached
    )


def _provider(row: Any, open_tasks: int) -> Provider:
    return Provider(
        uscc=row["uscc"],
        divisions=tuple(row["divisions"].split(",")),
        items=tuple(row["items"].split(",")),
        capacity_per_day=row["capacity_per_day"],
        open_tasks=open_tasks,
    )
