"""The forms of the HTTP answers about one person."""

import datetime as dt
from typing import Literal
from uuid import UUID

from common.events.entitlement import GapReason
from pydantic import BaseModel, ConfigDict, Field
from rules.money.due import Example

from identification.deciding.domain.adverse import AdverseOutcome
from identification.lists.shapes import FromStruct


class CitationOut(FromStruct):
    """The clause that decided. Status `example`: no document contains it, and only demonstrations pay it."""

    version: str
    title: str
    issuer: str
    date: dt.date
    locator: str
    status: Literal["documented", "example"]


class EntitlementOut(BaseModel):
    """One item over [`from`, `to`). `facts`: ids of the statements, ability results and choices that decided."""

    model_config = ConfigDict(populate_by_name=True)

    entitlement_id: UUID
    item: str
    jurisdiction: str
    division: str | None
    kind: Literal["cash", "service"]
    state: Literal["granted", "suppressed", "choice_required", "suspended", "unknown"]
    from_: dt.date = Field(alias="from")
    to: dt.date | None
    amount_fen_per_month: int | None = Field(description="cash items")
    unpaid: Example | None = Field(
        description="why the granted amount is not paid; null: no example prevents the payment, or there is no amount"
    )
    tier: str | None = Field(description="visiting_care")
    interval_days: int | None = Field(description="visiting_care")
    reverify_months: int | None = Field(description="visiting_care: months after which living tags are verified again")
    suppressed_by: str | None
    missing_facts: list[str]
    facts: list[str]
    policy: CitationOut | None


class GapOut(BaseModel):
    """Months (YYYY-MM) after a move that neither the old nor the new area pays."""

    item: str
    old: str = Field(description="the area that paid until the move")
    new: str | None = Field(description="the area whose list names the item after the move")
    left: str = Field(description="the county left")
    moved_to: str
    moved_on: dt.date
    first_month: str
    until_month: str | None = Field(description="the first month that is paid again")
    why: GapReason
    text: str
    old_policy: CitationOut | None = Field(description="the clause that paid")
    new_policy: CitationOut | None = Field(description="the clause that counts after the move")


class InputsOut(BaseModel):
    """The inputs of the answer: versions of facts and ability results, number of choices, digest of the lists.

    With `known_at`, `choices` and `policy` are those known then. `facts` and `abilities` are the versions stored now.
    """

    facts: int
    abilities: int
    choices: int
    policy: str


class EntitlementsOut(BaseModel):
    person_id: UUID
    version: int
    on: dt.date
    known_at: dt.datetime = Field(description="inputs recorded up to this instant are used")
    died_on: dt.date | None
    death_suspected_on: dt.date | None
    merged_into: UUID | None
    inputs: InputsOut
    entitlements: list[EntitlementOut]
    gaps: list[GapOut] = Field(description="all gaps of the person, for any `on`")


class FactRefOut(FromStruct):
    event_id: str
    kind: str


class ConditionOut(FromStruct):
    """A condition with its answer for a person. `holds`: null if a missing fact decides. `value`: the known value.

    `absence`: only if no value is known and sources have declared there the kinds that they report completely. `told`:
    this kind is one of them, so the answer is no. `untold`: it is not, so there is no answer.
    """

    code: str
    text: str
    holds: bool | None
    value: str | None
    facts: list[FactRefOut]
    absence: Literal["told", "untold"] | None = None


class CircumstanceOut(FromStruct):
    """A possible change. `kind`: the kind of fact that would report it. `on`: the day of a future birthday; else
    null."""

    kind: str
    text: str
    on: dt.date | None


class RemedyOut(FromStruct):
    """A smallest set of circumstances that together give the item."""

    text: str
    circumstances: list[CircumstanceOut]
    amount_fen_per_month: int | None
    tier: str | None


class ExplanationOut(FromStruct):
    """The explanation why a person has, or does not have, an item on a day.

    `given_from`: the first day after `on` on which the item is granted; null if it is granted on `on`, or never.
    `remedies`: for a refused or unknown item, circumstances that would have to change, the fewest changes first; at
    most 5."""

    item: str
    on: dt.date
    outcome: Literal["granted", "refused", "suppressed", "choice_required", "suspended", "unknown"]
    sentence: str
    conditions: list[ConditionOut]
    policy: CitationOut | None
    given_from: dt.date | None
    remedies: list[RemedyOut]


class AdverseOut(BaseModel):
    """An item that a decision withholds or reduces. `version`: of the decision.

    `explanation`: made from the inputs of the decision, stored, and never changed."""

    version: int
    decided_at: dt.datetime
    item: str
    on: dt.date = Field(description="the first day on which the item gives less or nothing")
    outcome: AdverseOutcome
    lists: str = Field(description="digest of the lists that decided")
    explanation: ExplanationOut


class AdversePageOut(BaseModel):
    adverse: list[AdverseOut] = Field(description="newest decision first")
    next: str | None = Field(description="send it as `after` for the next page")
