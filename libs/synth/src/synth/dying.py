"""Deaths, told late and by several offices, and people reported dead who are not."""

from datetime import date, datetime, timedelta

from synth import demography as demo
from synth.month import Change, Month
from synth.scribe import DEATH_OFFICES, Sent
from synth.world import DeathNews, Person

# Which offices tell a death, and how often of a hundred. Nobody tells some deaths in time; a few are
# never confirmed.
TOLD_BY = (
    (("register_cancelled",), 34),
    (("reported", "register_cancelled"), 16),
    (("medical_certificate", "cremation", "register_cancelled"), 22),
    (("medical_certificate", "cremation"), 12),
    (("reported", "medical_certificate", "register_cancelled"), 10),
    (("reported",), 3),
    (("cremation",), 3),
)
LATE_BY = {
    "reported": (0, 6),
    "medical_certificate": (0, 12),
    "cremation": (2, 25),
    "register_cancelled": (5, 110),
}
# Neighbours do not know the day as the doctor does.
REPORTED_ON_ANOTHER_DAY = 0.2
_MIX = tuple((i, weight) for i, (_, weight) in enumerate(TOLD_BY))


def deaths(month: Month) -> Change:
    """Who dies this month, by age; the first to be drawn, so that nothing else happens to them afterwards."""
    for person in month.county.people:
        if not person.lives(month.start):
            continue
        if demo.dies_this_month(month.rng, person.birth_date, month.start, month.rates.deaths_times):
            day = month.some_day()
            if month.open_to(person, "death", day) and not _busy(person, day):
                yield die(month, person, day, TOLD_BY[demo.weighted(month.rng, _MIX)][0])


def _busy(person: Person, day: date) -> bool:
    """Whether something of this person is still to be told after that day."""
    return any(settled >= day for settled in person.settled.values())


def die(month: Month, person: Person, day: date, evidences: tuple[str, ...]) -> list[Sent]:
    """Somebody dies; each office tells it in its own time."""
    person.died_really = day
    sent = []
    for evidence in evidences:
        said = day
        if evidence == "reported" and month.rng.random() < REPORTED_ON_ANOTHER_DAY:
            said = day + timedelta(days=1 + int(month.rng.random() * 2))
        sent.append(_news(month, person, said, evidence, month.told(said, *LATE_BY[evidence])))
        person.deaths = (*person.deaths, DeathNews(said, evidence))
    return month.settle(person, "death", sent)


def _news(month: Month, person: Person, day: date, evidence: str, time: datetime) -> Sent:
    value = {"evidence": evidence}
    return month.scribe.created(person, "death", day, value, time, DEATH_OFFICES[evidence])


def false_deaths(month: Month) -> Change:
    """Somebody alive is told to be dead: seen alive, taken back by the office, or left open for a while."""
    for _ in month.often(month.rates.false_death):
        day = month.some_day()
        person = month.someone("death", day)
        if not person:
            continue
        chance = month.rng.random()
        evidence = "register_cancelled" if chance < 0.45 else "reported"
        time = month.told(day, *LATE_BY[evidence])
        sent = [_news(month, person, day, evidence, time)]
        office = DEATH_OFFICES[evidence]
        if chance < 0.7:
            sent.append(month.scribe.annulled(person, "death", month.told(time.date(), 3, 60), office))
        else:
            person.deaths = (*person.deaths, DeathNews(day, evidence))
            if chance < 0.95:
                sent.append(_seen(month, person, month.told(time.date(), 1, 20)))
        yield month.settle(person, "death", sent)


def _seen(month: Month, person: Person, time: datetime) -> Sent:
    method = month.rng.choice(("visit", "remote_check", "counter"))
    person.seen_alive = (*person.seen_alive, time.date())
    return month.scribe.created(person, "alive", time.date(), {"method": method}, time)
