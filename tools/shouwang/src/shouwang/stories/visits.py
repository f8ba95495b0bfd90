"""A visit from the offer to the verdict, by whichever door the provider answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from common.events import (
    TaskOffered,
    VisitAccepted,
    VisitCheckedIn,
    VisitCheckedOut,
    VisitMissed,
    VisitOffered,
    VisitPlanned,
    VisitVerified,
)

from shouwang.stories import people
from shouwang.stories.people import QILIN
from shouwang.stories.platform import Platform, in_month
from shouwang.stories.providers import answer, feed_of, provider_code
from shouwang.stories.transcript import Teller, expect, need, only
from shouwang.stories.watch import Watch

VISIT_MINUTES = 25
CHAIN = (
    "PersonFactsRecorded",
    "EntitlementsDecided",
    "VisitPlanned",
    "VisitOffered",
    "VisitAccepted",
    "VisitCheckedIn",
    "VisitCheckedOut",
    "VisitVerified",
)


@dataclass(frozen=True)
class Offered:
    """Somebody who lives alone and whose first visit is offered. `event_id`: the push that led to it."""

    person_id: str
    task_id: str
    event_id: str
    began: float


async def offered_visit(platform: Platform, tell: Teller, county: str = QILIN) -> Offered:
    """Needs a visiting provider in the county."""
    today, now = platform.today(), platform.now()
    elder = platform.cast.aged(83, today, county=county)
    await platform.push(*people.arrives(elder, now))
    person_id = await platform.find(elder)
    began = tell.happens("a grid worker reports: lives alone")
    (event_id,) = await platform.push(people.lives_alone(elder, platform.now(), in_month(today, -1)))
    offered = await platform.watch.event(VisitOffered, person_id)
    tell.seen("a visit is planned and offered", began, offered.at)
    return Offered(person_id, offered.data.task_id, event_id, began)


async def visit_by_kafka(platform: Platform, tell: Teller) -> None:
    """The provider reads its own topic and answers on its own replies topic. Moves the clock by half an hour."""
    code = provider_code(QILIN)
    with tell.story("A visit, answered by Kafka", "83 years old, lives alone in 麒麟区."):
        topic = Watch(platform.kafka, [f"dispatch.provider.{code}"])
        await topic.start()
        try:
            visit = await offered_visit(platform, tell)
            offer = await topic.event(TaskOffered, visit.task_id)
        finally:
            await topic.stop()
        need(visit.person_id not in str(offer.data), "an offer that does not say who it is")
        tell.seen("the offer lies on the provider's own topic", visit.began, offer.at)
        replies = f"dispatch.provider.{code}.replies"
        await _reply(platform, replies, visit.task_id, "accept", platform.now())
        accepted = await platform.watch.event(VisitAccepted, visit.person_id)
        tell.seen("accepted by the replies topic", visit.began, accepted.at)
        began = platform.now()
        await _reply(platform, replies, visit.task_id, "check_in", began, worker="w-17")
        await platform.watch.event(VisitCheckedIn, visit.person_id)
        await platform.move_to(began + timedelta(minutes=VISIT_MINUTES))
        await _reply(platform, replies, visit.task_id, "check_out", platform.now(), worker="w-17", outcome="seen")
        await _verified(platform, tell, visit)


async def visit_by_http(platform: Platform, tell: Teller) -> None:
    """The provider follows its feed and answers by plain HTTP. Moves the clock by half an hour."""
    code = provider_code(QILIN)
    with tell.story("A visit, answered by HTTP", "83 years old, lives alone in 麒麟区."):
        visit = await offered_visit(platform, tell)
        told = await feed_of(platform, code)
        only([t for t in told if t["data"]["task_id"] == visit.task_id], "offers of this task in the feed")
        await answer(platform, visit.task_id, code, "accept")
        task = await answer(platform, visit.task_id, code, "check-in", worker="w-18")
        expect(task["state"], "in_progress", "the task after check-in")
        await platform.move_to(platform.now() + timedelta(minutes=VISIT_MINUTES))
        task = await answer(platform, visit.task_id, code, "check-out", worker="w-18", outcome="seen")
        expect(task["state"], "completed", "the task after check-out")
        await _verified(platform, tell, visit)


async def _reply(platform: Platform, topic: str, task_id: str, kind: str, at: datetime, **more: str) -> None:
    body: dict[str, Any] = {"task_id": task_id, "answer": kind, "at": at.isoformat(), **more}
    await platform.produce(topic, [(task_id.encode(), json.dumps(body).encode(), [])])


async def _verified(platform: Platform, tell: Teller, visit: Offered) -> None:
    """Supervision believes the visit, dispatch shows it, and the whole chain hangs on the one pushed event."""
    out = await platform.watch.event(VisitCheckedOut, visit.person_id)
    verified = await platform.watch.event(VisitVerified, visit.person_id)
    expect(verified.data.warnings, (), "warnings about the visit")
    tell.seen("checked out, and verified by supervision", out.at, verified.at)

    async def shown() -> bool:
        tasks = [t for t in await platform.tasks(visit.person_id) if t["task_id"] == visit.task_id]
        return bool(only(tasks, "the task")["verdict"] == "verified")

    await platform.until("dispatch shows the verdict", shown)

    async def whole_chain() -> list[str] | None:
        steps = [step["what"] for step in await platform.trace(visit.event_id)]
        return steps if set(CHAIN) <= set(steps) else None

    steps = await platform.until("the trace shows the whole chain", whole_chain)
    places = [steps.index(what) for what in CHAIN]
    expect(places, sorted(places), f"the order of the chain {steps}")
    tell.seen(f"one pushed event, one chain of {len(steps)} steps: {' → '.join(CHAIN)}")


async def missed_visit(platform: Platform, tell: Teller) -> None:
    """Nobody goes, and the clock says so. Moves the clock over the window, by a week and more."""
    with tell.story("A visit that nobody made", "83 years old, lives alone in 麒麟区."):
        visit = await offered_visit(platform, tell)
        task = only([t for t in await platform.tasks(visit.person_id) if t["task_id"] == visit.task_id], "the task")
        since, end = platform.watch.mark, datetime.fromisoformat(task["window"]["to"]).date()
        began = tell.happens(f"the clock moves to {end} 00:00, the end of the window")
        await platform.move_to_day(end)
        missed = await platform.watch.event(
            VisitMissed, visit.person_id, lambda e: e.task_id == visit.task_id, since=since
        )
        tell.seen("the visit is missed", began, missed.at)
        again = await platform.watch.event(
            VisitPlanned, visit.person_id, lambda e: e.reason == "redispatch", since=since
        )
        tell.seen(f"another one is dispatched, until {again.data.window_to}", began, again.at)

        async def alert() -> bool:
            found = await platform.get("supervision", "/v1/alerts", check="visit_missed", limit=500)
            return any(a["subject"] == visit.task_id for a in found["alerts"])

        await platform.until("supervision raises an alert", alert)
        tell.seen("supervision has raised an alert", began)
