"""From a pushed event to the statement that travels: everything but names, numbers and addresses."""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal

import msgspec
from common.codes.id_number import has_hukou
from common.events import facts
from common.events.facts import Standing, StandingChange, Statement, Value
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


def statement_of(
    pushed: Pushed, chain: str, instant: datetime, person_of: Mapping[bytes, str], name_digest: bytes = b""
) -> Statement:
    """What travels of a pushed event: everything but names, numbers and addresses. `person_of`: by blind index;
    `name_digest`: of the person's registered name, empty while none is known."""
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
        value=_value(pushed.value, pushed, person_of, name_digest) if pushed.value is not None else None,
    )


def standing_of(statement: Statement, at: datetime, as_: Standing) -> Statement:
    """The statement, counting `as_` this from an instant on."""
    return msgspec.structs.replace(statement, standing=(*statement.standing, StandingChange(at, as_)))


def _value(said: PopulationValue, pushed: Pushed, person_of: Mapping[bytes, str], name_digest: bytes) -> Value:
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
        case BankAccountValue():
            return facts.BankAccount(holder=holder_of(pushed.name_digest, name_digest), account=pushed.account)
        case _:
            return _of_further_kinds(said)


def _of_further_kinds(
    said: MeritValue
    | AbilityResultValue
    | BenefitElsewhereValue
    | RiskIncidentValue
    | HospitalStayValue
    | ContactValue
    | ApplicationValue,
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


def holder_of(holder: bytes, registered: bytes) -> Literal["self", "other", "not_said"]:
    """Compares digests of two names: the holder of an account and the registered name of the person."""
    if not registered:
        return "not_said"
    return "self" if holder == registered else "other"
