"""What must be known of a list before anybody signs it: a simulation of its first year against the lists in force."""

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
from common import calendar
from common.errors import Conflict
from rules.form.policy import PolicyList
from rules.words.list_changes import first_day_changed

from identification.lists.in_force import Running
from identification.simulating import store
from identification.simulating.chunks import basis_of
from identification.simulating.domain.band import BandSettings

MONTHS_NEEDED: Final = 12


def first_month_needed(running: Running, proposed: PolicyList, today: dt.date) -> dt.date:
    """Where its first year begins: this month, or the one in which it first decides otherwise, if that is later."""
    before = running.lists.by_area.get(proposed.jurisdiction) or PolicyList(jurisdiction=proposed.jurisdiction)
    changed = first_day_changed(before, proposed)
    return calendar.month_of(max(today, changed or today))


async def sound_simulations(
    connection: asyncpg.Connection, running: Running, proposed: PolicyList, version: str, now: dt.datetime
) -> list[str]:
    """Ids of the simulations of this version that can be signed upon, newest first. Raises Conflict
    (`simulation_missing`, `simulation_stale`) where there is none."""
    complete = await store.list_complete(connection, version)
    fitting = [row for row in complete if _covers(row, running, proposed)]
    if not fitting:
        first = first_month_needed(running, proposed, calendar.civil_date(now))
        needed = f"{MONTHS_NEEDED} months from {calendar.month_text(first)} on"
        raise Conflict(f"no simulation of this list over {needed} is complete", code="simulation_missing")
    sound = _sound(fitting, basis_of(running, proposed.jurisdiction), now)
    if not sound:
        raise Conflict(
            "the lists in force have changed since this one was simulated, or it was too long ago",
            code="simulation_stale",
        )
    return sound


def _covers(row: Any, running: Running, proposed: PolicyList) -> bool:
    """Seen from the day on which it was asked for."""
    needed = first_month_needed(running, proposed, calendar.civil_date(row["requested_at"]))
    end = calendar.add_months(row["first_month"], row["months"])
    return bool(row["first_month"] <= needed and end >= calendar.add_months(needed, MONTHS_NEEDED))


def _sound(rows: Sequence[Any], basis: str, now: dt.datetime) -> list[str]:
    oldest = now - dt.timedelta(days=BandSettings().simulation_days_max)
    return [row["simulation_id"] for row in rows if row["basis"] == basis and row["requested_at"] >= oldest]
