"""How a version of a list is shown, and found by those who act on it."""

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from common.auth import Caller
from common.errors import NotFound
from common.transaction import Tx
from fastapi import Path
from pydantic import BaseModel

from identification.store import lists as store

State = Literal["proposed", "approved", "published", "halted"]
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="digest of the list's content")]
APPROVALS_NEEDED: Final = 2
AREA_PATTERN = r"^\d{6}(\d{3}){0,2}$"


class Approval(BaseModel):
    """`simulation_id`: whose figures were signed."""

    by: str
    at: dt.datetime
    simulation_id: str | None = None


class Halt(BaseModel):
    """Why a published version is no longer in force."""

    at: dt.datetime
    by: str
    reason: str


class PolicyVersionView(BaseModel):
    """`running`: this version is in force in its area. `halt`: of its last publication."""

    version: str
    jurisdiction: str
    state: State
    proposed_by: str
    proposed_at: dt.datetime
    approvals: list[Approval]
    published_at: dt.datetime | None = None
    running: bool = False
    halt: Halt | None = None


async def lock_version(tx: Tx, version: str, caller: Caller) -> Any:
    """Raises NotFound, or NotAllowed outside the caller's area."""
    row = await store.lock_policy(tx, version)
    if row is None:
        raise NotFound("no such version")
    caller.need_area(row["jurisdiction"])
    return row


def view_version(row: Any) -> PolicyVersionView:
    plain = dict(row)
    plain["approvals"] = msgspec.json.decode(plain["approvals"])
    if plain["halted_at"]:
        plain["halt"] = Halt(at=plain["halted_at"], by=plain["halted_by"], reason=plain["halt_reason"])
    return PolicyVersionView.model_validate(plain)
