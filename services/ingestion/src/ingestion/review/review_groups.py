"""`GET /v1/groups`, `GET /v1/groups/{group_id}`, `POST /v1/groups/{group_id}/settle`: many cases as one."""

from datetime import date, datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from common.errors import Conflict, Malformed, NotFound, Problem
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from shell import clock
from shell.access.auth import Caller, require
from shell.http.params import Body, Reason
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.audits import store as audits
from ingestion.review.review_quarantine import GRANT_DAYS_MAX
from ingestion.review.store import groups as store

router = APIRouter(tags=["groups"])
SAMPLE_MAX: Final = 20
GroupState = Literal["open", "settling", "settled"]
GroupOutcome = Literal["release", "discard"]


class Group(BaseModel):
    """All events of `source`, `kind` and `day` that wait because the source does not belong, or all places that it
    claimed. `total`: its rows; `waiting`: those that are open still; `done`: those that the officers' decision has
    settled. `outcome`, `grant_days`, `reason`: as decided by `first_by`; effective from `decided_at` on."""

    group_id: str
    source: str
    kind: str
    day: date
    holds: Literal["events", "places"]
    owner: str
    state: GroupState
    since: datetime
    deadline: datetime
    escalated_at: datetime | None
    first_by: str | None
    outcome: GroupOutcome | None
    grant_days: int | None
    reason: str | None
    decided_at: datetime | None
    settled_by: str | None
    settled_at: datetime | None
    total: int
    waiting: int
    done: int


class GroupPage(BaseModel):
    groups: list[Group]
    next: str | None


class RowCount(BaseModel):
    """`reason`: a code of the quarantine, or `place_claimed`."""

    reason: str
    state: str
    rows: int


class SampleRow(BaseModel):
    """`id`: of the waiting event or of the case of a place."""

    id: str
    person_id: str
    kind: str
    division: str | None


class GroupDetail(Group):
    counts: list[RowCount]
    sample: list[SampleRow]


class Settle(Body):
    """`grant_days`: for so many days the source may state this kind about these persons without being asked again. Only
    for a release of events."""

    outcome: GroupOutcome
    reason: Reason
    grant_days: int | None = Field(default=None, ge=1, le=GRANT_DAYS_MAX)


class GroupDecision(BaseModel):
    """`state` is still `open` while a second officer has to agree."""

    group_id: str
    state: GroupState


@router.get("/v1/groups", summary="Groups of cases that two officers settle as a whole")
async def list_groups(
    caller: Annotated[Caller, Depends(require("officer", "auditor"))],
    db: Db,
    state: GroupState = "open",
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    after: UUID | None = None,
) -> GroupPage:
    """Of your area."""
    async with db.reading() as connection:
        owners = [area for area in await store.list_owners(connection, state) if caller.may_see(area)]
        rows = await store.list_groups(connection, owners, state, str(after) if after else None, limit)
        counts = await store.count_rows(connection, [row["group_id"] for row in rows])
    page = [Group(**_fields(row, counts.get(row["group_id"], []))) for row in rows]
    return GroupPage(groups=page, next=page[-1].group_id if len(page) == limit else None)


def _fields(row: Any, counts: list[tuple[str, str, int]]) -> dict[str, Any]:
    total = sum(rows for _, _, rows in counts)
    waiting = sum(rows for _, state, rows in counts if state == "open")
    return {**row, "total": total, "waiting": waiting}


@router.get("/v1/groups/{group_id}", summary="A group with its counts and a sample of its rows")
async def show_group(
    group_id: UUID, caller: Annotated[Caller, Depends(require("officer", "auditor"))], db: Db
) -> GroupDetail:
    """The sample holds surrogate person ids only."""
    key = str(group_id)
    async with db.reading() as connection:
        row = await store.load_group(connection, key)
        if row is None:
            raise NotFound("no such group")
        caller.need_area(row["owner"])
        counts = (await store.count_rows(connection, [key])).get(key, [])
        sample = await store.sample(connection, key, row["holds"], SAMPLE_MAX)
    return GroupDetail(
        **_fields(row, counts),
        counts=[RowCount(reason=reason, state=state, rows=rows) for reason, state, rows in counts],
        sample=[SampleRow(**found) for found in sample],
    )


@router.post("/v1/groups/{group_id}/settle", summary="Release or discard a whole group")
async def settle_group(
    group_id: UUID, body: Settle, caller: Annotated[Caller, Depends(require("officer"))], db: Db
) -> GroupDecision:
    """Audited. Two officers must decide the same. The group is then `settling`: a job settles its rows in steps. For
    claimed places, `release` confirms them and `discard` objects to them."""
    key = str(group_id)
    async with db.transaction() as tx:
        group = await store.lock_group(tx, key)
        if group is None:
            raise NotFound("no such group")
        caller.need_area(group["owner"])
        if group["state"] != "open":
            raise Conflict(f"this group is {group['state']} already", code="settled")
        _check_grant(body, group["holds"])
        await audits.append_audit(
            tx, caller, clock.real_now(), action=f"group_{body.outcome}", purpose=body.reason, cause=key
        )
        return GroupDecision(group_id=key, state=await _decide(tx, group, body, caller))


def _check_grant(body: Settle, holds: str) -> None:
    if body.grant_days is not None and (body.outcome == "discard" or holds == "places"):
        problem = Problem(pointer="/grant_days", code="not_allowed", detail="only for a release of events")
        raise Malformed("grant_days is only for a release of events", problems=[problem])


async def _decide(tx: Tx, group: Any, body: Settle, caller: Caller) -> GroupState:
    """The state of the group after this officer's decision."""
    group_id = group["group_id"]
    same = (group["outcome"], group["grant_days"]) == (body.outcome, body.grant_days)
    if group["first_by"] is None or not same:
        await store.note_first(tx, group_id, caller.subject, body.outcome, body.grant_days, body.reason)
        return "open"
    if group["first_by"] == caller.subject:
        raise Conflict("a second officer must decide", code="same_officer")
    await store.note_second(tx, group_id, caller.subject, body.reason, clock.now())
    return "settling"
