"""From a pushed event to the statement that travels: everything but names, numbers and addresses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from common.codes.id_number import has_hukou
from common.events import facts
from common.events.facts import Statement, Value
from common.events.population import (
    AbilityResultValue,
    AliveValue,
    ApplicationValue,
    BankAccountValue,
    BenefitElsewhereValue,
    ContactValue,
    DeathValue,
    DisabilityValue,
    HospitalStayValue,
    HouseholdValue,
    IdentityChangeValue,
    LivingSituationValue,
    LowIncomeValue,
    MeritValue,
    PopulationValue,
    RegistrationValue,
    ResidenceValue,
    RiskIncidentValue,
    SpecialFamilyValue,
)

from ingestion.domain.pushed import Pushed


def statement_of(pushed: Pushed, chain: str, instant: datetime, person_of: Mapping[bytes, str]) -> Statement:
    """What travels of a pushed event: everything but names, numbers and addresses. `person_of`: by blind index."""
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
        value=_value(pushed.value, pushed, person_of) if pushed.value is not None else None,
    )


def _value(said: PopulationValue, pushed: Pushed, person_of: Mapping[bytes, str]) -> Value:
    match said:
        case RegistrationValue():
            registered = facts.Registration(sex=said.sex, birth_date=said.birth_date)
            if not has_hukou(pushed.person.number):
                return registered
            return msgspec.structs.replace(registered, hukou_division=said.hukou_division, hukou_kind=said.hukou_kind)
        case ResidenceValue():
            return facts.Residence(division=said.division, place=said.place)
        case DeathValue():
            return facts.Death(evidence=said.evidence)
        case AliveValue():
            return facts.Alive(method=said.method)
        case DisabilityValue():
            return facts.Disability(class_=said.class_, level=said.level)
        case LowIncomeValue():
            return facts.LowIncome(category=said.category, support=said.support, household=pushed.household)
        case HouseholdValue():
            assert pushed.household is not None, "a household statement has its number"
            return facts.Household(household=pushed.household)
        case LivingSituationValue():
            return facts.LivingSituation(tags=said.tags, verified_on=said.verified_on)
        case SpecialFamilyValue():
            return facts.SpecialFamily(only_child=said.only_child)
        case IdentityChangeValue():
            other = person_of[pushed.members[0].index]
            return facts.IdentityChange(same_as=other, new_number=said.new_id_number is not None)
        case _:
            return _of_further_kinds(said, pushed.name)


def _of_further_kinds(
    said: MeritValue
    | AbilityResultValue
    | BenefitElsewhereValue
    | RiskIncidentValue
    | HospitalStayValue
    | ContactValue
    | ApplicationValue
    | BankAccountValue,
    name: str | None,
) -> Value:
    match said:
        case MeritValue():
            return facts.Merit(merit=said.merit)
        case AbilityResultValue():
            return facts.AbilityResult(scale=said.scale, scale_version=said.scale_version, code=said.code)
        case BenefitElsewhereValue():
            return facts.BenefitElsewhere(benefit=said.benefit, amount_fen_per_month=said.amount_fen_per_month)
        case RiskIncidentValue():
            return facts.RiskIncident(incident=said.incident)
        case HospitalStayValue():
            return facts.HospitalStay()
        case ContactValue():
            return facts.Contact(own_phone=said.phone is not None, others=len(said.contacts))
        case ApplicationValue():
            return facts.Application(item=said.item, wish=said.wish, channel=said.channel)
        case BankAccountValue():
            return facts.BankAccount(holder=_holder(said.holder_name, name))


def _holder(holder: str, name: str | None) -> Literal["self", "other", "not_said"]:
    """Names are held against each other here, where they are known, and only the answer travels."""
    if name is None:
        return "not_said"
    return "self" if "".join(holder.split()) == "".join(name.split()) else "other"
