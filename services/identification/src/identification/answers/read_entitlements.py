"""GET /v1/persons/{person_id}/entitlements: read a person's entitlements on a day, as known at an instant."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from common.events import Entitlement, MoveGap
from fastapi import APIRouter, Depends, Query
from rules.deciding.gaps import gap_text
from rules.money.due import Example, example_of
from rules.words.explain import policy_ref
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.params import Day, Instant
from shell.service import Db
from shell.settings import settings

from identification.answers.person_view import PersonView, view_person
from identification.answers.shapes import CitationOut, EntitlementOut, EntitlementsOut, GapOut, InputsOut
from identification.deciding.access import READERS
from identification.deciding.domain.decision import is_on

router = APIRouter(tags=["persons"])


@router.get("/v1/persons/{person_id}/entitlements", summary="The entitlements of a person")
async def read_entitlements(
    person_id: UUID,
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    on: Annotated[Day | None, Query(description="the day in question; today by default")] = None,
    known_at: Annotated[Instant | None, Query(description="as known at that instant")] = None,
    all: Annotated[bool, Query(description="the whole timeline, past and future")] = False,
) -> EntitlementsOut:
    async with db.transaction() as tx:
        view = await view_person(tx.sql, caller, str(person_id), known_at)
        await audits.append(tx, caller, act="read", purpose="entitlements", person_ids=[str(person_id)])
    return _shown(view, on or clock.today(), all)


def _shown(view: PersonView, on: dt.date, whole: bool) -> EntitlementsOut:
    """Return the answer about a person. `whole`: all entitlements, not only those of the day `on`."""
    event = view.event
    entitlements = event.entitlements if event else ()
    return EntitlementsOut(
        person_id=UUID(view.person.person_id),
        version=view.version,
        on=on,
        known_at=view.known_at,
        died_on=event.died_on if event else None,
        death_suspected_on=event.death_suspected_on if event else None,
        merged_into=UUID(event.merged_into) if event and event.merged_into else None,
        inputs=_inputs(view),
        entitlements=[_entitlement(e, view) for e in entitlements if whole or is_on(e, on)],
        gaps=[_gap(gap, view) for gap in (event.gaps if event else ())],
    )


def _inputs(view: PersonView) -> InputsOut:
    return InputsOut(
        facts=view.person.facts_version,
        abilities=view.person.abilities_version,
        choices=len(view.choices),
        policy=view.list_set.digest,
    )


def _entitlement(e: Entitlement, view: PersonView) -> EntitlementOut:
    plain = msgspec.structs.asdict(e)
    del plain["pay"], plain["policy_status"]
    return EntitlementOut(**{**plain, "policy": _citation(e.policy, view), "unpaid": _unpaid(e)})


def _unpaid(e: Entitlement) -> Example | None:
    """Return the example that prevents the payment of an entitlement. None: no example prevents it, or there is no
    money. The money of a suspended entitlement is held in any case."""
    has_money = e.kind == "cash" and e.state in ("granted", "suspended") and bool(e.amount_fen_per_month)
    return example_of(e) if has_money and not settings().demo else None


def _citation(policy: str | None, view: PersonView) -> CitationOut | None:
    found = policy_ref(view.list_set.lists, policy) if policy else None
    return CitationOut.model_validate(found) if found else None


def _gap(gap: MoveGap, view: PersonView) -> GapOut:
    plain = msgspec.structs.asdict(gap)
    for side in ("old_policy", "new_policy"):
        plain[side] = _citation(plain[side], view)
    return GapOut(**plain, text=gap_text(gap))
