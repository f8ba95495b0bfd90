"""Facts about a person: statements of sources, as services exchange them.

A *statement* is the report of one source. It is kept unchanged and never overwritten. A *fact* follows from all
statements known at an instant; `rules.facts.timeline` computes it. Statements contain no names, addresses or numbers of
a person.
"""

from collections.abc import Mapping
from datetime import date, datetime
from typing import ClassVar, Final, Literal, get_args

import msgspec

from common.events.base import Event, Instant

Kind = Literal[
    "registration",
    "residence",
    "death",
    "alive",
    "disability",
    "low_income",
    "household",
    "living_situation",
    "special_family",
    "merit",
    "ability_result",
    "benefit_elsewhere",
    "risk_incident",
    "hospital_stay",
    "contact",
    "application",
    "bank_account",
    "identity_change",
]
Action = Literal["created", "corrected", "annulled", "ended"]
LowIncomeCategory = Literal["dibao", "tekun", "bianyuan", "gangxing", "fanpin"]
LivingTag = Literal["alone", "empty_nest", "left_behind"]
DeathEvidence = Literal["cremation", "medical_certificate", "register_cancelled", "reported"]
MeritKind = Literal["veteran", "martyr_family", "soldier_family", "special_contribution"]
Benefit = Literal[
    "work_injury_care",
    "retired_cadre_care",
    "retired_cadre_living",
    "duty_disability_care",
    "duty_disability_living",
    "brave_deed_care",
    "returned_youth_care",
    "welfare_home_stay",
    "long_term_care_insurance",
    "employee_pension",
    "resident_pension",
]
Incident = Literal["fall", "lost", "choking", "self_harm", "other"]
Wish = Literal["apply", "decline"]


class _Value(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="of", gc=False):
    pass


class Registration(_Value, frozen=True, kw_only=True, tag="registration"):
    """Sex, birth date and hukou of a person. A person with a residence permit has no hukou, so only the lists of the
    residence apply."""

    sex: Literal["0", "1", "2", "9"]  # GB/T 2261.1
    birth_date: date
    hukou_division: str | None = None
    hukou_kind: Literal["urban", "rural"] | None = None


class Residence(_Value, frozen=True, kw_only=True, tag="residence"):
    division: str
    place: Literal["home", "institution", "elsewhere"] = "home"


class Death(_Value, frozen=True, kw_only=True, tag="death"):
    """A report that the person died on the statement's `valid_from`. `rules.facts.death` decides whether all reports
    together confirm the death or only make it suspected."""

    evidence: DeathEvidence


class Alive(_Value, frozen=True, kw_only=True, tag="alive"):
    method: Literal["visit", "remote_check", "counter"]


class Disability(_Value, frozen=True, kw_only=True, tag="disability"):
    class_: int = msgspec.field(name="class")  # GB/T 26341: 1 sight … 7 multiple
    level: int  # 1 is the heaviest


class LowIncome(_Value, frozen=True, kw_only=True, tag="low_income"):
    category: LowIncomeCategory
    support: Literal["concentrated", "scattered"] | None = None  # tekun only
    household: str | None = None  # keyed hash of the household number


class Household(_Value, frozen=True, kw_only=True, tag="household"):
    """Whether this person is a member of a household. `member`: False after a later list without the person."""

    household: str
    member: bool = True


class LivingSituation(_Value, frozen=True, kw_only=True, tag="living_situation"):
    tags: tuple[LivingTag, ...] = ()
    verified_on: date | None = None


class SpecialFamily(_Value, frozen=True, kw_only=True, tag="special_family"):
    only_child: Literal["dead", "disabled"]


class Merit(_Value, frozen=True, kw_only=True, tag="merit"):
    """A special merit of the person or the family. A person may have several at once."""

    merit: MeritKind


class AbilityResult(_Value, frozen=True, kw_only=True, tag="ability_result"):
    """The result of an ability assessment by another department. It is recorded, and no rule reads it. Its document
    number and sub-scores are sealed in ingestion under the event id."""

    scale: str
    scale_version: str
    code: str


class BenefitElsewhere(_Value, frozen=True, kw_only=True, tag="benefit_elsewhere"):
    """A benefit that another office pays or provides. `amount_fen_per_month`: None if it is not reported."""

    benefit: Benefit
    amount_fen_per_month: int | None = None


class RiskIncident(_Value, frozen=True, kw_only=True, tag="risk_incident"):
    incident: Incident


class HospitalStay(_Value, frozen=True, kw_only=True, tag="hospital_stay"):
    """The person is in hospital. The name of the hospital is sealed in ingestion, because it can reveal a diagnosis."""


class Contact(_Value, frozen=True, kw_only=True, tag="contact"):
    """Whether the person or a contact can be called. Numbers and names are sealed in ingestion."""

    own_phone: bool
    others: int  # number of named contacts


class Application(_Value, frozen=True, kw_only=True, tag="application"):
    item: str
    wish: Wish
    channel: Literal["counter", "online", "phone", "visit"]


class BankAccount(_Value, frozen=True, kw_only=True, tag="bank_account"):
    """The person has a bank account. Its number and bank are sealed in ingestion.

    `holder`: whether the account has the person's registered name (`not_said` while no name is known). `account`: keyed
    hash of the number, which shows a changed account."""

    holder: Literal["self", "other", "not_said"]
    account: str | None = None


class IdentityChange(_Value, frozen=True, kw_only=True, tag="identity_change"):
    """Two ids belong to one person. `same_as`: the other id. `new_number`: True if the other id has the new number,
    which replaced the number of this id."""

    same_as: str
    new_number: bool = False


Value = (
    Registration
    | Residence
    | Death
    | Alive
    | Disability
    | LowIncome
    | Household
    | LivingSituation
    | SpecialFamily
    | Merit
    | AbilityResult
    | BenefitElsewhere
    | RiskIncident
    | HospitalStay
    | Contact
    | Application
    | BankAccount
    | IdentityChange
)
VALUE_OF_KIND: Final[Mapping[Kind, type[Value]]] = {value.__struct_config__.tag: value for value in get_args(Value)}


Standing = Literal["full", "claimed", "hint", "waits", "withheld"]


class StandingChange(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """From the instant `at` on, a statement has the standing `as_`: whether and how it counts (see `Statement`)."""

    at: Instant
    as_: Standing


class Statement(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One report of one source. A *chain* is a statement with its later corrections, annulment or end; `chain` is the
    event id of its first statement.

    `valid_from` inclusive (None: since before records), `valid_to` exclusive (None: open): civil dates in
    Asia/Shanghai. `time`: when the source recorded it. `recorded_at`: when ingestion learnt it. `rank`: the rank of the
    source for this kind; 1 is the strongest. `via`: the household from which the statement was copied; it counts only
    while the person is a member. `of`: another id of the same person to which the source referred (None: this id).

    `standing`: whether and how the statement counts, as changes, oldest first; empty means `full` since `recorded_at`.
    `full`: it counts. `claimed`: a place whose source does not belong to the person yet; it decides the lists only.
    `hint`: a stay or an incident from such a source; it changes no level and no money. `waits` and `withheld`: it does
    not count.
    """

    event_id: str
    chain: str
    action: Action
    kind: Kind
    source: str
    rank: int
    time: Instant
    recorded_at: Instant
    valid_from: date | None = None
    valid_to: date | None = None
    value: Value | None = None  # None for `annulled` and `ended`
    via: str | None = None
    of: str | None = None
    standing: tuple[StandingChange, ...] = ()

    def standing_at(self, known_at: datetime | None = None) -> Standing:
        """The standing of the statement as known at an instant (None: after all its changes)."""
        standing: Standing = "full"
        for change in self.standing:
            if known_at is not None and change.at > known_at:
                break
            standing = change.as_
        return standing


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """The other ids of a person, as known from the instant `recorded_at` until that of the next entry.

    `aliases`: the ids for which this id answers; empty if another id answers. `merged_into`: the id that answers for
    this one; None if it answers for itself."""

    recorded_at: Instant
    aliases: tuple[str, ...] = ()
    merged_into: str | None = None


class PersonFactsRecorded(Event, frozen=True, kw_only=True, omit_defaults=True):
    """All statements about one person. Within a chain they are ordered by `time`, then by the id that the source gave
    the event.

    `recorded_at`: the instant of the newest change: a new statement, a new standing of a statement, or a change of
    identity. `causes`: event ids of the source events folded into this message (at most 128). `aliases` and
    `merged_into` are the present identity, `identities` its history (empty: the person never had another id).

    With a history, `statements` include those of every id that was ever in `aliases`. For an id that was split off,
    they include only those recorded before the split. `rules.facts.identity` selects those that count at an instant.
    """

    topic: ClassVar[str] = "ingestion.person"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    recorded_at: Instant
    statements: tuple[Statement, ...]
    aliases: tuple[str, ...] = ()
    merged_into: str | None = None
    identities: tuple[Identity, ...] = ()
    causes: tuple[str, ...] = ()
