"""Publication of a list: it is proposed whole, simulated, signed by two approvers, and published.

A list cannot be signed or published if it is faulty, if it gives less than the lists above it
(`identification.release.domain`), or if its effect is unknown (`identification.simulating.gate`). Every act needs the
area of the list. The proposer cannot sign.
"""

import asyncio
import logging
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from common.codes import divisions
from common.errors import Conflict, NotAllowed
from common.events import PolicyVersionApproved
from fastapi import APIRouter, Depends
from pydantic import BaseModel
from rules.form.policy import PolicyList
from rules.proof.inclusion import prove_all
from shell import clock
from shell.access.auth import Caller, require
from shell.service import Db
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.in_force import publish, running_at, running_now
from identification.lists.shapes import APPROVALS_NEEDED, PolicyVersionView, Version, lock_version, view_version
from identification.lists.store import lists as store
from identification.redeciding import store as redecisions
from identification.release.domain import need_sound
from identification.simulating.domain.band import BandSettings
from identification.simulating.gate import sound_simulations

log = logging.getLogger(__name__)
router = APIRouter(tags=["policies"])
_decoder = msgspec.json.Decoder(PolicyList)


class ShortfallView(BaseModel):
    """Somebody in `jurisdiction` gets less by the list there than by the lists above it."""

    jurisdiction: str
    item: str
    code: str
    detail: str


class PublishedView(PolicyVersionView):
    """`narrower_below`: lists further down that give less than this one; it is for their areas to follow."""

    narrower_below: list[ShortfallView]


@router.post("/v1/policies/{version}/approve", summary="Sign a proposed list")
async def approve_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PolicyVersionView:
    """Two different approvers make it `approved`, both upon a simulation against the lists in force; a signature upon
    an older one no longer counts. Signing twice changes nothing."""
    await _vet(db, version, caller)
    async with db.transaction() as tx:
        row = await lock_version(tx, version, caller)
        if caller.subject == row["proposed_by"]:
            raise NotAllowed("whoever proposed a list cannot sign it", code="own_proposal")
        if row["state"] not in ("proposed", "approved"):
            raise Conflict(f"the list is {row['state']}", code="not_proposed")
        sound = await _sound(tx, row)
        approvals = _counting(row, sound)
        if all(approval["by"] != caller.subject for approval in approvals):
            if len(approvals) >= APPROVALS_NEEDED:
                raise Conflict("the list is approved", code="not_proposed")
            approvals.append({"by": caller.subject, "at": clock.now().isoformat(), "simulation_id": sound[0]})
            state = "approved" if len(approvals) >= APPROVALS_NEEDED else "proposed"
            await store.update_policy(tx, version, state=state, approvals=msgspec.json.encode(approvals).decode())
            tx.emit(
                PolicyVersionApproved(
                    jurisdiction=row["jurisdiction"],
                    version=version,
                    simulation_id=sound[0],
                    approvals=len(approvals),
                    approvals_needed=APPROVALS_NEEDED,
                ),
                division=row["jurisdiction"],
            )
        return view_version(await store.lock_policy(tx, version))


@router.post("/v1/policies/{version}/publish", summary="Put an approved list in force")
async def publish_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require("approver"))]
) -> PublishedView:
    """The people it may touch are decided again from now on, behind what is live; should that leave the band around
    the simulation, the list is halted. The lists above may have changed since it was signed, so it is held against
    them once more."""
    vetted = await _vet(db, version, caller)
    async with db.transaction() as tx:
        await store.lock_lists(tx)
        row = await lock_version(tx, version, caller)
        if row["state"] != "approved":
            raise Conflict(f"the list is {row['state']}; two approvals come first", code="not_approved")
        await _need_settled(tx, row["jurisdiction"])
        if await store.newest_publication(tx.sql) != vetted:
            raise Conflict("another list was published meanwhile, publish again", code="lists_changed")
        sound = await _sound(tx, row)
        approvals = _counting(row, sound)
        if len(approvals) < APPROVALS_NEEDED:
            raise Conflict("it was signed upon an older simulation, sign again", code="simulation_stale")
        await store.update_policy(tx, version, state="published", approvals=row["approvals"])
        await publish(
            tx,
            _decoder.decode(row["list"]),
            version,
            now=clock.now(),
            published_by=caller.subject,
            approved_by=msgspec.json.encode([approval["by"] for approval in approvals]).decode(),
            simulated=(approvals[-1]["simulation_id"], msgspec.json.encode(BandSettings().tolerance).decode()),
        )
        view = view_version(await store.lock_policy(tx, version))
    return PublishedView(**view.model_dump(), narrower_below=await _narrower_below(db, view.jurisdiction))


async def _need_settled(tx: Tx, area: str) -> None:
    """One list at a time among areas that share people: else people decided again for one would be given the other
    unwatched. Raises Conflict (`still_deciding`)."""
    for other, version in await redecisions.open_redecisions(tx.sql):
        if divisions.within(other, area) or divisions.within(area, other):
            detail = f"people are still decided again by the list {version} of {other}; publish when that is done"
            raise Conflict(detail, code="still_deciding")


async def _sound(tx: Tx, row: Any) -> list[str]:
    """The simulations that can be signed upon now (`gate.sound_simulations`)."""
    running = await running_now(tx.sql)
    return await sound_simulations(tx.sql, running, _decoder.decode(row["list"]), row["version"], clock.now())


def _counting(row: Any, sound: Sequence[str]) -> list[dict[str, Any]]:
    """The signatures upon figures that still hold."""
    return [approval for approval in msgspec.json.decode(row["approvals"]) if approval["simulation_id"] in sound]


async def _vet(db: Db, version: str, caller: Caller) -> tuple[int, str]:
    """The publication beside whose lists this version is sound (`vetting.need_sound`). It may take a second, so
    nothing is locked meanwhile, and nobody else waits."""
    async with db.transaction() as tx:
        row = await lock_version(tx, version, caller)
        publication = await store.newest_publication(tx.sql)
        running = await running_at(tx.sql, publication)
    if row["state"] != "published":
        lists = running.lists
        proposed, demo = _decoder.decode(row["list"]), settings().demo
        await asyncio.to_thread(need_sound, proposed, lists.by_area, lists.coverage, demo=demo)
    return publication


async def _narrower_below(db: Db, jurisdiction: str) -> list[ShortfallView]:
    async with db.reading() as connection:
        running = await running_now(connection)
    lists = running.lists
    found = await asyncio.to_thread(
        prove_all, lists.by_area, below=jurisdiction, coverage=lists.coverage, demo=settings().demo
    )
    short = [
        ShortfallView(jurisdiction=one.child, item=n.item, code=n.code, detail=n.sentence)
        for one in found
        for n in one.narrower
    ]
    if short:
        areas = sorted({view.jurisdiction for view in short})
        log.warning("the list of %s gives more than those of %s", jurisdiction, ", ".join(areas))
    return short
