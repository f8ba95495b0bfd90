"""Read from a decision the facts that matter to visits, and mark the facts that already led to a visit.

Each incident, each discharge, each term of old living tags and each term of an open hospital stay leads to one visit.
A mark is the text key of one such fact; `VisitFacts.handled` holds the marks of handled facts. A mark contains the
division, so that a new visit follows after a move.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import date
from hashlib import blake2b
from typing import Final

import msgspec
from common.codes.divisions import NATION
from common.events import Entitlement, EntitlementsDecided
from common.events.entitlement import Circumstances
from common.events.visit import VisitMeans
from rules.scales.visits import VISIT_ITEMS, Stretch

MARKS_MAX: Final = 100
HINT: Final = "hint:"
_REVERIFY: Final = "reverify:"
_STAY: Final = "stay:"
_NO_CIRCUMSTANCES: Final = Circumstances()
_encode = msgspec.json.Encoder().encode


class Stay(msgspec.Struct, frozen=True, array_like=True):
    """A hospital stay over [`from_`, `to`). None: the beginning is unknown, or the stay is open."""

    event_id: str
    from_: date | None
    to: date | None

    def covers(self, day: date) -> bool:
        return _covers(self.from_, self.to, day)


class Incident(msgspec.Struct, frozen=True, array_like=True):
    """A risk incident (such as a fall) on one day."""

    event_id: str
    on: date


class LivingTags(msgspec.Struct, frozen=True, array_like=True):
    """The period [`from_`, `to`) in which a person has living tags, and the day of their last verification.

    None: the beginning is unknown, or the period is open.
    """

    verified_on: date
    from_: date | None
    to: date | None

    def covers(self, day: date) -> bool:
        return _covers(self.from_, self.to, day)


class VisitFacts(msgspec.Struct, frozen=True, array_like=True):
    """The facts behind a plan of one item. The stored form is a JSON array: append new fields at the end.

    `aliases`: other identities of the same human; a visit to one of them counts for all. `handled`: marks of the facts
    that led to a visit. `check_division`: place of the check of a suspected death, None without a suspicion.
    `hinted_stays` and `hinted_incidents` come from sources that are not responsible for the person. They pause no
    visit, but a call may take the place of a visit. `survivor`: the surviving identity whose decision names this person
    as an alias; None after the person's own next decision, or after a survivor's decision without this alias.
    """

    stretches: tuple[Stretch, ...] = ()
    died_on: date | None = None
    suspected_on: date | None = None
    merged: bool = False
    aliases: tuple[str, ...] = ()
    stays: tuple[Stay, ...] = ()
    incidents: tuple[Incident, ...] = ()
    handled: tuple[str, ...] = ()
    tags: tuple[LivingTags, ...] = ()
    check_division: str | None = None
    hinted_stays: tuple[Stay, ...] = ()
    hinted_incidents: tuple[Incident, ...] = ()
    survivor: str | None = None

    @property
    def is_merged(self) -> bool:
        """Whether the person was merged into another one, by the own decision or by the survivor's."""
        return self.merged or self.survivor is not None

    def in_hospital(self, day: date) -> bool:
        return any(stay.covers(day) for stay in self.stays)

    def means_on(self, day: date) -> VisitMeans:
        """The means of a routine visit on a day: a call while a hint reports a hospital stay."""
        return "call" if any(stay.covers(day) for stay in self.hinted_stays) else "visit"

    def next_change(self, day: date) -> date | None:
        """The first day after `day` on which a stay, certain or hinted, begins or ends."""
        bounds = [bound for stay in (*self.stays, *self.hinted_stays) for bound in (stay.from_, stay.to)]
        return earliest(bound for bound in bounds if bound is not None and bound > day)


def earliest(days: Iterable[date | None]) -> date | None:
    """Return the first of the days, without regard to None; None if there is no day."""
    return min((day for day in days if day is not None), default=None)


def _covers(from_: date | None, to: date | None, day: date) -> bool:
    return (from_ is None or from_ <= day) and (to is None or day < to)


def facts_of(decided: EntitlementsDecided, item: str) -> VisitFacts:
    """Return the facts of a decision that matter to one visiting item. `handled` is empty."""
    found = decided.circumstances or _NO_CIRCUMSTANCES
    return VisitFacts(
        stretches=_stretches(decided, item),
        died_on=decided.died_on,
        suspected_on=decided.death_suspected_on,
        merged=decided.merged_into is not None,
        aliases=decided.aliases,
        stays=_stays(found, hint=False),
        incidents=_incidents(found, hint=False),
        tags=_living_tags(found),
        check_division=check_division(decided) if needs_death_check(decided) else None,
        hinted_stays=_stays(found, hint=True),
        hinted_incidents=_incidents(found, hint=True),
    )


def _stretches(decided: EntitlementsDecided, item: str) -> tuple[Stretch, ...]:
    return tuple(_stretch(entitlement) for entitlement in _granted(decided) if entitlement.item == item)


def _granted(decided: EntitlementsDecided) -> list[Entitlement]:
    """The granted visiting entitlements."""
    return [e for e in decided.entitlements if e.item in VISIT_ITEMS and e.state == "granted"]


def _stretch(e: Entitlement) -> Stretch:
    division = e.division or e.jurisdiction
    return Stretch(e.entitlement_id, e.from_, e.to, division, e.tier, e.interval_days, e.reverify_months)


def _living_tags(found: Circumstances) -> tuple[LivingTags, ...]:
    return tuple(LivingTags(tag.verified_on, tag.from_, tag.to) for tag in found.living_tags)


def _stays(found: Circumstances, *, hint: bool) -> tuple[Stay, ...]:
    return tuple(Stay(s.event_id, s.from_, s.to) for s in found.in_hospital if s.hint == hint)


def _incidents(found: Circumstances, *, hint: bool) -> tuple[Incident, ...]:
    return tuple(Incident(i.event_id, i.on) for i in found.incidents if i.hint == hint)


def needs_death_check(decided: EntitlementsDecided) -> bool:
    """Whether a suspected death is checked under this identity. After a merge the surviving identity is checked."""
    return decided.death_suspected_on is not None and decided.died_on is None and decided.merged_into is None


def check_division(decided: EntitlementsDecided) -> str:
    """Return the division in which a suspected death is checked.

    It is the residence, else the hukou, else the area of the newest entitlement (of a visiting one, if there is one).
    The nation stands for a person without any known place.
    """
    if known := decided.residence or decided.hukou:
        return known
    newest = max(decided.entitlements, key=lambda e: (e.item in VISIT_ITEMS, e.from_), default=None)
    return newest.division or newest.jurisdiction if newest else NATION


def visit_digest(decided: EntitlementsDecided) -> int:
    """Return a hash of the parts of a decision that matter to visits.

    It is 0 for a person without granted visits, without other identities and without a suspected death.
    """
    granted = _granted(decided)
    suspected = needs_death_check(decided)
    if not granted and not decided.aliases and not suspected:
        return 0
    parts: list[object] = [decided.died_on, decided.death_suspected_on, decided.merged_into is not None]
    if suspected:
        parts.append(check_division(decided))
    parts += decided.aliases
    for e in granted:
        parts += (e.item, e.entitlement_id, e.from_, e.to, e.division, e.tier, e.interval_days, e.reverify_months)
    if decided.circumstances is not None:
        parts.append(decided.circumstances)
    return _hash(parts)


def _hash(parts: list[object]) -> int:
    """Return a hash of the parts: a signed number of 64 bits, never 0."""
    return int.from_bytes(blake2b(_encode(parts), digest_size=8).digest(), "big", signed=True) or 1


def event_mark(event_id: str, division: str) -> str:
    """The mark of an incident or of a discharge."""
    return f"{event_id}@{division}"


def reverify_mark(old_since: date, division: str) -> str:
    """The mark of living tags that became old on a day."""
    return f"{_REVERIFY}{old_since}@{division}"


def stay_mark(term_began_on: date, division: str) -> str:
    """The mark of the question whether an open stay continues, for one term."""
    return f"{_STAY}{term_began_on}@{division}"


def with_handled(facts: VisitFacts, marks: Sequence[str]) -> VisitFacts:
    """Return the facts with more handled marks. Only the newest MARKS_MAX marks are kept."""
    return msgspec.structs.replace(facts, handled=(*facts.handled, *marks)[-MARKS_MAX:])


def without_handled(facts: VisitFacts, reasons: Collection[str]) -> VisitFacts:
    """Return the facts without all marks of visits with these reasons, so that such visits are planned again.

    Marks of incidents and of discharges look alike, so both are removed for one of them. Visits that were made are then
    planned again too.
    """
    others = bool(set(reasons) - {"reverify", "stay", "suspicion"})
    forgotten = {_REVERIFY: "reverify" in reasons, _STAY: "stay" in reasons}
    kept = tuple(mark for mark in facts.handled if not forgotten.get(mark[: mark.find(":") + 1], others))
    return facts if kept == facts.handled else msgspec.structs.replace(facts, handled=kept)
