"""The pure rules of assessment: which person needs an assessment, and which results are in force. Time is an
argument."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec
from common.calendar import add_months
from common.events import Ability, Entitlement, EntitlementsDecided
from rules.scales.ability_scale import Scale

ITEM: Final = "ability_assessment"
CaseState = Literal["requested", "scored", "signed", "cancelled"]
Reason = Literal["first", "regular", "incident", "dispute", "other"]
REQUESTED: Final = frozenset({"first", "regular"})  # the other reasons are those of forms without a request
_encode = msgspec.json.Encoder().encode


class Period(msgspec.Struct, frozen=True, array_like=True):
    """[`from_`, `to`) in which assessment is granted."""

    from_: date
    to: date | None

    def covers(self, day: date) -> bool:
        return self.from_ <= day and (self.to is None or day < self.to)


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """One person's need for assessments, from the newest decision.

    `periods`: those in which the item is granted. `division`: the area of the last granted period, also after its end.
    `cases`: the number of opened cases. `ability_version`: version of the last AbilitiesDetermined, 0 for none.
    `act_on`: the day of the next step, None for none.
    """

    person_id: str
    periods: tuple[Period, ...] = ()
    division: str | None = None
    died_on: date | None = None
    merged: bool = False
    correlation_id: str = ""
    cases: int = 0
    ability_version: int = 0
    act_on: date | None = None


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One assessment of a person, from its request to its signature or cancellation."""

    assessment_id: str
    person_id: str
    state: CaseState
    reason: Reason
    division: str | None
    correlation_id: str


class Result(NamedTuple):
    """A signed result. It is valid over [`valid_from`, `valid_until`), or until a newer result begins."""

    assessment_id: str
    scale: str
    scale_version: str
    level: int
    valid_from: date
    valid_until: date
    recorded_at: datetime


class Request(NamedTuple):
    reason: Reason
    due_on: date


class Cancel(NamedTuple):
    reason: Literal["died", "merged", "moved", "not_entitled"]


class Decided(NamedTuple):
    """The need after a step, and the step itself: a new case, the end of the open case, or nothing."""

    need: Need
    step: Request | Cancel | None


def _granted(decided: EntitlementsDecided) -> list[Entitlement]:
    return [e for e in decided.entitlements if e.item == ITEM and e.state == "granted"]


def assessment_digest(decided: EntitlementsDecided) -> int:
    """Return a hash of the parts of a decision that matter to assessment.

    It is 0 if the decision grants no assessment and the person is neither dead nor merged.
    """
    granted, merged = _granted(decided), decided.merged_into is not None
    if not granted and decided.died_on is None and not merged:
        return 0
    parts: list[object] = [decided.died_on, merged]
    for e in granted:
        parts += (e.from_, e.to, e.division)
    return int.from_bytes(blake2b(_encode(parts), digest_size=8).digest(), "big", signed=True) or 1


def with_decision(need: Need, decided: EntitlementsDecided, correlation_id: str) -> Need:
    """Return the need with the values of the newest decision."""
    granted = _granted(decided)
    return msgspec.structs.replace(
        need,
        periods=tuple(Period(e.from_, e.to) for e in granted),
        division=granted[-1].division if granted else need.division,
        died_on=decided.died_on,
        merged=decided.merged_into is not None,
        correlation_id=correlation_id,
    )


def decide_case(need: Need, case: Case | None, results: Sequence[Result], today: date, scale: Scale) -> Decided:
    """Decide whether to request an assessment or to cancel the open case, and set the day of the next step.

    A case that a form opened without a request needs no entitlement. Assessors of the former area cannot visit a person
    who moved. So a case without a form is cancelled, and the next step, on the same day, requests the assessment in the
    new area.
    """
    if need.died_on is not None or need.merged:
        gone = Cancel("merged" if need.died_on is None else "died")
        return Decided(_acting_on(need, []), gone if case else None)
    current = [period for period in need.periods if period.covers(today)]
    if not current:
        begins = [period.from_ for period in need.periods if period.from_ > today]
        requested = case is not None and case.reason in REQUESTED
        return Decided(_acting_on(need, begins), Cancel("not_entitled") if requested else None)
    ends = [period.to for period in current if period.to is not None]
    if case is not None and case.state == "requested" and case.division != need.division:
        return Decided(_acting_on(need, [today]), Cancel("moved"))
    if case is not None:
        return Decided(_acting_on(need, ends), None)
    renew_on = _renew_on(results, today, scale)
    if renew_on > today:
        return Decided(_acting_on(need, [renew_on, *ends]), None)
    return Decided(_acting_on(need, ends), _request(results, today, scale))


def _request(results: Sequence[Result], today: date, scale: Scale) -> Request:
    due_on = today + timedelta(days=scale.parameters.request_days.value)
    return Request("regular" if results else "first", due_on)


def _renew_on(results: Sequence[Result], today: date, scale: Scale) -> date:
    """Return the day on which the next assessment is requested; today without any result."""
    until = max((result.valid_until for result in results), default=None)
    return until - timedelta(days=scale.parameters.renewal_days.value) if until else today


def _acting_on(need: Need, days: Sequence[date]) -> Need:
    return msgspec.structs.replace(need, act_on=min(days, default=None))


def valid_until(assessed_on: date, scale: Scale) -> date:
    return add_months(assessed_on, scale.parameters.validity_months.value)


def abilities(results: Sequence[Result]) -> tuple[Ability, ...]:
    """Return the results with the periods in which they are in force.

    An older result ends on the day on which a newer one begins. Of two results of one day, the later recorded counts.
    """
    ordered = sorted(results, key=lambda result: (result.valid_from, result.recorded_at, result.assessment_id))
    found = []
    for i, result in enumerate(ordered):
        next_from = ordered[i + 1].valid_from if i + 1 < len(ordered) else result.valid_until
        valid_to = min(result.valid_until, next_from)
        if result.valid_from < valid_to:
            found.append(_ability(result, valid_to))
    return tuple(found)


def _ability(result: Result, valid_to: date) -> Ability:
    return Ability(
        assessment_id=result.assessment_id,
        scale=result.scale,
        scale_version=result.scale_version,
        level=result.level,
        valid_from=result.valid_from,
        valid_to=valid_to,
        recorded_at=result.recorded_at,
    )
