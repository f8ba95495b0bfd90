"""GET /v1/persons/{person_id}/explanations: why somebody is, or is not, entitled to an item on a day."""

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from rules.words.explain import explain
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Day, Instant, ItemCode
from shell.service import Db

from identification.deciding.views import READERS, CitationView, view_person
from identification.lists.shapes import FromStruct

router = APIRouter(tags=["persons"])


class FactRefView(FromStruct):
    event_id: str
    kind: str


class ConditionView(FromStruct):
    """`holds`: null where a missing fact decides. `value`: what is known of the person there. `absence`: where nothing
    is, whether every change of the kind is told there (`told`: it is not so), or not (`untold`: that is no answer)."""

    code: str
    text: str
    holds: bool | None
    value: str | None
    facts: list[FactRefView]
    absence: Literal["told", "untold"] | None = None


class CircumstanceView(FromStruct):
    """`kind`: the fact that would say so. `on`: the day on which it comes by itself."""

    kind: str
    text: str
    on: dt.date | None


class RemedyView(FromStruct):
    """Circumstances with all of which the item is given, and with none fewer of them."""

    text: str
    circumstances: list[CircumstanceView]
    amount_fen_per_month: int | None
    tier: str | None


class ExplanationView(FromStruct):
    """`given_from`: of what is not given that day, the first later day on which it is, if nothing else changes.
    `remedies`: what would have to change, the fewest changes first."""

    item: str
    on: dt.date
    outcome: Literal["granted", "refused", "suppressed", "choice_required", "suspended", "unknown"]
    sentence: str
    conditions: list[ConditionView]
    policy: CitationView | None
    given_from: dt.date | None
    remedies: list[RemedyView]


@router.get("/v1/persons/{person_id}/explanations", summary="Why, or why not")
async def explain_decision(
    person_id: UUID,
    item: Annotated[ItemCode, Query(description="an item code")],
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    on: Annotated[Day | None, Query(description="the day in question; today when left out")] = None,
    known_at: Annotated[Instant | None, Query(description="as known at that instant")] = None,
) -> ExplanationView:
    async with db.reading() as connection:
        view = await view_person(connection, caller, str(person_id), known_at)
    lists, day = view.running.lists, on or clock.today()
    explanation = explain(view.facts, view.abilities, lists, item, day, choices=view.choices, doubt=view.doubt)
    return ExplanationView.model_validate(explanation)
