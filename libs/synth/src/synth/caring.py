"""Disability certificates, living situations, special families."""

from datetime import date

from synth import scribe as say
from synth.founding import draw_disability, draw_tags
from synth.month import Change, Month, ending, phantom, report
from synth.scribe import Sent
from synth.world import Person


def _certified(person: Person) -> bool:
    return bool(person.disability and person.disability[-1][1])


def _uncertified(person: Person) -> bool:
    return not _certified(person)


def certificates(month: Month) -> Change:
    """New certificates, other levels after a review, certificates that end."""
    for _ in month.often(month.rates.certificate):
        day = month.some_day()
        wants = month.rng.random()
        fits = _certified if wants < 0.35 else _uncertified
        person = month.someone("disability", day, fits)
        if not person:
            continue
        if wants < 0.15 and month.wrongly():
            yield _ended_in_error(month, person, day)
            continue
        if wants < 0.15:
            person.disability = (*person.disability, (day, None))
            yield ending(month, person, "disability", day)
            continue
        new, other = draw_disability(month.rng), draw_disability(month.rng)
        value, wrong = say.disability_value(person, new), say.disability_value(person, other)
        if month.rng.random() * 1000 < month.rates.phantom:
            yield phantom(month, person, "disability", day, value)
            continue
        person.disability = (*person.disability, (day, new))
        yield report(month, person, "disability", day, value, wrong)


def _ended_in_error(month: Month, person: Person, day: date) -> list[Sent]:
    """The certificate is closed and, weeks later, found to have held all the time."""
    since, held = person.disability[-1]
    assert held is not None, "only a certificate that holds is closed"
    time = month.told(day)
    value = say.disability_value(person, held)
    sent = [month.scribe.ended(person, "disability", day, time)]
    sent.append(month.scribe.corrected(person, "disability", since, value, month.told(time.date(), 2, 40)))
    return month.settle(person, "disability", sent)


def living(month: Month) -> Change:
    """Somebody of the village looks how a person lives; what is found replaces what was found before."""
    for _ in month.often(month.rates.living):
        day = month.some_day()
        if not (person := month.someone("living_situation", day)):
            continue
        tags, other = draw_tags(month.rng, person), draw_tags(month.rng, person)
        person.tags = (*person.tags, (day, tags))
        right, wrong = say.living_value(tags, day), say.living_value(other, day)
        yield report(month, person, "living_situation", day, right, wrong)


def special_families(month: Month) -> Change:
    for _ in month.often(month.rates.special):
        day = month.some_day()
        person = month.someone("special_family", day, lambda p: not p.special)
        if not person:
            continue
        what, other = ("dead", "disabled") if month.rng.random() < 0.7 else ("disabled", "dead")
        person.special = ((day, what),)
        yield report(month, person, "special_family", day, {"only_child": what}, {"only_child": other})
