"""A death reported by another province: payment is held and a check is sent until officers decide."""

from datetime import timedelta
from typing import Any

from common.events import DuesDetermined, EntitlementsDecided, RecoveryOpened, TaskOffered, VisitPlanned
from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.money import owed, paid, pay
from shouwang.stories.people import QILIN, Elder, Event
from shouwang.stories.platform import Platform, in_month, month_text
from shouwang.stories.providers import provider_code
from shouwang.stories.watch import Watch

ELSEWHERE = "urn:cn:exchange:110000:psb"


async def resident(platform: Platform) -> tuple[Elder, str]:
    """A resident of 麒麟区 with a running allowance."""
    elder = platform.cast.aged(87, platform.today())
    await platform.push(*people.register_entries(elder, platform.now()))
    person_id = await platform.find(elder)
    await platform.watch.event(DuesDetermined, person_id)
    return elder, person_id


async def stated_elsewhere(platform: Platform, person_id: str, death: Event) -> str:
    """Push a death as a source of another province, and return its event id.

    It waits for officers, payment is held, and a check of the same day is on the topic of the provider.
    """
    today, since = platform.today(), platform.watch.mark
    topic = Watch(platform.kafka, [f"dispatch.provider.{provider_code(QILIN)}"])
    await topic.start()
    try:
        (receipt,) = await platform.send([death | {"source": ELSEWHERE}])
        assert receipt["status"] == "quarantined"
        assert [problem["code"] for problem in receipt["problems"]] == ["source_not_of_person"]
        check = await platform.watch.event(VisitPlanned, person_id, lambda e: e.reason == "suspicion", since=since)
        offer = await topic.event(TaskOffered, check.data.task_id)
    finally:
        await topic.stop()
    assert (offer.data.window_from, offer.data.window_to) == (today, today + timedelta(days=1))
    await platform.watch.event(
        DuesDetermined, person_id, lambda e: any(line.state == "held" for line in e.lines), since=since
    )
    return str(receipt["event_id"])


async def settle(platform: Platform, event_id: str, what: str, officer: str, **more: Any) -> str:
    answer = await platform.post(
        "ingestion",
        f"/v1/quarantine/{event_id}/{what}",
        {"reason": "已核实", **more},
        division=QILIN,
        subject=officer,
    )
    return str(answer["state"])


async def test_two_officers_of_the_county_release_a_death_stated_elsewhere_and_what_was_paid_after_it_is_recovered(
    platform: Platform,
) -> None:
    elder, person_id = await resident(platform)
    month, died_on = month_text(platform.today()), in_month(platform.today(), -1)
    await pay(platform, QILIN, month)
    assert (month, QILIN) in paid(await platform.ledger(person_id), LONGEVITY)
    event_id = await stated_elsewhere(platform, person_id, people.death(elder, platform.now(), died_on))
    since = platform.watch.mark
    assert await settle(platform, event_id, "release", "first") == "open"
    assert await settle(platform, event_id, "release", "second") == "released"
    decided = await platform.watch.event(EntitlementsDecided, person_id, lambda e: e.died_on is not None, since=since)
    assert decided.data.died_on == died_on
    assert all(e.to is not None and e.to <= died_on + timedelta(days=1) for e in decided.data.entitlements)
    await platform.watch.event(RecoveryOpened, person_id, lambda e: e.service_month == month, since=since)
    ledger = await platform.ledger(person_id)
    assert {m for m, _ in owed(ledger, LONGEVITY) if m > month_text(died_on)} == set()


async def test_a_sign_of_life_of_the_county_refutes_a_death_stated_elsewhere_and_the_held_months_are_paid(
    platform: Platform,
) -> None:
    last_day = platform.next_month() - timedelta(days=1)
    if platform.today() < last_day:
        await platform.move_to_day(last_day)
    elder, person_id = await resident(platform)
    death = people.death(elder, platform.now(), in_month(last_day, -1))
    event_id = await stated_elsewhere(platform, person_id, death)
    await platform.move_to_day(platform.next_month())  # the county has three days for the case
    before, month = month_text(last_day), month_text(platform.today())

    async def both_held() -> bool:
        entries = (await platform.ledger(person_id))["entries"]
        return {e["service_month"] for e in entries if e["state"] == "held" and e["item"] == LONGEVITY} >= {
            before,
            month,
        }

    await platform.until("both months are held", both_held)
    since = platform.watch.mark
    (alive_id,) = await platform.push(people.alive(elder, platform.now(), platform.today()))
    assert await settle(platform, event_id, "discard", "first", refuted_by=alive_id) == "discarded"
    free = await platform.watch.event(
        DuesDetermined,
        person_id,
        lambda e: any(line.state == "due" for line in e.lines) and not any(line.state == "held" for line in e.lines),
        since=since,
    )
    assert {line.state for line in free.data.lines} == {"due"}
    batch = await pay(platform, QILIN, month)
    kinds = {
        line["service_month"]: line["kind"]
        for line in batch.lines
        if line["person_id"] == person_id and line["item"] == LONGEVITY
    }
    assert (kinds[before], kinds[month]) == ("back_pay", "pay")
    assert paid(await platform.ledger(person_id), LONGEVITY) == owed(await platform.ledger(person_id), LONGEVITY)
