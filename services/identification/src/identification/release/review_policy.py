"""GET /v1/policies/{version}/review: show the changes of a list and its checks to the approvers who sign it."""

import asyncio
from typing import Annotated, NamedTuple

import asyncpg
from common.errors import Conflict
from common.words_zh import ITEMS
from fastapi import APIRouter, Depends
from rules.deciding.lists import Lists
from rules.form.policy import PolicyList
from rules.proof.inclusion import lists_above, prove_inclusion
from rules.proof.lint import lint
from rules.words.list_changes import list_changes
from shell import clock
from shell.access.auth import Caller, require
from shell.service import Db
from shell.settings import settings

from identification.lists.domain.content import ListSet, decode_list
from identification.lists.in_force import set_in_force
from identification.lists.shapes import APPROVALS_NEEDED, DRAFT_READERS, Version, show_unpaid, show_version
from identification.lists.store import publications
from identification.lists.store.policies import Policy
from identification.lists.versions import load_version
from identification.release.shapes import ChangeOut, FaultOut, InclusionOut, ReviewOut, show_inclusion
from identification.simulating.valid_simulations import valid_simulations

router = APIRouter(tags=["policies"])


class _Before(NamedTuple):
    """The list to compare with; the empty list has no version."""

    version: str | None
    content: PolicyList


class _Signable(NamedTuple):
    """The ids of `simulations` that can be signed. `blocked`: the code of the reason if there is none; None also for a
    list that is published, halted or replaced."""

    simulations: list[str]
    blocked: str | None


class _Findings(NamedTuple):
    changes: list[ChangeOut]
    faults: list[FaultOut]
    inclusion: InclusionOut


@router.get("/v1/policies/{version}/review", summary="The changes of a list, and whether anybody gets less by it")
async def review_policy(
    version: Version, db: Db, caller: Annotated[Caller, Depends(require(*DRAFT_READERS))]
) -> ReviewOut:
    """Shows the changes and the checks of a list of your area. It takes about a second."""
    async with db.reading() as connection:
        policy = await load_version(connection, version, caller)
        in_force = await set_in_force(connection)
        before = await _before(connection, policy, in_force)
        proposed = decode_list(policy.list)
        signable = await _signable(connection, policy, proposed, in_force)
    findings = await asyncio.to_thread(_examine, proposed, before.content, in_force.lists)
    return ReviewOut(
        policy=show_version(policy),
        approvals_needed=APPROVALS_NEEDED,
        against=before.version,
        sound=signable.simulations,
        blocked=signable.blocked,
        unpaid=show_unpaid(proposed),
        **findings._asdict(),
    )


async def _before(connection: asyncpg.Connection, policy: Policy, in_force: ListSet) -> _Before:
    """Return the list to compare with: for a draft the list in force, for a published list the one that it replaced."""
    area = policy.jurisdiction
    if policy.state in ("proposed", "approved"):
        return _Before(in_force.versions.get(area), in_force.list_of(area))
    publication = await publications.newest_publication_of(connection, policy.version)
    earlier = await publications.load_earlier_list(connection, publication) if publication else None
    if earlier is None:
        return _Before(None, PolicyList(jurisdiction=area))
    return _Before(earlier.version, decode_list(earlier.list))


async def _signable(
    connection: asyncpg.Connection, policy: Policy, proposed: PolicyList, in_force: ListSet
) -> _Signable:
    if policy.state not in ("proposed", "approved"):
        return _Signable([], None)
    try:
        found = await valid_simulations(connection, in_force, proposed, policy.version, clock.now())
    except Conflict as conflict:
        return _Signable([], conflict.code)
    return _Signable(found, None)


def _examine(proposed: PolicyList, before: PolicyList, in_force: Lists) -> _Findings:
    """Return the changes from `before` to the proposed list, its faults, and its comparison with the lists above."""
    area, lists = proposed.jurisdiction, in_force.by_area
    faults = lint({**lists, area: proposed}, areas=[area])
    inclusion = prove_inclusion(proposed, lists_above(area, lists), coverage=in_force.coverage, demo=settings().demo)
    return _Findings(
        _changes(before, proposed), [FaultOut.model_validate(fault) for fault in faults], show_inclusion(inclusion)
    )


def _changes(before: PolicyList, proposed: PolicyList) -> list[ChangeOut]:
    titles = {code: item.title for one in (before, proposed) for code, item in one.items.items()} | dict(ITEMS)
    found: list[ChangeOut] = []
    for change in list_changes(before, proposed):
        title = titles.get(change.item, change.item) if change.item else None
        found.append(ChangeOut(item=change.item, title=title, on=change.on, text=change.text))
    return found
