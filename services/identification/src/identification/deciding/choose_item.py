"""POST /v1/persons/{person_id}/choices: a person chooses one of the items that exclude each other."""

import datetime as dt
from collections.abc import Sequence
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
from shell.audit import audits
from shell.http.idempotency import Creates
from shell.http.params import Body, Day, ItemCode
from shell.service import Db
from shell.store.transaction import Tx

from identification.deciding.access import need_person
from identification.deciding.decisions import decide_and_save
from identification.deciding.domain.cases import Case
from identification.deciding.domain.decision import is_on
from identification.deciding.domain.person import CHOICES_MAX, Person, choices_of, decision_of
from identification.deciding.store import people as store
from identification.lists.domain.content import ListSet
from identification.lists.in_force import share_set_in_force

router = APIRouter(tags=["persons"])


class ChoiceIn(Body):
    item: ItemCode
    chosen_on: Day | None = Field(default=None, description="from this day on; today by default")


class ChoiceOut(BaseModel):
    """A stored choice. `version`: of the decision that takes the choice into account."""

    choice_id: UUID
    person_id: UUID
    item: str
    chosen_on: dt.date
    recorded_at: dt.datetime
    version: int


@router.post("/v1/persons/{person_id}/choices", status_code=201, summary="Choose between items")
async def choose_item(
    person_id: UUID,
    body: ChoiceIn,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "resident"))],
    creation: Creates,
) -> ChoiceOut:
    """Stores the choice as an input and decides the person at once. Requests with one `Idempotency-Key` make one
    choice. Without a key, a request equal to the person's last choice makes no second one."""
    key = str(person_id)
    async with db.transaction() as tx:
        list_set = await share_set_in_force(tx)
        await creation.claim(tx, caller, body)
        person = need_person(caller, key, (await store.lock_people(tx, [key])).get(key))
        now = clock.now()  # after the lock: the order of choices is the order of storing
        chosen_on = body.chosen_on or calendar.civil_date(now)
        choices = choices_of(person)
        choice_id = creation.id_for("choice", caller, key, otherwise=f"{body.item}/{chosen_on}/{len(choices)}")
        wanted = Choice(choice_id=choice_id, item=body.item, chosen_on=chosen_on, recorded_at=now)
        choice = _made_before(choices, wanted, has_key=creation.key is not None)
        if choice is None:
            choice, person = wanted, await _save(tx, person, wanted, list_set)
        await creation.created(tx, caller, choice.choice_id)
        await audits.append(tx, caller, act="choose", purpose=choice.item, cause=choice.choice_id, person_ids=[key])
    return _shown(choice, person)


def _made_before(choices: Sequence[Choice], wanted: Choice, *, has_key: bool) -> Choice | None:
    """Return the stored choice that a request repeats; None: the request makes a new choice.

    Without a key only the last choice can be repeated. A person may return to an earlier one on the same day.
    """
    if has_key:
        return next((choice for choice in choices if choice.choice_id == wanted.choice_id), None)
    last = choices[-1] if choices else None
    return last if last and (last.item, last.chosen_on) == (wanted.item, wanted.chosen_on) else None


async def _save(tx: Tx, person: Person, choice: Choice, list_set: ListSet) -> Person:
    """Store a choice, decide the person and return it with the new decision.

    Raises Conflict (`too_many_choices`, or as `_need_given`). The caller's transaction then stores nothing.
    """
    known = choices_of(person)
    if len(known) >= CHOICES_MAX:
        raise Conflict(f"a person has at most {CHOICES_MAX} choices", code="too_many_choices")
    chosen = person._replace(
        choices=msgspec.json.encode((*known, choice)), recorded_at=max(choice.recorded_at, person.recorded_at)
    )
    saved = await decide_and_save(tx, [Case(chosen, correlation_id=choice.choice_id)], list_set)
    decided = saved.decided[0].person
    _need_given(decided, choice.item, choice.chosen_on)
    return decided


def _need_given(person: Person, item: str, on: dt.date) -> None:
    """Check that the decision with the choice gives the person the chosen item on a day.

    Raises Conflict (`not_on_the_list`, `fact_missing`, `suppressed`). A choice decides only between items of which the
    person may have one. It cannot undo a decline, nor put an item before an item or benefit that the lists put first.
    """
    decision = decision_of(person)
    entitlements = decision.entitlements if decision else ()
    that_day = next((e for e in entitlements if e.item == item and is_on(e, on)), None)
    if that_day is None:
        raise Conflict("the person cannot have this item on that day", code="not_on_the_list")
    if that_day.state == "unknown":
        raise Conflict("a fact is missing to decide whether the person can have this item", code="fact_missing")
    if that_day.state not in ("granted", "suspended"):
        reason = that_day.suppressed_by or that_day.state
        raise Conflict(f"a choice cannot give the person this item on that day ({reason})", code="suppressed")


def _shown(choice: Choice, person: Person) -> ChoiceOut:
    return ChoiceOut(
        choice_id=UUID(choice.choice_id),
        person_id=UUID(person.person_id),
        item=choice.item,
        chosen_on=choice.chosen_on,
        recorded_at=choice.recorded_at,
        version=person.version,
    )
