"""POST /v1/policies: an officer proposes the complete list of an area."""

from typing import Annotated

from common.errors import Conflict
from fastapi import APIRouter, Body, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.audit import audits
from shell.http.idempotency import Creates
from shell.http.params import Json
from shell.service import Db

from identification.lists.domain.content import content_version
from identification.lists.domain.list_body import read_list
from identification.lists.proposals import propose
from identification.lists.shapes import LIST_BYTES_MAX, PolicyVersionOut
from identification.lists.store import locks
from identification.lists.store import policies as store
from identification.lists.versions import stored_version

router = APIRouter(tags=["policies"])


@router.post("/v1/policies", status_code=201, summary="Propose the complete list of an area")
@limits_body(LIST_BYTES_MAX)
async def propose_policy(
    body: Annotated[Json, Body(description="jurisdiction, items by code, exclusions")],
    db: Db,
    caller: Annotated[Caller, Depends(require("officer"))],
    creation: Creates,
) -> PolicyVersionOut:
    """Stores the list as a proposal. Its version is the digest of its content, so equal lists are one proposal."""
    policy_list, now = read_list(body), clock.now()
    caller.need_area(policy_list.jurisdiction)
    version = content_version(policy_list)
    async with db.transaction() as tx:
        await locks.lock_proposals(tx)
        if await creation.claim(tx, caller, body) is not None:
            return await stored_version(tx, version)
        stored = await store.lock_policy(tx, version)
        if stored is not None and stored.running:
            raise Conflict("this list is in force", code="already_running")
        await propose(tx, policy_list, version, by=caller.user, now=now)
        await creation.created(tx, caller, version)
        await audits.append(tx, caller, act="submit", purpose="policy", cause=version)
        return await stored_version(tx, version)
