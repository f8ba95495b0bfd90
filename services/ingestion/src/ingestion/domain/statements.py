"""Turns a pushed event into the statement that is stored and sent. It holds no name, number or address."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from typing import Literal

from common.codes.id_number import has_hukou
from common.events import facts
from common.events.facts import VALUE_OF_KIND, Kind, Standing, StandingChange, Statement, Value
from common.events.pushed_values import (
    BankAccountValue,
    ContactValue,
    HouseholdValue,
    IdentityChangeValue,
    LowIncomeValue,
    PopulationValue,
    RegistrationValue,
)
from common.message import derived_id
from msgspec.structs import replace

from ingestion.domain.person import Person, join, statements_of
from ingestion.domain.pushed import Pushed
from ingestion.domain.stated_chains import NOT_COUNTED


def statement_of(
    pushed: Pushed, chain: str, instant: datetime, person_of: Mapping[bytes, str], name_digest: bytes = b""
) -> Statement:
    """Return the statement of an event in this chain, recorded at `instant`.

    `person_of`: person ids by blind index. `name_digest`: of the person's registered name, empty while none is known.
    """
    return Statement(
        event_id=pushed.event_id,
        chain=chain,
        action=pushed.action,
        kind=pushed.kind,
        source=pushed.source.urn,
        rank=pushed.source.rank_of(pushed.kind),
        time=pushed.time,
        recorded_at=instant,
        valid_from=pushed.valid_from,
        valid_to=pushed.valid_to,
        value=_value(pushed.value, pushed, person_of, name_digest) if pushed.value is not None else None,
    )


def with_standing(statement: Statement, at: datetime, counts_as: Standing) -> Statement:
    """The statement with a new standing from the instant `at`."""
    return replace(statement, standing=(*statement.standing, StandingChange(at, counts_as)))


def id_of_hint_end(chain: str, ended_on: date) -> str:
    """The event id of the statement with which the platform ends the hint of a stay."""
    return derived_id("hint_ended", chain, ended_on.isoformat())


def is_hint_end(statement: Statement) -> bool:
    """Whether the platform made the statement, to end the hint of a stay."""
    ended_on = statement.valid_to
    return ended_on is not None and statement.event_id == id_of_hint_end(statement.chain, ended_on)


def counting_since(statement: Statement) -> datetime | None:
    """The instant from which the statement counts without a break; None if it does not count."""
    since: datetime | None = statement.recorded_at
    for change in statement.standing:
        if change.as_ in NOT_COUNTED:
            since = None
        elif since is None:
            since = change.at
    return since


def restate(person: Person, instant: datetime, wanted: Callable[[Statement], Standing | None]) -> list[Statement]:
    """Give statements of a person a new standing from `instant`, and note their events as causes.

    `wanted`: the standing of a statement; None keeps it. Returns the changed statements as they were before."""
    before = statements_of(person.statements)
    after = [_restated(s, instant, wanted(s)) for s in before]
    changed = [old for old, new in zip(before, after, strict=True) if new is not old]
    for statement in changed:
        person.note_cause(statement.event_id, urgent=statement.kind == "death")
    if changed:
        person.statements = join(after)
    return changed


def _restated(statement: Statement, instant: datetime, standing: Standing | None) -> Statement:
    """The same object if its standing does not change."""
    if standing is None or standing == statement.standing_at():
        return statement
    return with_standing(statement, instant, standing)


# ── values ──────────────────────────────────────────────────────────────────────────────────────────────────


def _value(value: PopulationValue, pushed: Pushed, person_of: Mapping[bytes, str], name_digest: bytes) -> Value:
    """The value that leaves ingestion: without names, addresses and numbers of a person."""
    match value:
        case RegistrationValue():
            return _registration(value, pushed.person.number)
        case LowIncomeValue():
            return facts.LowIncome(category=value.category, support=value.support, household=pushed.household)
        case HouseholdValue():
            return _household(pushed)
        case ContactValue():
            return facts.Contact(own_phone=value.phone is not None, others=len(value.contacts))
        case BankAccountValue():
            return facts.BankAccount(holder=holder_of(pushed.name_digest, name_digest), account=pushed.account)
        case IdentityChangeValue():
            return _identity_change(value, person_of[pushed.members[0].index])
        case _:
            return _copied(pushed.kind, value)


def _copied(kind: Kind, value: PopulationValue) -> Value:
    """The fact of a kind with the pushed value's fields of the same names. A field that the fact lacks stays sealed."""
    fact = VALUE_OF_KIND[kind]
    return fact(**{name: getattr(value, name) for name in fact.__struct_fields__})


def _registration(value: RegistrationValue, number: str) -> facts.Registration:
    """A person without a hukou is registered in a division that is no hukou: the statement leaves it out."""
    registered = facts.Registration(sex=value.sex, birth_date=value.birth_date)
    if not has_hukou(number):
        return registered
    return replace(registered, hukou_division=value.hukou_division, hukou_kind=value.hukou_kind)


def _household(pushed: Pushed) -> facts.Household:
    assert pushed.household is not None, "a household statement has its number"
    return facts.Household(household=pushed.household)


def _identity_change(value: IdentityChangeValue, other: str) -> facts.IdentityChange:
    return facts.IdentityChange(same_as=other, new_number=value.new_id_number is not None)


def holder_of(holder: bytes, registered: bytes) -> Literal["self", "other", "not_said"]:
    """Compare the digests of two names: the holder of an account, and the registered name of the person."""
    if not registered:
        return "not_said"
    return "self" if holder == registered else "other"
