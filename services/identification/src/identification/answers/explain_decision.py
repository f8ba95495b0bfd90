"""GET /v1/persons/{person_id}/explanations: explain why a person is, or is not, entitled to an item on a day."""

from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from rules.words.explain import Explanation, explain
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.params import Day, Instant, ItemCode
from shell.service import Db

from identification.answers.person_view import view_person
from identification.answers.shapes import ExplanationOut
from identification.deciding.access import READERS

router = APIRouter(tags=["persons"])
MERGED: Final = "此号码已与另一号码并号，待遇由存续人员享受。"


@router.get("/v1/persons/{person_id}/explanations", summary="Why, or why not")
async def explain_decision(
    person_id: UUID,
    item: Annotated[ItemCode, Query(description="an item code")],
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    on: Annotated[Day | None, Query(description="the day in question; today by default")] = None,
    known_at: Annotated[Instant | None, Query(description="as known at that instant")] = None,
) -> ExplanationOut:
    """Explains one item. A person that is merged into another one is refused every item: the survivor has them."""
    async with db.transaction() as tx:
        view = await view_person(tx.sql, caller, str(person_id), known_at)
        await audits.append(tx, caller, act="read", purpose="explanation", cause=item, person_ids=[str(person_id)])
    lists, day = view.list_set.lists, on or clock.today()
    if view.event is not None and view.event.merged_into is not None:
        merged = Explanation(item=item, on=day, outcome="refused", sentence=MERGED)
        return ExplanationOut.model_validate(merged)
    explanation = explain(view.facts, view.abilities, lists, item, day, choices=view.choices, doubt=view.doubt)
    return ExplanationOut.model_validate(explanation)
