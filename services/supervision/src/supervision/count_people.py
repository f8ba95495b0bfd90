"""Show statistics that count each person once and reveal no small group of people."""

from calendar import monthrange
from datetime import date

from common import calendar
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter
from shell import clock
from shell.http.params import Day, DivisionCode
from shell.service import Db

from supervision.callers import Reader
from supervision.checks import checks
from supervision.domain.statistics import publish
from supervision.shapes import ByClassOut, StatisticsOut
from supervision.store import people as store

router = APIRouter(tags=["statistics"])


@router.get("/v1/statistics")
async def count_people(
    caller: Reader,
    db: Db,
    division: DivisionCode,
    on: Day | None = None,
) -> StatisticsOut:
    """Counts for a county or an area above it, in the month of a day (default: today)."""
    if not divisions.known(division):
        raise NotFound(f"no division has the code {division}")
    caller.need_area(division)
    today = clock.today()
    day = on or today
    until = reference_day(day, today)
    async with db.reading() as connection:
        people = await store.count_people(connection, await store.list_areas(connection, division), until)
    figures = publish(division, people, checks().suppression_threshold)
    return StatisticsOut(
        division=division,
        on=day,
        month=calendar.month_text(day),
        subsidised_total=figures.subsidised_total,
        by_class=ByClassOut(**figures.by_class),
        visit_rate_month=figures.visit_rate,
        assessed_by_level=figures.by_level,
    )


def reference_day(day: date, today: date) -> date:
    """The day that represents the month of `day`: its last day, or today during the present month."""
    last = day.replace(day=monthrange(day.year, day.month)[1])
    return today if day.replace(day=1) <= today <= last else last
