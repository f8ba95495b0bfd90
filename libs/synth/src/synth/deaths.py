"""Draw the month's deaths, which several offices report late, and false reports of deaths."""

from datetime import date, datetime, timedelta
from typing import Final

from synth import demography as demo
from synth.cloud_events import DEATH_OFFICES, Sent
from synth.month import Changes, Month
from synth.truth import DeathReport, Person

# The reports of a death, with their share in percent. A few deaths are never confirmed.
REPORTS: Final = (
    (("register_cancelled",), 34),
    (("reported", "register_cancelled"), 16),
    (("medical_certificate", "cremation", "register_cancelled"), 22),
    (("medical_certificate", "cremation"), 12),
    (("reported", "medical_certificate", "register_cancelled"), 10),
    (("reported",), 3),
    (("cremation",), 3),
)
DELAY_DAYS: Final = {
    "reported": (0, 6),
    "medical_certificate": (0, 12),
    "cremation": (2, 25),
    "register_cancelled": (5, 110),
}
REPORTED_ON_ANOTHER_DAY: Final = 0.2
_MIX: Final = tuple((i, weight) for i, (_, weight) in enumerate(REPORTS))


def deaths(month: Month) -> Changes:
    """Yield the events of the month's deaths, by age. They are drawn first, so that nothing happens to these people
    after their death."""
    for person in month.county.people:
        if person.lives(month.start) and _dies(month, person):
            day = month.random_day()
            if month.may_change(person, "death", day) and not _has_later_report(person, day):
                yield die(month, person, day, REPORTS[demo.weighted(month.rng, _MIX)][0])


def _dies(month: Month, person: Person) -> bool:
    return demo.dies_this_month(month.rng, person.birth_date, month.start, month.rates.deaths_times)


def _has_later_report(person: Person, day: date) -> bool:
    return any(settled >= day for settled in person.settled.values())


def die(month: Month, person: Person, day: date, evidences: tuple[str, ...]) -> list[Sent]:
    """Let the person die on a day, and return the reports of the offices, each after its own delay."""
    person.died_on = day
    sent = []
    for evidence in evidences:
        reported_day = _reported_day(month, day, evidence)
        time = month.report_time(reported_day, *DELAY_DAYS[evidence])
        sent.append(_reported(month, person, reported_day, evidence, time))
        person.deaths = (*person.deaths, DeathReport(reported_day, evidence))
    return month.settle(person, "death", sent)


def _reported_day(month: Month, day: date, evidence: str) -> date:
    """Return the day of death in a report, which may be wrong if it comes from a neighbour (`reported`)."""
    if evidence == "reported" and month.rng.random() < REPORTED_ON_ANOTHER_DAY:
        return day + timedelta(days=1 + int(month.rng.random() * 2))
    return day


def _reported(month: Month, person: Person, day: date, evidence: str, time: datetime) -> Sent:
    value = {"evidence": evidence}
    return month.writer.created(person, "death", day, value, time, DEATH_OFFICES[evidence])


def false_deaths(month: Month) -> Changes:
    """Yield the events about living people who are reported dead."""
    for person, day in month.draw_people(month.rates.false_death, "death"):
        yield month.settle(person, "death", _false_death(month, person, day))


def _false_death(month: Month, person: Person, day: date) -> list[Sent]:
    """Return the events of a false report: the office annuls it, or the person is seen alive, or nothing follows."""
    chance = month.rng.random()
    evidence = "register_cancelled" if chance < 0.45 else "reported"
    time = month.report_time(day, *DELAY_DAYS[evidence])
    sent = [_reported(month, person, day, evidence, time)]
    if chance < 0.7:
        return [*sent, _annulled(month, person, evidence, time.date())]
    person.deaths = (*person.deaths, DeathReport(day, evidence))
    if chance < 0.95:
        sent.append(_seen_alive(month, person, month.report_time(time.date(), 1, 20)))
    return sent


def _annulled(month: Month, person: Person, evidence: str, reported_on: date) -> Sent:
    time = month.report_time(reported_on, 3, 60)
    return month.writer.annulled(person, "death", time, DEATH_OFFICES[evidence])


def _seen_alive(month: Month, person: Person, time: datetime) -> Sent:
    method = month.rng.choice(("visit", "remote_check", "counter"))
    person.seen_alive = (*person.seen_alive, time.date())
    return month.writer.created(person, "alive", time.date(), {"method": method}, time)
