"""POST /v1/policies/{version}/publish: an approver puts an approved list in force.

A list cannot be published if it is faulty or gives less than the lists above it (`identification.release.domain`). It
needs a valid simulation (`identification.simulating.valid_simulations`).
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from common.codes import divisions
from common.errors import Conflict
from fastapi import APIRouter, Depends
from rules.proof.inclusion import Inclusion, prove_all
from shell import clock
from shell.access.auth import Caller, require_fresh
from shell.audit import audits
from shell.service import Db
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.domain.content import decode_list
from identification.lists.in_force import publish, set_in_force
from identification.lists.shapes import APPROVALS_NEEDED, Version
from identification.lists.store import locks, policies, publications
from identification.lists.store.policies import Policy
from identification.lists.store.publications import SetId, Signed
from identification.lists.versions import lock_version, stored_version
from identification.redeciding.store.parts import open_redecisions
from identification.release.approvals import (
    check_soundness,
    encode_approvals,
    load_valid_simulations,
    valid_approvals,
)
from identification.release.shapes import PublishedOut, ShortfallOut
from identification.settings import BandSettings
from identification.simulating.domain.band import Tolerance

log = logging.getLogger(__name__)
router = APIRouter(tags=["policies"])


@router.post("/v1/policies/{version}/publish", summary="Put an approved list in force")
async def publish_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require_fresh("approver", "admin"))]
) -> PublishedOut:
    """Puts an approved list in force. The touched people are decided again in the background. If the effect leaves the
    band around the simulation, the list is halted. The checks of the list run again, because the lists above may have
    changed since the signatures."""
    sound_with = await check_soundness(db, version, caller)
    async with db.transaction() as tx:
        await locks.lock_lists(tx)
        policy = await lock_version(tx, version, caller)
        approvals = await _need_publishable(tx, policy, sound_with)
        await policies.update_policy(tx, version, state="published", approvals=policy.approvals)
        await publish(
            tx,
            decode_list(policy.list),
            version,
            now=clock.now(),
            published_by=caller.user,
            approved_by=encode_approvals([approval["by"] for approval in approvals]),
            signed=Signed(approvals[-1]["simulation_id"], _band()),
        )
        await audits.append(tx, caller, act="publish", purpose="policy", cause=version)
        shown = await stored_version(tx, version)
    return PublishedOut(**shown.model_dump(), narrower_below=await _narrower_below(db, policy.jurisdiction))


async def _need_publishable(tx: Tx, policy: Policy, sound_with: SetId) -> Sequence[Mapping[str, Any]]:
    """Check that a version may be published, and return the signatures that count. Raises Conflict.

    `sound_with`: the set of lists with which the version is sound.
    """
    if policy.state != "approved":
        raise Conflict(f"the list is {policy.state}; two approvers must sign it first", code="not_approved")
    await _need_settled(tx, policy.jurisdiction)
    if await publications.newest_set(tx.sql) != sound_with:
        raise Conflict("another list was published meanwhile, publish again", code="lists_changed")
    approvals = valid_approvals(policy, await load_valid_simulations(tx, policy))
    if len(approvals) < APPROVALS_NEEDED:
        raise Conflict("the signed simulation is no longer valid, sign again", code="simulation_stale")
    return approvals


async def _need_settled(tx: Tx, area: str) -> None:
    """Check that no people of the area are still to be decided again because of another list.

    Raises Conflict (`still_deciding`). Without this check, the effect of this list on those people would not be
    compared with its simulation.
    """
    for other, version in await open_redecisions(tx.sql):
        if divisions.within(other, area) or divisions.within(area, other):
            detail = f"people are still decided again by the list {version} of {other}; publish after that"
            raise Conflict(detail, code="still_deciding")


def _band() -> str:
    """Return JSON of the tolerance that the settings give."""
    limits = BandSettings()
    tolerance = Tolerance(limits.band_people, limits.band_fen, limits.band_permille)
    return msgspec.json.encode(tolerance).decode()


async def _narrower_below(db: Db, jurisdiction: str) -> list[ShortfallOut]:
    """Return the shortfalls of the lists of smaller areas, compared with the lists in force now."""
    async with db.reading() as connection:
        lists = (await set_in_force(connection)).lists
    inclusions = await asyncio.to_thread(
        prove_all, lists.by_area, below=jurisdiction, coverage=lists.coverage, demo=settings().demo
    )
    shortfalls: list[ShortfallOut] = []
    for inclusion in inclusions:
        shortfalls += _shortfalls(inclusion)
    if shortfalls:
        areas = sorted({shortfall.jurisdiction for shortfall in shortfalls})
        log.warning("the list of %s gives more than the lists of %s", jurisdiction, ", ".join(areas))
    return shortfalls


def _shortfalls(inclusion: Inclusion) -> list[ShortfallOut]:
    return [
        ShortfallOut(jurisdiction=inclusion.child, item=n.item, code=n.code, detail=n.sentence)
        for n in inclusion.narrower
    ]
