"""What is told beside the registers, in small numbers: incidents, stays in hospital, contacts, accounts and the like.

None of it changes what the lists of this repository give, so `County.truth` says nothing of it. It is drawn by a chance
and written by a scribe of its own, so that everything else stays as its seed makes it.
"""

from datetime import timedelta

from synth.month import Change, Month
from synth.scribe import Event, Sent
from synth.world import Person

INCIDENTS = ("fall", "fall", "fall", "lost", "choking", "other")
RELATIONS = ("女儿", "儿子", "邻居")


def beside(month: Month) -> Change:
    for _ in month.often(month.rates.incident):
        yield from _told(month, "risk_incident", {"incident": month.rng.choice(INCIDENTS)})
    for _ in month.often(month.rates.hospital):
        yield from _stay(month)
    for _ in month.often(month.rates.contact):
        yield from _told(month, "contact", _contact(month))
    for _ in month.often(month.rates.account):
        yield from _account(month)
    for _ in month.often(month.rates.others):
        kind = month.rng.choice([*OTHERS])
        yield from _told(month, kind, OTHERS[kind])


# What exists and changes nobody's rights.
OTHERS: dict[str, Event] = {
    "merit": {"merit": "veteran"},
    "benefit_elsewhere": {"benefit": "long_term_care_insurance"},
    "application": {"item": "longevity_allowance", "wish": "apply", "channel": "counter"},
    "ability_result": {"scale": "ltc", "scale_version": "2021", "code": "2", "document_no": "LTC-2026-1"},
}


def _told(month: Month, kind: str, value: Event) -> Change:
    day = month.some_day()
    if person := month.someone(kind, day):
        yield month.settle(person, kind, [month.scribe.created(person, kind, day, value, month.told(day, 0, 5))])


def _stay(month: Month) -> Change:
    """Some weeks in hospital; now and then a stay that never was."""
    day = month.some_day()
    person = month.someone("hospital_stay", day)
    if not person:
        return
    time = month.told(day, 0, 3)
    sent: list[Sent] = [month.scribe.created(person, "hospital_stay", day, {"institution": "合成县人民医院"}, time)]
    home = day + timedelta(days=1 + int(month.rng.random() * 25))
    later = max(month.told(home, 0, 3), time + timedelta(hours=1))
    if month.rng.random() < 0.9:
        sent.append(month.scribe.ended(person, "hospital_stay", home, later))
    else:
        sent.append(month.scribe.annulled(person, "hospital_stay", later))
    yield month.settle(person, "hospital_stay", sent)


def _contact(month: Month) -> Event:
    """Numbers that nobody has: there is no 190 0000."""
    number = f"1900000{int(month.rng.random() * 10_000):04d}"
    return {
        "phone": number,
        "contacts": [{"name": "合成亲属", "relation": month.rng.choice(RELATIONS), "phone": number}],
    }


def _account(month: Month) -> Change:
    day = month.some_day()
    if person := month.someone("bank_account", day):
        value = {"account_no": _number(person), "bank": "合成农商银行", "holder_name": person.name}
        yield month.settle(
            person, "bank_account", [month.scribe.created(person, "bank_account", day, value, month.told(day))]
        )


def _number(person: Person) -> str:
    return f"9900{person.serial:012d}"
