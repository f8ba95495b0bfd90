"""Load visits and what is known, decide their verdicts, save what changed, say it.

A verdict is computed anew from everything known whenever something it rests on has changed; only the difference is
saved and told. So the order in which topics arrive does not matter.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from common.events import Event, VisitDisputed, VisitVerified
from common.message import Message
from shell.store.transaction import Tx

from supervision import cases
from supervision.checks import checks
from supervision.domain.alerts import Finding, Severity
from supervision.domain.visits import Judged, Visit, decide_verdict, known_of
from supervision.store import visits as store

Causes = Mapping[str, Message[Event]]


async def judge(tx: Tx, task_ids: Iterable[str], now: datetime, causes: Causes) -> int:
    """Judge these visits and those that overlap them. `causes`: per person the message that led here. Returns how
    many verdicts or findings changed."""
    wanted = set(task_ids)
    touching = {visit.task_id for visit in await store.load_touching(tx, wanted)} - wanted
    visits = await store.lock_visits(tx, wanted | touching)
    others = await store.load_touching(tx, wanted | touching) if touching else []
    neighbours = _by_worker_and_person([*visits, *others])
    known = await store.load_known(tx, (person_id for visit in visits for person_id in (visit.person_id, visit.of)))
    rules = checks()
    changed: list[tuple[Visit, Judged]] = []
    for visit in visits:
        beside = [*neighbours.get(_worker(visit), ()), *neighbours.get((visit.of, visit.item), ())]
        judged = decide_verdict(visit, known_of(visit, known), beside, rules.durations, rules.entitlement_wait, now)
        if judged != Judged(visit.verdict, visit.blocks, visit.warnings):
            changed.append((visit, judged))
    await _save(tx, changed, now, causes)
    return len(changed)


def _worker(visit: Visit) -> tuple[str, str]:
    return (f"worker {visit.provider}", visit.worker or visit.task_id)


def _by_worker_and_person(visits: Sequence[Visit]) -> dict[tuple[str, str], list[Visit]]:
    found: dict[tuple[str, str], list[Visit]] = {}
    for visit in {v.task_id: v for v in visits}.values():
        found.setdefault(_worker(visit), []).append(visit)
        found.setdefault((visit.of, visit.item), []).append(visit)
    return found


async def _save(tx: Tx, changed: Sequence[tuple[Visit, Judged]], now: datetime, causes: Causes) -> None:
    await store.save_verdicts(tx, [(v.task_id, j.verdict, _listed(j.blocks), _listed(j.warnings)) for v, j in changed])
    for visit, judged in changed:
        _tell(tx, visit, judged, causes)
    gone = [(check, v.task_id) for v, j in changed for check in (v.blocks | v.warnings) - j.blocks - j.warnings]
    await cases.withdraw_alerts(tx, sorted(gone), "dismissed", "不再成立", now, causes)
    await cases.raise_alerts(tx, [f for v, j in changed for f in _new_findings(v, j)], now, causes)


def _tell(tx: Tx, visit: Visit, judged: Judged, causes: Causes) -> None:
    """A dispute is told again when its grounds change."""
    against = judged.blocks - visit.waived
    event: Event
    if judged.verdict == "verified" and visit.verdict != "verified":
        event = VisitVerified(
            person_id=visit.person_id,
            task_id=visit.task_id,
            provider=visit.provider or "",
            visited_on=visit.visited_on,
            warnings=tuple(sorted(judged.warnings)),
        )
    elif judged.verdict == "disputed" and (visit.verdict != "disputed" or against != visit.blocks - visit.waived):
        event = VisitDisputed(
            person_id=visit.person_id,
            task_id=visit.task_id,
            provider=visit.provider or "",
            visited_on=visit.visited_on,
            checks=tuple(sorted(against)),
        )
    else:
        return
    tx.emit(event, causes.get(visit.person_id) or visit.correlation_id, division=visit.division)


def _new_findings(visit: Visit, judged: Judged) -> list[Finding]:
    added: list[tuple[str, Severity]] = [(check, "block") for check in sorted(judged.blocks - visit.blocks)]
    added += [(check, "warn") for check in sorted(judged.warnings - visit.warnings)]
    return [
        Finding(check, severity, visit.task_id, visit.person_id, visit.provider, visit.division, visit.correlation_id)
        for check, severity in added
    ]


def _listed(found: frozenset[str]) -> str:
    return ",".join(sorted(found))
