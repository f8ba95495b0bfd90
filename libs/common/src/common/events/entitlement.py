"""Who is entitled to what: intervals computed from facts and policies (`rules.deciding.decide`)."""

from datetime import date
from typing import ClassVar, Literal

import msgspec

from common.events.base import Event, Instant

EntitlementState = Literal["granted", "suppressed", "choice_required", "suspended", "unknown"]
ItemKind = Literal["cash", "service"]
MonthRule = Literal["same_month", "next_month"]
GapReason = Literal["pay_rules", "no_amount", "refused", "unknown", "suppressed", "choice_required"]


class PayTerms(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """How a cash item turns into months: which month is the first, which the first unpaid, and when it is due.

    `status`: whether a document gives these rules. By an example rule money is paid in a demonstration only. A
    documented rule states its status; a rule without one, as in decisions of earlier versions, is an example.
    """

    start: MonthRule = "next_month"
    stop: MonthRule = "next_month"  # the first month no longer paid, seen from the month of the end
    band_change: MonthRule = "next_month"
    when: Literal["arrears", "advance"] = "arrears"  # advance: the coming month is due in this one
    fund: str = "county"
    status: Literal["documented", "example"] = "example"


class Entitlement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One item over one period [`from_`, `to`) under one policy version, for one person.

    `policy`: id of the policy version and item that decided, `<jurisdiction>/<item>@<version date>`; its citation
    travels in `PolicyVersionPublished`. `facts`: event ids of the statements the conditions read.
    `division`: where the person lives in that period (the list's own area when unknown). `suppressed_by`: another item,
    a benefit of another office, or `declined` where the person gave the item up. `reverify_months`: how old living tags
    may grow before somebody sees whether they still hold.
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
    """In hospital over [`from_`, `to`); where stays sealed. `hint`: the source does not belong to the person, so the
    stay is not certain."""

    event_id: str
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None
    hint: bool = False


class IncidentTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """That something happened, not what. `hint`: the source does not belong to the person."""

    event_id: str
    on: date
    hint: bool = False


class LivingTagsTold(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Tagged as living alone or the like over [`from_`, `to`), as last verified on a day: that there are tags, not
    which."""

    verified_on: date
    from_: date | None = msgspec.field(name="from", default=None)
    to: date | None = None


class Circumstances(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """What those must know who go to the person, beside what they are entitled to: the newest ones, at most 20 of
    each."""

    in_hospital: tuple[HospitalStayTold, ...] = ()
    incidents: tuple[IncidentTold, ...] = ()
    living_tags: tuple[LivingTagsTold, ...] = ()


class MoveGap(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """Months that nobody pays `item` because the person moved and the lists of two areas do not meet.

    From `first_month` until `until_month` (YYYY-MM; None: open). `old`: the area that paid until the move; `new`: the
    area whose list says something of the item after it, None where that list refuses or has no such item. `left` and
    `moved_to`: the counties between which hukou or residence moved. The policies are those of the intervals
    before and after. `why`: what keeps the new area from paying.
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
    """Everything this person is entitled to, past and future, as decided from one version of the facts.

    `died_on` is a confirmed death; `death_suspected_on` an unconfirmed one (money is held, visits become one
    same-day check). `changed`: items whose intervals differ from the decision before. `aliases`: other persons that are
    the same human, whose facts this decision rests on too; `merged_into`: the one that decides for this person, who
    has nothing of their own. `gaps`: months that two lists leave to nobody, for the officials of both areas.
    """

    topic: ClassVar[str] = "identification.entitlement"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    facts_version: int
    recorded_at: Instant  # the knowledge axis: newest input this decision has seen
    entitlements: tuple[Entitlement, ...]
    birth_date: date | None = None
    residence: str | None = None  # division where the person lives now, as far as known
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
    """The day an interval begins has come. `alias`: the same human had this item under that other identity already, so
    that nothing begins for them."""


class EntitlementEnded(_Edge, frozen=True, kw_only=True):
    """The day an interval ends has come (`on` is the first day without it). `alias`: the person turned out to be that
    one, who tells what goes on and what does not; nothing ends for the human by this."""
