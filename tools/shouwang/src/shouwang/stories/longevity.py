"""Nobody pushes anything: the calendar alone brings the allowance. And a move takes it along, at the new amount."""

from __future__ import annotations

from datetime import timedelta

from common.events import DuesDetermined, EntitlementsDecided, EntitlementStarted, VisitCancelled, VisitOffered

from shouwang.stories import people
from shouwang.stories.money import owed
from shouwang.stories.people import QILIN, XUANWEI
from shouwang.stories.platform import Platform, in_month, month_text, years_before
from shouwang.stories.transcript import Teller, expect, only, yuan

LONGEVITY = "longevity_allowance"


async def eightieth_birthday(platform: Platform, tell: Teller) -> None:
    """Moves the clock over the next midnight, and on to the first of the next month."""
    birthday = platform.today() + timedelta(days=1)
    elder = platform.cast.elder(years_before(birthday, 80))
    with tell.story("An 80th birthday at midnight", f"Lives in 麒麟区 and turns 80 on {birthday}."):
        began = tell.happens("the registers are loaded; nothing else will ever be pushed about this person")
        await platform.push(*people.arrives(elder, platform.now()))
        person_id = await platform.find(elder)
        decided = await platform.watch.event(EntitlementsDecided, person_id)
        tell.seen("everything this person is entitled to, past and future, is decided", began, decided.at)
        before = [e for e in await platform.entitlements(person_id) if e["item"] == LONGEVITY]
        expect(before, [], "the 高龄津贴 of a 79-year-old")
        why = await platform.explanation(person_id, LONGEVITY)
        expect(why["outcome"], "refused", "the outcome the evening before")
        tell.seen(f"高龄津贴 today: no – {why['sentence']}")
        began = tell.happens(f"the clock moves to {birthday} 00:00, and nobody does anything")
        await platform.move_to_day(birthday)
        started = await platform.watch.event(EntitlementStarted, person_id, lambda e: e.item == LONGEVITY)
        expect(started.data.on, birthday, "the day of the beginning")
        tell.seen("EntitlementStarted: 高龄津贴", began, started.at)
        held = only([e for e in await platform.entitlements(person_id) if e["item"] == LONGEVITY], "高龄津贴")
        expect((held["state"], held["amount_fen_per_month"]), ("granted", 5000), "the allowance on the birthday")
        clause = held["policy"]
        tell.seen(f"高龄津贴 {yuan(5000)}/月, {clause['title']} {clause['locator']} ({clause['date']})")
        await _first_month(platform, tell, person_id)


async def _first_month(platform: Platform, tell: Teller, person_id: str) -> None:
    """The month after the birthday is the first that is paid."""
    first = platform.next_month()
    began = tell.happens(f"the clock moves to {first} 00:00")
    await platform.move_to_day(first)
    month = month_text(first)
    dues = await platform.watch.event(
        DuesDetermined, person_id, lambda e: any(line.service_month == month for line in e.lines)
    )
    tell.seen(f"the first month is due: {month}", began, dues.at)
    ledger = await platform.ledger(person_id)
    expect(owed(ledger, LONGEVITY), {(month, QILIN): 5000}, "what is due")


async def move_between_counties(platform: Platform, tell: Teller) -> None:
    """Needs a visiting provider in both counties."""
    today = platform.today()
    elder = platform.cast.aged(92, today)
    with tell.story("A move between two counties", "92 years old, lives alone, moves from 麒麟区 to 宣威市."):
        began = tell.happens("the registers are loaded, and a grid worker reports: lives alone")
        now = platform.now()
        await platform.push(*people.arrives(elder, now), people.lives_alone(elder, now, in_month(today, -3)))
        person_id = await platform.find(elder)
        offered = await platform.watch.event(VisitOffered, person_id)
        tell.seen(f"探访服务: the first visit is offered to {offered.data.provider}", began, offered.at)
        month = month_text(today)
        before = await platform.watch.event(DuesDetermined, person_id)
        expect(owed(await platform.ledger(person_id), LONGEVITY)[month, QILIN], 10000, "what 麒麟区 owes at 92")
        tell.seen(f"高龄津贴 麒麟区 {yuan(10000)}/月 is due for {month}", began, before.at)
        await _moves(platform, tell, elder, person_id)


async def _moves(platform: Platform, tell: Teller, elder: people.Elder, person_id: str) -> None:
    today, month = platform.today(), month_text(platform.today())
    moved_on = in_month(today, -1, 20)
    there = elder.in_town(f"{XUANWEI}001")
    since = platform.watch.mark
    began = tell.happens(f"the police register reports the move as of {moved_on}: hukou and home are now 宣威市")
    now = platform.now()
    await platform.push(people.registration(there, now, since=moved_on), people.residence(there, now, since=moved_on))
    dues = await platform.watch.event(
        DuesDetermined,
        person_id,
        lambda e: any(line.jurisdiction == XUANWEI and line.amount_fen == 5000 for line in e.lines),
        since=since,
    )
    tell.seen(f"高龄津贴 宣威市 {yuan(5000)}/月 takes the place of 麒麟区 {yuan(10000)}/月", began, dues.at)
    gone = await platform.watch.event(VisitCancelled, person_id, since=since)
    expect(gone.data.reason, "moved", "why the visit is cancelled")
    offered = await platform.watch.event(VisitOffered, person_id, lambda e: e.division.startswith(XUANWEI), since=since)
    tell.seen(f"the visit there is withdrawn, the next one offered to {offered.data.provider}", began, offered.at)
    held = [e for e in await platform.entitlements(person_id, all=True) if e["item"] == LONGEVITY]
    ends = max(e["to"] or "" for e in held if e["jurisdiction"] == QILIN)
    begins = min(e["from"] for e in held if e["jurisdiction"] == XUANWEI)
    expect((ends, begins), (moved_on.isoformat(), moved_on.isoformat()), "where one ends, the other begins")
    due = owed(await platform.ledger(person_id), LONGEVITY)
    expect(due.get((month, XUANWEI)), 5000, f"what 宣威市 owes for {month}")
    expect(due.get((month, QILIN)), None, f"what 麒麟区 still owes for {month}")
    months = [m for m, _ in due]
    expect(len(months), len(set(months)), "months owed by one county only")
    tell.seen("no month is owed twice: " + ", ".join(f"{m} {people.COUNTIES[a]}" for m, a in due))
