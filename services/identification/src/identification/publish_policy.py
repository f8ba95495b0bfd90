"""How a list becomes law here: an officer proposes it whole, two approvers sign, it is published.

Nobody can sign or publish a list that is faulty or gives less than the lists above it (`identification.vetting`).
Everybody may read the lists; whoever acts on one needs its area. Whoever proposed a list cannot sign it.
"""

import asyncio
import datetime as dt
import logging
import re
from typing import Annotated, Any, Final, Literal

import msgspec
from common import clock
from common.auth import AnyCaller, Caller, require
from common.codes import divisions
from common.errors import Conflict, Malformed, NotAllowed, NotFound, Problem
from common.http import Limit
from common.service import Db
from common.transaction import Tx
from fastapi import APIRouter, Body, Depends, Path, Query
from pydantic import BaseModel, Field
from rules.inclusion import prove_all
from rules.policy import ItemPolicy, PolicyError, PolicyList, from_event

from identification.running import publish, running_at, running_now
from identification.store import lists as store
from identification.vetting import need_sound

log = logging.getLogger(__name__)
router = APIRouter(tags=["policies"])
APPROVALS_NEEDED: Final = 2
NESTED_MAX: Final = 40  # an item's conditions begin at the sixth level
State = Literal["proposed", "approved", "published"]
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="digest of the list's content")]
_AREA: Final = r"^\d{6}(\d{3}){0,2}$"
_decoder = msgspec.json.Decoder(PolicyList)


class Approval(BaseModel):
    by: str
    at: dt.datetime


class PolicyVersionView(BaseModel):
    """`running`: this version is in force in its area."""

    version: str
    jurisdiction: str
    state: State
    proposed_by: str
    proposed_at: dt.datetime
    approvals: list[Approval]
    published_at: dt.datetime | None = None
    running: bool = False


class ShortfallView(BaseModel):
    """Somebody in `jurisdiction` gets less by the list there than by the lists above it."""

    jurisdiction: str
    item: str
    code: str
    detail: str


class PublishedView(PolicyVersionView):
    """`narrower_below`: lists further down that give less than this one; it is for their areas to follow."""

    narrower_below: list[ShortfallView]


class PolicyPage(BaseModel):
    policies: list[PolicyVersionView]
    next: str | None


class RunningListView(BaseModel):
    """`list` has the form of the files in `contracts/policy`; with `on`, only what is in force that day."""

    jurisdiction: str
    version: str
    published_at: dt.datetime
    approved_by: list[str]
    on: dt.date | None
    list: dict[str, Any] = Field(description="jurisdiction, items by code, exclusions")


@router.post("/v1/policies", status_code=201, summary="Propose the complete list of an area")
async def propose_policy(
    body: Annotated[dict[str, Any], Body(description="jurisdiction, items by code, exclusions")],
    db: Db,
    caller: Annotated[Caller, Depends(require("officer"))],
) -> PolicyVersionView:
    """The version is the digest of the content, so proposing the same list twice is one proposal."""
    policy_list, now = _read(body), clock.now()
    caller.need_area(policy_list.jurisdiction)
    version = store.content_version(policy_list)
    async with db.transaction() as tx:
        await store.lock_proposals(tx)
        row = await store.lock_policy(tx, version)
        if row is None:
            await store.insert_policy(
                tx, policy_list, version, state="proposed", proposed_by=caller.subject, proposed_at=now
            )
        elif row["state"] == "published":
            if (await store.running_versions(tx.sql)).get(policy_list.jurisdiction) == version:
                raise Conflict("this list is in force", code="already_running")
            await store.propose_again(tx, version, proposed_by=caller.subject, proposed_at=now)
        return _view(await store.lock_policy(tx, version))


@router.post("/v1/policies/{version}/approve", summary="Sign a proposed list")
async def approve_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PolicyVersionView:
    """Two different approvers make it `approved`. Signing twice changes nothing."""
    await _vet(db, version, caller)
    async with db.transaction() as tx:
        row = await _lock(tx, version, caller)
        approvals = msgspec.json.decode(row["approvals"])
        if caller.subject == row["proposed_by"]:
            raise NotAllowed("whoever proposed a list cannot sign it", code="own_proposal")
        if all(approval["by"] != caller.subject for approval in approvals):
            if row["state"] != "proposed":
                raise Conflict(f"the list is {row['state']}", code="not_proposed")
            approvals.append({"by": caller.subject, "at": clock.now().isoformat()})
            state = "approved" if len(approvals) >= APPROVALS_NEEDED else "proposed"
            await store.update_policy(tx, version, state=state, approvals=msgspec.json.encode(approvals).decode())
        return _view(await store.lock_policy(tx, version))


@router.post("/v1/policies/{version}/publish", summary="Put an approved list in force")
async def publish_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PublishedView:
    """The people it may touch are decided again from now on, behind what is live. The lists above may have changed
    since it was signed, so it is held against them once more."""
    vetted = await _vet(db, version, caller)
    async with db.transaction() as tx:
        await store.lock_lists(tx)
        row = await _lock(tx, version, caller)
        if row["state"] != "approved":
            raise Conflict(f"the list is {row['state']}; two approvals come first", code="not_approved")
        if await store.newest_publication(tx.sql) != vetted:
            raise Conflict("another list was published meanwhile, publish again", code="lists_changed")
        signed = [approval["by"] for approval in msgspec.json.decode(row["approvals"])]
        await store.update_policy(tx, version, state="published", approvals=row["approvals"])
        await publish(
            tx,
            _decoder.decode(row["list"]),
            version,
            now=clock.now(),
            published_by=caller.subject,
            approved_by=msgspec.json.encode(signed).decode(),
        )
        view = _view(await store.lock_policy(tx, version))
    return PublishedView(**view.model_dump(), narrower_below=await _narrower_below(db, view.jurisdiction))


@router.get("/v1/policies", summary="Every version of every list")
async def list_policies(
    db: Db, caller: AnyCaller, state: State | None = None, limit: Limit = 100, after: str | None = None
) -> PolicyPage:
    async with db.reading() as connection:
        rows = await store.list_policies(connection, state=state, after=after, limit=limit)
    page = [_view(row) for row in rows]
    return PolicyPage(policies=page, next=page[-1].version if len(page) == limit else None)


@router.get("/v1/policies/{jurisdiction}", summary="The list in force in an area")
async def read_policy(
    jurisdiction: Annotated[str, Path(pattern=_AREA)],
    db: Db,
    caller: AnyCaller,
    on: Annotated[dt.date | None, Query(description="only what is in force that day")] = None,
) -> RunningListView:
    async with db.reading() as connection:
        row = await store.load_running(connection, jurisdiction)
    if row is None:
        raise NotFound("this area has no list of its own")
    found = msgspec.json.decode(row["list"])
    return RunningListView(
        jurisdiction=jurisdiction,
        version=row["version"],
        published_at=row["published_at"],
        approved_by=msgspec.json.decode(row["approved_by"]),
        on=on,
        list=_cut(found, on.isoformat()) if on else found,
    )


async def _vet(db: Db, version: str, caller: Caller) -> tuple[int, str]:
    """The publication beside whose lists this version is sound (`vetting.need_sound`). It may take a second, so
    nothing is locked meanwhile, and nobody else waits."""
    async with db.transaction() as tx:
        row = await _lock(tx, version, caller)
        publication = await store.newest_publication(tx.sql)
        running = await running_at(tx.sql, publication)
    if row["state"] != "published":
        await asyncio.to_thread(need_sound, _decoder.decode(row["list"]), running.lists.by_area)
    return publication


async def _narrower_below(db: Db, jurisdiction: str) -> list[ShortfallView]:
    async with db.reading() as connection:
        running = await running_now(connection)
    found = await asyncio.to_thread(prove_all, running.lists.by_area, below=jurisdiction)
    short = [
        ShortfallView(jurisdiction=one.child, item=n.item, code=n.code, detail=n.sentence)
        for one in found
        for n in one.narrower
    ]
    if short:
        areas = sorted({view.jurisdiction for view in short})
        log.warning("the list of %s gives more than those of %s", jurisdiction, ", ".join(areas))
    return short


async def _lock(tx: Tx, version: str, caller: Caller) -> Any:
    row = await store.lock_policy(tx, version)
    if row is None:
        raise NotFound("no such version")
    caller.need_area(row["jurisdiction"])
    return row


def _view(row: Any) -> PolicyVersionView:
    plain = dict(row)
    plain["approvals"] = msgspec.json.decode(plain["approvals"])
    return PolicyVersionView.model_validate(plain)


def _read(body: dict[str, Any]) -> PolicyList:
    """Raises Malformed with a pointer to the fault."""
    if _depth(body, NESTED_MAX + 1) > NESTED_MAX:
        raise Malformed(f"nested deeper than {NESTED_MAX} levels", code="too_deep")
    try:
        policy_list = from_event(body)
    except PolicyError as error:
        raise Malformed("this is not a list", problems=[_first_fault(body, str(error))]) from error
    if not divisions.known(policy_list.jurisdiction):
        fault = Problem(pointer="/jurisdiction", code="unknown_division", detail="no such area")
        raise Malformed("this is not a list", problems=[fault])
    return policy_list


def _depth(body: Any, limit: int) -> int:
    """Levels of objects and arrays, counted up to `limit`."""
    level, depth = [body], 0
    while level and depth < limit:
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict | list):
                inner += value.values() if isinstance(value, dict) else value
        depth, level = depth + 1, inner
    return depth


def _first_fault(body: dict[str, Any], fault: str) -> Problem:
    """The items are read one by one, because the whole list's fault does not say in which of them it is."""
    items = body.get("items")
    for code, item in items.items() if isinstance(items, dict) else ():
        try:
            msgspec.convert(item, ItemPolicy)
        except msgspec.ValidationError as error:
            return _problem(f"/items/{code}", str(error))
    return _problem("", fault)


def _problem(above: str, fault: str) -> Problem:
    """msgspec says `… - at `$.versions[0].citation``."""
    detail, _, path = fault.partition(" - at `$")
    pointer = re.sub(r"\[(.*?)\]|\.", lambda m: f"/{m.group(1)}" if m.group(1) else "/", path.rstrip("`"))
    return Problem(pointer=above + pointer, code="malformed", detail=detail[:500])


def _cut(found: dict[str, Any], on: str) -> dict[str, Any]:
    """A list reduced to what is in force on a day (ISO dates compare as text)."""

    def in_force(dated: dict[str, Any]) -> bool:
        return dated["valid_from"] <= on and ("valid_to" not in dated or on < dated["valid_to"])

    items = {
        code: {**item, "versions": versions}
        for code, item in found.get("items", {}).items()
        if (versions := [v for v in item["versions"] if in_force(v)])
    }
    return {**found, "items": items, "exclusions": [rule for rule in found.get("exclusions", []) if in_force(rule)]}
