"""Stories of visits from the offer to the verdict. The provider answers by Kafka or by HTTP, or nobody comes."""

from __future__ import annotations

import json
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
from shouwang.stories.platform import Json, Platform, in_month
from shouwang.stories.providers import answer, feed_of, provider_code
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, need, only
from shouwang.stories.watch import Seen, Watch

PERSON = "83 years old, lives alone in 麒麟区."
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


class OfferedVisit:
    """An offered first visit to a person who lives alone. `event_id`: the pushed event that caused the visit."""

    def __init__(self, scene: Scene, task_id: str, event_id: str) -> None:
        self.scene = scene
        self.platform = scene.platform
        self.task_id = task_id
        self.event_id = event_id

    async def task(self) -> Json:
        """The task of the visit as dispatch shows it."""
        tasks = await self.platform.tasks(self.scene.person_id)
        return only([task for task in tasks if task["task_id"] == self.task_id], "the task")


async def offered_visit(platform: Platform, transcript: Transcript) -> OfferedVisit:
    """Push a person who lives alone and wait for the offered visit. It needs a visiting provider in 麒麟区."""
    today = platform.today()
    scene = Scene(platform, transcript, platform.cast.aged(83, today))
    await scene.register()
    scene.action("a grid worker reports: lives alone")
    (event_id,) = await scene.push(people.lives_alone(scene.elder, platform.now(), in_month(today, -1)))
    offered = await scene.observe(VisitOffered, "a visit is planned and offered")
    return OfferedVisit(scene, offered.data.task_id, event_id)


async def visit_by_kafka(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a visit by Kafka: the provider reads its own topic and answers on its replies topic.

    It moves the clock by VISIT_MINUTES.
    """
    with transcript.story("A visit, answered by Kafka", PERSON):
        visit = await _offered_on_topic(platform, transcript)
        await _reply(visit, "accept")
        await visit.scene.observe(VisitAccepted, "accepted by the replies topic")
        await _reply(visit, "check_in", worker="w-17")
        await visit.scene.event(VisitCheckedIn)
        await platform.move_to(platform.now() + timedelta(minutes=VISIT_MINUTES))
        await _reply(visit, "check_out", worker="w-17", outcome="seen")
        await _verified(visit)


async def _offered_on_topic(platform: Platform, transcript: Transcript) -> OfferedVisit:
    """Cause an offered visit; check that the offer is on the provider's topic and does not name the person."""
    topic = Watch(platform.kafka, [f"dispatch.provider.{provider_code(QILIN)}"])
    await topic.start()
    try:
        visit = await offered_visit(platform, transcript)
        offer = await topic.event(TaskOffered, visit.task_id)
    finally:
        await topic.stop()
    need(visit.scene.person_id not in str(offer.data), "an offer that does not name the person")
    visit.scene.observed("the offer is on the provider's own topic", offer)
    return visit


async def _reply(visit: OfferedVisit, kind: str, **more: str) -> None:
    """Write an answer to the provider's replies topic."""
    topic = f"dispatch.provider.{provider_code(QILIN)}.replies"
    at = visit.platform.now().isoformat()
    body: dict[str, Any] = {"task_id": visit.task_id, "answer": kind, "at": at, **more}
    await visit.platform.produce(topic, [(visit.task_id.encode(), json.dumps(body).encode(), [])])


async def visit_by_http(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a visit by HTTP: the provider reads its feed and answers each step.

    It moves the clock by VISIT_MINUTES.
    """
    code = provider_code(QILIN)
    with transcript.story("A visit, answered by HTTP", PERSON):
        visit = await offered_visit(platform, transcript)
        feed = await feed_of(platform, code)
        only([message for message in feed if message["data"]["task_id"] == visit.task_id], "offers in the feed")
        await answer(platform, visit.task_id, code, "accept")
        task = await answer(platform, visit.task_id, code, "check-in", worker="w-18")
        expect(task["state"], "in_progress", "the task after check-in")
        await platform.move_to(platform.now() + timedelta(minutes=VISIT_MINUTES))
        task = await answer(platform, visit.task_id, code, "check-out", worker="w-18", outcome="seen")
        expect(task["state"], "completed", "the task after check-out")
        await _verified(visit)


async def _verified(visit: OfferedVisit) -> None:
    """Check that supervision verifies the visit and dispatch shows the verdict."""
    scene = visit.scene
    out = await scene.event(VisitCheckedOut)
    verified = await scene.event(VisitVerified)
    expect(verified.data.warnings, (), "warnings about the visit")
    scene.transcript.observed("checked out, and verified by supervision", out.at, verified.at)

    async def shown() -> bool:
        return bool((await visit.task())["verdict"] == "verified")

    await visit.platform.until("dispatch shows the verdict", shown)
    await _traced(visit)


async def _traced(visit: OfferedVisit) -> None:
    """Check that the trace of the pushed event shows all steps of CHAIN in order."""

    async def whole_chain() -> list[str] | None:
        steps = [step["what"] for step in await visit.platform.trace(visit.event_id)]
        return steps if set(CHAIN) <= set(steps) else None

    steps = await visit.platform.until("the trace shows the whole chain", whole_chain)
    places = [steps.index(step) for step in CHAIN]
    expect(places, sorted(places), f"the order of the chain {steps}")
    visit.scene.note(f"one pushed event, one chain of {len(steps)} steps: {' → '.join(CHAIN)}")


async def missed_visit(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a visit that nobody made: another one is planned, and an alert is raised.

    It moves the clock to the end of the visit's window, by more than a week.
    """
    with transcript.story("A visit that nobody made", PERSON):
        visit = await offered_visit(platform, transcript)
        await _end_window(visit)
        again = await _dispatched_again(visit)
        visit.scene.observed(f"another one is dispatched, until {again.data.window_to}", again)
        await _alerted(visit)


async def _end_window(visit: OfferedVisit) -> None:
    """Move the clock to the end of the visit's window."""
    window_to = (await visit.task())["window"]["to"]
    end = datetime.fromisoformat(window_to).date()
    visit.scene.action(f"the clock moves to {end} 00:00, the end of the window")
    await visit.platform.move_to_day(end)


async def _dispatched_again(visit: OfferedVisit) -> Seen[VisitPlanned]:
    """Wait until the visit is missed and another one is planned; returns the new plan."""
    scene = visit.scene
    await scene.observe(VisitMissed, "the visit is missed", lambda event: event.task_id == visit.task_id)
    return await scene.event(VisitPlanned, lambda event: event.reason == "redispatch")


async def _alerted(visit: OfferedVisit) -> None:
    """Wait until supervision shows an alert about the missed visit."""

    async def alert() -> bool:
        found = await visit.platform.get("supervision", "/v1/alerts", check="visit_missed", limit=500)
        return any(alert["subject"] == visit.task_id for alert in found["alerts"])

    await visit.platform.until("supervision raises an alert", alert)
    visit.scene.observed("supervision has raised an alert")
