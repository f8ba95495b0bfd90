"""Select the facts that visitors need: hospital stays, incidents and living tags."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from common.calendar import civil_date
from common.events.entitlement import Circumstances, HospitalStayTold, IncidentTold, LivingTagsTold
from common.events.facts import LivingSituation, Statement

from rules.facts.timeline import Fact

_KINDS: Final = ("hospital_stay", "risk_incident", "living_situation")
_SENT_MAX: Final = 20  # of each kind


def circumstances_of(facts: Sequence[Fact], statements: Sequence[Statement]) -> Circumstances | None:
    """Return a person's newest hospital stays, incidents and living tags; None for most persons.

    `statements`: those from which the facts were computed.
    """
    own = [f for f in facts if f.kind in _KINDS]
    if not own:
        return None
    stays = [f for f in own if f.kind == "hospital_stay"][-_SENT_MAX:]
    incidents = [f for f in own if f.kind == "risk_incident"][-_SENT_MAX:]
    tagged = [f for f in own if isinstance(f.value, LivingSituation) and f.value.tags][-_SENT_MAX:]
    if not (stays or incidents or tagged):
        return None
    return Circumstances(
        in_hospital=tuple(_stay(f) for f in stays),
        incidents=tuple(_incident(f, f.valid_from) for f in incidents if f.valid_from),
        living_tags=tuple(_tags(f, statements) for f in tagged),
    )


def _stay(fact: Fact) -> HospitalStayTold:
    is_hint = fact.standing == "hint"
    return HospitalStayTold(event_id=fact.event_id, from_=fact.valid_from, to=fact.valid_to, hint=is_hint)


def _incident(fact: Fact, on: date) -> IncidentTold:
    return IncidentTold(event_id=fact.event_id, on=on, hint=fact.standing == "hint")


def _tags(fact: Fact, statements: Sequence[Statement]) -> LivingTagsTold:
    return LivingTagsTold(verified_on=_verified_on(fact, statements), from_=fact.valid_from, to=fact.valid_to)


def _verified_on(fact: Fact, statements: Sequence[Statement]) -> date:
    """Return the day of the visit that verified the living tags. If the source gives no such day, return their first
    day, or the day on which the source recorded them."""
    assert isinstance(fact.value, LivingSituation)
    day = fact.value.verified_on or fact.valid_from
    return day or civil_date(next(s.time for s in statements if s.event_id == fact.event_id))
