"""POST /v1/policies/{version}/approve: an approver signs a proposed list."""

from typing import Annotated

from common.errors import Conflict, NotAllowed
from common.events import PolicyVersionApproved
from fastapi import APIRouter, Depends
from shell import clock
from shell.access.auth import Caller, require_fresh
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from identification.lists.shapes import APPROVALS_NEEDED, PolicyVersionOut, Version
from identification.lists.store import policies as store
from identification.lists.store.policies import Policy
from identification.lists.versions import lock_version, stored_version
from identification.release.approvals import (
    check_soundness,
    encode_approvals,
    load_valid_simulations,
    valid_approvals,
)

router = APIRouter(tags=["policies"])


@router.post("/v1/policies/{version}/approve", summary="Sign a proposed list")
async def approve_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require_fresh("approver", "admin"))]
) -> PolicyVersionOut:
    """Signs a proposed list. It is `approved` when two different approvers have signed it. Both sign a simulation
    against the lists in force; a signature of an older simulation does not count. The proposer cannot sign. A second
    signature of one approver changes nothing."""
    await check_soundness(db, version, caller)
    async with db.transaction() as tx:
        policy = await lock_version(tx, version, caller)
        if caller.user == policy.proposed_by:
            raise NotAllowed("the proposer of a list cannot sign it", code="own_proposal")
        if policy.state not in ("proposed", "approved"):
            raise Conflict(f"the list is {policy.state}", code="not_proposed")
        await _sign(tx, policy, caller)
        return await stored_version(tx, version)


async def _sign(tx: Tx, policy: Policy, caller: Caller) -> None:
    """Add the caller's signature of the newest valid simulation. Raises Conflict."""
    simulations = await load_valid_simulations(tx, policy)
    approvals = valid_approvals(policy, simulations)
    if any(approval["by"] == caller.user for approval in approvals):
        return
    if len(approvals) >= APPROVALS_NEEDED:
        raise Conflict("the list is approved", code="not_proposed")
    simulation_id = simulations[0]
    approvals.append({"by": caller.user, "at": clock.now().isoformat(), "simulation_id": simulation_id})
    await audits.append(tx, caller, act="approve", purpose="policy", cause=policy.version)
    state = "approved" if len(approvals) >= APPROVALS_NEEDED else "proposed"
    await store.update_policy(tx, policy.version, state=state, approvals=encode_approvals(approvals))
    tx.emit(
        PolicyVersionApproved(
            jurisdiction=policy.jurisdiction,
            version=policy.version,
            simulation_id=simulation_id,
            approvals=len(approvals),
            approvals_needed=APPROVALS_NEEDED,
        ),
        division=policy.jurisdiction,
    )
