"""Decide the verdict about a completed visit by the checks V01 to V12 of `contracts/checks.yaml`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final, Literal, NamedTuple

from supervision.domain.alerts import Circumstance, Severities, Severity

Verdict = Literal["waiting", "verified", "disputed"]
Period = tuple[date, date | None]  # [from, to), None is open
NONE: Final[frozenset[str]] = frozenset()
FoundCheck = tuple[str, Circumstance | None]  # a check with a finding, and the circumstance that decides its severity


class DurationRule(NamedTuple):
    """The permitted duration of a visit for this item, from this day on."""

    item: str
    since: date
    duration_minutes_min: int
    duration_minutes_max: int


class VisitRules(NamedTuple):
    """The data of the checks. `wait`: how long a visit waits for the decision that explains it."""

    durations: Sequence[DurationRule]
    wait: timedelta
    severities: Severities


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit after check-out. `at`: when dispatch recorded the check-out. `…_on`: the civil dates of check-in,
    check-out and recording. `waived`: checks that an officer dismissed. `judgements`: how often a judgement was stored.
    `survivor_id`: the identity that represents the person now. `reason`: why the visit was made, if known."""

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
    judgements: int = 0
    survivor_id: str = ""
    reason: str | None = None
    outcome: str = "seen"

    @property
    def present_id(self) -> str:
        """The person of the visit, whatever identity the task was made for."""
        return self.survivor_id or self.person_id


@dataclass(frozen=True, slots=True)
class Decision:
    """The newest decision about a person. `visiting`: the days with visiting care. `visiting_before`: the days with it
    until a newer decision ended it; a visit on the day of that decision is still in good faith."""

    decided_at: datetime
    died_on: date | None = None
    visiting: Sequence[Period] = ()
    visiting_before: Sequence[Period] = ()


class Judgement(NamedTuple):
    """The verdict about a visit. `blocks`, `warnings`: ids of the checks with a finding. Only blocks dispute it.

    `blocks` has no check that an officer dismissed.
    """

    verdict: Verdict
    blocks: frozenset[str]
    warnings: frozenset[str]


def decision_for(visit: Visit, decisions: Mapping[str, Decision]) -> Decision | None:
    """Combine the decisions about the two identities of a visit: visiting care of either, the death of the survivor.

    `decisions`: by person id. A single known decision is returned unchanged; None if no decision is known.
    """
    own, survivor = decisions.get(visit.person_id), decisions.get(visit.present_id)
    if own is None or survivor is None or visit.present_id == visit.person_id:
        return own or survivor
    return Decision(
        max(own.decided_at, survivor.decided_at),
        survivor.died_on,
        (*own.visiting, *survivor.visiting),
        (*own.visiting_before, *survivor.visiting_before),
    )


def overlap(one: Visit, other: Visit) -> bool:
    """Whether two visits overlap in time. A visit that begins when the other ends does not overlap it."""
    return one.checked_in_at < other.checked_out_at and other.checked_in_at < one.checked_out_at


def covers(periods: Iterable[Period], day: date) -> bool:
    return any(start <= day and (end is None or day < end) for start, end in periods)


def decide_verdict(
    visit: Visit, decision: Decision | None, others: Sequence[Visit], rules: VisitRules, now: datetime
) -> Judgement:
    """Check a completed visit and decide its verdict. `others`: completed visits of the same worker or person.

    The verdict is `waiting` while the decision that explains the visit may still arrive, at most for `rules.wait`.
    """
    found = _overlapping(visit, others) | _duration(visit, rules.durations) | _recorded_late(visit)
    entitled = _entitled(visit, decision)
    unentitled = not entitled and _decision_complete(visit, decision, rules.wait, now)
    if unentitled:
        found |= {"V12"}
    findings = _after_death(visit, decision) | {(check, None) for check in found}
    blocks = _with_severity("block", findings, rules.severities) - visit.waived
    warnings = _with_severity("warn", findings, rules.severities)
    return Judgement(_verdict(blocks, explained=entitled or unentitled), blocks, warnings)


def _with_severity(severity: Severity, findings: Iterable[FoundCheck], severities: Severities) -> frozenset[str]:
    """Return the checks of the findings that have this severity."""
    found = set()
    for check, circumstance in findings:
        usual = severities[check, None]
        if severities.get((check, circumstance), usual) == severity:
            found.add(check)
    return frozenset(found)


def _decision_complete(visit: Visit, decision: Decision | None, wait: timedelta, now: datetime) -> bool:
    """Whether every decision made before the check-out has arrived. After `wait` this is assumed."""
    return now - visit.at >= wait or (decision is not None and decision.decided_at >= visit.at)


def _verdict(blocks: frozenset[str], *, explained: bool) -> Verdict:
    """`explained`: an entitlement explains the visit, or V12 was found and does not dispute it."""
    if blocks:
        return "disputed"
    return "verified" if explained else "waiting"


def _after_death(visit: Visit, decision: Decision | None) -> frozenset[FoundCheck]:
    """Return V01 (service after death). The day of death is a circumstance, because the visitor may have found the
    person dead. A check of a suspected death that did not see the person agrees with the death."""
    if decision is None or decision.died_on is None or decision.died_on > visit.visited_on:
        return frozenset()
    if visit.reason == "suspicion" and visit.outcome != "seen":
        return frozenset()
    return frozenset({("V01", "day_of_death" if decision.died_on == visit.visited_on else None)})


def _overlapping(visit: Visit, others: Sequence[Visit]) -> frozenset[str]:
    """Return V03 (same worker) and V05 (same person and item) for visits that overlap another one. Either visit may be
    false, so both are disputed."""
    found = set()
    for other in others:
        if other.task_id == visit.task_id or not overlap(visit, other):
            continue
        if visit.worker and (visit.provider, visit.worker) == (other.provider, other.worker):
            found.add("V03")
        if (visit.present_id, visit.item) == (other.present_id, other.item):
            found.add("V05")
    return frozenset(found)


def _entitled(visit: Visit, decision: Decision | None) -> bool:
    """Whether the person was entitled to the visit (check V12). Other items than visiting care count as entitled,
    because supervision does not know their entitlements. A check of a suspected death needs no entitlement."""
    if visit.item != "visiting_care" or visit.reason == "suspicion":
        return True
    return decision is not None and covers((*decision.visiting, *decision.visiting_before), visit.visited_on)


def _duration(visit: Visit, rules: Sequence[DurationRule]) -> frozenset[str]:
    """Return V06 if the visit was shorter or longer than the rule in force permits."""
    in_force = [rule for rule in rules if rule.item == visit.item and rule.since <= visit.visited_on]
    if not in_force:
        return NONE
    rule = max(in_force, key=lambda r: r.since)
    lasted = visit.checked_out_at - visit.checked_in_at
    fits = timedelta(minutes=rule.duration_minutes_min) <= lasted <= timedelta(minutes=rule.duration_minutes_max)
    return NONE if fits else frozenset({"V06"})


def _recorded_late(visit: Visit) -> frozenset[str]:
    """Return V09 if the visit was recorded on a later day than the service."""
    return frozenset({"V09"}) if visit.recorded_on > visit.ended_on else NONE
