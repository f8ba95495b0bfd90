"""Statistics: each elder once, and no small group of people."""

from calendar import monthrange
from datetime import date
from typing import Annotated

from common import calendar
from common.codes import divisions
from common.errors import NotFound
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Day, DivisionCode
from shell.service import Db

from supervision.checks import checks
from supervision.domain.statistics import publish
from supervision.store import people as store

router = APIRouter(tags=["statistics"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]


class ByClass(BaseModel):
    longevity_allowance: int | None
    nursing_subsidy: int | None
    care_service_subsidy: int | None
    combined: int | None = Field(description="people with several of the three")


class Statistics(BaseModel):
    """Counts are sums over counties of counts rounded to a multiple of the threshold. Null: fewer people than the
    threshold in each county, perhaps nobody; or the division is part of a county."""

    division: str
    on: date
    month: str = Field(description="the month that the figures are about; all days of a month have the same")
    subsidised_total: int | None = Field(
        description="people with a subsidy in state due for the month; the classes add up to it"
    )
    by_class: ByClass
    visit_rate_month: float | None = Field(
        description="people visited / people with visiting care in the month, in whole per cent (0.42)"
    )
    assessed_by_level: dict[str, int | None] = Field(
        description="people by ability level 0 (intact) … 4, on the last day of the month, or today before that"
    )


@router.get("/v1/statistics", response_model=Statistics)
async def count_people(
    caller: Reader,
    db: Db,
    division: DivisionCode,
    on: Day | None = None,
) -> dict[str, object]:
    """Counts for a county or an area above, in the month of a day (today when not given)."""
    if not divisions.known(division):
        raise NotFound(f"no division has the code {division}")
    caller.need_area(division)
    today = clock.today()
    day = on or today
    until = reference_day(day, today)
    async with db.reading() as connection:
        people = await store.count_people(connection, await store.list_areas(connection, division), until)
    figures = publish(division, people, checks().suppression_threshold)
    return {
        "division": division,
        "on": day,
        "month": calendar.month_text(day),
        "subsidised_total": figures.subsidised_total,
        "by_class": figures.by_class,
        "visit_rate_month": figures.visit_rate,
        "assessed_by_level": figures.by_level,
    }


def reference_day(day: date, today: date) -> date:
    """The day that stands for the month of `day`: its last one, or today while the month lasts."""
    last = day.replace(day=monthrange(day.year, day.month)[1])
    return today if day.replace(day=1) <= today <= last else last
