"""An officer registers a provider: its areas, its items, and its way to receive offers."""

from typing import Annotated

from common.codes import divisions, uscc
from common.errors import Malformed, Problem
from fastapi import APIRouter, Depends, Query, Response
from rules.scales.visits import VISIT_ITEMS
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import scope_of
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.idempotency import Creates
from shell.service import Db

from dispatch import store
from dispatch.shapes import ProviderIn, ProviderOut, ProvidersOut, provider_out, providers_page

router = APIRouter(tags=["providers"])


@router.post("/v1/providers", status_code=201, responses={200: {"model": ProviderOut, "description": "changed"}})
async def register_provider(
    body: ProviderIn,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer"))],
    creation: Creates,
    response: Response,
) -> ProviderOut:
    """Register a provider, or replace its entry. The same `Idempotency-Key` never undoes a later change."""
    body = _checked(body)
    _need_areas(caller, body.divisions)
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, body)
        before = await store.lock_provider_divisions(tx, body.uscc)
        _need_areas(caller, before)
        if made_before is None:
            entry = await store.upsert_provider(tx, store.NewEntry(**body.model_dump()), clock.now())
            await creation.created(tx, caller, body.uscc)
            await audits.append(tx, caller, act="register", purpose="provider", cause=body.uscc)
        else:
            entry = await store.load_provider(tx, made_before)
    if before:
        response.status_code = 200
    return provider_out(entry)


def _need_areas(caller: Caller, areas: list[str]) -> None:
    for area in areas:
        caller.need_area(area)


def _checked(body: ProviderIn) -> ProviderIn:
    """The body in its normal form. Raises Malformed with a pointer to each fault."""
    if problems := _problems(body):
        raise Malformed("the provider cannot be registered with these values", problems=problems)
    normalised = {
        "uscc": uscc.normalise(body.uscc),
        "divisions": sorted(set(body.divisions)),
        "items": sorted(set(body.items)),
    }
    return body.model_copy(update=normalised)


def _problems(body: ProviderIn) -> list[Problem]:
    problems: list[Problem] = []
    if not uscc.valid(body.uscc):
        problems.append(Problem(pointer="/body/uscc", code="uscc", detail="not a valid unified social credit code"))
    for i, division in enumerate(body.divisions):
        if not divisions.known(division):
            problems.append(Problem(pointer=f"/body/divisions/{i}", code="division", detail="unknown division"))
    for i, item in enumerate(body.items):
        if item not in VISIT_ITEMS:
            problems.append(Problem(pointer=f"/body/items/{i}", code="item", detail="the item has no visits"))
    return problems


@router.get("/v1/providers")
async def list_providers(
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "approver", "auditor", "provider", "visitor"))],
    limit: Limit = 100,
    after: Annotated[str, Query(pattern="^[0-9A-Z]{0,18}$")] = "",
) -> ProvidersOut:
    """Providers that serve any part of the caller's area. A provider and its visitors see this provider only."""
    async with db.reading() as connection:
        entries = await store.page_providers(connection, scope_of(caller), after, limit)
    return providers_page(entries, limit)
