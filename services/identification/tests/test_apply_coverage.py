"""Coverage decides like the lists: a missing fact becomes a no there, or stops being one."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from common.codes import divisions
from common.events import CoverageDeclared, EntitlementsDecided, FeedDeclared
from identification import verify
from identification.lists import in_force
from identification.lists.apply_coverage import apply_coverage
from shell import clock
from shell.testing import Driver

QILIN, MALONG = "530302", "530303"
SEVERE = "severe_disability_nursing_subsidy"
DECLARED_AT = datetime(2026, 11, 20, 5, tzinfo=UTC)  # after the lists and all facts of this file
EVER = date(2000, 1, 1)
ALWAYS = FeedDeclared(kind="disability", since=EVER)
OTHERS = FeedDeclared(kind="living_situation", since=EVER), FeedDeclared(kind="low_income", since=EVER)


def declared(*feeds: FeedDeclared, division: str = QILIN, version: int = 1, **more: Any) -> CoverageDeclared:
    at = DECLARED_AT + timedelta(hours=version)
    return CoverageDeclared(division=division, version=version, recorded_at=at, feeds=feeds, **more)


@pytest.fixture
def declare(driver: Driver, redecide: Any) -> Any:
    """Deliver declarations, put them in force, and decide everybody again."""

    async def go(*events: CoverageDeclared, times: int = 1) -> None:
        await driver.deliver(*events, times=times)
        while await apply_coverage(driver.database):
            pass
        await redecide()
        assert await verify.check(driver.database, clock.today()) == []

    return go


@pytest.fixture
def explained(client: Any, bearer: Any) -> Any:
    async def go(person: Any, on: date, **more: Any) -> Any:
        params = {"item": SEVERE, "on": on.isoformat(), **more}
        path = f"/v1/persons/{person.person_id}/explanations"
        answer = await client.get(path, params=params, headers=bearer())
        assert answer.status_code == 200, answer.text
        return answer.json()

    return go


def states(event: EntitlementsDecided) -> list[tuple[str, date, date | None]]:
    return [(e.state, e.from_, e.to) for e in event.entitlements if e.item == SEVERE]


async def test_where_disability_is_not_reported_the_fact_is_asked_for_and_elsewhere_it_stays_a_no(
    driver: Driver, elder: Any, declare: Any, explained: Any
) -> None:
    here, there, known = elder(), elder(hukou=MALONG, lives="530303001"), elder()
    known.say("disability", class_=4, level=1)
    await driver.deliver(*(p.facts() for p in (here, there, known)))
    await driver.clear_outbox()
    await declare(declared(*OTHERS, FeedDeclared(kind="disability", since=date(2026, 3, 1), until=date(2026, 9, 1))))
    (event,) = await driver.emitted(EntitlementsDecided)
    assert event.person_id == here.person_id
    assert states(event) == [
        ("unknown", date(2023, 1, 1), date(2026, 3, 1)),
        ("unknown", date(2026, 9, 1), None),
    ]
    assert {e.missing_facts for e in event.entitlements if e.item == SEVERE} == {("disability",)}
    found = await explained(here, date(2026, 10, 1))
    assert (found["outcome"], found["conditions"][-1]["absence"]) == ("unknown", "untold")
    assert "没有记录不等于没有" in found["sentence"]
    found = await explained(here, date(2026, 4, 1))
    assert (found["outcome"], found["conditions"][-1]["absence"]) == ("refused", "told")
    assert (await explained(there, date(2026, 4, 1)))["conditions"][-1]["absence"] is None


async def test_only_people_there_whose_items_read_the_kind_are_decided_again(
    driver: Driver, elder: Any, declare: Any
) -> None:
    people = [elder() for _ in range(3)] + [elder(hukou=MALONG, lives="530303001") for _ in range(4)]
    await driver.deliver(*(p.facts() for p in people))
    await declare(declared(ALWAYS, *OTHERS))  # so that every refusal stays one
    await declare(declared(*OTHERS, version=2))
    merit = FeedDeclared(kind="merit", since=date(2026, 1, 1))  # which no list here reads
    await declare(declared(*OTHERS, merit, version=3))
    rows = await driver.database.pool.fetch(
        "SELECT people_touched, people_changed FROM publications WHERE coverage IS NOT NULL ORDER BY seq"
    )
    assert [tuple(row) for row in rows] == [(0, 0), (3, 3), (0, 0)]


async def test_an_older_declaration_and_an_equal_one_change_nothing(driver: Driver, elder: Any, declare: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await declare(declared(version=2), times=2)
    count = "SELECT count(*) FROM publications"
    before = await driver.database.pool.fetchval(count)
    await declare(declared(ALWAYS, version=1))
    await declare(declared(version=3))
    assert await driver.database.pool.fetchval(count) == before


async def test_a_declaration_decides_nothing_before_it_is_in_force(driver: Driver) -> None:
    await driver.deliver(declared())
    assert await verify.check(driver.database, clock.today()) == [
        f"the coverage declared for {QILIN} is not in force yet"
    ]


async def test_a_withdrawn_declaration_has_no_effect_left(
    driver: Driver, elder: Any, declare: Any, of_item: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    digest = "SELECT running_digest FROM publications ORDER BY seq DESC LIMIT 1"
    before = await driver.database.pool.fetchval(digest)
    await driver.clear_outbox()
    await declare(declared())
    assert await driver.database.pool.fetchval(digest) != before
    await declare(declared(version=2, withdrawn=True))
    assert await driver.database.pool.fetchval(digest) == before
    (event,) = await driver.emitted(EntitlementsDecided)  # the newest state of a key is the one that is sent
    assert (event.version, of_item(event, SEVERE)) == (3, [])


async def test_the_past_is_judged_by_the_coverage_that_was_known_then(
    driver: Driver, elder: Any, declare: Any, explained: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await declare(declared(FeedDeclared(kind="disability", since=date(2026, 11, 1))))
    await declare(declared(ALWAYS, version=2))
    in_force._kept.clear()  # as after a start
    on = date(2026, 10, 1)
    outcomes = [
        (await explained(person, on, known_at=(DECLARED_AT + timedelta(minutes=m)).isoformat()))["outcome"]
        for m in (59, 61, 119, 121)
    ]
    assert outcomes == ["refused", "unknown", "unknown", "refused"]


async def test_new_facts_are_decided_by_the_coverage_in_force(
    driver: Driver, elder: Any, declare: Any, redecide: Any
) -> None:
    await declare(declared())
    person = elder()
    await driver.clear_outbox()
    await driver.deliver(person.facts())
    assert [s[0] for s in states((await driver.emitted(EntitlementsDecided))[0])] == ["unknown"]
    person.say("disability", date(2026, 1, 1), class_=4, level=1)
    await driver.clear_outbox()
    await driver.deliver(person.facts())
    assert [s[0] for s in states((await driver.emitted(EntitlementsDecided))[0])] == ["unknown", "granted"]
    assert await verify.check(driver.database, clock.today()) == []


async def test_a_simulation_uses_one_coverage_for_both_lists_and_is_stale_when_it_changes(
    client: Any, bearer: Any, driver: Driver, elder: Any, declare: Any, raised: Any, simulated: Any
) -> None:
    known = elder()
    known.say("disability", class_=4, level=1)
    asked = elder(hukou=MALONG)  # lives here without a living tag; the raise is for other people
    await driver.deliver(elder().facts(), known.facts(), asked.facts())
    await declare(declared())
    headers = bearer("officer", subject="proposer")
    version = (await client.post("/v1/policies", headers=headers, json=raised)).json()["version"]
    result = (await simulated(version))["result"]
    assert (result["people_changed"], result["raised_fen"]) == (2, 2 * 12 * 3000)  # by the list, not by the coverage

    async def signed(who: str) -> tuple[int, Any]:
        path = f"/v1/policies/{version}/approve"
        answer = await client.post(path, headers=bearer("approver", subject=who))
        return answer.status_code, answer.json().get("code")

    assert (await signed("first"))[0] == 200
    await declare(declared(ALWAYS, division=MALONG))  # not there
    assert (await signed("second"))[0] == 200
    await declare(declared(ALWAYS, version=2))
    assert await signed("third") == (409, "simulation_stale")


async def test_no_list_is_published_while_people_are_decided_again_for_the_coverage(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any, simulated: Any, redecide: Any
) -> None:
    await driver.deliver(elder().facts())
    await driver.deliver(declared(division=MALONG))
    assert divisions.within(QILIN, "000000")
    version = (await client.post("/v1/policies", headers=bearer(subject="proposer"), json=raised)).json()["version"]
    await simulated(version)
    for who in ("first", "second"):
        await client.post(f"/v1/policies/{version}/approve", headers=bearer("approver", subject=who))
    await apply_coverage(driver.database)

    async def publish() -> tuple[int, Any]:
        path = f"/v1/policies/{version}/publish"
        answer = await client.post(path, headers=bearer("approver", subject="second"))
        return answer.status_code, answer.json().get("code")

    assert await publish() == (409, "still_deciding")
    await redecide()
    assert (await publish())[0] == 200
