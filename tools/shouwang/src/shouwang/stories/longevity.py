"""Stories of the longevity allowance: it begins on a birthday without any input, and it follows a move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

from common.events import DuesDetermined, EntitlementsDecided, EntitlementStarted, VisitCancelled, VisitOffered

from shouwang.stories import people
from shouwang.stories.people import QILIN, XUANWEI
from shouwang.stories.platform import Platform, in_month, month_text, years_before
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, yuan

LONGEVITY = "longevity_allowance"
FEN_AT_80 = 5000
FEN_AT_90_IN_QILIN = 10000
FEN_AT_90_IN_XUANWEI = 5000


async def eightieth_birthday(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a person who turns 80 at the next midnight: the allowance begins without any event.

    It moves the clock over that midnight, then to the first day of the next month.
    """
    birthday = platform.today() + timedelta(days=1)
    elder = platform.cast.elder(years_before(birthday, 80))
    with transcript.story("An 80th birthday at midnight", f"Lives in 麒麟区 and turns 80 on {birthday}."):
        scene = Scene(platform, transcript, elder)
        await _evening_before(scene)
        await _birthday(scene, birthday)
        await _first_month(scene)


async def _evening_before(scene: Scene) -> None:
    """Push the registers and check that the allowance is refused to a person of 79."""
    scene.action("the registers are loaded; no later event is pushed about this person")
    await scene.register()
    await scene.observe(EntitlementsDecided, "every entitlement of this person, past and future, is decided")
    expect(await scene.entitlements(LONGEVITY), [], "the 高龄津贴 of a 79-year-old")
    explanation = await scene.explanation(LONGEVITY)
    expect(explanation["outcome"], "refused", "the outcome the evening before")
    scene.note(f"高龄津贴 today: no – {explanation['sentence']}")


async def _birthday(scene: Scene, birthday: date) -> None:
    """Move the clock to the birthday and check that the allowance is granted."""
    scene.action(f"the clock moves to {birthday} 00:00, and nobody does anything")
    await scene.platform.move_to_day(birthday)
    started = await scene.event(EntitlementStarted, lambda event: event.item == LONGEVITY)
    expect(started.data.on, birthday, "the first day of the entitlement")
    scene.observed("EntitlementStarted: 高龄津贴", started)
    held = await scene.entitlement(LONGEVITY)
    expect((held["state"], held["amount_fen_per_month"]), ("granted", FEN_AT_80), "the allowance on the birthday")
    clause = held["policy"]
    scene.note(f"高龄津贴 {yuan(FEN_AT_80)}/月, {clause['title']} {clause['locator']} ({clause['date']})")


async def _first_month(scene: Scene) -> None:
    """Move the clock to the next month and check that it is the first month that is due."""
    first = scene.platform.next_month()
    month = month_text(first)
    scene.action(f"the clock moves to {first} 00:00")
    await scene.platform.move_to_day(first)
    await scene.observe(
        DuesDetermined,
        f"the first month is due: {month}",
        lambda event: any(line.service_month == month for line in event.lines),
    )
    expect(await scene.owed(LONGEVITY), {(month, QILIN): FEN_AT_80}, "the dues")


async def move_between_counties(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a move: the allowance and the visits change to the other county, without a gap or overlap.

    It needs a visiting provider in both counties.
    """
    elder = platform.cast.aged(92, platform.today())
    person = "92 years old, lives alone, moves from 麒麟区 to 宣威市."
    with transcript.story("A move between two counties", person):
        scene = Scene(platform, transcript, elder)
        await _before_the_move(scene)
        moved_on = await _move(scene)
        await _one_area_per_day(scene, moved_on)
        await _one_area_per_month(scene)


async def _before_the_move(scene: Scene) -> None:
    """Push the person; check that the old county offers a visit and owes the allowance."""
    now = scene.platform.now()
    month = month_text(now.date())
    scene.action("the registers are loaded, and a grid worker reports: lives alone")
    await scene.register(people.lives_alone(scene.elder, now, in_month(now.date(), -3)))
    offered = await scene.event(VisitOffered)
    scene.observed(f"探访服务: the first visit is offered to {offered.data.provider}", offered)
    dues = await scene.event(DuesDetermined)
    amount_fen = (await scene.owed(LONGEVITY))[month, QILIN]
    expect(amount_fen, FEN_AT_90_IN_QILIN, "the amount of 麒麟区 at 92")
    scene.observed(f"高龄津贴 麒麟区 {yuan(amount_fen)}/月 is due for {month}", dues)


async def _move(scene: Scene) -> date:
    """Push hukou and home in the other county; returns the day of the move."""
    now = scene.platform.now()
    moved_on = in_month(now.date(), -1, 20)
    there = scene.elder.in_town(f"{XUANWEI}001")
    scene.action(f"the police register reports the move as of {moved_on}: hukou and home are now 宣威市")
    hukou, home = people.registration(there, now, since=moved_on), people.residence(there, now, since=moved_on)
    await scene.push(hukou, home)
    await _allowance_moves(scene)
    await _visit_moves(scene)
    return moved_on


async def _allowance_moves(scene: Scene) -> None:
    old, new = yuan(FEN_AT_90_IN_QILIN), yuan(FEN_AT_90_IN_XUANWEI)
    await scene.observe(DuesDetermined, f"高龄津贴 宣威市 {new}/月 takes the place of 麒麟区 {old}/月", _due_in_xuanwei)


async def _visit_moves(scene: Scene) -> None:
    cancelled = await scene.event(VisitCancelled)
    expect(cancelled.data.reason, "moved", "the reason of the cancelled visit")
    offered = await scene.event(VisitOffered, lambda event: event.division.startswith(XUANWEI))
    scene.observed(f"the visit there is withdrawn, the next one offered to {offered.data.provider}", offered)


def _due_in_xuanwei(event: DuesDetermined) -> bool:
    return any(line.jurisdiction == XUANWEI and line.amount_fen == FEN_AT_90_IN_XUANWEI for line in event.lines)


async def _one_area_per_day(scene: Scene, moved_on: date) -> None:
    """Check that the entitlement of one county ends on the day on which the other's begins."""
    held = await scene.entitlements(LONGEVITY, all=True)
    begins = min(e["from"] for e in held if e["jurisdiction"] == XUANWEI)
    day = moved_on.isoformat()
    expect((end_in(held, QILIN), begins), (day, day), "the end in one county and the begin in the other")


def end_in(held: Sequence[Mapping[str, Any]], area: str) -> str | None:
    """Return the day on which the last of these entitlements of an area ends; None if one of them is open."""
    ends: list[str | None] = [e["to"] for e in held if e["jurisdiction"] == area]
    return None if None in ends else max(end for end in ends if end is not None)


async def _one_area_per_month(scene: Scene) -> None:
    """Check that no month is owed by both counties."""
    month = month_text(scene.platform.today())
    due = await scene.owed(LONGEVITY)
    expect(due.get((month, XUANWEI)), FEN_AT_90_IN_XUANWEI, f"the debt of 宣威市 for {month}")
    expect(due.get((month, QILIN)), None, f"the debt of 麒麟区 for {month}")
    months = [service_month for service_month, _ in due]
    expect(len(months), len(set(months)), "months owed by one county only")
    listed = ", ".join(f"{service_month} {people.COUNTIES[area]}" for service_month, area in due)
    scene.note(f"no month is owed twice: {listed}")
