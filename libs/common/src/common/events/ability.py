"""Events of ability assessments: the steps of an assessment, and the results in force for a person."""

from datetime import date
from typing import ClassVar

import msgspec

from common.events.base import Event, Instant


class Ability(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One result in force over [`valid_from`, `valid_to`). `level` 0 (intact) … 4 (complete loss), GB/T 42195."""

    assessment_id: str
    scale: str
    scale_version: str
    level: int
    valid_from: date
    valid_to: date | None = None
    recorded_at: Instant


class AbilitiesDetermined(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "assessment.ability"
    state: ClassVar[bool] = True

    person_id: str
    version: int
    recorded_at: Instant
    abilities: tuple[Ability, ...]
    causes: tuple[str, ...] = ()


class _Case(Event, frozen=True, kw_only=True, omit_defaults=True):
    topic: ClassVar[str] = "assessment.case"

    person_id: str
    assessment_id: str


class AssessmentRequested(_Case, frozen=True, kw_only=True, omit_defaults=True):
    reason: str  # first | regular | incident | dispute | other
    item: str
    division: str | None = None
    due_on: date | None = None


class AssessmentSigned(_Case, frozen=True, kw_only=True):
    scale: str
    scale_version: str
    total: int
    level: int
    assessed_on: date


class AssessmentCancelled(_Case, frozen=True, kw_only=True):
    reason: str  # died | merged | moved | not_entitled
