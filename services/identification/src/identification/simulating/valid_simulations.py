"""Find the simulations that approvers may sign: over the first year of a list, by the lists in force, not too old."""

import datetime as dt

import asyncpg
from common import calendar
from common.errors import Conflict
from rules.form.policy import PolicyList

from identification.lists.domain.content import ListSet
from identification.settings import BandSettings
from identification.simulating import store
from identification.simulating.domain.comparison import basis_of
from identification.simulating.domain.first_year import MONTHS_NEEDED, covers_first_year, first_month_needed


async def valid_simulations(
    connection: asyncpg.Connection, in_force: ListSet, proposed: PolicyList, version: str, now: dt.datetime
) -> list[str]:
    """Return the ids of the simulations of `version` that may be signed, newest first; at least one.

    Raises Conflict (`simulation_missing`, `simulation_stale`).
    """
    complete = await store.list_complete(connection, version)
    covering = [simulation for simulation in complete if _covers_first_year(simulation, in_force, proposed)]
    if not covering:
        first = first_month_needed(in_force, proposed, calendar.civil_date(now))
        needed = f"{MONTHS_NEEDED} months from {calendar.month_text(first)} on"
        raise Conflict(f"no simulation of this list over {needed} is complete", code="simulation_missing")
    basis = basis_of(in_force, proposed.jurisdiction)
    oldest = now - dt.timedelta(days=BandSettings().simulation_days_max)
    valid = [one.simulation_id for one in covering if one.basis == basis and one.requested_at >= oldest]
    if not valid:
        raise Conflict(
            "the lists in force have changed since the simulation, or the simulation is too old",
            code="simulation_stale",
        )
    return valid


def _covers_first_year(simulation: store.CompleteSimulation, in_force: ListSet, proposed: PolicyList) -> bool:
    """Whether a simulation covers the first year of a list, counted from the day of the request."""
    needed = first_month_needed(in_force, proposed, calendar.civil_date(simulation.requested_at))
    return covers_first_year(simulation.first_month, simulation.months, needed)
