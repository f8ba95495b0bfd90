"""Entitlements of persons: intervals computed from facts and policies (`rules.deciding.decide`)."""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from common.events.base import Event, Instant

EntitlementState = Literal["granted", "suppressed", "choice_required", "suspended", "unknown"]
ItemKind = Literal["cash", "service"]
MonthRule = Literal["same_month", "next_month"]
GapReason = Literal["pay_rules", "no_amount", "refused", "unknown", "suppressed", "choice_required"]


class PayTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The months of a cash item: the first paid month, the first unpaid month, and the time of payment.

    `band_change`: the first month with a new amount, counted from the month in which the amount of a person changes.
    `status`: whether a document gives these rules. An example rule pays only in a demonstration. A rule without a
    status, as in decisions of earlier versions, is an example.
    """

    start: MonthRule = "next_month"
    stop: MonthRule = "next_month"  # the first unpaid month, counted from the month of the end
    band_change: MonthRule = "next_month"
    when: Literal["arrears", "advance"] = "arrears"  # advance: a month is due in the month before it
    fund: str = "county"
    status: Literal["documented", "example"] = "example"


class Entitlement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One item over one period [`from_`, `to`) under one policy version, for one person.

    `policy`: the policy version and item of the decision, `<jurisdiction>/<item>@<version date>`; its citation is in
    `PolicyVersionPublished`. `facts`: ids of the statements, ability results and choices that decided. `division`: the
    person's place in that period, or the list's own area if it is unknown. `suppressed_by`: another item, a benefit of
    another office, or `declined` if the person gave the item up. `reverify_months`: the age of living tags at which a
    visit checks them.
    """

    entitlement_id: str
    item: str
    jurisdiction: str
    kind: ItemKind
    state: EntitlementState
    from_: date = msgspec.field(name="from")
    to: date | None = None
    division: str | None = None
    amount_fen_per_month: int | None = None
    pay: PayTerms | None = None
    tier: str | None = None  # visiting_care
    interval_days: int | None = None
    reverify_months: int | None = None  # visiting_care
    suppressed_by: str | None = None
    missing_facts: tuple[str, ...] = ()
    policy: str = ""
    policy_status: Literal["documented", "example"] = "documented"
    facts: tuple[str, ...] = ()


class HospitalStayTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A hospital stay over [`from_`, `to`), without the name of the hospital. `hint`: the source does not belong to the
    person, so the stay is not certain."""

    event_id: str
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None
    hint: bool = False


class IncidentTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A risk incident on one day, without its kind. `hint`: the source does not belong to the person, so the incident
    is not certain."""

    event_id: str
    on: date
    hint: bool = False


class LivingTagsTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Living tags over [`from_`, `to`). It states that there are tags, not which ones. `verified_on`: the day of the
    last verification; without one, the first day of the tags or the day of the report."""

    verified_on: date
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Facts besides entitlements that a visitor must know: the newest ones, at most 20 of each kind."""

    in_hospital: tuple[HospitalStayTold, ...] = ()
    incidents: tuple[IncidentTold, ...] = ()
    living_tags: tuple[LivingTagsTold, ...] = ()


class MoveGap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Months in which no area pays `item`, because the person moved and the lists of two areas leave a gap.

    The months are [`first_month`, `until_month`), as YYYY-MM. `until_month` None: open. `old`: the area that paid until
    the move. `new`: the area whose list covers the item after it; None if that list refuses it or has no such item.
    `left` and `moved_to`: the counties between which hukou or residence moved. The policies belong to the intervals
    before and after. `why`: the reason why the new area does not pay.
    """

    item: str
    old: str
    left: str
    moved_to: str
    moved_on: date
    first_month: str
    old_policy: str = ""
    until_month: str | None = None
    new: str | None = None
    new_policy: str | None = None
    why: GapReason


class EntitlementsDecided(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All entitlements of a person, past and future, decided from one version of the facts.

    `died_on`: a confirmed death. `death_suspected_on`: an unconfirmed death; money is held, and visits become one
    same-day check. `changed`: items whose intervals differ from the decision before. `aliases`: other ids of the same
    person, whose facts this decision also uses. `merged_into`: the id that decides for this one, which has no
    entitlements itself. `gaps`: months that no list pays, for the officials of both areas.
    """

    topic: ClassVar[str] = "identification.entitlement"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    facts_version: int
    recorded_at: Instant  # the newest recorded time of the inputs of this decision
    entitlements: tuple[Entitlement, ...]
    birth_date: date | None = None
    residence: str | None = None  # the division of the last known residence
    hukou: str | None = None
    died_on: date | None = None
    death_suspected_on: date | None = None
    changed: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    merged_into: str | None = None
    causes: tuple[str, ...] = ()
    circumstances: Circumstances | None = None
    gaps: tuple[MoveGap, ...] = ()


class _Edge(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "identification.edge"

    person_id: str
    entitlement_id: str
    item: str
    jurisdiction: str
    on: date
    alias: str | None = None


class EntitlementStarted(_Edge, frozen=True, kw_only=True):
    """The first day of an interval has come. `alias`: the person had this item under that other id before, so it
    does not begin for the person."""


class EntitlementEnded(_Edge, frozen=True, kw_only=True):
    """The first day after an interval has come (`on`). Another interval of the item may start on that day. `alias`: the
    id into which this person was merged. The events of that id state what continues; nothing ends for the person by
    this event."""
