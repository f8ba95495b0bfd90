"""A person chooses between items that exclude each other, over HTTP and under the real lists of Beijing."""

import asyncio
from collections.abc import AsyncIterator
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from common.events import EntitlementEnded, EntitlementsDecided, EntitlementStarted
from identification.lists.seed_lists import seed
from rules.deciding.choices import Choice
from shell import clock
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import migrated_database

WAITS_FOR_A_LOCK = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""
CARE, LIVING = "care_service_subsidy", "disability_living_subsidy"


@pytest.fixture
async def database(demonstration: None) -> AsyncIterator[Database]:
    """The lists of the country instead of the small test lists. Beijing's rests on example deviations."""
    async with migrated_database("identification") as fresh:
        await seed(fresh, repository_root() / "contracts" / "policy")
        await fresh.pool.execute("DELETE FROM outbox")
        yield fresh


@pytest.fixture
async def poor(driver: Any, elder: Any) -> Any:
    """A person with low income for years and a disability certificate since this month."""
    known = elder(hukou="110108", lives="110108001")
    known.say("low_income", date(2024, 1, 1), category="dibao")
    known.say("disability", date(2026, 11, 10), class_=2, level=3)
    await driver.deliver(known.facts())
    return known


async def states(client: Any, bearer: Any, person_id: str, on: str, **more: Any) -> dict[str, tuple[str, Any]]:
    answer = await client.get(
        f"/v1/persons/{person_id}/entitlements", params={"on": on, **more}, headers=bearer(division="110000")
    )
    assert answer.status_code == 200, answer.text
    return {e["item"]: (e["state"], e["suppressed_by"]) for e in answer.json()["entitlements"]}


async def test_the_existing_item_stays_until_the_person_chooses_and_each_event_is_sent_once(
    client: Any, bearer: Any, driver: Any, poor: Any
) -> None:
    before = await states(client, bearer, poor.person_id, "2026-11-20")
    assert (before[CARE], before[LIVING]) == (("granted", None), ("choice_required", CARE))
    path, mine = f"/v1/persons/{poor.person_id}/choices", bearer("resident", None, subject=poor.person_id)
    for _ in range(3):
        made = await client.post(path, json={"item": LIVING}, headers=mine | {"Idempotency-Key": "once"})
        assert made.status_code == 201, made.text
    after = await states(client, bearer, poor.person_id, "2026-11-20")
    assert (after[CARE], after[LIVING]) == (("suppressed", LIVING), ("granted", None))
    # Before the day of the choice, and before it was known, nothing has changed.
    assert (await states(client, bearer, poor.person_id, "2026-11-19"))[LIVING] == ("choice_required", CARE)
    then = await states(client, bearer, poor.person_id, "2026-11-20", known_at="2026-11-19T00:00:00Z")
    assert then[LIVING] == ("choice_required", CARE)
    ended = [e.item for e in await driver.emitted(EntitlementEnded)]
    started = [e.item for e in await driver.emitted(EntitlementStarted)]
    assert (ended, started.count(CARE), started.count(LIVING)) == ([CARE], 1, 1)
    decided = (await driver.emitted(EntitlementsDecided))[-1]
    assert decided.changed == (CARE, LIVING)


async def test_the_explanation_names_the_existing_item_and_the_choice(client: Any, bearer: Any, poor: Any) -> None:
    path, officer = f"/v1/persons/{poor.person_id}/explanations", bearer(division="110000")
    asked = await client.get(path, params={"item": LIVING, "on": "2026-11-20"}, headers=officer)
    assert asked.json()["outcome"] == "choice_required"
    assert "已享受的养老服务补贴" in asked.json()["sentence"]
    mine = bearer("resident", None, subject=poor.person_id)
    await client.post(f"/v1/persons/{poor.person_id}/choices", json={"item": LIVING}, headers=mine)
    given_up = await client.get(path, params={"item": CARE, "on": "2026-11-20"}, headers=officer)
    assert given_up.json()["outcome"] == "suppressed"
    assert "自动恢复" in given_up.json()["sentence"]


async def test_when_the_chosen_item_ends_the_other_one_returns_by_itself(
    client: Any, bearer: Any, driver: Any, poor: Any
) -> None:
    mine = bearer("resident", None, subject=poor.person_id)
    await client.post(f"/v1/persons/{poor.person_id}/choices", json={"item": LIVING}, headers=mine)
    certificate = next(s.event_id for s in poor.statements if s.kind == "disability")
    poor.change(certificate, "ended", valid_to=date(2026, 12, 1))
    await driver.deliver(poor.facts())
    later = await states(client, bearer, poor.person_id, "2026-12-01")
    assert later[CARE] == ("granted", None)
    assert LIVING not in later


async def test_an_item_that_cannot_be_decided_yet_cannot_be_chosen(
    client: Any, bearer: Any, driver: Any, elder: Any
) -> None:
    known = elder(hukou="530302", lives="530302001")
    known.say("low_income", date(2024, 1, 1), category="dibao")
    await driver.deliver(known.facts())
    mine = bearer("resident", None, subject=known.person_id)
    refused = await client.post(
        f"/v1/persons/{known.person_id}/choices", json={"item": "nursing_subsidy"}, headers=mine
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "fact_missing")


async def test_an_item_that_the_person_has_declined_cannot_be_chosen(
    client: Any, bearer: Any, driver: Any, poor: Any
) -> None:
    poor.say("application", date(2026, 11, 12), item=LIVING, wish="decline", channel="counter")
    await driver.deliver(poor.facts())
    before = await states(client, bearer, poor.person_id, "2026-11-20")
    assert (before[CARE], before[LIVING]) == (("granted", None), ("suppressed", "declined"))
    path, mine = f"/v1/persons/{poor.person_id}/choices", bearer("resident", None, subject=poor.person_id)
    refused = await client.post(path, json={"item": LIVING}, headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (409, "suppressed")
    assert await states(client, bearer, poor.person_id, "2026-11-20") == before
    stored = await driver.database.pool.fetchval("SELECT choices FROM persons WHERE person_id = $1", poor.person_id)
    assert stored is None


async def test_one_key_is_one_choice_and_another_choice_with_it_is_rejected(
    client: Any, bearer: Any, database: Database, poor: Any
) -> None:
    path = f"/v1/persons/{poor.person_id}/choices"
    headers = bearer("resident", None, subject=poor.person_id) | {"Idempotency-Key": "my-choice"}
    made = await asyncio.gather(*(client.post(path, json={"item": LIVING}, headers=headers) for _ in range(4)))
    assert {answer.status_code for answer in made} == {201}
    assert len({answer.json()["choice_id"] for answer in made}) == 1
    other = await client.post(path, json={"item": CARE}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    choices = await database.pool.fetchval("SELECT choices FROM persons WHERE person_id = $1", poor.person_id)
    assert choices.count(b"choice_id") == 1


async def test_a_person_who_returns_to_the_first_choice_on_the_same_day_gets_it(
    client: Any, bearer: Any, poor: Any
) -> None:
    """The last request repeats the one before it, and makes no further choice."""
    path, mine = f"/v1/persons/{poor.person_id}/choices", bearer("resident", None, subject=poor.person_id)
    made = []
    for item in (LIVING, CARE, LIVING, LIVING):
        answer = await client.post(path, json={"item": item}, headers=mine)
        assert answer.status_code == 201, answer.text
        made.append(answer.json()["choice_id"])
        clock.advance(timedelta(minutes=1))
    after = await states(client, bearer, poor.person_id, "2026-11-20")
    assert (after[CARE], after[LIVING]) == (("suppressed", LIVING), ("granted", None))
    assert made[2] == made[3]
    assert len(set(made)) == 3


async def test_of_two_choices_at_once_the_later_stored_one_counts(
    client: Any, bearer: Any, database: Database, poor: Any
) -> None:
    """A request waits while another process stores a choice. The request is stored after it, so it replaces it."""
    path, mine = f"/v1/persons/{poor.person_id}/choices", bearer("resident", None, subject=poor.person_id)
    async with database.pool.acquire() as other, other.transaction():
        await other.execute("SELECT FROM persons WHERE person_id = $1 FOR UPDATE", poor.person_id)
        request = asyncio.create_task(client.post(path, json={"item": LIVING}, headers=mine))
        async with asyncio.timeout(30):
            while not await database.pool.fetchval(WAITS_FOR_A_LOCK):
                await asyncio.sleep(0)
        clock.advance(timedelta(seconds=1))
        first = Choice(choice_id=str(uuid4()), item=CARE, chosen_on=clock.today(), recorded_at=clock.now())
        encoded = msgspec.json.encode([first])
        await other.execute("UPDATE persons SET choices = $2 WHERE person_id = $1", poor.person_id, encoded)
        clock.advance(timedelta(seconds=1))
    answer = await request
    assert answer.status_code == 201, answer.text
    after = await states(client, bearer, poor.person_id, "2026-11-20")
    assert (after[CARE], after[LIVING]) == (("suppressed", LIVING), ("granted", None))
