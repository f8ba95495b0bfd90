"""Conclude from facts whether a person's death is confirmed, suspected, or neither."""

from collections.abc import Sequence
from datetime import date
from typing import NamedTuple

from common.events.facts import Death

from rules.facts.timeline import FAR_PAST, Fact

_Report = tuple[date, str]  # day, event id


class Deceased(NamedTuple):
    """A confirmed death on the day `on`. `event_ids`: its reports, except those with the evidence `reported`.

    `contradicted_by`: event ids of signs of life after that day. The death still counts, but an official must check
    them.
    """

    on: date
    event_ids: tuple[str, ...]
    contradicted_by: tuple[str, ...] = ()


class Suspected(NamedTuple):
    """An unconfirmed death that no later sign of life has cleared. `on`: the day of the first open report."""

    on: date
    event_ids: tuple[str, ...]


def death_of(facts: Sequence[Fact]) -> Deceased | Suspected | None:
    """Return a confirmed death, a suspicion that no sign of life has cleared, or None.

    The cancelled registration of the police confirms alone. Cremation and medical certificate confirm together. The day
    is that of the medical certificate if there is one, because the other two copy it from there; else that of the
    register. Of several, the earliest day counts. A sign of life on or after the day of an unconfirmed report clears
    that report.
    """
    deaths = [f for f in facts if f.kind == "death"]
    if not deaths:
        return None
    reports: dict[str, list[_Report]] = {}
    for f in deaths:
        assert isinstance(f.value, Death)
        reports.setdefault(f.value.evidence, []).append(_report(f))
    alive = [_report(f) for f in facts if f.kind == "alive"]
    return _confirmed(reports, alive) or _suspected(reports, alive)


def _report(fact: Fact) -> _Report:
    return fact.valid_from or FAR_PAST, fact.event_id


def _confirmed(reports: dict[str, list[_Report]], alive: Sequence[_Report]) -> Deceased | None:
    certificates = reports.get("medical_certificate", [])
    cremations = reports.get("cremation", [])
    cancelled = reports.get("register_cancelled", [])
    if not cancelled and not (certificates and cremations):
        return None
    on = min(certificates or cancelled)[0]
    proofs = sorted([*certificates, *cremations, *cancelled])
    contradictions = tuple(event_id for day, event_id in alive if day > on)
    return Deceased(on, tuple(event_id for _, event_id in proofs), contradictions)


def _suspected(reports: dict[str, list[_Report]], alive: Sequence[_Report]) -> Suspected | None:
    last_seen = max((day for day, _ in alive), default=FAR_PAST)
    every = [report for of_evidence in reports.values() for report in of_evidence]
    open_ = sorted(report for report in every if report[0] > last_seen)
    return Suspected(open_[0][0], tuple(event_id for _, event_id in open_)) if open_ else None
