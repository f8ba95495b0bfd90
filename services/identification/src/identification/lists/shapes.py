"""The forms of HTTP bodies and answers about lists, and their path parameters."""

import datetime as dt
from typing import Annotated, Any, Final

import msgspec
from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field
from rules.deciding.unpaid import unpaid_items
from rules.form.policy import PolicyList
from rules.money.due import Example
from shell.access.auth import Role
from shell.settings import settings

from identification.lists.store.policies import Policy, State

Version = Annotated[str, Path(pattern=r"^[0-9a-f]{32}$", description="digest of the list's content")]
APPROVALS_NEEDED: Final = 2
LIST_BYTES_MAX: Final = 512 * 1024  # of a list in the body of a request
# These roles see a list and its checks before it is in force.
DRAFT_READERS: Final[tuple[Role, ...]] = ("officer", "approver", "auditor")


class FromStruct(BaseModel):
    """The base of answers that are made from structs of the rules."""

    model_config = ConfigDict(from_attributes=True)


class ApprovalOut(BaseModel):
    """The signature of an approver. `simulation_id`: the simulation that was signed."""

    by: str
    at: dt.datetime
    simulation_id: str | None = None


class HaltOut(BaseModel):
    """The halt of a published version: time, approver (or `band`) and reason."""

    at: dt.datetime
    by: str
    reason: str


class PolicyVersionOut(BaseModel):
    """A version of a list. `running`: it is in force in its area. `halt`: of its last publication."""

    version: str
    jurisdiction: str
    state: State
    proposed_by: str
    proposed_at: dt.datetime
    approvals: list[ApprovalOut]
    published_at: dt.datetime | None = None
    running: bool = False
    halt: HaltOut | None = None


class UnpaidItemOut(FromStruct):
    """A version of a cash item whose money is not paid, because only an example gives its amount or its pay rule.
    The list still decides about the entitlement."""

    item: str
    title: str
    valid_from: dt.date
    valid_to: dt.date | None
    reason: Example
    text: str = Field(description="the reason in Chinese")


class AreaUnpaidItemOut(UnpaidItemOut):
    jurisdiction: str


class UnpaidItemsOut(BaseModel):
    """`more`: the answer is incomplete; ask for a smaller division."""

    unpaid: list[AreaUnpaidItemOut]
    more: bool


class PolicyPageOut(BaseModel):
    policies: list[PolicyVersionOut]
    next: str | None


class ListInForceOut(BaseModel):
    """`list` has the form of the files in `contracts/policy`. If `on` is given, it holds only the versions, exclusions,
    floors and deviations that are valid on that day."""

    jurisdiction: str
    version: str
    published_at: dt.datetime
    approved_by: list[str]
    on: dt.date | None
    unpaid: list[UnpaidItemOut] = Field(description="items that are not paid, and why; none in a demonstration")
    list: dict[str, Any] = Field(description="jurisdiction, items by code, exclusions, floors, deviations")


def show_unpaid(policy_list: PolicyList) -> list[UnpaidItemOut]:
    """Return the unpaid items of a list; none in a demonstration, which also pays examples."""
    return [] if settings().demo else [UnpaidItemOut.model_validate(item) for item in unpaid_items(policy_list)]


def show_version(policy: Policy) -> PolicyVersionOut:
    return PolicyVersionOut(
        version=policy.version,
        jurisdiction=policy.jurisdiction,
        state=policy.state,
        proposed_by=policy.proposed_by,
        proposed_at=policy.proposed_at,
        approvals=msgspec.json.decode(policy.approvals),
        published_at=policy.published_at,
        running=policy.running,
        halt=_halt(policy),
    )


def _halt(policy: Policy) -> HaltOut | None:
    if policy.halted_at is None or policy.halted_by is None or policy.halt_reason is None:
        return None
    return HaltOut(at=policy.halted_at, by=policy.halted_by, reason=policy.halt_reason)
