"""POST /v1/policies: an officer proposes the complete list of an area."""

from typing import Annotated, Any

from common import clock
from common.auth import Caller, require
from common.errors import Conflict
from common.events import PolicyVersionProposed
from common.service import Db
from fastapi import APIRouter, Body, Depends
from rules.list_changes import first_day_changed
from rules.policy import PolicyList

from identification.policy_shapes import PolicyVersionView, view_version
from identification.reading_lists import read_list
from identification.running import running_now
from identification.store import lists as store

router = APIRouter(tags=["policies"])


@router.post("/v1/policies", status_code=201, summary="Propose the complete list of an area")
async def propose_policy(
    body: Annotated[dict[str, Any], Body(description="jurisdiction, items by code, exclusions")],
    db: Db,
    caller: Annotated[Caller, Depends(require("officer"))],
) -> PolicyVersionView:
    """The version is the digest of the content, so proposing the same list twice is one proposal."""
    policy_list, now = read_list(body), clock.now()
    area = policy_list.jurisdiction
    caller.need_area(area)
    version = store.content_version(policy_list)
    async with db.transaction() as tx:
        await store.lock_proposals(tx)
        row = await store.lock_policy(tx, version)
        if row is not None and row["running"]:
            raise Conflict("this list is in force", code="already_running")
        if row is None:
            await store.insert_policy(
                tx, policy_list, version, state="proposed", proposed_by=caller.subject, proposed_at=now
            )
        elif row["state"] in ("published", "halted"):
            await store.propose_again(tx, version, proposed_by=caller.subject, proposed_at=now)
        if row is None or row["state"] in ("published", "halted"):
            before = (await running_now(tx.sql)).lists.by_area.get(area) or PolicyList(jurisdiction=area)
            changed_from = first_day_changed(before, policy_list)
            proposed = PolicyVersionProposed(jurisdiction=area, version=version, changed_from=changed_from)
            tx.emit(proposed, division=area)
        return view_version(await store.lock_policy(tx, version))
