"""A published list decides again only the people whom it may touch; the result equals deciding everybody."""

import asyncio
import random
from datetime import date
from time import monotonic
from typing import Any

import pytest
from common.events import EntitlementsDecided
from identification import verify
from identification.redeciding.redecide_people import redecide_people
from shell import clock
from shell.store.database import Database
from shell.testing import Driver

NATION, QILIN, MALONG = "000000", "530302", "530303"
SEVERE = "severe_disability_nursing_subsidy"


async def progress(driver: Driver) -> dict[str, Any]:
    row = await driver.database.pool.fetchrow(
        "SELECT people_touched, people, people_changed, redecided_at FROM publications ORDER BY seq DESC LIMIT 1"
    )
    return dict(row)


async def of_the_nation(client: Any, bearer: Any) -> Any:
    return (await client.get(f"/v1/policies/{NATION}", headers=bearer("officer", NATION))).json()["list"]


async def dearer_care(client: Any, bearer: Any) -> Any:
    """The list of the nation with more for the care of the severely disabled."""
    body = await of_the_nation(client, bearer)
    body["items"][SEVERE]["versions"][0]["amount"]["flat_fen"] += 1000
    return body


async def test_publishing_decides_again_only_the_touched_people(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any, of_item: Any
) -> None:
    here, there, moved = elder(), elder(hukou=MALONG, lives="530303001"), elder(hukou=MALONG, lives="530303001")
    moved.statements.clear()  # lived in Qilin once
    moved.registered(date(1940, 3, 5), QILIN)
    moved.registered(date(1940, 3, 5), MALONG, date(2025, 1, 1))
    await driver.deliver(*(p.facts() for p in (here, there, moved)))
    await redecide()
    await driver.clear_outbox()
    await publish(raised)
    messages = await driver.emitted_messages()
    steps = ["Proposed", "Simulated", "Approved", "Approved", "Published"]
    assert [type(m.data).__name__ for m in messages] == [f"PolicyVersion{step}" for step in steps]
    published = messages[-1]
    assert await verify.check(driver.database, clock.today()) != []  # not yet
    await redecide()
    events = {e.person_id: e for e in await driver.emitted(EntitlementsDecided)}
    assert set(events) == {here.person_id, moved.person_id}
    assert events[here.person_id].version == 2
    assert of_item(events[here.person_id], "longevity_allowance")[0].amount_fen_per_month == 8000
    spans = [(e.amount_fen_per_month, e.to) for e in of_item(events[moved.person_id], "longevity_allowance")]
    assert spans[0] == (8000, date(2025, 1, 1))
    correlations = {m.correlation_id for m in (await driver.emitted_messages())[len(messages) - 1 :]}
    assert correlations == {published.id}
    assert await verify.check(driver.database, clock.today()) == []
    done = await progress(driver)
    assert (done["people_touched"], done["people"], done["people_changed"]) == (2, 2, 2)


async def test_an_item_for_few_people_touches_few_people(
    client: Any, bearer: Any, publish: Any, redecide: Any, driver: Driver, elder: Any
) -> None:
    people = [elder() for _ in range(20)]
    people[0].say("disability", class_=4, level=1)
    people[1].say("disability", class_=4, level=4)
    await driver.deliver(*(p.facts() for p in people))
    await redecide()
    await driver.clear_outbox()
    await publish(await dearer_care(client, bearer), NATION)
    await redecide()
    assert [e.person_id for e in await driver.emitted(EntitlementsDecided)] == [people[0].person_id]
    done = await progress(driver)
    assert (done["people_touched"], done["people"], done["people_changed"]) == (1, 1, 1)
    assert await verify.check(driver.database, clock.today()) == []


async def test_an_untouched_person_is_explained_by_the_list_in_force(
    client: Any, bearer: Any, publish: Any, redecide: Any, driver: Driver, elder: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await redecide()
    body = await of_the_nation(client, bearer)
    citation = body["items"][SEVERE]["versions"][0]["citation"]
    citation["title"] = "新的办法"

    async def title() -> str:
        path, query = f"/v1/persons/{person.person_id}/explanations", {"item": SEVERE, "on": "2026-11-20"}
        found: str = (await client.get(path, headers=bearer(), params=query)).json()["policy"]["title"]
        return found

    before = await title()
    await publish(body, NATION)
    assert await title() == before  # it is not known yet whether the decision stays
    await redecide()
    assert await title() == "新的办法"
    done = await progress(driver)
    assert (done["people_touched"], done["people_changed"]) == (0, 0)


def random_person(elder: Any, chance: random.Random) -> Any:
    """A person with random facts that the lists read."""
    born = date(chance.randint(1925, 1965), chance.randint(1, 12), chance.randint(1, 28))
    hukou, lives = chance.choice([QILIN, MALONG, "140702"]), chance.choice(["530302001", "530303001", None])
    person = elder(born=born, hukou=hukou, lives=lives)
    since = date(chance.randint(2015, 2027), chance.randint(1, 12), 1)
    if chance.random() < 0.3:
        person.say("disability", since, class_=chance.randint(1, 7), level=chance.randint(1, 4))
    if chance.random() < 0.2:
        person.say("low_income", since, category=chance.choice(["dibao", "tekun"]))
    if chance.random() < 0.2:
        person.say("living_situation", since, tags=("alone",))
    if chance.random() < 0.2:
        person.registered(born, chance.choice([QILIN, MALONG]), since)
    if chance.random() < 0.1:
        person.say("death", since, evidence=chance.choice(["register_cancelled", "reported"]))
    return person


@pytest.mark.parametrize("seed", range(3))
async def test_deciding_the_touched_people_equals_deciding_everybody(
    client: Any, bearer: Any, publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any, seed: int
) -> None:
    """`verify` decides everybody from scratch by the lists in force."""
    chance = random.Random(seed)
    people = [random_person(elder, chance) for _ in range(60)]
    await driver.deliver(*(p.facts() for p in people), *(p.assessed(2, date(2026, 11, 1)) for p in people[::7]))
    await redecide()
    await driver.clear_outbox()
    before = dict(await driver.database.pool.fetch("SELECT person_id, decision FROM persons"))
    await publish(await dearer_care(client, bearer), NATION)
    await redecide(people_max=chance.randint(1, 60), lines_max=chance.randint(1, 20))
    await publish(raised)
    await redecide(people_max=chance.randint(1, 60), lines_max=chance.randint(1, 20))
    assert await verify.check(driver.database, clock.today()) == []
    after = dict(await driver.database.pool.fetch("SELECT person_id, decision FROM persons"))
    emitted = {e.person_id for e in await driver.emitted(EntitlementsDecided)}
    assert emitted == {person_id for person_id in before if before[person_id] != after[person_id]}
    assert 0 < len(emitted) < len(people)


async def test_two_processes_share_the_people(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("identification.redeciding.store.parts.PART_MAX", 7)
    people = [elder(lives=f"5303020{n:02}") for n in range(40)]
    await driver.deliver(*(p.facts() for p in people))
    await redecide()
    await driver.clear_outbox()
    await publish(raised)
    other = Database(driver.database.url, "identification")
    await other.open()
    steps = [0, 0]

    async def work(n: int, database: Database) -> None:
        deadline = monotonic() + 30
        while (await progress(driver))["redecided_at"] is None:
            steps[n] += await redecide_people(database, lines_max=3) > 0
            assert monotonic() < deadline

    try:
        await asyncio.gather(work(0, driver.database), work(1, other))
    finally:
        await other.close()
    done = await progress(driver)
    assert (done["people_touched"], done["people"], done["people_changed"]) == (40, 40, 40)
    assert min(steps) > 2
    assert {e.version for e in await driver.emitted(EntitlementsDecided)} == {2}
    assert await verify.check(driver.database, clock.today()) == []
    assert await driver.database.pool.fetchval("SELECT count(*) FROM redecisions") == 0


class Killed(BaseException):
    pass


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
async def test_a_kill_at_any_step_loses_no_person(
    publish: Any,
    redecide: Any,
    driver: Driver,
    elder: Any,
    raised: Any,
    monkeypatch: pytest.MonkeyPatch,
    point: str,
) -> None:
    await driver.deliver(*(elder(lives=f"53030200{n % 4}").facts() for n in range(12)))
    await redecide()
    await driver.clear_outbox()
    await publish(raised)
    steps = 0
    while (await progress(driver))["redecided_at"] is None:
        transactions = 0

        def die(at: str) -> None:
            nonlocal transactions
            transactions += at == point
            if transactions == 2:
                raise Killed

        monkeypatch.setattr("shell.store.database.crash_point", die)
        try:
            await redecide(people_max=2, lines_max=1)
        except Killed:
            steps += 1
        monkeypatch.undo()
        await redecide_people(driver.database, people_max=2, lines_max=1)
    assert steps > 3
    done = await progress(driver)
    assert (done["people_touched"], done["people"], done["people_changed"]) == (12, 12, 12)
    versions = await driver.database.pool.fetch("SELECT version, count(*) FROM persons GROUP BY version")
    assert [tuple(row) for row in versions] == [(2, 12)]
    assert await verify.check(driver.database, clock.today()) == []


async def test_deciding_again_continues_after_each_step(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder(lives=f"53030200{n}").facts() for n in range(7)))
    await redecide()
    await driver.clear_outbox()
    await publish(raised)
    assert await redecide(people_max=2, lines_max=3) > 5
    assert len(await driver.emitted(EntitlementsDecided)) == 7
    assert await redecide() == 0
    assert await verify.check(driver.database, clock.today()) == []


async def test_a_person_decided_by_a_live_change_is_not_decided_twice(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await redecide()
    await publish(raised)
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    await redecide()
    assert await driver.emitted() == []
    assert await verify.check(driver.database, clock.today()) == []


async def test_a_row_that_changes_while_it_is_decided_is_decided_again(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    """The daily job may run between reading and writing; its events must not be emitted twice."""
    person = elder()
    await driver.deliver(person.facts())
    await redecide()
    await publish(raised)
    await driver.clear_outbox()
    async with driver.database.pool.acquire() as other:
        moving = other.transaction()
        await moving.start()
        await other.execute("UPDATE persons SET next_edge_on = '2027-01-01'")
        working = asyncio.create_task(redecide(people_max=1))
        deadline = monotonic() + 20
        waiting = (
            "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        while not await driver.database.pool.fetchval(waiting):
            assert monotonic() < deadline
            await asyncio.sleep(0.01)
        await moving.commit()
    assert await working == 3  # found, read while it moved, read again
    (event,) = await driver.emitted(EntitlementsDecided)
    assert event.version == 2
    done = await progress(driver)
    assert (done["people_touched"], done["people"], done["people_changed"]) == (1, 1, 1)
    assert await verify.check(driver.database, clock.today()) == []


async def test_live_events_come_before_deciding_again(
    publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(6)))
    await redecide()
    await publish(raised)
    assert await redecide_people(driver.database) == 1  # one line of traits: all of them are found
    monkeypatch.setattr("identification.redeciding.redecide_people.BUSY_ROWS", 3)
    monkeypatch.setattr("identification.redeciding.redecide_people.PEOPLE_MAX_WHEN_BUSY", 2)
    assert await redecide_people(driver.database) == 0  # it pauses now …
    assert await driver.database.pool.fetchval("SELECT people FROM redecisions") == 2  # … but has made progress


async def test_an_officer_can_follow_the_progress(
    client: Any, bearer: Any, publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(4)), elder(hukou=MALONG, lives="530303001").facts())
    await redecide()
    await driver.clear_outbox()
    version = await publish(raised)
    path = f"/v1/policies/{version}/redecision"

    async def shown() -> tuple[Any, ...]:
        body = (await client.get(path, headers=bearer())).json()
        counts = body["people_touched"], body["people"], body["people_changed"]
        return *counts, body["selected_at"] is not None, body["redecided_at"] is not None

    assert await shown() == (0, 0, 0, False, False)
    await redecide_people(driver.database)
    assert await shown() == (4, 0, 0, True, False)
    await redecide_people(driver.database, people_max=3)
    assert await shown() == (4, 3, 3, True, False)
    await redecide()
    assert await shown() == (4, 4, 4, True, True)
    body = (await client.get(path, headers=bearer("auditor", "530300"))).json()
    assert (body["people_touched"], body["people"], body["people_changed"]) == (0, 0, 0)
    assert (await client.get(path, headers=bearer("officer", "140700"))).status_code == 403
    for role in ("resident", "provider"):
        assert (await client.get(path, headers=bearer(role, None))).status_code == 403
    missing = await client.get(f"/v1/policies/{'0' * 32}/redecision", headers=bearer())
    assert missing.status_code == 404


async def test_a_halted_list_keeps_the_number_of_people_whom_it_has_decided(
    client: Any, bearer: Any, publish: Any, redecide: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(5)))
    version = await publish(raised)
    await redecide_people(driver.database)
    await redecide_people(driver.database, people_max=3)
    halt = {"headers": bearer("approver"), "json": {"reason": "标准有误"}}
    assert (await client.post(f"/v1/policies/{version}/halt", **halt)).status_code == 200
    await redecide()
    body = (await client.get(f"/v1/policies/{version}/redecision", headers=bearer())).json()
    assert (body["people_touched"], body["people"], body["people_changed"]) == (5, 3, 3)
    assert body["redecided_at"] is not None
