"""Findings of supervision: verified and disputed visits, and alerts."""

from datetime import date
from typing import ClassVar

from common.events.base import Event


class _Finding(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "supervision.finding"

    person_id: str


class VisitVerified(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    task_id: str
    provider: str
    visited_on: date
    warnings: tuple[str, ...] = ()  # check ids, e.g. V06


class VisitDisputed(_Finding, frozen=True, kw_only=True, omit_defaults=True):
    task_id: str
    provider: str
    visited_on: date
    checks: tuple[str, ...]  # the checks that block, e.g. V01


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
