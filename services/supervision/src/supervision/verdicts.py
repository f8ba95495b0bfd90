"""Decide the verdicts of completed visits again; save and emit the differences.

A verdict is computed from all stored data whenever an input changes. So the order in which topics arrive does not
matter.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from common.events import VisitDisputed, VisitVerified
from shell.store.transaction import Tx

from supervision import cases
from supervision.cases import Causes
from supervision.checks import checks
from supervision.domain.alerts import Finding, Severity
from supervision.domain.visits import Judgement, Visit, decide_verdict, decision_for
from supervision.store import visits as store
from supervision.store.visits import VerdictLine


class _Change(NamedTuple):
    visit: Visit
    judgement: Judgement


async def judge(tx: Tx, task_ids: Iterable[str], now: datetime, causes: Causes) -> int:
    """Judge these visits and those that overlap them. Returns the number of visits with a changed judgement."""
    wanted = set(task_ids)
    overlapping = {visit.task_id for visit in await store.load_overlapping(tx, wanted)} - wanted
    visits = await store.lock_visits(tx, wanted | overlapping)
    others = await store.load_overlapping(tx, wanted | overlapping) if overlapping else []
    changed = await _decide(tx, visits, others, now)
    await _save(tx, changed, now, causes)
    return len(changed)


async def _decide(tx: Tx, visits: Sequence[Visit], others: Sequence[Visit], now: datetime) -> list[_Change]:
    """Return the visits whose judgement differs from the stored one. `others`: visits that overlap them."""
    neighbours = _by_worker_and_person([*visits, *others])
    person_ids = {person_id for visit in visits for person_id in (visit.person_id, visit.present_id)}
    decisions = await store.load_decisions(tx, person_ids)
    rules = checks().visit_rules
    changed: list[_Change] = []
    for visit in visits:
        near = [*neighbours.get(_worker(visit), ()), *neighbours.get((visit.present_id, visit.item), ())]
        judgement = decide_verdict(visit, decision_for(visit, decisions), near, rules, now)
        if judgement != Judgement(visit.verdict, visit.blocks, visit.warnings):
            changed.append(_Change(visit, judgement))
    return changed


def _worker(visit: Visit) -> tuple[str, str]:
    return (f"worker {visit.provider}", visit.worker or visit.task_id)


def _by_worker_and_person(visits: Sequence[Visit]) -> dict[tuple[str, str], list[Visit]]:
    found: dict[tuple[str, str], list[Visit]] = {}
    for visit in {v.task_id: v for v in visits}.values():
        found.setdefault(_worker(visit), []).append(visit)
        found.setdefault((visit.present_id, visit.item), []).append(visit)
    return found


async def _save(tx: Tx, changed: Sequence[_Change], now: datetime, causes: Causes) -> None:
    await store.save_verdicts(tx, [_line(change) for change in changed])
    gone: list[tuple[str, str]] = []
    findings: list[Finding] = []
    for visit, judgement in changed:
        _emit(tx, visit, judgement, causes)
        former = visit.blocks | visit.warnings
        gone += [(check, visit.task_id) for check in former - judgement.blocks - judgement.warnings]
        findings += _new_findings(visit, judgement)
    await cases.withdraw_alerts(tx, sorted(gone), "dismissed", "不再成立", now, causes)
    await cases.raise_alerts(tx, findings, now, causes)


def _line(change: _Change) -> VerdictLine:
    verdict, blocks, warnings = change.judgement
    return VerdictLine(change.visit.task_id, verdict, ",".join(sorted(blocks)), ",".join(sorted(warnings)))


def _emit(tx: Tx, visit: Visit, judgement: Judgement, causes: Causes) -> None:
    event = _event(visit, judgement)
    if event is not None:
        tx.emit(event, causes.get(visit.person_id) or visit.correlation_id, division=visit.division)


def _event(visit: Visit, judgement: Judgement) -> VisitVerified | VisitDisputed | None:
    """Return the event about a new verdict, None for no event. A dispute is emitted again when its blocks change."""
    if judgement.verdict == "verified" and visit.verdict != "verified":
        return VisitVerified(
            person_id=visit.person_id,
            task_id=visit.task_id,
            provider=visit.provider or "",
            visited_on=visit.visited_on,
            warnings=tuple(sorted(judgement.warnings)),
            judgement=visit.judgements + 1,
        )
    if judgement.verdict == "disputed" and (visit.verdict != "disputed" or judgement.blocks != visit.blocks):
        return VisitDisputed(
            person_id=visit.person_id,
            task_id=visit.task_id,
            provider=visit.provider or "",
            visited_on=visit.visited_on,
            checks=tuple(sorted(judgement.blocks)),
            judgement=visit.judgements + 1,
        )
    return None


def _new_findings(visit: Visit, judgement: Judgement) -> list[Finding]:
    """Return the new findings, without waived checks: an officer has dismissed their alerts."""
    added: list[tuple[str, Severity]] = []
    added += [(check, "block") for check in sorted(judgement.blocks - visit.blocks - visit.waived)]
    added += [(check, "warn") for check in sorted(judgement.warnings - visit.warnings - visit.waived)]
    return [
        Finding(check, severity, visit.task_id, visit.person_id, visit.provider, visit.division, visit.correlation_id)
        for check, severity in added
    ]
