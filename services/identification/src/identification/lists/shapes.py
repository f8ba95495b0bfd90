"""How a version of a list is shown, and found by those who act on it."""

import datetime as dt
from typing import Annotated, Any, Final, Literal

import msgspec
from common.errors import NotFound
from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from rules.deciding.unpaid import unpaid_items
from rules.form.policy import PolicyList
from rules.money.due import Example
from shell.access.auth import Caller, Role
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.store import lists as store

State = Literal["proposed", "approved", "published", "halted"]
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="digest of the list's content")]
APPROVALS_NEEDED: Final = 2
LIST_BYTES_MAX: Final = 512 * 1024  # of a list in the body of a request
# The roles that see a list, and its checks, before it is in force.
GATE_READERS: Final[tuple[Role, ...]] = ("officer", "approver", "auditor")


class FromStruct(BaseModel):
    """An answer that is made from one of the structs of the rules."""

    model_config = ConfigDict(from_attributes=True)


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


class UnpaidItemView(FromStruct):
    """A version of a cash item whose money is not paid, because only an example gives its amount or its pay rule.
    The list still decides about the entitlement."""

    item: str
    title: str
    valid_from: dt.date
    valid_to: dt.date | None
    reason: Example
    text: str = Field(description="the reason in Chinese")


def view_unpaid(one: PolicyList) -> list[UnpaidItemView]:
    """Nothing in a demonstration, which pays examples too."""
    return [] if settings().demo else [UnpaidItemView.model_validate(item) for item in unpaid_items(one)]


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
