"""POST /v1/persons/{person_id}/choices: of items that exclude each other the person chooses one."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from common import calendar
from common.errors import Conflict
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.deciding.choices import Choice
from shell import clock
from shell.access.auth import Caller, require
from shell.http.idempotency import Creates
from shell.http.params import Body, Day, ItemCode
from shell.service import Db

from identification.deciding.decisions import Case, choices_of, decision_of, settle
from identification.deciding.domain.decision import CHOICES_MAX, Person
from identification.deciding.store import people as store
from identification.deciding.views import need_person
from identification.lists.in_force import running_for

router = APIRouter(tags=["persons"])


class NewChoice(Body):
    item: ItemCode
    chosen_on: Day | None = Field(default=None, description="from this day on; today when left out")


class ChoiceView(BaseModel):
    """`version`: of the decision that takes the choice into account."""

    choice_id: UUID
    person_id: UUID
    item: str
    chosen_on: dt.date
    recorded_at: dt.datetime
    version: int


@router.post("/v1/persons/{person_id}/choices", status_code=201, summary="Choose between items")
async def choose_item(
    person_id: UUID,
    body: NewChoice,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "resident"))],
    creation: Creates,
) -> ChoiceView:
    """Kept as an input like any fact, and decided upon at once. The same `Idempotency-Key` is one choice."""
    now, key = clock.now(), str(person_id)
    chosen_on = body.chosen_on or calendar.civil_date(now)
    choice_id = creation.id_for("choice", caller, key, otherwise=f"{body.item}/{chosen_on}")
    async with db.transaction() as tx:
        running = await running_for(tx)
        await creation.claim(tx, caller, body)
        person = need_person(caller, key, (await store.lock_people(tx, [key])).get(key))
        known = choices_of(person)
        made = next((c for c in known if c.choice_id == choice_id), None)
        if made is None:
            _need_something_to_choose(person, body.item, chosen_on, known)
            made = Choice(choice_id=choice_id, item=body.item, chosen_on=chosen_on, recorded_at=now)
            chosen = person._replace(
                choices=msgspec.json.encode((*known, made)), recorded_at=max(now, person.recorded_at)
            )
            ((decided,), _) = await settle(tx, [Case(chosen, correlation_id=choice_id)], running)
            person = decided.person
        await creation.created(tx, caller, choice_id)
    return ChoiceView(
        choice_id=UUID(made.choice_id),
        person_id=person_id,
        item=made.item,
        chosen_on=made.chosen_on,
        recorded_at=made.recorded_at,
        version=person.version,
    )


def _need_something_to_choose(person: Person, item: str, on: dt.date, known: tuple[Choice, ...]) -> None:
    decision = decision_of(person)
    held = decision.entitlements if decision else ()
    that_day = [e for e in held if e.item == item and e.from_ <= on and (e.to is None or on < e.to)]
    if not that_day:
        raise Conflict("the person cannot have this item on that day", code="not_on_the_list")
    if that_day[0].state == "unknown":
        raise Conflict("a fact is missing to say whether the person can have this item", code="fact_missing")
    if len(known) >= CHOICES_MAX:
        raise Conflict(f"{CHOICES_MAX} choices are kept at most", code="too_many_choices")
