"""Is a completed visit to be believed? Facts in, verdict out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal, NamedTuple

Verdict = Literal["waiting", "verified", "disputed"]
Period = tuple[date, date | None]  # [from, to), None is open
NONE: frozenset[str] = frozenset()


class Minutes(NamedTuple):
    """How long a visit of this item lasts, from this day on."""

    item: str
    since: date
    duration_minutes_min: int
    duration_minutes_max: int


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit after check-out. `at`: when dispatch recorded the check-out; `…_on` are the civil dates of check-in,
    check-out and recording. `waived`: checks an officer dismissed. `human`: who answers for the person now. `reason`:
    why the visit was made, as far as dispatch said."""

    task_id: str
    person_id: str
    item: str
    division: str
    provider: str | None
    worker: str | None
    checked_in_at: datetime
    checked_out_at: datetime
    at: datetime
    visited_on: date
    ended_on: date
    recorded_on: date
    correlation_id: str | None = None
    verdict: Verdict = "waiting"
    blocks: frozenset[str] = NONE
    warnings: frozenset[str] = NONE
    waived: frozenset[str] = NONE
    human: str = ""
    reason: str | None = None
    outcome: str = "seen"

    @property
    def of(self) -> str:
        """Whose visit it is, whatever number the task was made under."""
        return self.human or self.person_id


@dataclass(frozen=True, slots=True)
class Known:
    """What decisions say of the person. `visiting`: the days with visiting care; `visiting_before`: the days with it
    until a newer decision took it away. Who visits in good faith on the day of the news does no wrong."""

    decided_at: datetime
    died_on: date | None = None
    visiting: Sequence[Period] = ()
    visiting_before: Sequence[Period] = ()


class Judged(NamedTuple):
    verdict: Verdict
    blocks: frozenset[str]
    warnings: frozenset[str]


def known_of(visit: Visit, known: Mapping[str, Known]) -> Known | None:
    """What decisions say of the human: a right under either number is a right, a death under the survivor's a death."""
    own, human = known.get(visit.person_id), known.get(visit.of)
    if own is None or human is None or visit.of == visit.person_id:
        return own or human
    return Known(
        max(own.decided_at, human.decided_at),
        human.died_on,
        (*own.visiting, *human.visiting),
        (*own.visiting_before, *human.visiting_before),
    )


def overlap(one: Visit, other: Visit) -> bool:
    """Both last for some time together; one that begins when the other ends does not overlap it."""
    return one.checked_in_at < other.checked_out_at and other.checked_in_at < one.checked_out_at


def covers(periods: Iterable[Period], day: date) -> bool:
    return any(start <= day and (end is None or day < end) for start, end in periods)


def decide_verdict(
    visit: Visit,
    known: Known | None,
    others: Sequence[Visit],
    minutes: Sequence[Minutes],
    wait: timedelta,
    now: datetime,
) -> Judged:
    """`others`: completed visits of the same worker or the same person. While the decision that explains the visit
    may still be under way the verdict is `waiting`, at most for `wait`."""
    dead_blocks, dead_warns = _dead(visit, known)
    blocks = dead_blocks | _overlapping(visit, others)
    entitled = _entitled(visit, known)
    conclusive = now - visit.at >= wait or (known is not None and known.decided_at >= visit.at)
    if not entitled and conclusive:
        blocks |= {"V12"}
    warnings = dead_warns | _duration(visit, minutes) | _back_filled(visit)
    if blocks - visit.waived:
        verdict: Verdict = "disputed"
    elif entitled or "V12" in blocks:  # a V12 that an officer waived
        verdict = "verified"
    else:
        verdict = "waiting"
    return Judged(verdict, blocks, warnings)


def _dead(visit: Visit, known: Known | None) -> tuple[frozenset[str], frozenset[str]]:
    """V01. The day of death itself only warns: the visitor may have found the person dead. A check of a suspected death
    that did not see the person agrees with the death."""
    if known is None or known.died_on is None or known.died_on > visit.visited_on:
        return NONE, NONE
    if visit.reason == "suspicion" and visit.outcome != "seen":
        return NONE, NONE
    found = frozenset({"V01"})
    return (found, NONE) if known.died_on < visit.visited_on else (NONE, found)


def _overlapping(visit: Visit, others: Sequence[Visit]) -> frozenset[str]:
    """V03 and V05. Which of the two visits is false is not known here: both are disputed."""
    found = set()
    for other in others:
        if other.task_id == visit.task_id or not overlap(visit, other):
            continue
        if visit.worker and (visit.provider, visit.worker) == (other.provider, other.worker):
            found.add("V03")
        if (visit.of, visit.item) == (other.of, other.item):
            found.add("V05")
    return frozenset(found)


def _entitled(visit: Visit, known: Known | None) -> bool:
    """V12. Only visiting care is known here; orders of other items are judged by those who hold them. A check of a
    suspected death needs no entitlement: the platform ordered it."""
    if visit.item != "visiting_care" or visit.reason == "suspicion":
        return True
    return known is not None and covers((*known.visiting, *known.visiting_before), visit.visited_on)


def _duration(visit: Visit, minutes: Sequence[Minutes]) -> frozenset[str]:
    """V06."""
    rules = [m for m in minutes if m.item == visit.item and m.since <= visit.visited_on]
    if not rules:
        return NONE
    rule = max(rules, key=lambda m: m.since)
    lasted = visit.checked_out_at - visit.checked_in_at
    fits = timedelta(minutes=rule.duration_minutes_min) <= lasted <= timedelta(minutes=rule.duration_minutes_max)
    return NONE if fits else frozenset({"V06"})


def _back_filled(visit: Visit) -> frozenset[str]:
    """V09: recorded on a later day than the service."""
    return frozenset({"V09"}) if visit.recorded_on > visit.ended_on else NONE
