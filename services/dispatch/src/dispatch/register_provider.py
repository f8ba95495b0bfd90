"""Providers: who they are, where they serve, and how they hear of tasks."""

from typing import Annotated, Any, Literal

from common.codes import divisions, uscc
from common.errors import Malformed, Problem
from fastapi import APIRouter, Depends, Query, Response
from pydantic import BaseModel, Field, StringConstraints
from rules.scales.visits import VISIT_ITEMS
from shell import clock
from shell.access.auth import Caller, require
from shell.access.scopes import scope_of
from shell.http.answers import Limit
from shell.http.idempotency import Creates
from shell.http.params import ONE_LINE, Body, DivisionCode
from shell.service import Db

from dispatch import store

router = APIRouter(tags=["providers"])
Item = Annotated[str, StringConstraints(max_length=64, pattern=ONE_LINE)]
Subscription = Literal["kafka", "webhook", "poll"]


class ProviderIn(Body):
    uscc: str = Field(max_length=40, pattern=ONE_LINE, description="unified social credit code (GB 32100)")
    name: str = Field(min_length=1, max_length=200, pattern=ONE_LINE)
    divisions: list[DivisionCode] = Field(min_length=1, max_length=500, description="areas served, with all below them")
    items: list[Item] = Field(default=sorted(VISIT_ITEMS), min_length=1, max_length=30)
    capacity_per_day: int = Field(ge=1, le=100_000)
    subscription: Subscription = Field(description="webhook: not delivered yet; the feed has the same messages")


class ProviderOut(BaseModel):
    uscc: str
    name: str
    divisions: list[str]
    items: list[str]
    capacity_per_day: int
    subscription: Subscription
    topic: str | None = Field(description="where its offers lie; null unless it subscribes by Kafka")
    topic_state: Literal["none", "pending", "ready"] = Field(description="pending: offers wait until it exists")


class ProvidersOut(BaseModel):
    providers: list[ProviderOut]
    next: str | None


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
    for division in body.divisions:
        caller.need_area(division)
    async with db.transaction() as tx:
        made_before = await creation.claim(tx, caller, body)
        before = await store.provider_divisions(tx, body.uscc)
        for division in before:
            caller.need_area(division)
        if made_before is None:
            row = await store.upsert_provider(tx, body.model_dump(), clock.now())
            await creation.created(tx, caller, body.uscc)
        else:
            row = await store.load_provider(tx, made_before)
    if before:
        response.status_code = 200
    return _out(row)


def _checked(body: ProviderIn) -> ProviderIn:
    """Raises Malformed with a pointer to each fault."""
    problems: list[Problem] = []
    if not uscc.valid(body.uscc):
        problems.append(Problem(pointer="/body/uscc", code="uscc", detail="not a valid unified social credit code"))
    for i, division in enumerate(body.divisions):
        if not divisions.known(division):
            problems.append(Problem(pointer=f"/body/divisions/{i}", code="division", detail="unknown division"))
    for i, item in enumerate(body.items):
        if item not in VISIT_ITEMS:
            problems.append(Problem(pointer=f"/body/items/{i}", code="item", detail="nothing is dispatched for it"))
    if problems:
        raise Malformed("the provider cannot be registered like this", problems=problems)
    tidy = {
        "uscc": uscc.normalise(body.uscc),
        "divisions": sorted(set(body.divisions)),
        "items": sorted(set(body.items)),
    }
    return body.model_copy(update=tidy)


@router.get("/v1/providers")
async def list_providers(
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "approver", "auditor", "provider", "visitor"))],
    limit: Limit = 100,
    after: Annotated[str, Query(pattern="^[0-9A-Z]{0,18}$")] = "",
) -> ProvidersOut:
    """Providers serving any part of the caller's area; a provider sees itself."""
    async with db.reading() as connection:
        rows = await store.page_providers(connection, scope_of(caller), after, limit)
    return ProvidersOut(providers=[_out(row) for row in rows], next=rows[-1]["uscc"] if len(rows) == limit else None)


def _out(row: Any) -> ProviderOut:
    return ProviderOut(
        uscc=row["uscc"],
        name=row["name"],
        divisions=row["divisions"].split(","),
        items=row["items"].split(","),
        capacity_per_day=row["capacity_per_day"],
        subscription=row["subscription"],
        topic=f"dispatch.provider.{row['uscc']}" if row["subscription"] == "kafka" else None,
        topic_state=row["topic_state"],
    )
