"""A list without a valid simulation cannot be signed; a published list with another effect is halted by itself."""

import copy
from datetime import date, timedelta
from typing import Any

import pytest
from common.events import EntitlementsDecided, PolicyVersionHalted, PolicyVersionPublished
from identification import verify
from identification.lists.seed_lists import seed
from identification.redeciding.redecide_people import redecide_people
from shell import clock
from shell.testing import Driver

NATION, QILIN, MALONG = "000000", "530302", "530303"
ALLOWANCE = "longevity_allowance"


@pytest.fixture
def gate(client: Any, bearer: Any, simulated: Any) -> Any:
    """`await gate(body, *steps)`: propose, then simulate or call the route of each step, each by another approver."""

    async def walk(body: dict[str, Any], *steps: str) -> Any:
        headers = bearer("officer", NATION, subject="proposer")
        answer = await client.post("/v1/policies", headers=headers, json=body)
        version = answer.json()["version"]
        for i, step in enumerate(steps):
            if step == "simulate":
                await simulated(version)
            else:
                headers = bearer("approver", NATION, subject=f"approver {i}")
                answer = await client.post(f"/v1/policies/{version}/{step}", headers=headers)
        return answer

    return walk


FULL = ("simulate", "approve", "approve", "publish")


async def halted(client: Any, bearer: Any, version: str, **body: Any) -> Any:
    headers = bearer("approver", NATION, subject="halter")
    return await client.post(f"/v1/policies/{version}/halt", headers=headers, json={"reason": "标准有误"} | body)


async def running(client: Any, bearer: Any, area: str = QILIN) -> Any:
    return (await client.get(f"/v1/policies/{area}", headers=bearer())).json()


def amounts(event: EntitlementsDecided) -> list[int | None]:
    return [e.amount_fen_per_month for e in event.entitlements if e.item == ALLOWANCE]


OLD = [5000, 10000]  # from 80 and from 90 on


async def test_a_list_without_a_simulation_cannot_be_signed(gate: Any, raised: Any) -> None:
    answer = await gate(raised, "approve")
    assert (answer.status_code, answer.json()["code"]) == (409, "simulation_missing")
    assert "12 months from 2026-11" in answer.json()["detail"]
    assert (await gate(raised, "simulate", "approve")).status_code == 200


async def test_the_first_year_of_a_list_counts_from_its_first_effect(
    gate: Any, raised: Any, simulated: Any, client: Any, bearer: Any
) -> None:
    later = copy.deepcopy((await running(client, bearer))["list"])
    (version,) = later["items"][ALLOWANCE]["versions"]
    version["valid_to"] = "2027-07-01"
    bands = [{**band, "amount_fen": band["amount_fen"] + 1000} for band in version["amount"]["bands"]]
    new = {**version, "valid_from": "2027-07-01", "amount": {**version["amount"], "bands": bands}}
    del new["valid_to"]
    later["items"][ALLOWANCE]["versions"].append(new)
    name = (await gate(later)).json()["version"]
    await simulated(name, from_month="2026-11")
    assert (await gate(later, "approve")).json()["code"] == "simulation_missing"
    assert (await simulated(name))["first_month"] == "2027-07"
    assert (await gate(later, "approve")).status_code == 200


async def test_a_simulation_of_the_past_cannot_be_signed(gate: Any, raised: Any, simulated: Any) -> None:
    name = (await gate(raised)).json()["version"]
    await simulated(name, known_at=clock.now().isoformat())
    assert (await gate(raised, "approve")).json()["code"] == "simulation_missing"


async def test_signatures_no_longer_count_when_the_lists_in_force_have_changed(
    gate: Any, raised: Any, client: Any, bearer: Any, simulated: Any, driver: Driver, redecide: Any
) -> None:
    signed = (await gate(raised, "simulate", "approve", "approve")).json()
    assert signed["state"] == "approved"
    nation = (await running(client, bearer, NATION))["list"]
    nation["items"]["visiting_care"]["versions"][0]["note"] = "另有说明"
    clock.advance(timedelta(minutes=1))
    assert (await gate(nation, *FULL)).status_code == 200
    assert (await gate(raised, "publish")).json()["code"] == "still_deciding"
    await redecide()
    assert (await gate(raised, "publish")).json()["code"] == "simulation_stale"
    assert (await gate(raised, "approve")).json()["code"] == "simulation_stale"
    clock.advance(timedelta(minutes=1))
    await simulated(signed["version"])
    assert (await gate(raised, "publish")).json()["code"] == "simulation_stale"  # nobody has signed the new figures
    path = f"/v1/policies/{signed['version']}"
    for who, state in (("one", "proposed"), ("other", "approved")):
        headers = bearer("approver", NATION, subject=who)
        assert (await client.post(f"{path}/approve", headers=headers)).json()["state"] == state
    assert (await client.post(f"{path}/publish", headers=headers)).status_code == 200


async def test_the_list_of_another_county_makes_no_simulation_stale(
    gate: Any, raised: Any, client: Any, bearer: Any
) -> None:
    await gate(raised, "simulate", "approve", "approve")
    other = (await running(client, bearer, MALONG))["list"]
    other["items"][ALLOWANCE]["versions"][0]["note"] = "另有说明"
    assert (await gate(other, *FULL)).status_code == 200
    assert (await gate(raised, "publish")).status_code == 200


async def test_an_old_simulation_cannot_be_signed(gate: Any, raised: Any) -> None:
    await gate(raised, "simulate")
    clock.advance(timedelta(days=31))
    assert (await gate(raised, "approve")).json()["code"] == "simulation_stale"


async def test_a_list_with_the_simulated_effect_stays_in_force(
    gate: Any, raised: Any, driver: Driver, redecide: Any, elder: Any, client: Any, bearer: Any
) -> None:
    people = [elder() for _ in range(7)]
    await driver.deliver(*(p.facts() for p in people))
    assert (await gate(raised, *FULL)).json()["running"]
    people[0].say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(people[0].facts())  # a live change comes before the job
    await redecide(people_max=2)
    row = await driver.database.pool.fetchrow(
        "SELECT people, people_changed, watched, halted_at FROM publications ORDER BY seq DESC LIMIT 1"
    )
    assert tuple(row) == (7, 6, False, None)
    for table in ("simulated_changes", "watched_steps"):
        assert await driver.database.pool.fetchval(f"SELECT count(*) FROM {table}") == 0
    assert await verify.check(driver.database, clock.today()) == []


@pytest.mark.parametrize("born", [date(1940, 3, 5), date(1970, 3, 5)])
async def test_a_list_with_more_or_less_effect_than_simulated_is_halted_and_its_people_are_decided_again(
    gate: Any,
    raised: Any,
    driver: Driver,
    redecide: Any,
    elder: Any,
    client: Any,
    bearer: Any,
    monkeypatch: Any,
    born: date,
) -> None:
    """After the simulation, all birth dates are corrected: many more people, or nearly none, are old enough."""
    monkeypatch.setenv("SHOUWANG_BAND_PEOPLE", "2")
    monkeypatch.setenv("SHOUWANG_BAND_FEN", "50000")
    other = date(1970, 3, 5) if born.year == 1940 else date(1940, 3, 5)
    people = [elder(born=born) for _ in range(9)]
    await driver.deliver(*(p.facts() for p in people))
    before = (await running(client, bearer))["version"]
    version = (await gate(raised, "simulate", "approve", "approve")).json()["version"]
    for person in people:
        person.change(person.born, "corrected", sex="2", birth_date=other, hukou_division=QILIN, hukou_kind="rural")
    await driver.deliver(*(p.facts() for p in people))
    await gate(raised, "publish")
    await driver.clear_outbox()
    await redecide(people_max=2)
    (event,) = await driver.emitted(PolicyVersionHalted)
    assert (event.version, event.back_to, event.by) == (version, before, "band")
    assert "模拟允许" in event.reason
    assert event.raised_fen > 50000 if other.year == 1940 else event.raised_fen == 0
    assert event.people_changed <= 3
    (back,) = await driver.emitted(PolicyVersionPublished)
    assert back.version == before
    assert (await running(client, bearer))["version"] == before
    assert all(amounts(e) == OLD for e in await driver.emitted(EntitlementsDecided))  # the heads of the topic
    shown = (await client.get("/v1/policies", headers=bearer(), params={"state": "halted"})).json()["policies"]
    assert [(p["version"], p["running"], p["halt"]["by"]) for p in shown] == [(version, False, "band")]
    assert await verify.check(driver.database, clock.today()) == []


async def test_no_decision_outside_the_band_is_ever_emitted(
    gate: Any, raised: Any, driver: Driver, elder: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("SHOUWANG_BAND_PEOPLE", "3")
    people = [elder(born=date(1970, 3, 5), hukou=MALONG) for _ in range(9)]
    await driver.deliver(*(p.facts() for p in people))
    await gate(raised, "simulate", "approve", "approve")
    for p in people:
        p.registered(date(1940, 3, 5), QILIN)
    await driver.deliver(*(p.facts() for p in people))
    await gate(raised, "publish")
    await driver.clear_outbox()
    emitted: list[str] = []
    while await redecide_people(driver.database, people_max=1):
        halted_now = await driver.emitted(PolicyVersionHalted)
        emitted += [e.person_id for e in await driver.emitted(EntitlementsDecided) if 8000 in amounts(e)]
        if halted_now:
            break
        await driver.clear_outbox()
    assert len(emitted) == 3
    assert [event.people for event in halted_now] == [3]  # those whom the list has decided, before all are decided


async def test_one_approver_halts_a_list_and_its_people_are_decided_again(
    gate: Any, raised: Any, driver: Driver, redecide: Any, elder: Any, client: Any, bearer: Any
) -> None:
    people = [elder() for _ in range(4)]
    await driver.deliver(*(p.facts() for p in people))
    before = (await running(client, bearer))["version"]
    version = (await gate(raised, *FULL)).json()["version"]
    await redecide()
    path, query = f"/v1/persons/{people[0].person_id}/explanations", {"item": ALLOWANCE, "on": "2026-11-20"}
    answer = await halted(client, bearer, version)
    explained = (await client.get(path, headers=bearer(), params=query)).json()
    assert explained["policy"]["version"].startswith(QILIN)  # by the list that decided, not by the list in force again
    assert (answer.status_code, answer.json()["state"], answer.json()["halt"]["reason"]) == (200, "halted", "标准有误")
    assert (await halted(client, bearer, version)).status_code == 200
    await driver.clear_outbox()
    await redecide()
    events = await driver.emitted(EntitlementsDecided)
    assert {e.person_id for e in events} == {p.person_id for p in people}
    assert all(amounts(e) == OLD for e in events)
    assert (await running(client, bearer))["version"] == before
    assert await verify.check(driver.database, clock.today()) == []
    again = await halted(client, bearer, before)
    assert again.json()["code"] == "nothing_before"  # never back to a halted one


async def test_a_halted_list_returns_only_after_a_new_simulation_and_new_signatures(
    gate: Any, raised: Any, client: Any, bearer: Any, driver: Driver, redecide: Any
) -> None:
    version = (await gate(raised, *FULL)).json()["version"]
    await halted(client, bearer, version)
    await redecide()
    headers = bearer("approver", NATION, subject="third")
    for step in ("approve", "publish"):
        assert (await client.post(f"/v1/policies/{version}/{step}", headers=headers)).status_code == 409
    clock.advance(timedelta(minutes=1))
    again = (await gate(raised)).json()
    assert (again["state"], again["approvals"]) == ("proposed", [])
    signed = await client.post(f"/v1/policies/{version}/approve", headers=headers)
    assert (signed.status_code, signed.json()["code"]) == (409, "simulation_missing")
    assert (await gate(raised, *FULL)).json()["running"]


async def test_halting_the_first_list_of_an_area_leaves_an_empty_list(
    gate: Any, driver: Driver, redecide: Any, elder: Any, raised: Any, client: Any, bearer: Any
) -> None:
    person = elder(hukou="530304", lives="530304001")
    await driver.deliver(person.facts())
    first = {**raised, "jurisdiction": "530304"}
    version = (await gate(first, *FULL)).json()["version"]
    await redecide()
    await halted(client, bearer, version)
    await driver.clear_outbox()
    await redecide()
    (event,) = await driver.emitted(EntitlementsDecided)
    assert amounts(event) == []
    assert (await running(client, bearer, "530304"))["list"] == {"jurisdiction": "530304"}
    assert await verify.check(driver.database, clock.today()) == []


async def test_the_first_list_from_the_files_cannot_be_halted(client: Any, bearer: Any, driver: Driver) -> None:
    answer = await halted(client, bearer, (await running(client, bearer))["version"])
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_before")
    await seed(driver.database)  # other files only propose, so no earlier list exists
    answer = await halted(client, bearer, (await running(client, bearer))["version"])
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_before")


async def test_halting_several_lists_never_restores_a_halted_one(
    gate: Any, raised: Any, redecide: Any, client: Any, bearer: Any
) -> None:
    """Three lists, one after the other. The last two are halted; the first one, from the files, has none before it."""
    first = (await running(client, bearer))["version"]
    versions = []
    for fen in (8000, 9000):
        raised["items"][ALLOWANCE]["versions"][0]["amount"]["bands"][0]["amount_fen"] = fen
        versions.append((await gate(raised, *FULL)).json()["version"])
        await redecide()
        clock.advance(timedelta(minutes=1))
    for version, back in ((versions[1], versions[0]), (versions[0], first)):
        assert (await halted(client, bearer, version)).status_code == 200
        assert (await running(client, bearer))["version"] == back
        await redecide()
        clock.advance(timedelta(minutes=1))
    answer = await halted(client, bearer, first)
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_before")
    assert (await running(client, bearer))["version"] == first


async def test_a_restored_first_list_can_be_halted_too(
    gate: Any, raised: Any, redecide: Any, client: Any, bearer: Any
) -> None:
    """The area had no list before. Two lists are published and halted; then the area has an empty list."""
    raised["jurisdiction"] = "530304"
    versions = []
    for fen in (8000, 9000):
        raised["items"][ALLOWANCE]["versions"][0]["amount"]["bands"][0]["amount_fen"] = fen
        versions.append((await gate(raised, *FULL)).json()["version"])
        await redecide()
        clock.advance(timedelta(minutes=1))
    for version in reversed(versions):
        assert (await halted(client, bearer, version)).status_code == 200
        await redecide()
        clock.advance(timedelta(minutes=1))
    empty = await running(client, bearer, "530304")
    assert empty["list"] == {"jurisdiction": "530304"}
    answer = await halted(client, bearer, empty["version"])
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_before")


async def test_only_an_approver_of_the_area_halts_and_only_a_list_in_force(
    gate: Any, raised: Any, client: Any, bearer: Any
) -> None:
    version = (await gate(raised, "simulate", "approve", "approve")).json()["version"]
    assert (await halted(client, bearer, version)).json()["code"] == "not_running"
    path = f"/v1/policies/{version}/halt"
    for role, division in (("officer", NATION), ("approver", MALONG)):
        answer = await client.post(path, headers=bearer(role, division), json={"reason": "x"})
        assert answer.status_code == 403
    empty = await client.post(path, headers=bearer("approver", NATION), json={"reason": ""})
    assert empty.status_code == 422
