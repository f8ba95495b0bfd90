"""Visits: the task to visit a person, and its steps."""

from datetime import date
from typing import ClassVar, Literal

from common.events.base import Event, Instant

# suspicion: a same-day check of a suspected death. stay: a question whether an open hospital stay continues.
VisitReason = Literal["plan", "first", "incident", "discharge", "redispatch", "suspicion", "reverify", "order", "stay"]
# call: the provider may telephone instead, because the person may be in hospital or the incident is not certain
VisitMeans = Literal["visit", "call"]


class _Visit(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A step of one task. The window is [`window_from`, `window_to`), civil dates."""

    topic: ClassVar[str] = "dispatch.visit"

    person_id: str
    task_id: str
    item: str
    division: str
    window_from: date
    window_to: date
    provider: str | None = None  # unified social credit code


class VisitPlanned(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    """A task is created. `entitlement_id`: the entitlement of the visit. For a check of a suspected death without an
    entitlement, it is an id derived from the suspicion."""

    reason: VisitReason
    entitlement_id: str
    tier: str | None = None
    by: VisitMeans = "visit"


class VisitUnplaced(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    """No provider can be asked to do an urgent task (reasons suspicion and incident). The task stays planned."""

    reason: VisitReason
    cause: str  # no_provider | all_declined | offers_exhausted


class VisitOffered(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    accept_by: Instant


class VisitAccepted(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    accepted_at: Instant


class VisitDeclined(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    reason: str


class VisitOfferExpired(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    pass


class VisitCheckedIn(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    checked_in_at: Instant
    worker: str | None = None  # the provider's own pseudonymous worker code


class VisitCheckedOut(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    checked_in_at: Instant
    checked_out_at: Instant
    worker: str | None = None
    outcome: str = "seen"  # seen | not_found | referred
    entitlement_id: str | None = None
    reason: VisitReason | None = None


class VisitFailed(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    reason: str


class VisitMissed(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    """The window passed without a visit."""


class VisitExcused(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    reason: str


class VisitCancelled(_Visit, frozen=True, kw_only=True, omit_defaults=True):
    reason: str  # died | not_entitled | moved | suspicion | in_hospital | superseded | resolved


class _ProviderTask(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A message to one provider. The real topic is `dispatch.provider.<uscc>`; it never names the person."""

    topic: ClassVar[str] = "dispatch.provider"

    task_id: str
    provider: str

    def key(self) -> str:
        return self.task_id


class TaskOffered(_ProviderTask, frozen=True, kw_only=True, omit_defaults=True):
    item: str
    reason: VisitReason
    division: str
    window_from: date
    window_to: date
    accept_by: Instant
    tier: str | None = None
    by: VisitMeans = "visit"


class TaskWithdrawn(_ProviderTask, frozen=True, kw_only=True, omit_defaults=True):
    reason: str


class TaskReply(Event, frozen=True, kw_only=True, omit_defaults=True):
    """A provider's answer on `dispatch.provider.<uscc>.replies`. It is untrusted, and accepted only for tasks of the
    same provider."""

    topic: ClassVar[str] = "dispatch.provider.replies"

    task_id: str
    answer: Literal["accept", "decline", "check_in", "check_out", "fail"]
    at: Instant
    worker: str | None = None
    reason: str | None = None
    outcome: str | None = None

    def key(self) -> str:
        return self.task_id
