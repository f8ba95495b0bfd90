"""What of a person's decisions matters to visits: when they are granted, and what happens beside the routine. Pure.

Every incident and every end of a hospital stay is answered once: `Part.met` holds the marks of those that were. A mark
names the place too, so that a visitor goes there after a move. The same holds for living tags that grow old (`ageing`)
and for the terms of an open hospital stay (`hospital`).
"""

from collections.abc import Collection, Sequence
from datetime import date, timedelta
from hashlib import blake2b
from typing import Final, Literal, NamedTuple

import msgspec
from common.codes.divisions import NATION
from common.events import Entitlement, EntitlementsDecided
from common.events.entitlement import Circumstances
from common.events.visit import VisitMeans
from rules.scales.visits import VISIT_ITEMS, Stretch, VisitRules

from dispatch.domain.ageing import Tags

MET_MAX: Final = 100
_encode = msgspec.json.Encoder().encode
ExtraReason = Literal["incident", "discharge", "reverify", "stay"]
_REVERIFY: Final = "reverify:"
_STAY: Final = "stay:"
_HINT: Final = "hint:"
_NOTHING_BESIDE: Final = Circumstances()


class Stay(msgspec.Struct, frozen=True, array_like=True):
    """In hospital over [`from_`, `to`); None: since long, or still."""

    event_id: str
    from_: date | None
    to: date | None

    def holds_on(self, day: date) -> bool:
        return (self.from_ is None or self.from_ <= day) and (self.to is None or day < self.to)


class Incident(msgspec.Struct, frozen=True, array_like=True):
    event_id: str
    on: date


class Part(msgspec.Struct, frozen=True, array_like=True):
    """What of a person's decisions matters to visits, for one item, and what was done about it (`met`). `aliases`:
    other identities of the same human, whose visits are this one's. `place`: the division in which a suspected death
    is to be checked, None without a suspicion. `hinted_stays` and `hinted_incidents` come from sources that do not
    belong to the person: they pause no visit, but a call may take the place of a visit."""

    stretches: tuple[Stretch, ...] = ()
    died_on: date | None = None
    suspected_on: date | None = None
    merged: bool = False
    aliases: tuple[str, ...] = ()
    stays: tuple[Stay, ...] = ()
    incidents: tuple[Incident, ...] = ()
    met: tuple[str, ...] = ()
    tags: tuple[Tags, ...] = ()
    place: str | None = None
    hinted_stays: tuple[Stay, ...] = ()
    hinted_incidents: tuple[Incident, ...] = ()

    def in_hospital(self, day: date) -> bool:
        return any(stay.holds_on(day) for stay in self.stays)

    def means_on(self, day: date) -> VisitMeans:
        """How a routine visit of a day is made: by call while a hint says that the person is in hospital."""
        return "call" if any(stay.holds_on(day) for stay in self.hinted_stays) else "visit"

    def next_turn(self, day: date) -> date | None:
        """The first day after `day` on which a stay, certain or hinted, begins or ends."""
        stays = (*self.stays, *self.hinted_stays)
        return min((d for s in stays for d in (s.from_, s.to) if d is not None and d > day), default=None)


class Extra(NamedTuple):
    """A visit beside the routine, for all of `marks`."""

    reason: ExtraReason
    marks: tuple[str, ...]
    days: int
    by: VisitMeans = "visit"


def visiting_part(decided: EntitlementsDecided, item: str) -> Part:
    told = decided.circumstances or _NOTHING_BESIDE
    return Part(
        stretches=tuple(_stretch(e) for e in decided.entitlements if e.item == item and e.state == "granted"),
        died_on=decided.died_on,
        suspected_on=decided.death_suspected_on,
        merged=decided.merged_into is not None,
        aliases=decided.aliases,
        stays=tuple(Stay(s.event_id, s.from_, s.to) for s in told.in_hospital if not s.hint),
        incidents=tuple(Incident(i.event_id, i.on) for i in told.incidents if not i.hint),
        tags=tuple(Tags(t.verified_on, t.from_, t.to) for t in told.living_tags),
        place=place_of_check(decided) if to_be_checked(decided) else None,
        hinted_stays=tuple(Stay(s.event_id, s.from_, s.to) for s in told.in_hospital if s.hint),
        hinted_incidents=tuple(Incident(i.event_id, i.on) for i in told.incidents if i.hint),
    )


def to_be_checked(decided: EntitlementsDecided) -> bool:
    """Whether a suspected death is to be checked under this identity; after a merge the survivor is checked."""
    return decided.death_suspected_on is not None and decided.died_on is None and decided.merged_into is None


def place_of_check(decided: EntitlementsDecided) -> str:
    """The residence, else the hukou, else an area that entitles the person (for visits, if one does); the nation for a
    person of whom no place is known."""
    if place := decided.residence or decided.hukou:
        return place
    newest = max(decided.entitlements, key=lambda e: (e.item in VISIT_ITEMS, e.from_), default=None)
    return newest.division or newest.jurisdiction if newest else NATION


def _stretch(e: Entitlement) -> Stretch:
    division = e.division or e.jurisdiction
    return Stretch(e.entitlement_id, e.from_, e.to, division, e.tier, e.interval_days, e.reverify_months)


def visiting_digest(decided: EntitlementsDecided) -> int:
    """A number that stays the same while nothing changes for visits. It is 0 for a person who was never to be visited
    and of whom no death is suspected."""
    granted = [e for e in decided.entitlements if e.item in VISIT_ITEMS and e.state == "granted"]
    suspected = to_be_checked(decided)
    if not granted and not decided.aliases and not suspected:
        return 0
    parts: list[object] = [decided.died_on, decided.death_suspected_on, decided.merged_into is not None]
    if suspected:
        parts.append(place_of_check(decided))
    parts += decided.aliases
    for e in granted:
        parts += (e.item, e.entitlement_id, e.from_, e.to, e.division, e.tier, e.interval_days, e.reverify_months)
    if decided.circumstances is not None:
        parts.append(decided.circumstances)
    return int.from_bytes(blake2b(_encode(parts), digest_size=8).digest(), "big", signed=True) or 1


def extras(part: Part, division: str, today: date, rules: VisitRules) -> list[Extra]:
    """The visits that recent incidents and ended stays still ask for. A hinted incident asks for a call, and for a
    visit once it is certain. The end of a hinted stay asks for nothing, since the routine went on."""
    since = today - timedelta(days=rules.news_days_max)
    happened = [i.event_id for i in part.incidents if since < i.on <= today]
    ended = [s.event_id for s in part.stays if s.to is not None and since < s.to <= today]
    wanted: list[tuple[ExtraReason, list[str], int]] = [
        ("incident", happened, rules.incident_visit_days),
        ("discharge", ended, rules.discharge_visit_days),
    ]
    found = []
    for reason, event_ids, days in wanted:
        marks = tuple(m for m in (f"{e}@{division}" for e in event_ids) if m not in part.met)
        if marks:
            found.append(Extra(reason, marks, days))
    hinted = tuple(
        mark
        for i in part.hinted_incidents
        if since < i.on <= today
        and (mark := f"{_HINT}{i.event_id}@{division}") not in part.met
        and mark.removeprefix(_HINT) not in part.met
    )
    if hinted:
        found.append(Extra("incident", hinted, rules.incident_visit_days, by="call"))
    return found


def with_met(part: Part, marks: Sequence[str]) -> Part:
    return msgspec.structs.replace(part, met=(*part.met, *marks)[-MET_MAX:])


def reverify_mark(old_since: date, division: str) -> str:
    """The mark of tags that grew old on a day, for those who live in a place."""
    return f"{_REVERIFY}{old_since}@{division}"


def stay_mark(term_on: date, division: str) -> str:
    """The mark of a question about an open stay, for the term that began on a day and a place."""
    return f"{_STAY}{term_on}@{division}"


def forgetting(part: Part, reasons: Collection[str]) -> Part:
    """The marks without those of cancelled visits with these reasons, so that the visits are made later."""
    others = bool(set(reasons) - {"reverify", "stay", "suspicion"})
    forgotten = {_REVERIFY: "reverify" in reasons, _STAY: "stay" in reasons}
    kept = tuple(m for m in part.met if not forgotten.get(m[: m.find(":") + 1], others))
    return part if kept == part.met else msgspec.structs.replace(part, met=kept)
