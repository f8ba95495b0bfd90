"""The value that a source pushes for each fact kind, untrusted, with its limits.

The same classes decode the values and give their published JSON Schemas. Checks that need several fields or a code list
come later.
"""

from datetime import date
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from common.codes.certificate import PATTERN as CERTIFICATE
from common.events.facts import (
    Benefit,
    DeathEvidence,
    Incident,
    Kind,
    LivingTag,
    LowIncomeCategory,
    MeritKind,
    Wish,
)
from common.patterns import DIVISION, ITEM, exact

MEMBERS_MAX: Final = 50
CONTACTS_MAX: Final = 10
SUB_SCORES_MAX: Final = 60

_ONE_LINE: Final = exact(r"[^\u0000-\u001f\u007f]+")
Text = Annotated[str, Meta(min_length=1, max_length=200, pattern=_ONE_LINE)]
Name = Annotated[str, Meta(min_length=1, max_length=60, pattern=_ONE_LINE)]
Identifier = Annotated[str, Meta(min_length=1, max_length=128, pattern=_ONE_LINE)]
IdText = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=64,
        description="GB 11643 citizen ID number or its 15 digits, residence permit, older permanent residence card",
    ),
]
_DIVISION: Final = "administrative division code of 6, 9 or 12 digits"
DivisionCode = Annotated[str, Meta(min_length=6, max_length=12, pattern=exact(DIVISION), description=_DIVISION)]
Phone = Annotated[
    str,
    Meta(
        max_length=24, pattern=exact(r"\+?[0-9][0-9 -]{3,21}[0-9]"), description="mobile or fixed, with its area code"
    ),
]
ItemCode = Annotated[str, Meta(max_length=64, pattern=exact(ITEM))]


class PushedStruct(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """Unknown fields are rejected: a misspelt field must not count as a missing one."""


class RegistrationValue(PushedStruct, frozen=True, kw_only=True):
    """A citizen must have `hukou_division` and `hukou_kind`. Holders of residence permits (of Hong Kong, Macao, Taiwan,
    and foreign permanent residents) have no hukou. If they give a `hukou_division`, it must be valid; it only decides
    which area may see them while no residence is known. Their fact has neither field."""

    name: Name
    sex: Annotated[Literal["0", "1", "2", "9"], Meta(description="GB/T 2261.1")]
    birth_date: date
    hukou_division: DivisionCode | None = None
    hukou_kind: Literal["urban", "rural"] | None = None


class ResidenceValue(PushedStruct, frozen=True, kw_only=True):
    division: DivisionCode
    address: Text | None = None
    place: Literal["home", "institution", "elsewhere"] = "home"
    longitude: Annotated[float, Meta(ge=73, le=136)] | None = None
    latitude: Annotated[float, Meta(ge=3, le=54)] | None = None


class DeathValue(PushedStruct, frozen=True, kw_only=True):
    evidence: DeathEvidence


class AliveValue(PushedStruct, frozen=True, kw_only=True):
    method: Literal["visit", "remote_check", "counter"]


class DisabilityValue(PushedStruct, frozen=True, kw_only=True):
    certificate_no: Annotated[
        str,
        Meta(
            max_length=22,
            pattern=exact(CERTIFICATE),
            description="an ID number of the holder, class and level (GB/T 26341)",
        ),
    ]
    class_: Annotated[int, Meta(ge=1, le=7)] = msgspec.field(name="class")
    level: Annotated[int, Meta(ge=1, le=4)]


class LowIncomeValue(PushedStruct, frozen=True, kw_only=True):
    category: LowIncomeCategory
    support: Literal["concentrated", "scattered"] | None = None
    household_no: Identifier | None = None


class HouseholdValue(PushedStruct, frozen=True, kw_only=True):
    household_no: Identifier
    members: Annotated[tuple[IdText, ...], Meta(max_length=MEMBERS_MAX)]


class LivingSituationValue(PushedStruct, frozen=True, kw_only=True):
    tags: Annotated[tuple[LivingTag, ...], Meta(max_length=3)]
    verified_on: date | None = None


class SpecialFamilyValue(PushedStruct, frozen=True, kw_only=True):
    only_child: Literal["dead", "disabled"]


class MeritValue(PushedStruct, frozen=True, kw_only=True):
    merit: MeritKind


class AbilityResultValue(PushedStruct, frozen=True, kw_only=True):
    """Scale, version and code belong together: `重度失能` has three meanings in three scales."""

    scale: Annotated[
        str, Meta(max_length=24, pattern=exact("[A-Za-z][0-9A-Za-z ./_-]*"), description="gbt42195, ltc …")
    ]
    scale_version: Annotated[str, Meta(max_length=12, pattern=exact("[0-9A-Za-z.-]+"), description="such as 2022")]
    code: Annotated[str, Meta(max_length=8, pattern=exact("[0-9A-Za-z.]+"), description="the grade's code, no words")]
    document_no: Identifier
    sub_scores: (
        Annotated[
            dict[Annotated[str, Meta(min_length=1, max_length=40)], Annotated[int, Meta(ge=0, le=1000)]],
            Meta(max_length=SUB_SCORES_MAX),
        ]
        | None
    ) = None


class BenefitElsewhereValue(PushedStruct, frozen=True, kw_only=True):
    benefit: Benefit
    amount_fen_per_month: Annotated[int, Meta(ge=0, le=10_000_000)] | None = None


class RiskIncidentValue(PushedStruct, frozen=True, kw_only=True):
    incident: Incident


class HospitalStayValue(PushedStruct, frozen=True, kw_only=True):
    institution: Text


class ContactPerson(PushedStruct, frozen=True, kw_only=True):
    name: Name
    relation: Annotated[str, Meta(min_length=1, max_length=20, pattern=_ONE_LINE)]
    phone: Phone


class ContactValue(PushedStruct, frozen=True, kw_only=True):
    phone: Phone | None = None
    contacts: Annotated[tuple[ContactPerson, ...], Meta(max_length=CONTACTS_MAX)] = ()


class ApplicationValue(PushedStruct, frozen=True, kw_only=True):
    item: ItemCode
    wish: Wish
    channel: Literal["counter", "online", "phone", "visit"]


class BankAccountValue(PushedStruct, frozen=True, kw_only=True):
    account_no: Annotated[str, Meta(max_length=34, pattern=exact("[0-9]{8,30}"), description="digits only")]
    bank: Text
    holder_name: Name


class IdentityChangeValue(PushedStruct, frozen=True, kw_only=True):
    """Exactly one of the two fields."""

    new_id_number: Annotated[IdText, Meta(description="replaces the person's number")] | None = None
    same_person_as: Annotated[IdText, Meta(description="another number of the same human")] | None = None


PopulationValue = (
    RegistrationValue
    | ResidenceValue
    | DeathValue
    | AliveValue
    | DisabilityValue
    | LowIncomeValue
    | HouseholdValue
    | LivingSituationValue
    | SpecialFamilyValue
    | MeritValue
    | AbilityResultValue
    | BenefitElsewhereValue
    | RiskIncidentValue
    | HospitalStayValue
    | ContactValue
    | ApplicationValue
    | BankAccountValue
    | IdentityChangeValue
)

VALUES: Final[dict[Kind, type[Any]]] = {
    "registration": RegistrationValue,
    "residence": ResidenceValue,
    "death": DeathValue,
    "alive": AliveValue,
    "disability": DisabilityValue,
    "low_income": LowIncomeValue,
    "household": HouseholdValue,
    "living_situation": LivingSituationValue,
    "special_family": SpecialFamilyValue,
    "merit": MeritValue,
    "ability_result": AbilityResultValue,
    "benefit_elsewhere": BenefitElsewhereValue,
    "risk_incident": RiskIncidentValue,
    "hospital_stay": HospitalStayValue,
    "contact": ContactValue,
    "application": ApplicationValue,
    "bank_account": BankAccountValue,
    "identity_change": IdentityChangeValue,
}
