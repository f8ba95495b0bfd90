"""Stories of a suspected death: one unconfirmed report."""

from __future__ import annotations

from datetime import timedelta

from common.events import AlertClosed, AlertRaised, DuesDetermined, TaskOffered, VisitOffered, VisitPlanned

from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.people import QILIN
from shouwang.stories.platform import Platform, in_month, month_text
from shouwang.stories.providers import provider_code
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, need
from shouwang.stories.watch import Seen, Watch


async def suspected_death(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of an unconfirmed report: it holds the money and causes a check, until a sign of life clears it.

    It needs a visiting provider in the county.
    """
    today = platform.today()
    elder = platform.cast.aged(87, today)
    person = "87 years old, lives alone; a neighbour says that the flat is empty."
    with transcript.story("Only a rumour", person):
        scene = Scene(platform, transcript, elder)
        await scene.register(people.lives_alone(elder, platform.now(), in_month(today, -5)))
        await scene.event(VisitOffered)
        await scene.event(DuesDetermined)
        await _checked_and_held(scene)
        await _found_alive(scene)


async def _checked_and_held(scene: Scene) -> None:
    """Report the death; check that one visit is planned for today and the month's money is held."""
    month = month_text(scene.platform.today())
    await _report_unconfirmed(scene)
    check = await scene.event(VisitPlanned, _is_check)
    _expect_same_day(scene, check.data)
    scene.observed("one check for the same day takes the place of the routine visits", check)
    held = await scene.event(DuesDetermined, _has_held)
    states = {entry["service_month"]: entry["state"] for entry in (await scene.ledger())["entries"]}
    expect(states.get(month), "held", f"the money for {month}")
    scene.observed("the money is held: neither paid nor recovered", held)


async def _found_alive(scene: Scene) -> None:
    """Push a sign of life; check that money and visits go on and the check is cancelled."""
    platform = scene.platform
    scene.action("the visitor finds the person alive and well")
    await scene.push(people.alive(scene.elder, platform.now(), platform.today()))
    await scene.observe(DuesDetermined, "the money is due again", _has_due)
    await scene.observe(VisitPlanned, "the routine visits go on")
    checks = [task for task in await platform.tasks(scene.person_id) if task["reason"] == "suspicion"]
    expect([task["state"] for task in checks], ["cancelled"], "the one same-day check")


async def suspected_without_visits(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a person without visits: a check on the same day, and an alert for the long hold.

    It moves the clock by six days. It needs a provider in 麒麟区 that subscribes by Kafka.
    """
    elder = platform.cast.aged(86, platform.today())
    person = "86 years old, has the 高龄津贴 and no visits."
    with transcript.story("A rumour about a person without visits", person):
        scene = Scene(platform, transcript, elder)
        await _allowance_without_visits(scene)
        await _check_is_offered(scene)
        alert = await _hold_becomes_an_alert(scene)
        await _met_alive(scene, alert)


async def _allowance_without_visits(scene: Scene) -> None:
    """Push the registers; check that the person has the allowance and no visits."""
    await scene.register()
    await scene.event(DuesDetermined)
    items = {entitlement["item"] for entitlement in await scene.platform.entitlements(scene.person_id)}
    need(LONGEVITY in items and "visiting_care" not in items, f"an allowance and no visits: {sorted(items)}")


async def _check_is_offered(scene: Scene) -> None:
    """Report the death; check that the offer of a visit for today is on the provider's own topic."""
    topic = Watch(scene.platform.kafka, [f"dispatch.provider.{provider_code(QILIN)}"])
    await topic.start()
    try:
        await _report_unconfirmed(scene)
        check = await scene.event(VisitPlanned, _is_check)
        offer = await topic.event(TaskOffered, check.data.task_id)
    finally:
        await topic.stop()
    _expect_same_day(scene, offer.data)
    expect(offer.data.division, scene.elder.town, "the place of the check")
    scene.observed("a check for the same day is on the provider's own topic", offer)
    await scene.observe(DuesDetermined, "the money is held", _has_held)


async def _hold_becomes_an_alert(scene: Scene) -> Seen[AlertRaised]:
    """Move the clock by six days and wait for the alert."""
    platform = scene.platform
    scene.action("six days pass, and no source confirms or clears the report")
    await platform.move_to(platform.now() + timedelta(days=6))
    alert = await scene.event(AlertRaised, lambda event: event.check == "hold_overdue")
    expect(alert.data.division, scene.elder.town, "the area whose officers hold the alert")
    scene.observed("the hold is an alert of the town's officers", alert)
    return alert


async def _met_alive(scene: Scene, alert: Seen[AlertRaised]) -> None:
    """Push a sign of life; check that every month is due and the alert is closed."""
    platform = scene.platform
    scene.action("the grid worker meets the person alive")
    await scene.push(people.alive(scene.elder, platform.now(), platform.today()))
    free = await scene.event(DuesDetermined, _has_due)
    need(not _has_held(free.data), "no month that is still held")
    scene.observed("every month is due again", free)
    closed = await scene.event(AlertClosed, lambda event: event.alert_id == alert.data.alert_id)
    expect(closed.data.outcome, "dismissed", "the outcome of the alert")
    scene.observed("the alert is closed", closed)


async def _report_unconfirmed(scene: Scene) -> None:
    """Push a death with the weakest evidence (`reported`)."""
    platform = scene.platform
    scene.action("the grid worker reports a death, without any evidence")
    yesterday = platform.today() - timedelta(days=1)
    await scene.push(people.death(scene.elder, platform.now(), yesterday, "reported"))


def _expect_same_day(scene: Scene, check: VisitPlanned | TaskOffered) -> None:
    """Check that the window of the visit is today alone."""
    today = scene.platform.today()
    window = (check.window_from, check.window_to)
    expect(window, (today, today + timedelta(days=1)), "the window of the check")


def _is_check(event: VisitPlanned) -> bool:
    return event.reason == "suspicion"


def _has_held(event: DuesDetermined) -> bool:
    return any(line.state == "held" for line in event.lines)


def _has_due(event: DuesDetermined) -> bool:
    return any(line.state == "due" for line in event.lines)
