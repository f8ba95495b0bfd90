"""Deaths: told late, told wrongly, and only suspected."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from common.events import (
    AlertClosed,
    AlertRaised,
    DuesDetermined,
    EntitlementsDecided,
    RecoveryClosed,
    RecoveryOpened,
    TaskOffered,
    TaskWithdrawn,
    VisitAccepted,
    VisitCancelled,
    VisitOffered,
    VisitPlanned,
)

from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.money import MAKER, owed, paid, pay
from shouwang.stories.people import QILIN, XUANWEI, Elder, Event
from shouwang.stories.platform import Platform, in_month, month_text
from shouwang.stories.providers import accept, feed_of, provider_code
from shouwang.stories.transcript import Teller, expect, need, yuan
from shouwang.stories.watch import Watch


async def late_death(platform: Platform, tell: Teller) -> None:
    """Needs a visiting provider in the county. Pays everything that the county owes."""
    today = platform.today()
    elder = platform.cast.aged(88, today)
    with tell.story("A death reported late", "88 years old, lives alone in 麒麟区, and has died weeks ago."):
        now, month = platform.now(), month_text(today)
        await platform.push(*people.arrives(elder, now), people.lives_alone(elder, now, in_month(today, -4)))
        person_id = await platform.find(elder)
        offered = await platform.watch.event(VisitOffered, person_id)
        await accept(platform, offered.data.task_id, provider_code(QILIN))
        await platform.watch.event(VisitAccepted, person_id)
        await platform.watch.event(DuesDetermined, person_id)
        tell.seen("a visit is accepted by the provider, the 高龄津贴 is due")
        began = tell.happens(f"the monthly batch of 麒麟区 for {month}: made by one officer, approved by another, paid")
        batch = await pay(platform, QILIN, month)
        mine = [line for line in batch.lines if line["person_id"] == person_id]
        need(bool(mine), "a line of the batch for this person")
        tell.seen(f"{len(batch.lines)} lines, {yuan(batch.amount_fen)}; the maker alone was refused (403)", began)
        expect(paid(await platform.ledger(person_id), LONGEVITY)[month, QILIN], 5000, f"paid for {month}")
        await _dies(platform, tell, elder, person_id)


async def _dies(platform: Platform, tell: Teller, elder: Elder, person_id: str) -> None:
    died_on, since = in_month(platform.today(), -1), platform.watch.mark
    before = await feed_of(platform, provider_code(QILIN))
    began = tell.happens(f"the police register cancels the hukou: died on {died_on}")
    await platform.push(people.death(elder, platform.now(), died_on))
    gone = await platform.watch.event(VisitCancelled, person_id, since=since)
    expect(gone.data.reason, "died", "why the visit is cancelled")
    tell.seen("every visit is cancelled", began, gone.at)

    async def withdrawn() -> bool:
        told = await feed_of(platform, provider_code(QILIN), after=before[-1]["sequence"] if before else 0)
        return any(
            t["type"].endswith(TaskWithdrawn.__name__) and t["data"]["task_id"] == gone.data.task_id for t in told
        )

    await platform.until("the provider hears of it", withdrawn)
    tell.seen("the provider is told that the visit is withdrawn", began)
    opened = await platform.watch.event(RecoveryOpened, person_id, since=since)
    ledger = await platform.ledger(person_id)
    months = {m: amount for (m, _), amount in paid(ledger, LONGEVITY).items()}
    wrong = {m: amount for m, amount in months.items() if m > month_text(died_on)}
    cases = await _recoveries(platform, person_id)
    expect({case["service_month"]: case["amount_fen"] for case in cases}, wrong, "what is to be recovered")
    tell.seen(f"paid after the month of death: {_listed(wrong)} – a recovery each", began, opened.at)
    for case in cases:
        await platform.post("subsidy", f"/v1/recoveries/{case['recovery_id']}/collect", subject=MAKER)
    await platform.watch.event(RecoveryClosed, person_id, since=since)
    ledger = await platform.ledger(person_id)
    kept = {m: amount for m, amount in months.items() if m not in wrong}
    expect({m: a for (m, _), a in owed(ledger, LONGEVITY).items()}, kept, "what was owed until the month of death")
    expect(ledger["balance_fen"], 0, "the balance once the family has given it back")
    tell.seen("the family gives it back: the balance is 0")


def _listed(months: dict[str, int]) -> str:
    return ", ".join(f"{month} {yuan(amount)}" for month, amount in months.items())


async def _recoveries(platform: Platform, person_id: str) -> list[dict[str, object]]:
    found = await platform.get("subsidy", "/v1/recoveries", person_id=person_id, state="open")
    return list(found["recoveries"])


@dataclass(frozen=True)
class WronglyDead:
    """Somebody whom a register has declared dead. `said`: the event that did."""

    elder: Elder
    person_id: str
    said: Event
    died_on: date


async def wrongly_declared_dead(platform: Platform) -> WronglyDead:
    """The prologue of `revoked_death`, to be told in an earlier month. Needs a provider in 宣威市."""
    today = platform.today()
    elder = platform.cast.aged(86, today, county=XUANWEI)
    now, died_on = platform.now(), in_month(today, -1)
    await platform.push(*people.arrives(elder, now), people.lives_alone(elder, now, in_month(today, -5)))
    person_id = await platform.find(elder)
    await platform.watch.event(DuesDetermined, person_id)
    await platform.watch.event(VisitOffered, person_id)
    since, said = platform.watch.mark, people.death(elder, platform.now(), died_on)
    await platform.push(said)
    await platform.watch.event(VisitCancelled, person_id, lambda e: e.reason == "died", since=since)
    await platform.watch.event(DuesDetermined, person_id, since=since)
    return WronglyDead(elder, person_id, said, died_on)


async def revoked_death(platform: Platform, tell: Teller, case: WronglyDead) -> None:
    """To be told in a later month than `case`."""
    person_id, month = case.person_id, month_text(platform.today())
    who = f"86 years old, lives alone in 宣威市; the register says: died on {case.died_on}."
    with tell.story("A death revoked", who):
        expect(await platform.entitlements(person_id), [], "what a dead person is entitled to")
        owed_after = {m for m, _ in owed(await platform.ledger(person_id), LONGEVITY) if m > month_text(case.died_on)}
        expect(owed_after, set(), "the months owed after the death")
        tell.seen("nothing is granted, nothing is due, nobody visits")
        since = platform.watch.mark
        began = tell.happens("the police register annuls the entry: it was another person")
        (receipt,) = await platform.send([people.annulled(case.said, case.elder, platform.now())])
        notes = [(note["pointer"], note["code"]) for note in receipt["problems"]]
        expect((receipt["status"], notes), ("accepted", [("/data/value", "value_ignored")]), "the receipt")
        decided = await platform.watch.event(
            EntitlementsDecided, person_id, lambda e: e.died_on is None and bool(e.entitlements), since=since
        )
        tell.seen("reinstated: the entitlements go on without a gap", began, decided.at)
        planned = await platform.watch.event(VisitPlanned, person_id, since=since)
        tell.seen("a visit is planned again", began, planned.at)
        dues = await platform.watch.event(DuesDetermined, person_id, since=since)
        due = {m: amount for (m, _), amount in owed(await platform.ledger(person_id), LONGEVITY).items()}
        missing = [m for m in due if month_text(case.died_on) < m < month]
        need(bool(missing) and due.get(month) == 5000, f"months that are missing, and {month}: {due}")
        tell.seen(f"due again: {_listed(due)}", began, dues.at)
        began = tell.happens(f"the next batch of 宣威市, for {month}")
        batch = await pay(platform, XUANWEI, month)
        kinds = {
            line["service_month"]: line["kind"]
            for line in batch.lines
            if line["person_id"] == person_id and line["item"] == LONGEVITY
        }
        expect(kinds, {m: "pay" if m == month else "back_pay" for m in due}, "how the months are paid")
        expect({m: a for (m, _), a in paid(await platform.ledger(person_id), LONGEVITY).items()}, due, "what was paid")
        tell.seen(f"{month} and the missing {', '.join(missing)} as back-pay: {yuan(sum(due.values()))}", began)


async def suspected_death(platform: Platform, tell: Teller) -> None:
    """A report alone holds the money and sends somebody to look; a sign of life clears it. Needs a provider."""
    today = platform.today()
    elder = platform.cast.aged(87, today)
    with tell.story("Only a rumour", "87 years old, lives alone; a neighbour says that the flat is empty."):
        now, month = platform.now(), month_text(today)
        await platform.push(*people.arrives(elder, now), people.lives_alone(elder, now, in_month(today, -5)))
        person_id = await platform.find(elder)
        await platform.watch.event(VisitOffered, person_id)
        await platform.watch.event(DuesDetermined, person_id)
        since = platform.watch.mark
        began = tell.happens("the grid worker reports a death, without any evidence")
        await platform.push(people.death(elder, platform.now(), today - timedelta(days=1), "reported"))
        check = await platform.watch.event(VisitPlanned, person_id, lambda e: e.reason == "suspicion", since=since)
        expect((check.data.window_from, check.data.window_to), (today, today + timedelta(days=1)), "the check's window")
        tell.seen("one check for the same day takes the place of the routine visits", began, check.at)
        held = await platform.watch.event(
            DuesDetermined, person_id, lambda e: any(line.state == "held" for line in e.lines), since=since
        )
        states = {e["service_month"]: e["state"] for e in (await platform.ledger(person_id))["entries"]}
        expect(states.get(month), "held", f"the money for {month}")
        tell.seen("the money is held: neither paid nor recovered", began, held.at)
        since = platform.watch.mark
        began = tell.happens("the visitor finds the person alive and well")
        await platform.push(people.alive(elder, platform.now(), today))
        free = await platform.watch.event(
            DuesDetermined, person_id, lambda e: any(line.state == "due" for line in e.lines), since=since
        )
        tell.seen("the money is due again", began, free.at)
        again = await platform.watch.event(VisitPlanned, person_id, since=since)
        tell.seen("the routine visits go on", began, again.at)
        checks = [task for task in await platform.tasks(person_id) if task["reason"] == "suspicion"]
        expect([task["state"] for task in checks], ["cancelled"], "the one same-day check")


async def suspected_without_visits(platform: Platform, tell: Teller) -> None:
    """A person whom nobody visits is checked on the same day too, and a hold that lasts becomes an alert. Moves the
    clock by six days. Needs a provider in 麒麟区 that subscribes by Kafka."""
    today = platform.today()
    elder = platform.cast.aged(86, today)
    with tell.story("A rumour about a person without visits", "86 years old, has the 高龄津贴 and no visits."):
        await platform.push(*people.arrives(elder, platform.now()))
        person_id = await platform.find(elder)
        await platform.watch.event(DuesDetermined, person_id)
        items = {e["item"] for e in await platform.entitlements(person_id)}
        need(LONGEVITY in items and "visiting_care" not in items, f"an allowance and no visits: {sorted(items)}")
        await _reported(platform, tell, elder, person_id)
        since = platform.watch.mark
        began = tell.happens("six days pass, and no source confirms or clears the report")
        await platform.move_to(platform.now() + timedelta(days=6))
        alert = await platform.watch.event(AlertRaised, person_id, lambda e: e.check == "hold_overdue", since=since)
        expect(alert.data.division, elder.town, "the area whose officers hold the alert")
        tell.seen("the hold is an alert of the town's officers", began, alert.at)
        since = platform.watch.mark
        began = tell.happens("the grid worker meets the person alive")
        await platform.push(people.alive(elder, platform.now(), platform.today()))
        free = await platform.watch.event(
            DuesDetermined, person_id, lambda e: any(line.state == "due" for line in e.lines), since=since
        )
        need(not any(line.state == "held" for line in free.data.lines), "no month that is still held")
        tell.seen("every month is due again", began, free.at)
        closed = await platform.watch.event(
            AlertClosed, person_id, lambda e: e.alert_id == alert.data.alert_id, since=since
        )
        expect(closed.data.outcome, "dismissed", "how the alert ends")
        tell.seen("the alert is closed", began, closed.at)


async def _reported(platform: Platform, tell: Teller, elder: Elder, person_id: str) -> None:
    """A death is reported; the offer of the check lies on the provider's own topic on the same day."""
    today, since = platform.today(), platform.watch.mark
    topic = Watch(platform.kafka, [f"dispatch.provider.{provider_code(QILIN)}"])
    await topic.start()
    try:
        began = tell.happens("the grid worker reports a death, without any evidence")
        await platform.push(people.death(elder, platform.now(), today - timedelta(days=1), "reported"))
        check = await platform.watch.event(VisitPlanned, person_id, lambda e: e.reason == "suspicion", since=since)
        offer = await topic.event(TaskOffered, check.data.task_id)
    finally:
        await topic.stop()
    expect((offer.data.window_from, offer.data.window_to), (today, today + timedelta(days=1)), "the check's window")
    expect(offer.data.division, elder.town, "where the check is to be made")
    tell.seen("a check for the same day lies on the provider's own topic", began, offer.at)
    held = await platform.watch.event(
        DuesDetermined, person_id, lambda e: any(line.state == "held" for line in e.lines), since=since
    )
    tell.seen("the money is held", began, held.at)
