"""From a pushed event to the statement that travels: everything but names, numbers and addresses."""

from datetime import datetime

from common.events import facts
from common.events.facts import Statement, Value
from common.events.population import (
    AliveValue,
    DeathValue,
    DisabilityValue,
    HouseholdValue,
    LivingSituationValue,
    LowIncomeValue,
    PopulationValue,
    RegistrationValue,
    ResidenceValue,
    SpecialFamilyValue,
)

from ingestion.domain.pushed import Pushed


def statement_of(pushed: Pushed, chain: str, instant: datetime) -> Statement:
    """What travels of a pushed event: everything but names, numbers and addresses."""
    return Statement(
        event_id=pushed.event_id,
        chain=chain,
        action=pushed.action,
        kind=pushed.kind,
        source=pushed.source.urn,
        rank=pushed.source.ranks[pushed.kind],
        time=pushed.time,
        recorded_at=instant,
        valid_from=pushed.valid_from,
        valid_to=pushed.valid_to,
        value=_value(pushed.value, pushed.household) if pushed.value is not None else None,
    )


def _value(said: PopulationValue, household: str | None) -> Value:
    match said:
        case RegistrationValue():
            return facts.Registration(
                sex=said.sex,
                birth_date=said.birth_date,
                hukou_division=said.hukou_division,
                hukou_kind=said.hukou_kind,
            )
        case ResidenceValue():
            return facts.Residence(division=said.division, place=said.place)
        case DeathValue():
            return facts.Death(evidence=said.evidence)
        case AliveValue():
            return facts.Alive(method=said.method)
        case DisabilityValue():
            return facts.Disability(class_=said.class_, level=said.level)
        case LowIncomeValue():
            return facts.LowIncome(category=said.category, support=said.support, household=household)
        case HouseholdValue():
            assert household is not None, "a household statement has its number"
            return facts.Household(household=household)
        case LivingSituationValue():
            return facts.LivingSituation(tags=said.tags, verified_on=said.verified_on)
        case SpecialFamilyValue():
            return facts.SpecialFamily(only_child=said.only_child)
