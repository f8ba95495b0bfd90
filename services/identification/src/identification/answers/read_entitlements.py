"""GET /v1/persons/{person_id}/entitlements: who is entitled to what on a day, as known at an instant."""

import datetime as dt
from typing import Annotated, Literal
from uuid import UUID

import msgspec
from common.events import Entitlement, MoveGap
from common.events.entitlement import GapReason
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field
from rules.deciding.gaps import gap_text
from rules.money.due import Example, example_of
from rules.words.explain import policy_ref
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Day, Instant
from shell.service import Db
from shell.settings import settings

from identification.deciding.views import READERS, CitationView, View, view_person

router = APIRouter(tags=["persons"])


class EntitlementView(BaseModel):
    """One item over [`from`, `to`). `facts`: event ids of the statements it rests on."""

    model_config = ConfigDict(populate_by_name=True)

    entitlement_id: UUID
    item: str
    jurisdiction: str
    division: str | None
    kind: Literal["cash", "service"]
    state: Literal["granted", "suppressed", "choice_required", "suspended", "unknown"]
    from_: dt.date = Field(alias="from")
    to: dt.date | None
    amount_fen_per_month: int | None = Field(description="cash items")
    unpaid: Example | None = Field(description="the example by which the amount is granted and not paid; null: paid")
    tier: str | None = Field(description="visiting_care")
    interval_days: int | None = Field(description="visiting_care")
    reverify_months: int | None = Field(description="visiting_care: how old living tags may grow")
    suppressed_by: str | None
    missing_facts: list[str]
    facts: list[str]
    policy: CitationView | None


class GapView(BaseModel):
    """Months that nobody pays because the person moved and the two lists do not meet. Months as YYYY-MM."""

    item: str
    old: str = Field(description="the area that paid until the move")
    new: str | None = Field(description="the area whose list says something of the item after it")
    left: str = Field(description="the county left")
    moved_to: str
    moved_on: dt.date
    first_month: str
    until_month: str | None = Field(description="the first month that is paid again")
    why: GapReason
    text: str
    old_policy: CitationView | None = Field(description="the clause that paid")
    new_policy: CitationView | None = Field(description="the clause that counts after the move")


class InputsView(BaseModel):
    """What the answer rests on: versions of facts and ability results, number of choices, digest of the lists."""

    facts: int
    abilities: int
    choices: int
    policy: str


class EntitlementsView(BaseModel):
    person_id: UUID
    version: int
    on: dt.date
    known_at: dt.datetime = Field(description="the newest knowledge in this answer")
    died_on: dt.date | None
    death_suspected_on: dt.date | None
    merged_into: UUID | None
    inputs: InputsView
    entitlements: list[EntitlementView]
    gaps: list[GapView] = Field(description="of the whole life, whatever the day asked for")


@router.get("/v1/persons/{person_id}/entitlements", summary="What a person is entitled to")
async def read_entitlements(
    person_id: UUID,
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    on: Annotated[Day | None, Query(description="what was true that day; today when left out")] = None,
    known_at: Annotated[Instant | None, Query(description="as known at that instant")] = None,
    all: Annotated[bool, Query(description="the whole timeline, past and future")] = False,
) -> EntitlementsView:
    on = on or clock.today()
    async with db.reading() as connection:
        view = await view_person(connection, caller, str(person_id), known_at)
    held = view.event.entitlements if view.event else ()
    return EntitlementsView(
        person_id=person_id,
        version=view.version,
        on=on,
        known_at=view.known_at,
        died_on=view.event.died_on if view.event else None,
        death_suspected_on=view.event.death_suspected_on if view.event else None,
        merged_into=UUID(view.event.merged_into) if view.event and view.event.merged_into else None,
        inputs=_inputs(view),
        entitlements=[_entitlement(e, view) for e in held if all or (e.from_ <= on and (e.to is None or on < e.to))],
        gaps=[_gap(gap, view) for gap in (view.event.gaps if view.event else ())],
    )


def _inputs(view: View) -> InputsView:
    return InputsView(
        facts=view.person.facts_version,
        abilities=view.person.abilities_version,
        choices=len(view.choices),
        policy=view.running.digest,
    )


def _entitlement(e: Entitlement, view: View) -> EntitlementView:
    plain = msgspec.structs.asdict(e)
    del plain["pay"], plain["policy_status"]
    plain["policy"] = _citation(e.policy, view)
    has_money = e.kind == "cash" and e.state in ("granted", "suspended") and bool(e.amount_fen_per_month)
    plain["unpaid"] = example_of(e) if has_money and not settings().demo else None
    return EntitlementView(**plain)


def _citation(policy: str | None, view: View) -> CitationView | None:
    found = policy_ref(view.running.lists, policy) if policy else None
    return CitationView.model_validate(found) if found else None


def _gap(gap: MoveGap, view: View) -> GapView:
    plain = msgspec.structs.asdict(gap)
    for side in ("old_policy", "new_policy"):
        plain[side] = _citation(plain[side], view)
    return GapView(**plain, text=gap_text(gap))
