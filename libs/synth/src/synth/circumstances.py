"""Draw the month's changes of disability certificates, living situations and special families."""

from datetime import date

from synth.cloud_events import Sent, disability_value, living_value
from synth.month import Changes, Month, ending, phantom, report
from synth.population import draw_disability, draw_tags
from synth.truth import Person, present

KIND = "disability"
_SPECIAL = ("dead", "disabled")  # the only child of a special family


def _certified(person: Person) -> bool:
    return present(person.disability) is not None


def _uncertified(person: Person) -> bool:
    return not _certified(person)


def certificates(month: Month) -> Changes:
    """Yield the events of new certificates, of other levels after a review, and of certificates that end."""
    for _ in month.occurrences(month.rates.certificate):
        day, chance = month.random_day(), month.rng.random()
        if person := month.draw_person(KIND, day, _certified if chance < 0.35 else _uncertified):
            change = _ended_certificate if chance < 0.15 else _new_certificate
            yield change(month, person, day)


def _ended_certificate(month: Month, person: Person, day: date) -> list[Sent]:
    if month.is_wrong():
        return _ended_in_error(month, person, day)
    person.set_disability(day, None)
    return ending(month, person, KIND, day)


def _ended_in_error(month: Month, person: Person, day: date) -> list[Sent]:
    """Return a wrong end of the certificate, and its correction weeks later: the certificate was valid all the time."""
    since, disability = person.disability[-1]
    assert disability is not None, "only a valid certificate is ended"
    time = month.report_time(day)
    sent = [month.writer.ended(person, KIND, day, time)]
    value = disability_value(person, disability)
    sent.append(month.writer.corrected(person, KIND, since, value, month.review_time(time)))
    return month.settle(person, KIND, sent)


def _new_certificate(month: Month, person: Person, day: date) -> list[Sent]:
    new, other = draw_disability(month.rng), draw_disability(month.rng)
    value = disability_value(person, new)
    if month.is_phantom():
        return phantom(month, person, KIND, day, value)
    person.set_disability(day, new)
    return report(month, person, KIND, day, value, disability_value(person, other))


def living(month: Month) -> Changes:
    """Yield the results of checks by village workers how a person lives. A result replaces the person's earlier one."""
    for person, day in month.draw_people(month.rates.living, "living_situation"):
        tags, other = draw_tags(month.rng, person), draw_tags(month.rng, person)
        person.set_tags(day, tags)
        right, wrong = living_value(tags, day), living_value(other, day)
        yield report(month, person, "living_situation", day, right, wrong)


def special_families(month: Month) -> Changes:
    for person, day in month.draw_people(month.rates.special, "special_family", lambda p: not p.special):
        child, other = _SPECIAL if month.rng.random() < 0.7 else reversed(_SPECIAL)
        person.special = ((day, child),)
        yield report(month, person, "special_family", day, {"only_child": child}, {"only_child": other})
