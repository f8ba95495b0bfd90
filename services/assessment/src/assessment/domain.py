"""Who is to be assessed and what results are in force. Pure: values in, values out, time passed in."""

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec
from common.calendar import add_months
from common.events import Ability, EntitlementsDecided
from rules.scales.ability_scale import Scale

ITEM: Final = "ability_assessment"
CaseState = Literal["requested", "scored", "signed", "cancelled"]
Reason = Literal["first", "regular", "incident", "dispute", "other"]
OPEN: Final = frozenset({"requested", "scored"})
_encode = msgspec.json.Encoder().encode


class Period(msgspec.Struct, frozen=True, array_like=True):
    """[`from_`, `to`) in which assessment is granted."""

    from_: date
    to: date | None

    def covers(self, day: date) -> bool:
        return self.from_ <= day and (self.to is None or day < self.to)


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of one person. `cases`: how many were opened; `ability_version`: of the last
    AbilitiesDetermined; `act_on`: the day on which the clock must look again."""

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
    assessment_id: str
    person_id: str
    state: CaseState
    reason: Reason
    division: str | None
    correlation_id: str


class Result(NamedTuple):
    """A signed result; valid from the day of the assessment up to `valid_until` unless a newer one closes it."""

    assessment_id: str
    scale: str
    scale_version: str
    level: int
    valid_from: date
    valid_until: date
    recorded_at: datetime


class Ask(NamedTuple):
    reason: Reason
    due_on: date


class Drop(NamedTuple):
    reason: Literal["died", "not_entitled"]


class Decided(NamedTuple):
    need: Need
    step: Ask | Drop | None


def digest(decided: EntitlementsDecided) -> int:
    """A number that stays the same while nothing changes for assessment; 0 for who never was entitled to one."""
    granted = [e for e in decided.entitlements if e.item == ITEM and e.state == "granted"]
    if not granted:
        return 0
    parts: list[object] = [decided.died_on, decided.merged_into is not None]
    for e in granted:
        parts += (e.from_, e.to, e.division)
    return int.from_bytes(blake2b(_encode(parts), digest_size=8).digest(), "big", signed=True) or 1


def informed(need: Need, decided: EntitlementsDecided, correlation_id: str) -> Need:
    """The need with what the newest decision says."""
    granted = [e for e in decided.entitlements if e.item == ITEM and e.state == "granted"]
    return msgspec.structs.replace(
        need,
        periods=tuple(Period(e.from_, e.to) for e in granted),
        division=granted[-1].division if granted else need.division,
        died_on=decided.died_on,
        merged=decided.merged_into is not None,
        correlation_id=correlation_id,
    )


def decide_case(need: Need, case: Case | None, results: Sequence[Result], today: date, scale: Scale) -> Decided:
    """Whether to ask for an assessment or drop the open one, and when to look again."""
    gone = need.died_on is not None or need.merged
    entitled = not gone and any(p.covers(today) for p in need.periods)
    if not entitled:
        starts = [] if gone else [p.from_ for p in need.periods if p.from_ > today]
        step = Drop("died" if gone else "not_entitled") if case else None
        return Decided(msgspec.structs.replace(need, act_on=min(starts, default=None)), step)
    ends = [p.to for p in need.periods if p.covers(today) and p.to is not None]
    until = max((r.valid_until for r in results), default=None)
    renew_on = until - timedelta(days=scale.parameters.renewal_days.value) if until else today
    if case is not None or renew_on <= today:
        looked = msgspec.structs.replace(need, act_on=min(ends, default=None))
        if case is not None:
            return Decided(looked, None)
        due_on = today + timedelta(days=scale.parameters.request_days.value)
        return Decided(looked, Ask("regular" if results else "first", due_on))
    return Decided(msgspec.structs.replace(need, act_on=min([renew_on, *ends])), None)


def valid_until(assessed_on: date, scale: Scale) -> date:
    return add_months(assessed_on, scale.parameters.validity_months.value)


def abilities(results: Sequence[Result]) -> tuple[Ability, ...]:
    """Every result with the period in which it is in force: a newer one closes the older at its own date; of two
    of the same day the one recorded later counts."""
    ordered = sorted(results, key=lambda r: (r.valid_from, r.recorded_at, r.assessment_id))
    found = []
    for i, result in enumerate(ordered):
        following = ordered[i + 1].valid_from if i + 1 < len(ordered) else result.valid_until
        valid_to = min(result.valid_until, following)
        if result.valid_from < valid_to:
            found.append(
                Ability(
                    assessment_id=result.assessment_id,
                    scale=result.scale,
                    scale_version=result.scale_version,
                    level=result.level,
                    valid_from=result.valid_from,
                    valid_to=valid_to,
                    recorded_at=result.recorded_at,
                )
            )
    return tuple(found)
