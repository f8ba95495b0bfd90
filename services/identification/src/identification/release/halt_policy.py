"""POST /v1/policies/{version}/halt: one approver takes a list out of force at once."""

from typing import Annotated

from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http import params
from shell.http.params import Body
from shell.service import Db

from identification.lists.shapes import PolicyVersionOut, Version
from identification.lists.store import locks
from identification.lists.versions import lock_version, stored_version
from identification.redeciding.halt import HaltReason, halt

router = APIRouter(tags=["policies"])


class HaltIn(Body):
    reason: params.Reason


@router.post("/v1/policies/{version}/halt", summary="Take a list out of force")
async def halt_policy(
    version: Version, body: HaltIn, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PolicyVersionOut:
    """Puts the list before it in force again; the touched people are decided again. One approver is enough, because a
    halt only restores the state before. To publish the halted list again, propose, simulate and sign it again."""
    async with db.transaction() as tx:
        await locks.lock_lists(tx)
        policy = await lock_version(tx, version, caller)
        if policy.state != "halted":  # a second halt changes nothing
            await audits.append(tx, caller, act="halt", purpose=body.reason, cause=version)
            await halt(tx, version, HaltReason("approver", caller.user, body.reason), clock.now())
        return await stored_version(tx, version)
