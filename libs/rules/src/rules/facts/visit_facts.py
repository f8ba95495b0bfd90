"""Facts beside the entitlements, for those who go to the person: stays, incidents and living tags. Pure."""

from collections.abc import Sequence
from datetime import date
from typing import Final

from common.calendar import civil_date
from common.events.entitlement import Circumstances, HospitalStayTold, IncidentTold, LivingTagsTold
from common.events.facts import LivingSituation, Statement

from rules.facts.timeline import Fact

_TOLD_BESIDE: Final = ("hospital_stay", "risk_incident", "living_situation")
_TOLD_MAX: Final = 20  # of each


def circumstances_of(facts: Sequence[Fact], statements: Sequence[Statement]) -> Circumstances | None:
    """None for most people. `statements`: those that the facts follow from."""
    told = [f for f in facts if f.kind in _TOLD_BESIDE]
    if not told:
        return None
    stays = [f for f in told if f.kind == "hospital_stay"][-_TOLD_MAX:]
    incidents = [f for f in told if f.kind == "risk_incident"][-_TOLD_MAX:]
    tagged = [f for f in told if isinstance(f.value, LivingSituation) and f.value.tags][-_TOLD_MAX:]
    if not (stays or incidents or tagged):
        return None
    return Circumstances(
        in_hospital=tuple(_stay(f) for f in stays),
        incidents=tuple(
            IncidentTold(event_id=f.event_id, on=f.valid_from, hint=f.standing == "hint")
            for f in incidents
            if f.valid_from
        ),
        living_tags=tuple(
            LivingTagsTold(verified_on=_verified_on(f, statements), from_=f.valid_from, to=f.valid_to) for f in tagged
        ),
    )


def _stay(fact: Fact) -> HospitalStayTold:
    return HospitalStayTold(
        event_id=fact.event_id, from_=fact.valid_from, to=fact.valid_to, hint=fact.standing == "hint"
    )


def _verified_on(fact: Fact, statements: Sequence[Statement]) -> date:
    """The day of the visit behind the tags; where the source names none, when they began or when it wrote them down."""
    assert isinstance(fact.value, LivingSituation)
    said_on = fact.value.verified_on or fact.valid_from
    return said_on or civil_date(next(s.time for s in statements if s.event_id == fact.event_id))
