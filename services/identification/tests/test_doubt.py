"""A waiting identity change suspends money that starts after it, and nothing else."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from common.events import EntitlementsDecided, EntitlementStarted
from identification import verify
from identification.deciding.explain_adverse import explain_adverse
from shell import clock
from shell.testing import Driver

WAITS_AT = datetime(2026, 11, 2, 4, tzinfo=UTC)
BEFORE = date(1940, 3, 5)  # 80 long before the doubt
AFTER = date(1946, 11, 20)  # 80 eighteen days after it


def doubted(person: Any) -> str:
    """An identity change that waits since 2 November."""
    event_id: str = person.say("identity_change", same_as="older")
    person.stands(event_id, "waits", WAITS_AT)
    return event_id


def facts_at(person: Any, at: datetime) -> Any:
    return msgspec.structs.replace(person.facts(), recorded_at=at)


async def newest(driver: Driver) -> EntitlementsDecided:
    event = (await driver.emitted(EntitlementsDecided))[-1]
    await driver.clear_outbox()
    assert isinstance(event, EntitlementsDecided)
    return event


def allowance(event: EntitlementsDecided, of_item: Any) -> list[tuple[str, date]]:
    return [(e.state, e.from_) for e in of_item(event, "longevity_allowance")]


async def test_money_that_ran_before_the_doubt_continues(driver: Driver, elder: Any, of_item: Any) -> None:
    person = elder(born=BEFORE)
    await driver.deliver(person.facts())
    before = await newest(driver)
    assert {state for state, _ in allowance(before, of_item)} == {"granted"}
    doubted(person)
    await driver.deliver(facts_at(person, WAITS_AT), times=2)
    assert await driver.emitted(EntitlementsDecided) == []
    assert await verify.check(driver.database, clock.today()) == []


@pytest.mark.parametrize("then", ["full", "withheld"])
async def test_money_that_starts_after_the_doubt_is_suspended_until_the_change_is_accepted_or_discarded(
    driver: Driver, elder: Any, of_item: Any, then: str
) -> None:
    person = elder(born=AFTER)
    await driver.deliver(person.facts())
    granted = await newest(driver)
    assert {state for state, _ in allowance(granted, of_item)} == {"granted"}
    doubt = doubted(person)
    await driver.deliver(facts_at(person, WAITS_AT), times=2)
    held = await newest(driver)
    assert allowance(held, of_item) == [("suspended", day) for _, day in allowance(granted, of_item)]
    assert all(doubt in e.facts for e in of_item(held, "longevity_allowance"))
    assert of_item(held, "visiting_care") == of_item(granted, "visiting_care")
    assert await verify.check(driver.database, clock.today()) == []
    person.stands(doubt, then, WAITS_AT + timedelta(days=2))
    await driver.deliver(facts_at(person, WAITS_AT + timedelta(days=2)), times=2)
    assert (await newest(driver)).entitlements == granted.entitlements
    assert await verify.check(driver.database, clock.today()) == []


async def test_a_suspended_item_is_explained_as_known_at_each_instant(
    driver: Driver, elder: Any, client: httpx.AsyncClient, bearer: Any
) -> None:
    person = elder(born=AFTER)
    doubt = doubted(person)
    await driver.deliver(facts_at(person, WAITS_AT))
    freed_at = WAITS_AT + timedelta(hours=6)
    person.stands(doubt, "withheld", freed_at)
    await driver.deliver(facts_at(person, freed_at))
    url = f"/v1/persons/{person.person_id}/explanations"
    asked = {"item": "longevity_allowance", "on": "2026-12-01"}

    async def explained(known_at: datetime | None) -> Any:
        more = {"known_at": known_at.isoformat()} if known_at else {}
        answer = await client.get(url, params={**asked, **more}, headers=bearer())
        assert answer.status_code == 200
        return answer.json()

    now, then = await explained(None), await explained(WAITS_AT + timedelta(hours=1))
    assert (now["outcome"], then["outcome"]) == ("granted", "suspended")
    assert "身份变更待核实，暂缓发放" in then["sentence"]
    assert "死亡" not in then["sentence"]


async def test_the_reasons_of_a_suspended_item_name_the_identity_change(driver: Driver, elder: Any) -> None:
    person = elder(born=AFTER)
    await driver.deliver(person.facts())
    doubted(person)
    await driver.deliver(facts_at(person, WAITS_AT))
    await driver.clear_outbox()
    assert await explain_adverse(driver.database) > 0
    texts = await driver.database.pool.fetch("SELECT explanation FROM adverse WHERE outcome = 'suspended'")
    assert texts
    assert all("身份变更待核实" in str(bytes(row["explanation"]), "utf8") for row in texts)


async def test_a_list_published_while_a_change_waits_leaves_the_money_suspended(
    driver: Driver, elder: Any, of_item: Any, raised: Any, publish: Any, redecide: Any
) -> None:
    person = elder(born=AFTER)
    doubted(person)
    await driver.deliver(facts_at(person, WAITS_AT))
    before = await newest(driver)
    await publish(raised)
    await redecide()
    now = await newest(driver)
    assert now.version > before.version
    assert {state for state, _ in allowance(now, of_item)} == {"suspended"}
    assert await verify.check(driver.database, clock.today()) == []
    assert await driver.emitted(EntitlementStarted) == []
