"""Stories of deaths that are reported late or wrongly."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from common.events import (
    DuesDetermined,
    EntitlementsDecided,
    RecoveryClosed,
    RecoveryOpened,
    TaskWithdrawn,
    VisitAccepted,
    VisitCancelled,
    VisitOffered,
    VisitPlanned,
)

from shouwang.stories import people
from shouwang.stories.longevity import FEN_AT_80, LONGEVITY
from shouwang.stories.money import MAKER, PaidBatch, pay
from shouwang.stories.people import QILIN, XUANWEI, Elder, Event
from shouwang.stories.platform import Json, Platform, in_month, month_text
from shouwang.stories.providers import accept, feed_of, provider_code
from shouwang.stories.scene import Scene
from shouwang.stories.transcript import Transcript, expect, need, yuan

# -- a death that is reported late


async def late_death(platform: Platform, transcript: Transcript) -> None:
    """Tell the story of a late death report: visits end, and the months paid after the death are recovered.

    It needs a visiting provider in the county. It pays everything that the county owes.
    """
    elder = platform.cast.aged(88, platform.today())
    person = "88 years old, lives alone in 麒麟区, and has died weeks ago."
    with transcript.story("A death reported late", person):
        scene = Scene(platform, transcript, elder)
        await _visited_and_due(scene)
        await _paid(scene)
        died_on = in_month(platform.today(), -1)
        await _report_late(scene, died_on)
        await _recover(scene, died_on)


async def _visited_and_due(scene: Scene) -> None:
    """Push a person who lives alone; wait until the provider has accepted a visit and an allowance is due."""
    now = scene.platform.now()
    await scene.register(people.lives_alone(scene.elder, now, in_month(now.date(), -4)))
    offered = await scene.event(VisitOffered)
    await accept(scene.platform, offered.data.task_id, provider_code(QILIN))
    await scene.event(VisitAccepted)
    await scene.event(DuesDetermined)
    scene.note("a visit is accepted by the provider, the 高龄津贴 is due")


async def _paid(scene: Scene) -> None:
    """Pay the month of the county and check the person's payment."""
    month = month_text(scene.platform.today())
    scene.action(f"the monthly batch of 麒麟区 for {month}: made by one officer, approved by another, paid")
    batch = await pay(scene.platform, QILIN, month)
    need(any(line["person_id"] == scene.person_id for line in batch.lines), "a line of the batch for this person")
    scene.observed(f"{len(batch.lines)} lines, {yuan(batch.amount_fen)}; the maker alone was refused (403)")
    expect((await scene.paid_by_month(LONGEVITY))[month], FEN_AT_80, f"paid for {month}")


async def _report_late(scene: Scene, died_on: date) -> None:
    """Push the death; check that it cancels the visits and that the provider receives the withdrawal."""
    before = await feed_of(scene.platform, provider_code(QILIN))
    scene.action(f"the police register cancels the hukou: died on {died_on}")
    await scene.push(people.death(scene.elder, scene.platform.now(), died_on))
    cancelled = await scene.event(VisitCancelled)
    expect(cancelled.data.reason, "died", "the reason of the cancelled visit")
    scene.observed("every visit is cancelled", cancelled)
    last_sequence = before[-1]["sequence"] if before else 0
    await _withdrawn(scene, cancelled.data.task_id, last_sequence)


async def _withdrawn(scene: Scene, task_id: str, after: int) -> None:
    """Wait until the provider's feed has the withdrawal of the task after the sequence number `after`."""

    async def received() -> bool:
        messages = await feed_of(scene.platform, provider_code(QILIN), after=after)
        return any(_withdraws(message, task_id) for message in messages)

    await scene.platform.until("the provider receives the withdrawal", received)
    scene.observed("the provider receives the withdrawal of the visit")


def _withdraws(message: Json, task_id: str) -> bool:
    is_withdrawal = str(message["type"]).endswith(TaskWithdrawn.__name__)
    return bool(is_withdrawal and message["data"]["task_id"] == task_id)


async def _recover(scene: Scene, died_on: date) -> None:
    """Check that every month paid after the month of death becomes a recovery, and let the family repay."""
    opened = await scene.event(RecoveryOpened)
    months = await scene.paid_by_month(LONGEVITY)
    kept = {month: amount for month, amount in months.items() if month <= month_text(died_on)}
    wrong = {month: amount for month, amount in months.items() if month not in kept}
    recoveries = await _open_recoveries(scene)
    amounts = {recovery["service_month"]: recovery["amount_fen"] for recovery in recoveries}
    expect(amounts, wrong, "the amounts to recover")
    scene.observed(f"paid after the month of death: {_listed(wrong)} – a recovery each", opened)
    await _repay(scene, recoveries)
    expect(await scene.owed_by_month(LONGEVITY), kept, "the dues until the month of death")


async def _repay(scene: Scene, recoveries: list[Json]) -> None:
    for recovery in recoveries:
        path = f"/v1/recoveries/{recovery['recovery_id']}/collect"
        await scene.platform.post("subsidy", path, subject=MAKER)
    await scene.event(RecoveryClosed)
    expect((await scene.ledger())["balance_fen"], 0, "the balance after the repayment")
    scene.note("the family gives it back: the balance is 0")


def _listed(months: dict[str, int]) -> str:
    return ", ".join(f"{month} {yuan(amount)}" for month, amount in months.items())


async def _open_recoveries(scene: Scene) -> list[Json]:
    found = await scene.platform.get("subsidy", "/v1/recoveries", person_id=scene.person_id, state="open")
    return list(found["recoveries"])


# -- a death that is reported wrongly


@dataclass(frozen=True)
class WronglyDead:
    """A living person with a death in the register. `report`: the event that reported the death."""

    elder: Elder
    person_id: str
    report: Event
    died_on: date


async def wrongly_declared_dead(platform: Platform) -> WronglyDead:
    """Push a living person and a wrong death report, as the preparation of `revoked_death`.

    It needs a visiting provider in 宣威市.
    """
    today = platform.today()
    scene = Scene(platform, Transcript(quiet=True), platform.cast.aged(86, today, county=XUANWEI))
    died_on = in_month(today, -1)
    await scene.register(people.lives_alone(scene.elder, platform.now(), in_month(today, -5)))
    await scene.event(DuesDetermined)
    await scene.event(VisitOffered)
    report = people.death(scene.elder, platform.now(), died_on)
    scene.action("the police register reports the death of another person under this ID number")
    await scene.push(report)
    await scene.event(VisitCancelled, lambda event: event.reason == "died")
    await scene.event(DuesDetermined)
    return WronglyDead(scene.elder, scene.person_id, report, died_on)


async def revoked_death(platform: Platform, transcript: Transcript, case: WronglyDead) -> None:
    """Tell the story of a revoked death: the entitlements return, and the missing months are paid.

    `case` is the result of `wrongly_declared_dead` in an earlier month.
    """
    person = f"86 years old, lives alone in 宣威市; the register says: died on {case.died_on}."
    with transcript.story("A death revoked", person):
        scene = Scene(platform, transcript, case.elder)
        scene.person_id = case.person_id
        await _nothing_after_death(scene, case.died_on)
        await _revoke(scene, case.report)
        due = await _reinstated(scene, case.died_on)
        await _back_pay(scene, due, case.died_on)


async def _nothing_after_death(scene: Scene, died_on: date) -> None:
    """Check that the person has no entitlement, and that no month after the death is owed."""
    expect(await scene.platform.entitlements(scene.person_id), [], "the entitlements of a dead person")
    owed_after = {month for month in await scene.owed_by_month(LONGEVITY) if month > month_text(died_on)}
    expect(owed_after, set(), "the months owed after the death")
    scene.note("nothing is granted, nothing is due, no visit is planned")


async def _revoke(scene: Scene, report: Event) -> None:
    """Annul the death report and check that entitlements and visits return."""
    scene.action("the police register annuls the entry: it was another person")
    (receipt,) = await scene.platform.send([people.annulled(report, scene.elder, scene.platform.now())])
    notes = [(note["pointer"], note["code"]) for note in receipt["problems"]]
    expect((receipt["status"], notes), ("accepted", [("/data/value", "value_ignored")]), "the receipt")
    await scene.observe(
        EntitlementsDecided,
        "reinstated: the entitlements go on without a gap",
        lambda event: event.died_on is None and bool(event.entitlements),
    )
    await scene.observe(VisitPlanned, "a visit is planned again")


async def _reinstated(scene: Scene, died_on: date) -> dict[str, int]:
    """Check that the months after the wrong death are due again; returns the fen due by month."""
    month = month_text(scene.platform.today())
    dues = await scene.event(DuesDetermined)
    due = await scene.owed_by_month(LONGEVITY)
    missing = [service_month for service_month in due if month_text(died_on) < service_month < month]
    need(bool(missing) and due.get(month) == FEN_AT_80, f"months that are missing, and {month}: {due}")
    scene.observed(f"due again: {_listed(due)}", dues)
    return due


async def _back_pay(scene: Scene, due: dict[str, int], died_on: date) -> None:
    """Pay the next batch; check that it pays the present month, and the missing months as back-pay."""
    month = month_text(scene.platform.today())
    scene.action(f"the next batch of 宣威市, for {month}")
    batch = await pay(scene.platform, XUANWEI, month)
    wanted = {service_month: "pay" if service_month == month else "back_pay" for service_month in due}
    expect(_kinds_by_month(batch, scene.person_id), wanted, "the kinds of the payments")
    expect(await scene.paid_by_month(LONGEVITY), due, "the payments")
    missing = ", ".join(service_month for service_month in due if month_text(died_on) < service_month < month)
    scene.observed(f"{month} and the missing {missing} as back-pay: {yuan(sum(due.values()))}")


def _kinds_by_month(batch: PaidBatch, person_id: str) -> dict[str, str]:
    """Return the kind of payment by service month, of one person's longevity allowance in a batch."""
    kinds = {}
    for line in batch.lines:
        if line["person_id"] == person_id and line["item"] == LONGEVITY:
            kinds[line["service_month"]] = line["kind"]
    return kinds
