"""Findings of supervision: verified and disputed visits, and alerts."""

from datetime import date
from typing import ClassVar

from common.events.base import Event


class _Finding(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "supervision.finding"

    person_id: str


class VisitVerified(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    """`judgement`: its number among the judgements of the visit. It makes equal verdicts different events."""

    task_id: str
    provider: str
    visited_on: date
    warnings: tuple[str, ...] = ()  # check ids, e.g. V06
    judgement: int = 0


class VisitDisputed(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    """`judgement`: as in `VisitVerified`."""

    task_id: str
    provider: str
    visited_on: date
    checks: tuple[str, ...]  # the checks that block, e.g. V01
    judgement: int = 0


class AlertRaised(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    alert_id: str
    check: str
    severity: str  # block | warn
    subject: str  # the task, entry or case the alert is about
    division: str | None = None
    other_division: str | None = None  # the second area of a case between two areas


class AlertClosed(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    alert_id: str
    outcome: str  # confirmed | dismissed
    other_division: str | None = None
