"""GET /v1/persons/{person_id}/explanations: explain why a person is, or is not, entitled to an item on a day."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from rules.words.explain import explain
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Day, Instant, ItemCode
from shell.service import Db

from identification.answers.person_view import view_person
from identification.answers.shapes import ExplanationOut
from identification.deciding.access import READERS

router = APIRouter(tags=["persons"])


@router.get("/v1/persons/{person_id}/explanations", summary="Why, or why not")
async def explain_decision(
    person_id: UUID,
    item: Annotated[ItemCode, Query(description="an item code")],
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    on: Annotated[Day | None, Query(description="the day in question; today by default")] = None,
    known_at: Annotated[Instant | None, Query(description="as known at that instant")] = None,
) -> ExplanationOut:
    async with db.reading() as connection:
        view = await view_person(connection, caller, str(person_id), known_at)
    lists, day = view.list_set.lists, on or clock.today()
    explanation = explain(view.facts, view.abilities, lists, item, day, choices=view.choices, doubt=view.doubt)
    return ExplanationOut.model_validate(explanation)
