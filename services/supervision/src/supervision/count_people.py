"""Statistics: each elder once, and nobody recognisable."""

from datetime import date
from typing import Annotated

from common import clock
from common.auth import Caller, require
from common.codes import divisions
from common.errors import NotFound
from common.service import Db
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field

from supervision.checks import checks
from supervision.domain.statistics import rate, suppress, suppress_parts
from supervision.store import people as store

router = APIRouter(tags=["statistics"])
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]


class ByClass(BaseModel):
    longevity_allowance: int | None
    nursing_subsidy: int | None
    care_service_subsidy: int | None
    combined: int | None = Field(description="people with several of the three")


class Statistics(BaseModel):
    division: str
    on: date
    subsidised_total: int | None = Field(description="the classes add up to it; null where it is too few people")
    by_class: ByClass = Field(description="null: fewer people than may be told, or needed to hide such a count")
    visit_rate_month: float | None = Field(
        description="people visited / people with visiting care, in the calendar month of `on` up to that day"
    )
    assessed_by_level: dict[str, int | None] = Field(description="people by ability level 0 (intact) … 4")


@router.get("/v1/statistics", response_model=Statistics)
async def count_people(
    caller: Reader,
    db: Db,
    division: Annotated[str, Query(min_length=6, max_length=12)],
    on: date | None = None,
) -> dict[str, object]:
    """Counts for an area on a day (today when not given)."""
    if not divisions.known(division):
        raise NotFound(f"no division has the code {division}")
    caller.need_area(division)
    day = on or clock.today()
    async with db.reading() as connection:
        counts = await store.count_people(connection, await store.list_areas(connection, division), day)
    threshold = checks().suppression_threshold
    total, classes = suppress_parts(counts.classes, threshold)
    return {
        "division": division,
        "on": day,
        "subsidised_total": total,
        "by_class": classes,
        "visit_rate_month": rate(counts.visited, counts.to_visit, threshold),
        "assessed_by_level": {level: suppress(count, threshold) for level, count in counts.levels.items()},
    }
