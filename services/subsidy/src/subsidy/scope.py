"""Define the callers of the service by role, and decide the areas whose money they may see."""

from functools import lru_cache
from typing import Annotated

from common.codes import divisions
from common.errors import NotAllowed, NotFound
from fastapi import Depends
from shell.access.auth import Caller, require, require_fresh
from shell.access.scopes import Areas, Everything, scope_of

from subsidy.store.batches import Batch

Officer = Annotated[Caller, Depends(require("officer"))]
Approver = Annotated[Caller, Depends(require_fresh("approver", "admin"))]
OfficerOrApprover = Annotated[Caller, Depends(require("officer", "approver"))]
Reader = Annotated[Caller, Depends(require("officer", "approver", "auditor"))]


def areas_to_list(caller: Caller, jurisdiction: str | None) -> list[str] | None:
    """Return the areas of a list: `jurisdiction` alone, without the areas below it. If it is None, all areas in the
    caller's scope; the result None means every area.

    Raises NotAllowed for an area outside the scope.
    """
    if jurisdiction is None:
        return areas_of(caller)
    caller.need_area(jurisdiction)
    return [jurisdiction]


def areas_of(caller: Caller) -> list[str] | None:
    """The codes of all areas in the caller's scope; None for `Everything`. Raises NotAllowed for other scopes."""
    match scope_of(caller):
        case Everything():
            return None
        case Areas(division):
            return list(_within(division))
        case _:
            raise NotAllowed("no ledger is in your scope")


def visible(caller: Caller, batch: Batch | None) -> Batch:
    """Return the batch. Raises NotFound for an unknown batch (None), and for one outside the caller's scope."""
    if batch is None or not caller.may_see(batch.jurisdiction):
        raise NotFound("no such batch")
    return batch


@lru_cache(maxsize=1024)
def _within(division: str) -> tuple[str, ...]:
    return tuple({division, *(d.code for d in divisions.every() if divisions.within(d.code, division))})
