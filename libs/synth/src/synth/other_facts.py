"""Draw facts of other kinds, in small numbers: incidents, hospital stays, contacts, accounts and others.

These facts change no entitlement of the lists in this repository, so `Truth` does not contain them. They have their own
random numbers and their own writer, so that all other events stay the same for a seed.
"""

from datetime import date, datetime, timedelta
from typing import Final

from synth.cloud_events import Event, Sent
from synth.month import Changes, Month, right_report
from synth.truth import Person

INCIDENTS: Final = ("fall", "fall", "fall", "lost", "choking", "other")
RELATIONS: Final = ("女儿", "儿子", "邻居")
OTHERS: Final[dict[str, Event]] = {
    "merit": {"merit": "veteran"},
    "benefit_elsewhere": {"benefit": "long_term_care_insurance"},
    "application": {"item": "longevity_allowance", "wish": "apply", "channel": "counter"},
    "ability_result": {"scale": "ltc", "scale_version": "2021", "code": "2", "document_no": "LTC-2026-1"},
}


def other_facts(month: Month) -> Changes:
    for kind_of_change in (_incidents, _stays, _contacts, _accounts, _others):
        yield from kind_of_change(month)


def _incidents(month: Month) -> Changes:
    for _ in month.occurrences(month.rates.incident):
        yield from _reported(month, "risk_incident", {"incident": month.rng.choice(INCIDENTS)})


def _stays(month: Month) -> Changes:
    for person, day in month.draw_people(month.rates.hospital, "hospital_stay"):
        yield _stay(month, person, day)


def _contacts(month: Month) -> Changes:
    for _ in month.occurrences(month.rates.contact):
        yield from _reported(month, "contact", _contact(month))


def _accounts(month: Month) -> Changes:
    for person, day in month.draw_people(month.rates.account, "bank_account"):
        yield _account(month, person, day)


def _others(month: Month) -> Changes:
    for _ in month.occurrences(month.rates.others):
        kind = month.rng.choice([*OTHERS])
        yield from _reported(month, kind, OTHERS[kind])


def _reported(month: Month, kind: str, value: Event) -> Changes:
    day = month.random_day()
    if person := month.draw_person(kind, day):
        time = month.report_time(day, 0, 5)
        yield month.settle(person, kind, [month.writer.created(person, kind, day, value, time)])


def _stay(month: Month, person: Person, day: date) -> list[Sent]:
    """Return the events of a hospital stay of some days: its begin, and its end or annulment."""
    time = month.report_time(day, 0, 3)
    value = {"institution": "合成县人民医院"}
    sent = [month.writer.created(person, "hospital_stay", day, value, time)]
    sent.append(_end_of_stay(month, person, day, time))
    return month.settle(person, "hospital_stay", sent)


def _end_of_stay(month: Month, person: Person, begin: date, reported_at: datetime) -> Sent:
    """Return the discharge, or the annulment of a stay that never happened."""
    home = begin + timedelta(days=1 + int(month.rng.random() * 25))
    later = max(month.report_time(home, 0, 3), reported_at + timedelta(hours=1))
    if month.rng.random() < 0.9:
        return month.writer.ended(person, "hospital_stay", home, later)
    return month.writer.annulled(person, "hospital_stay", later)


def _contact(month: Month) -> Event:
    """Return a contact with an invented phone number. The prefix 190 0000 is not assigned."""
    number = f"1900000{int(month.rng.random() * 10_000):04d}"
    return {
        "phone": number,
        "contacts": [{"name": "合成亲属", "relation": month.rng.choice(RELATIONS), "phone": number}],
    }


def _account(month: Month, person: Person, day: date) -> list[Sent]:
    value = {"account_no": _account_no(person), "bank": "合成农商银行", "holder_name": person.name}
    return right_report(month, person, "bank_account", day, value)


def _account_no(person: Person) -> str:
    return f"9900{person.serial:012d}"
