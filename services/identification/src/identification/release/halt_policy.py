"""POST /v1/policies/{version}/halt: an approver takes a list out of force at once, alone."""

from typing import Annotated

from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require
from shell.http import params
from shell.http.params import Body
from shell.service import Db

from identification.lists.shapes import PolicyVersionView, Version, lock_version, view_version
from identification.lists.store import lists as store
from identification.redeciding.halt import Reason, halt

router = APIRouter(tags=["policies"])


class HaltRequest(Body):
    reason: params.Reason


@router.post("/v1/policies/{version}/halt", summary="Take a list out of force")
async def halt_policy(
    version: Version, body: HaltRequest, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PolicyVersionView:
    """The list before it is in force again, and everybody decided by this one is decided back. One signature is
    enough: going back is safe, going on may not be. To publish it again, propose, simulate and sign it anew."""
    async with db.transaction() as tx:
        await store.lock_lists(tx)
        row = await lock_version(tx, version, caller)
        if row["state"] != "halted":  # halted twice is halted once
            await halt(tx, version, Reason("approver", caller.subject, body.reason), clock.now())
        return view_version(await store.lock_policy(tx, version))
