"""Two ID numbers are merged into one person, and the merge is revoked."""

from dataclasses import replace
from typing import Any

from common.events import DuesDetermined, EntitlementsDecided
from shouwang.commands.verify import check_all
from shouwang.runtime.machine import Runtime
from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.money import paid, pay
from shouwang.stories.people import XUANWEI, Elder
from shouwang.stories.platform import Platform, month_text

OPEN = ("planned", "offered", "accepted", "in_progress")


def same_person(double: Elder, known: Elder, at: Any) -> Any:
    return people.cloud_event("psb", "identity_change", double, at, {"same_person_as": known.number})


async def arrives(platform: Platform, elder: Elder) -> str:
    now = platform.now()
    await platform.push(*people.register_entries(elder, now), people.lives_alone(elder, now, platform.today()))
    person_id = await platform.find(elder)
    await platform.watch.event(DuesDetermined, person_id)
    return person_id


async def open_visits(platform: Platform, person_id: str) -> set[str]:
    return {t["task_id"] for t in await platform.tasks(person_id) if t["state"] in OPEN and t["person_id"] == person_id}


async def recoveries(platform: Platform, *person_ids: str) -> list[tuple[str, int, str]]:
    found = [await platform.get("subsidy", "/v1/recoveries", person_id=p, state="open") for p in person_ids]
    return [(r["service_month"], r["amount_fen"], r["reason"]) for page in found for r in page["recoveries"]]


async def test_two_id_numbers_are_one_person_until_the_merge_is_revoked(platform: Platform, running: Runtime) -> None:
    known = platform.cast.aged(91, platform.today(), county=XUANWEI)
    other = platform.cast.aged(91, platform.today(), county=XUANWEI)
    double = replace(known, number=other.number, birth_date=other.birth_date, sex=other.sex)
    one, two = await arrives(platform, known), await arrives(platform, double)
    month = month_text(platform.today())
    await pay(platform, XUANWEI, month)
    apart = {p: paid(await platform.ledger(p), LONGEVITY) for p in (one, two)}
    assert apart[one] == apart[two] != {}
    visits = await open_visits(platform, one)

    merge, since = same_person(double, known, platform.now()), platform.watch.mark
    await platform.push(merge)
    await platform.watch.event(EntitlementsDecided, two, lambda e: e.merged_into == one, since=since)
    await platform.watch.event(EntitlementsDecided, one, lambda e: e.aliases == (two,), since=since)
    assert await platform.find(double) == one
    twice = sorted((month, fen, "paid_twice") for (month, _), fen in apart[one].items())
    await platform.until("paid twice", lambda: _many(recoveries(platform, one, two), len(twice)))
    assert sorted(await recoveries(platform, one, two)) == twice
    assert await platform.entitlements(two) == []
    await platform.until("the double's visits are withdrawn", lambda: _none(open_visits(platform, two)))
    assert await open_visits(platform, one) == visits
    both = await platform.ledger(one)
    assert (both["aliases"], sum(paid(both, LONGEVITY).values())) == ([two], 2 * sum(apart[one].values()))
    await sound(platform, running)

    since = platform.watch.mark
    await platform.push(people.annulled(merge, double, platform.now()))
    await platform.watch.event(EntitlementsDecided, two, lambda e: e.merged_into is None, since=since)
    await platform.until("both have their own again", lambda: _none(recoveries(platform, one, two)))
    await platform.until("the other is visited again", lambda: _some(open_visits(platform, two)))
    assert await platform.find(double) == two
    assert {p: paid(await platform.ledger(p), LONGEVITY) for p in (one, two)} == apart
    assert [(await platform.ledger(p))["balance_fen"] for p in (one, two)] == [0, 0]
    before = await platform.get("identification", f"/v1/persons/{two}/entitlements", known_at=merge["time"])
    assert before["merged_into"] is None
    await sound(platform, running)


async def _some(found: Any) -> Any:
    return await found or None


async def _many(found: Any, wanted: int) -> Any:
    rows = await found
    return rows if len(rows) == wanted else None


async def _none(found: Any) -> Any:
    return True if not await found else None


async def sound(platform: Platform, running: Runtime) -> None:
    balance = await platform.call("GET", "subsidy", "/v1/trial-balance", role="auditor", division="000000")
    assert balance["debit_fen"] == balance["credit_fen"]
    report = await check_all(running)
    assert {line.invariant: line.faults for line in report.wrong()} == {}


async def test_a_new_id_number_does_not_change_the_entitlements_of_the_person(
    platform: Platform, running: Runtime
) -> None:
    """The police give a new number. Civil affairs use it to annul an event that they sent under the old number."""
    elder = platform.cast.aged(91, platform.today(), county=XUANWEI)
    renumbered = replace(elder, number=platform.cast.aged(91, platform.today(), county=XUANWEI).number)
    person_id = await arrives(platform, elder)
    since, now = platform.watch.mark, platform.now()
    poor = people.low_income(elder, now, platform.today())
    change = people.cloud_event("psb", "identity_change", elder, now, {"new_id_number": renumbered.number})
    over = people.cloud_event("mca", "low_income", renumbered, platform.now(), None, action="annulled", previous=poor)
    await platform.push(poor, change)
    await platform.push(over)
    await platform.watch.event(EntitlementsDecided, person_id, lambda e: len(e.aliases) == 1, since=since)
    assert await platform.find(renumbered) == person_id
    assert await recoveries(platform, person_id) == []
    body = {"purpose": "task", "cause": "t", "fields": ["id_number"], "person_ids": [person_id]}
    shown = await platform.post("ingestion", "/v1/vault/reveal", body, role="service", subject="dispatch")
    assert [p["id_number"] for p in shown["persons"]] == [renumbered.number]
    await sound(platform, running)
