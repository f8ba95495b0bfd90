"""Two identities are merged into one human, or split again: decisions, events, and earlier knowledge."""

import asyncio
from datetime import date
from itertools import permutations
from typing import Any
from uuid import uuid4

import httpx
import pytest
from common.events import EntitlementEnded, EntitlementsDecided, EntitlementStarted
from common.message import Message
from identification import verify
from identification.deciding.decide_people import on_person_facts_recorded
from identification.redeciding.redecide_people import redecide_people
from shell import clock
from shell.store.database import Database
from shell.testing import Driver

ITEM = "longevity_allowance"
_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND pid IN (" + (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()))"
)


async def heads(driver: Driver) -> dict[str, EntitlementsDecided]:
    return {m.person_id: m for m in await driver.emitted(EntitlementsDecided)}


async def edges(driver: Driver) -> list[Any]:
    return await driver.emitted(EntitlementStarted, EntitlementEnded)


async def is_sound(database: Database) -> None:
    while await redecide_people(database):
        pass
    assert await verify.check(database, clock.today()) == []


async def test_the_survivor_is_decided_from_the_facts_of_both(driver: Driver, elder: Any, database: Database) -> None:
    stays, goes = elder(lives=None), elder(born=date(1930, 1, 1))
    stays.statements.clear()
    stays.say("residence", division="530302001")
    await driver.deliver(stays.united(goes), goes.merged(stays))
    found = await heads(driver)
    assert found[stays.person_id].aliases == (goes.person_id,)
    assert {e.item for e in found[stays.person_id].entitlements} >= {ITEM}
    assert found[goes.person_id].entitlements == ()
    await is_sound(database)


@pytest.mark.parametrize("order", list(permutations(range(3))))
async def test_an_ability_result_of_the_other_identity_counts_in_any_order_of_arrival(
    driver: Driver, elder: Any, order: Any, of_item: Any, database: Database
) -> None:
    """A second result after the merge counts too."""
    stays, goes, alone = elder(), elder(), elder()
    for person in (goes, alone):
        person.say("low_income", category="dibao")
    messages = [stays.united(goes), goes.merged(stays), goes.assessed(2, date(2026, 1, 1))]
    for i in order:
        await driver.deliver(messages[i], times=2)
    first = (await heads(driver))[stays.person_id]
    await driver.deliver(alone.facts(), alone.assessed(2, date(2026, 1, 1)))
    expected = (await heads(driver))[alone.person_id]
    assert "nursing_subsidy" in {e.item for e in first.entitlements}
    assert {(e.item, e.state, e.from_) for e in first.entitlements} == {
        (e.item, e.state, e.from_) for e in expected.entitlements
    }
    await driver.deliver(goes.assessed(4, date(2026, 10, 1), version=2))
    again = (await heads(driver))[stays.person_id]
    assert again.entitlements != first.entitlements
    await is_sound(database)


async def test_the_explanation_of_the_survivor_uses_every_input_of_the_decision(
    driver: Driver, elder: Any, of_item: Any, client: httpx.AsyncClient, bearer: Any
) -> None:
    """The newest input is an ability result of the other identity."""
    stays, goes = elder(), elder()
    goes.say("low_income", category="dibao")
    await driver.deliver(stays.united(goes), goes.merged(stays))
    await driver.deliver(goes.assessed(2, date(2026, 1, 1), version=2))
    decided = of_item((await heads(driver))[stays.person_id], "nursing_subsidy")[-1]
    path = f"/v1/persons/{stays.person_id}/explanations"
    asked = await client.get(path, params={"item": "nursing_subsidy"}, headers=bearer())
    assert decided.state == asked.json()["outcome"] == "granted"


async def test_an_ability_result_that_arrives_during_the_merge_counts_for_the_survivor(
    driver: Driver, elder: Any, of_item: Any, database: Database
) -> None:
    stays, goes = elder(), elder()
    goes.say("low_income", category="dibao")
    await driver.deliver(stays.facts(), goes.facts())
    events = (stays.united(goes), goes.merged(stays))
    merge = [Message(id=str(uuid4()), data=event, correlation_id=str(uuid4())) for event in events]
    async with database.transaction() as tx:
        await on_person_facts_recorded(merge, tx)
        arrives = asyncio.create_task(driver.deliver(goes.assessed(2, date(2026, 1, 1))))
        async with asyncio.timeout(10):
            while not await database.pool.fetchval(_WAITS):
                await asyncio.sleep(0.01)
    await arrives
    found = of_item((await heads(driver))[stays.person_id], "nursing_subsidy")
    assert found[-1].state == "granted"
    await is_sound(database)


@pytest.mark.parametrize("survivor_first", [True, False])
async def test_an_item_that_continues_under_the_survivor_names_the_alias_on_both_edges(
    driver: Driver, elder: Any, survivor_first: bool
) -> None:
    """No edge is emitted for an item that both had."""
    stays, goes = elder(lives=None), elder()
    stays.statements.clear()
    stays.say("living_situation", tags=("alone",))
    await driver.deliver(stays.facts(), goes.facts())
    await driver.clear_outbox()
    messages = [stays.united(goes), goes.merged(stays)]
    for event in messages if survivor_first else messages[::-1]:
        await driver.deliver(event)
    found = [(type(e), e.person_id, e.alias) for e in await edges(driver) if e.item == ITEM]
    assert sorted(found, key=str) == sorted(
        [(EntitlementEnded, goes.person_id, stays.person_id), (EntitlementStarted, stays.person_id, goes.person_id)],
        key=str,
    )


@pytest.mark.parametrize("survivor_first", [True, False])
async def test_an_item_that_the_merged_facts_no_longer_give_ends_once(
    driver: Driver, elder: Any, survivor_first: bool
) -> None:
    """One of the two has died."""
    stays, goes = elder(lives=None), elder()
    stays.statements.clear()
    stays.say("death", date(2026, 11, 3), evidence="register_cancelled")
    await driver.deliver(stays.facts(), goes.facts())
    await driver.clear_outbox()
    messages = [stays.united(goes), goes.merged(stays)]
    for event in messages if survivor_first else messages[::-1]:
        await driver.deliver(event)
    found = [(type(e), e.person_id, e.alias) for e in await edges(driver) if e.item == ITEM]
    assert sorted(found, key=str) == sorted(
        [(EntitlementEnded, goes.person_id, stays.person_id), (EntitlementEnded, stays.person_id, None)], key=str
    )


async def test_after_a_split_everybody_has_the_earlier_items(driver: Driver, elder: Any, database: Database) -> None:
    stays, goes = elder(), elder(born=date(1935, 1, 1), hukou="530303", lives="530303001")
    await driver.deliver(stays.facts(), goes.facts())
    before = await heads(driver)
    await driver.deliver(goes.merged(stays), stays.united(goes))
    united = await heads(driver)
    await driver.deliver(stays.split(), goes.split())
    after = await heads(driver)
    for person in (stays, goes):
        assert after[person.person_id].entitlements == before[person.person_id].entitlements
    assert united[goes.person_id].entitlements == ()
    await is_sound(database)


async def test_before_the_merge_two_persons_were_known_and_before_the_split_one(
    driver: Driver, elder: Any, client: httpx.AsyncClient, bearer: Any
) -> None:
    stays, goes = elder(), elder(hukou="530303", lives="530303001")
    await driver.deliver(stays.facts(), goes.facts())
    await driver.deliver(goes.merged(stays), stays.united(goes))
    await driver.deliver(stays.split(), goes.split())

    async def shown(person: Any, known_at: str) -> tuple[Any, int]:
        asked = {"on": "2026-11-20", "known_at": known_at}
        found = (
            await client.get(f"/v1/persons/{person.person_id}/entitlements", params=asked, headers=bearer())
        ).json()
        return found["merged_into"], len(found["entitlements"])

    early, between, late = (f"2026-11-01T0{h}:30:00+00:00" for h in (0, 1, 2))
    assert (await shown(goes, early))[0] is None
    assert (await shown(goes, early))[1] > 0
    assert await shown(goes, between) == (stays.person_id, 0)
    assert await shown(goes, late) == await shown(goes, early)


async def test_an_edit_of_a_list_reaches_a_person_by_the_facts_of_a_merged_identity(
    driver: Driver, elder: Any, publish: Any, redecide: Any, client: Any, bearer: Any, of_item: Any, database: Database
) -> None:
    """The own result is level 0; the result of the other identity is level 1."""
    stays, goes = elder(), elder()
    stays.say("low_income", category="dibao")
    await driver.deliver(stays.assessed(0, date(2026, 1, 1)), goes.assessed(1, date(2026, 6, 1)))
    await driver.deliver(stays.united(goes), goes.merged(stays))
    before = of_item((await heads(driver))[stays.person_id], "nursing_subsidy")
    assert {e.state for e in before} == {"unknown"}  # until the first assessment
    body = (await client.get("/v1/policies/000000", headers=bearer("officer", "000000"))).json()["list"]
    version = body["items"]["nursing_subsidy"]["versions"][0]
    version["conditions"]["all_of"][2] = {"ability_level_min": 1}
    version["amount"]["bands"].insert(0, {"ability_level_min": 1, "amount_fen": 5000})
    await publish(body, "000000")
    await redecide()
    after = of_item((await heads(driver))[stays.person_id], "nursing_subsidy")
    (given,) = (e for e in after if e.state == "granted")
    assert (given.state, given.from_, given.amount_fen_per_month) == ("granted", date(2026, 6, 1), 5000)
    await is_sound(database)


async def test_the_explanation_of_a_merged_identity_agrees_with_its_decision(
    driver: Driver, elder: Any, client: httpx.AsyncClient, bearer: Any
) -> None:
    """Only the survivor has the item. Before the merge was known, each of them had it."""
    stays, goes = elder(), elder()
    await driver.deliver(stays.united(goes), goes.merged(stays))

    async def explained(person: Any, **more: Any) -> Any:
        path, query = f"/v1/persons/{person.person_id}/explanations", {"item": ITEM, "on": "2026-11-20"} | more
        return (await client.get(path, params=query, headers=bearer())).json()

    assert (await explained(stays))["outcome"] == "granted"
    refused = await explained(goes)
    assert (refused["outcome"], refused["conditions"], refused["remedies"]) == ("refused", [], [])
    assert "存续人员" in refused["sentence"]
    assert (await explained(goes, known_at="2026-11-01T00:30:00Z"))["outcome"] == "granted"
