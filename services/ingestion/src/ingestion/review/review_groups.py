"""`GET /v1/groups`, `GET /v1/groups/{group_id}`, `POST /v1/groups/{group_id}/settle`: many cases as one."""

from collections.abc import Sequence
from typing import Annotated, Any, Final
from uuid import UUID

from common.errors import Conflict, Malformed, NotFound, Problem
from fastapi import APIRouter, Depends, Query
from shell import clock
from shell.access.auth import Caller, require, require_fresh
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.review.shapes import (
    GroupDecisionOut,
    GroupDetailOut,
    GroupOut,
    GroupPageOut,
    GroupState,
    RowCountOut,
    SampleRowOut,
    SettleIn,
)
from ingestion.review.store import groups as store

router = APIRouter(tags=["groups"])
SAMPLE_MAX: Final = 20


@router.get("/v1/groups", summary="Groups of cases that two officers settle as a whole")
async def list_groups(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: GroupState = "open",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: UUID | None = None,
) -> GroupPageOut:
    """Groups of your area."""
    async with db.reading() as connection:
        owners = [area for area in await store.list_owners(connection, state) if caller.may_see(area)]
        rows = await store.list_groups(connection, owners, state, str(after) if after else None, limit)
        counts = await store.count_rows(connection, [row.group_id for row in rows])
    page = [GroupOut(**_fields(row, counts.get(row.group_id, []))) for row in rows]
    return GroupPageOut(groups=page, next=page[-1].group_id if len(page) == limit else None)


def _fields(group: store.Group, counts: Sequence[store.RowCount]) -> dict[str, Any]:
    """The fields of `GroupOut`. `counts`: the rows of this group."""
    total = sum(count.rows for count in counts)
    waiting = sum(count.rows for count in counts if count.state == "open")
    return group._asdict() | {"total": total, "waiting": waiting}


@router.get("/v1/groups/{group_id}", summary="A group with its counts and a sample of its rows")
async def show_group(
    group_id: UUID, caller: Annotated[Caller, Depends(require("officer", "auditor"))], db: Db
) -> GroupDetailOut:
    """Audited. The sample holds surrogate person ids only."""
    key = str(group_id)
    async with db.transaction() as tx:
        group = await store.load_group(tx.sql, key)
        if group is None:
            raise NotFound("no such group")
        caller.need_area(group.owner)
        counts = (await store.count_rows(tx.sql, [key])).get(key, [])
        sample = await store.list_sample(tx.sql, key, group.holds, SAMPLE_MAX)
        people = [row.person_id for row in sample]
        await audits.append(tx, caller, act="read", purpose="group", cause=key, person_ids=people)
    return GroupDetailOut(
        **_fields(group, counts),
        counts=[RowCountOut(**count._asdict()) for count in counts],
        sample=[SampleRowOut(**row._asdict()) for row in sample],
    )


@router.post("/v1/groups/{group_id}/settle", summary="Release or discard a whole group")
async def settle_group(
    group_id: UUID, body: SettleIn, caller: Annotated[Caller, Depends(require_fresh("officer", "admin"))], db: Db
) -> GroupDecisionOut:
    """Audited. Two officers must decide the same outcome and `grant_days`; a different decision takes the place of the
    first one. After the second equal decision the group is `settling`: a job settles its rows in steps. For claimed
    places, `release` confirms them and `discard` objects to them."""
    key = str(group_id)
    async with db.transaction() as tx:
        group = await store.lock_group(tx, key)
        if group is None:
            raise NotFound("no such group")
        caller.need_area(group.owner)
        if group.state != "open":
            raise Conflict(f"this group is {group.state} already", code="settled")
        _check_grant(body, group.holds)
        await audits.append(tx, caller, act=f"group_{body.outcome}", purpose=body.reason, cause=key)
        return GroupDecisionOut(group_id=key, state=await _decide(tx, group, body, caller))


def _check_grant(body: SettleIn, holds: str) -> None:
    if body.grant_days is not None and (body.outcome == "discard" or holds == "places"):
        problem = Problem(pointer="/grant_days", code="not_allowed", detail="only for a release of events")
        raise Malformed("grant_days is only for a release of events", problems=[problem])


async def _decide(tx: Tx, group: store.Group, body: SettleIn, caller: Caller) -> GroupState:
    """Store this officer's decision; return the state of the group after it. Raises Conflict if the first
    officer makes the same decision again."""
    same = (group.outcome, group.grant_days) == (body.outcome, body.grant_days)
    if group.first_by is None or not same:
        await store.note_first(tx, group.group_id, caller.user, body.outcome, body.grant_days, body.reason)
        return "open"
    if group.first_by == caller.user:
        raise Conflict("a second officer must decide", code="same_officer")
    await store.note_second(tx, group.group_id, caller.user, body.reason, clock.now())
    return "settling"
