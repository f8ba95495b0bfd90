"""Plan extra visits: after an incident, after a hospital stay, and when living tags (such as `alone`) are old.

A mark is the key of a fact that needs one extra visit, see `domain.facts`.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import NamedTuple

from common.calendar import add_months
from common.events.visit import VisitMeans
from rules.scales.visits import Run, VisitRules

from dispatch.domain.facts import HINT, LivingTags, VisitFacts, earliest, event_mark, reverify_mark, with_handled
from dispatch.domain.plan import (
    ExtraReason,
    Plan,
    PlanDecision,
    cancel_unbegun,
    extra_window,
    forget_cancelled,
    having,
    task_ids,
    updated,
    visit_task,
)
from dispatch.domain.task import OPEN, Change, Task, created


class ExtraVisit(NamedTuple):
    """One extra visit within `days` days. It handles all facts with these `marks`."""

    reason: ExtraReason
    marks: tuple[str, ...]
    days: int
    by: VisitMeans = "visit"


def with_extras(decision: PlanDecision, run: Run, today: date, rules: VisitRules) -> PlanDecision:
    """Add visits after incidents and discharges to a decision. The plan also acts when a stay begins or ends next."""
    plan = decision.plan
    decision = decision._replace(plan=_acting_by(plan, plan.facts.next_change(today)))
    for extra in due_extras(plan.facts, run.first.division, today, rules):
        planned = any(change.created and change.task.reason == extra.reason for change in decision.changes)
        decision = _with_extra(decision, extra, run, today, needs_visit=not planned)
    return decision


def due_extras(facts: VisitFacts, division: str, today: date, rules: VisitRules) -> list[ExtraVisit]:
    """Return the visits that recent incidents and discharges still need.

    A hinted incident needs a call, and a visit when it becomes certain. The end of a hinted stay needs no visit,
    because the routine visits continued. `VisitFacts` explains hints.
    """
    since = today - timedelta(days=rules.news_days_max)
    incidents = [i.event_id for i in facts.incidents if since < i.on <= today]
    discharges = [stay.event_id for stay in facts.stays if stay.to is not None and since < stay.to <= today]
    hints = [i.event_id for i in facts.hinted_incidents if since < i.on <= today]
    extras = (
        ExtraVisit("incident", _new_marks(facts, incidents, division), rules.incident_visit_days),
        ExtraVisit("discharge", _new_marks(facts, discharges, division), rules.discharge_visit_days),
        ExtraVisit("incident", _new_hints(facts, hints, division), rules.incident_visit_days, by="call"),
    )
    return [extra for extra in extras if extra.marks]


def _new_marks(facts: VisitFacts, event_ids: Sequence[str], division: str) -> tuple[str, ...]:
    """Return the marks of these events that are not handled yet."""
    marks = [event_mark(event_id, division) for event_id in event_ids]
    return tuple(mark for mark in marks if mark not in facts.handled)


def _new_hints(facts: VisitFacts, event_ids: Sequence[str], division: str) -> tuple[str, ...]:
    """Return the hint marks of these events, without events that were handled as a hint or as a certain fact."""
    hints = [HINT + mark for mark in _new_marks(facts, event_ids, division)]
    return tuple(hint for hint in hints if hint not in facts.handled)


class TagAge(NamedTuple):
    """The age of living tags in terms: periods after which the tags must be verified again.

    `old_since`: the first day of the present term if a whole term has passed since the verification; None if the tags
    are fresh or absent. `changes_on`: the next day on which `old_since` can change without a new fact.
    """

    old_since: date | None
    changes_on: date | None


def tag_age(tags: Sequence[LivingTags], months: int | None, today: date) -> TagAge:
    """Return the age of the tags that are true today. `months`: the length of a term; None: tags never become old."""
    if months is None:
        return TagAge(None, None)
    bounds = _bounds_after(today, tags)
    current = next((t for t in tags if t.covers(today)), None)
    if current is None:
        return TagAge(None, min(bounds, default=None))
    terms = _months_between(current.verified_on, today) // months
    bounds.append(add_months(current.verified_on, (terms + 1) * months))
    return TagAge(add_months(current.verified_on, terms * months) if terms else None, min(bounds))


def _bounds_after(day: date, tags: Sequence[LivingTags]) -> list[date]:
    """Return the days after `day` on which a period of the tags begins or ends."""
    bounds = [bound for tag in tags for bound in (tag.from_, tag.to)]
    return [bound for bound in bounds if bound is not None and bound > day]


def _months_between(since: date, today: date) -> int:
    """Return the number of whole months from `since` to `today`; 0 if `since` is in the future."""
    months = (today.year - since.year) * 12 + today.month - since.month
    return max(0, months if add_months(since, months) <= today else months - 1)


class Reverification(NamedTuple):
    """The result of `reverification`. `mark`: the mark of the due verification, None if none is due.

    `changes_on`: the next day on which `mark` can change without a new fact.
    """

    mark: str | None
    changes_on: date | None


def reverification(plan: Plan, run: Run, today: date, rules: VisitRules) -> Reverification:
    """Decide whether a visitor must verify the living tags of today again.

    The first visit of a plan verifies them, so no verification is due in its window.
    """
    months = run.stretch_on(today).reverify_months
    age = tag_age(plan.facts.tags, months, today)
    days = [age.changes_on, *(s.from_ for s in run.stretches if s.from_ > today and s.reverify_months != months)]
    mark = None
    if age.old_since is not None:
        first_visit_until = (plan.started_on or today) + timedelta(days=rules.first_visit_days)
        if today < first_visit_until:
            days.append(first_visit_until)
        else:
            mark = reverify_mark(age.old_since, run.first.division)
    return Reverification(mark, earliest(days))


def with_reverification(
    decision: PlanDecision, tasks: Sequence[Task], run: Run, today: date, rules: VisitRules
) -> PlanDecision:
    """Add one visit per term of old living tags to a decision. A verification by other means cancels the visit.

    `tasks`: the tasks before this step, of all identities of the human.
    """
    due = reverification(decision.plan, run, today, rules)
    decision = decision._replace(plan=_acting_by(decision.plan, due.changes_on))
    person_id = decision.plan.person_id
    remaining = _remaining(having(tasks, "reverify"), decision.changes)
    own = [task for task in remaining if task.person_id == person_id and task.state in OPEN]
    if due.mark is None:
        return _without_reverification(decision, own)
    if due.mark in decision.plan.facts.handled:
        return decision
    under_alias = any(t.person_id != person_id and t.state in ("completed", "in_progress") for t in remaining)
    extra = ExtraVisit("reverify", (due.mark,), rules.reverify_visit_days)
    return _with_extra(decision, extra, run, today, needs_visit=not own and not under_alias)


def _remaining(tasks: Sequence[Task], changes: Sequence[Change]) -> list[Task]:
    """Return the tasks that this step does not cancel."""
    cancelled_ids = task_ids([change for change in changes if change.task.state == "cancelled"])
    return [task for task in tasks if task.task_id not in cancelled_ids]


def _without_reverification(decision: PlanDecision, open_: Sequence[Task]) -> PlanDecision:
    """Cancel the open visits to verify living tags. The new epoch allows the same visit again on the same day."""
    ended = cancel_unbegun(open_, "superseded")
    if not ended:
        return decision
    ended_ids = task_ids(ended)
    kept = [change for change in decision.changes if change.task.task_id not in ended_ids]
    plan = updated(decision.plan, epoch=decision.plan.epoch + 1)
    return PlanDecision(forget_cancelled(plan, ended), (*kept, *ended))


def _with_extra(decision: PlanDecision, extra: ExtraVisit, run: Run, today: date, *, needs_visit: bool) -> PlanDecision:
    """Mark the facts of `extra` as handled, and add the visit if no other visit serves the purpose (`needs_visit`)."""
    plan, changes = decision
    if needs_visit:
        window = extra_window(run, today, extra.days)
        changes = (*changes, created(visit_task(plan, run, extra.reason, window, *extra.marks, by=extra.by)))
    return PlanDecision(updated(plan, facts=with_handled(plan.facts, extra.marks)), changes)


def _acting_by(plan: Plan, day: date | None) -> Plan:
    """Return the plan with a next step on `day` at the latest."""
    if day is None or (plan.act_on is not None and plan.act_on <= day):
        return plan
    return updated(plan, act_on=day)
