"""The forms of HTTP answers about proposing, reviewing, publishing and halting a list."""

import datetime as dt
from typing import Any, Literal

import msgspec
from pydantic import BaseModel, Field
from rules.proof.inclusion import COVERED, NOT_COVERED, Inclusion

from identification.lists.shapes import FromStruct, PolicyVersionOut, UnpaidItemOut


class CounterExampleOut(FromStruct):
    """A possible person, not a real one: the known facts on a day, with places as division codes."""

    on: dt.date
    known: dict[str, Any]
    text: str


class DeviationOut(FromStruct):
    item: str
    clause: str
    signer: str
    reason: str
    status: str
    valid_from: dt.date
    valid_to: dt.date | None = None


class NarrowerOut(FromStruct):
    """Over [`from`, `to`) the list gives some people less of an item than the list of `parent`."""

    item: str
    code: str
    parent: str
    from_: dt.date = Field(alias="from")
    to: dt.date | None
    person: CounterExampleOut
    parent_gives: str
    child_gives: str
    sentence: str
    floor: bool = False
    deviation: DeviationOut | None = None


class InclusionOut(FromStruct):
    """The comparison of a list with the lists above it. `included`: every item was compared (none is in `undecided`),
    and nobody gets less, except by a deviation (`deviating`)."""

    child: str
    above: list[str]
    included: bool
    compared: list[str]
    narrower: list[NarrowerOut]
    deviating: list[NarrowerOut]
    undecided: list[str]
    idle: list[DeviationOut]
    covered: tuple[str, ...] = COVERED
    not_covered: tuple[str, ...] = NOT_COVERED


class ShortfallOut(BaseModel):
    """The list of `jurisdiction` gives some people less than the lists above it."""

    jurisdiction: str
    item: str
    code: str
    detail: str


class PublishedOut(PolicyVersionOut):
    """A published version. `narrower_below`: lists of smaller areas that give less than the lists above them;
    their areas must follow."""

    narrower_below: list[ShortfallOut]


class ChangeOut(BaseModel):
    """A change of a list. `item`: null for a change outside the items. `on`: the first day with an effect; null: no
    effect on decisions."""

    item: str | None
    title: str | None
    on: dt.date | None
    text: str


class FaultOut(FromStruct):
    pointer: str
    code: str
    severity: Literal["error", "warning"]
    text: str


class ReviewOut(BaseModel):
    """The changes and the checks of a version.

    `against`: the version to compare with: the one in force, or the one that a published list replaced; null if there
    was none. `sound`: the simulations that can be signed now. `blocked`: the code of the reason if a proposed or
    approved version has none; otherwise null."""

    policy: PolicyVersionOut
    approvals_needed: int
    against: str | None
    changes: list[ChangeOut]
    faults: list[FaultOut]
    inclusion: InclusionOut = Field(description="compared with the lists above that are in force now")
    sound: list[str]
    blocked: str | None
    unpaid: list[UnpaidItemOut] = Field(description="items of this list that are not paid once it is in force")


def show_inclusion(inclusion: Inclusion) -> InclusionOut:
    return InclusionOut.model_validate({**msgspec.to_builtins(inclusion), "included": inclusion.holds})
