"""A simulation computes the effect and the cost of a list beforehand, chunk by chunk, and hides small numbers."""

import copy
import os
import signal
from datetime import date, timedelta
from typing import Any

import pytest
from common.events import PolicyVersionSimulated
from identification.simulating.run_simulations import run_simulations
from identification.simulating.workers import dismiss_workers
from shell import clock
from shell.testing import Driver

QILIN, MALONG = "530302", "530303"
ALLOWANCE = "longevity_allowance"


async def requested(client: Any, bearer: Any, **body: Any) -> Any:
    return await client.post("/v1/simulations", headers=bearer("officer", "530300"), json=body)


async def run_all(driver: Driver, **limits: int) -> int:
    steps = 0
    while await run_simulations(driver.database, **limits):
        steps += 1
    return steps


async def shown(client: Any, bearer: Any, simulation_id: str, role: str = "officer", division: str = "530300") -> Any:
    return (await client.get(f"/v1/simulations/{simulation_id}", headers=bearer(role, division))).json()


async def test_winners_and_money_are_shown_by_month_fund_county_and_age(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    people = [elder(), elder(born=date(1947, 1, 10)), elder(born=date(1970, 1, 1)), elder(hukou=MALONG, lives=None)]
    await driver.deliver(*(p.facts() for p in people))
    await driver.clear_outbox()
    answer = await requested(client, bearer, list=raised)
    assert (answer.status_code, answer.json()["state"], answer.json()["first_month"]) == (202, "waiting", "2026-11")
    await run_all(driver)
    found = await shown(client, bearer, answer.json()["simulation_id"])
    result = found["result"]
    # one has it already; one turns 80 on 10 January and is paid from February on; one is young; one lives elsewhere
    assert (found["state"], found["people"], result["people_changed"]) == ("complete", 3, 3)
    assert (result["raised_fen"], result["cut_fen"]) == (12 * 3000 + 9 * 3000, 0)
    by_month = {m["month"]: (m["fen_before"], m["fen_after"], m["payees_after"]) for m in result["money"]}
    assert by_month["2027-01"] == (5000, 8000, 1)
    assert by_month["2027-02"] == (10000, 16000, 2)
    assert len(by_month) == 12
    rows = {(g["division"], g["age_band"]): (g["winners"], g["losers"], g["people"]) for g in result["groups"]}
    assert rows[QILIN, "80-89"] == (1, 0, 1)
    assert rows[QILIN, "70-79"] == (1, 0, 1)
    assert rows["000000", None] == rows["530000", None] == (2, 0, 3)
    assert result["examples"]["winner"] == sorted(p.person_id for p in people[:2])
    assert "只增不减的2人" in result["summary"][1]
    (event,) = await driver.emitted(PolicyVersionSimulated)
    assert (event.people, event.winners, event.losers, event.raised_fen) == (3, 2, 0, 63000)


async def test_after_an_upgrade_a_simulation_counts_only_people_of_the_area(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    """A migration may set all traits to "anything" until the next decision of each person."""
    people = [elder(), elder(hukou=MALONG, lives=None), elder(hukou="140702", lives="140702001")]
    await driver.deliver(*(p.facts() for p in people))
    await driver.database.pool.execute("UPDATE persons SET traits = '*'")
    answer = await requested(client, bearer, list=raised)
    await run_all(driver)
    found = await shown(client, bearer, answer.json()["simulation_id"])
    assert (found["people"], found["result"]["people_changed"]) == (1, 1)
    assert {m["jurisdiction"] for m in found["result"]["money"]} == {QILIN}


async def test_the_list_in_force_changes_nothing(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(3)))
    running = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()
    answer = await requested(client, bearer, version=running["version"])
    await run_all(driver)
    result = (await shown(client, bearer, answer.json()["simulation_id"]))["result"]
    assert (result["people"], result["people_changed"], result["raised_fen"], result["cut_fen"]) == (3, 0, 0, 0)
    assert all(m["fen_before"] == m["fen_after"] > 0 for m in result["money"])


async def test_an_earlier_instant_uses_the_inputs_known_then(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    clock.advance(timedelta(days=30))
    person.say("death", date(2026, 11, 10), evidence="register_cancelled")  # recorded some minutes after the rest
    await driver.deliver(person.facts())
    before = person.statements[1].recorded_at.isoformat()
    sums = []
    for more in ({}, {"known_at": before}):
        answer = await requested(client, bearer, list=raised, from_month="2026-01", months=24, **more)
        await run_all(driver)
        sums.append((await shown(client, bearer, answer.json()["simulation_id"]))["result"]["raised_fen"])
    assert sums == [11 * 3000, 24 * 3000]  # paid up to the month of death; then the death was not known


async def test_the_size_of_chunks_and_steps_does_not_change_the_result(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(9)))
    results = []
    for limits in ({}, {"chunk_people": 2, "chunks_max": 1}):
        answer = await requested(client, bearer, list=raised)
        await run_all(driver, **limits)
        found = await shown(client, bearer, answer.json()["simulation_id"])
        assert found["chunks"] == found["chunks_done"] == (5 if limits else 1)
        results.append(found["result"])
        clock.advance(timedelta(minutes=1))
    assert results[0] == results[1]


async def test_the_chunk_of_a_killed_worker_runs_again(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_SIMULATION_WORKERS", "2")
    await driver.deliver(*(elder().facts() for _ in range(9)))
    answer = await requested(client, bearer, list=raised)
    simulation_id = answer.json()["simulation_id"]
    try:
        assert await run_simulations(driver.database, 2, 2) == 1  # planned
        assert await run_simulations(driver.database, 2, 2) == 2
        half = await shown(client, bearer, simulation_id)
        assert (half["state"], half["chunks"], half["chunks_done"], half["result"]) == ("running", 5, 2, None)
        from identification.simulating import workers

        assert workers._pool is not None
        for pid in list(workers._pool._processes):
            os.kill(pid, signal.SIGKILL)
        for _ in range(10):  # a step that lost its workers does nothing, and the next one starts new workers
            await run_simulations(driver.database, 2, 2)
    finally:
        dismiss_workers()
    found = await shown(client, bearer, simulation_id)
    assert (found["state"], found["people"], found["result"]["people_changed"]) == ("complete", 9, 9)


@pytest.mark.parametrize("workers", ["0", "2"])
async def test_a_simulation_that_cannot_be_computed_ends_and_the_next_one_runs(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any, monkeypatch: pytest.MonkeyPatch, workers: str
) -> None:
    monkeypatch.setenv("SHOUWANG_SIMULATION_WORKERS", workers)
    await driver.deliver(*(elder().facts() for _ in range(3)))
    first = (await requested(client, bearer, list=raised)).json()["simulation_id"]
    facts = await driver.database.pool.fetch("SELECT person_id, facts FROM persons LIMIT 1")
    await driver.database.pool.execute("UPDATE persons SET facts = '{' WHERE person_id = $1", facts[0][0])
    try:
        for _ in range(3):
            await run_simulations(driver.database)
        assert (await shown(client, bearer, first))["state"] == "failed"
        await driver.database.pool.execute("UPDATE persons SET facts = $2 WHERE person_id = $1", *facts[0])
        second = (await requested(client, bearer, list=raised)).json()["simulation_id"]
        for _ in range(3):
            await run_simulations(driver.database)
    finally:
        dismiss_workers()
    assert (await shown(client, bearer, second))["state"] == "complete"


async def test_a_chunk_that_two_processes_run_counts_once(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    from identification.simulating.chunks import answer_chunk
    from identification.simulating.results import save_answers

    await driver.deliver(*(elder().facts() for _ in range(5)))
    simulation_id = (await requested(client, bearer, list=raised)).json()["simulation_id"]
    await run_simulations(driver.database, 2)
    first = {0: await answer_chunk(driver.database, simulation_id, 0)}
    for _ in range(2):
        async with driver.database.transaction() as tx:
            await save_answers(tx, simulation_id, first)
    await run_all(driver)
    found = await shown(client, bearer, simulation_id)
    assert (found["chunks_done"], found["people"], found["result"]["people_changed"]) == (3, 5, 5)


async def test_a_repeated_request_shows_an_administrator_no_small_number(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(3)))
    headers = {**bearer("admin", None), "Idempotency-Key": "requested-by-an-administrator"}
    first = await client.post("/v1/simulations", headers=headers, json={"list": raised})
    assert first.status_code == 202
    await run_all(driver)
    again = await client.post("/v1/simulations", headers=headers, json={"list": raised})
    assert (again.status_code, again.json()["simulation_id"]) == (202, first.json()["simulation_id"])
    assert (again.json()["state"], again.json()["people"]) == ("complete", None)
    mine = await shown(client, bearer, first.json()["simulation_id"])
    assert mine["people"] == 3  # the number that is left out above


async def test_small_numbers_are_shown_to_officers_and_approvers_of_the_area_only(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    few = [elder(born=date(1930, 1, 1)) for _ in range(3)]
    await driver.deliver(*(p.facts() for p in [*few, *(elder() for _ in range(8))]))
    begun = (await requested(client, bearer, list=raised)).json()
    simulation_id, version = begun["simulation_id"], begun["version"]
    await run_all(driver)
    mine = (await shown(client, bearer, simulation_id))["result"]
    others = (await shown(client, bearer, simulation_id, "auditor", "530300"))["result"]
    for result, counts in ((mine, (3, 8, 11)), (others, (None, 5, 5))):
        rows = {(g["division"], g["age_band"]): g["people"] for g in result["groups"]}
        assert (rows.get((QILIN, "90-99")), rows[QILIN, "80-89"], rows[QILIN, None]) == counts
        assert rows["000000", None] == result["people"] == counts[2]
    assert (mine["suppressed"], others["suppressed"], others["examples"]) == (False, True, {})
    assert all(g["age_band"] != "90-99" for g in others["groups"])  # a line of nulls would show that there are some
    (band,) = [g for g in others["groups"] if (g["division"], g["age_band"]) == (QILIN, "80-89")]
    (whole,) = [g for g in others["groups"] if (g["division"], g["age_band"]) == (QILIN, None)]
    assert (whole["fen_before"], whole["fen_after"]) == (band["fen_before"], band["fen_after"])
    assert others["earlier"] == []
    page = await client.get("/v1/simulations", headers=bearer("auditor", "530300"), params={"version": version})
    assert [s["people"] for s in page.json()["simulations"]] == [None]
    elsewhere = await client.get(f"/v1/simulations/{simulation_id}", headers=bearer("officer", "140700"))
    assert elsewhere.status_code == 403
    assert (await client.get(f"/v1/simulations/{simulation_id}", headers=bearer("resident", None))).status_code == 403


async def test_the_same_question_while_one_is_open_is_one_simulation(client: Any, bearer: Any, raised: Any) -> None:
    first = (await requested(client, bearer, list=raised)).json()
    clock.advance(timedelta(minutes=1))
    again = (await requested(client, bearer, list=copy.deepcopy(raised))).json()
    other = (await requested(client, bearer, list=raised, months=24)).json()
    assert first["simulation_id"] == again["simulation_id"] != other["simulation_id"]
    page = await client.get("/v1/simulations", headers=bearer(), params={"version": first["version"]})
    assert len(page.json()["simulations"]) == 2


@pytest.mark.parametrize(
    ("spoil", "status", "code"),
    [
        ({"list": None}, 422, "malformed"),
        ({"version": "0" * 32}, 422, "malformed"),
        ({"list": None, "version": "0" * 32}, 404, "not_found"),
        ({"months": 37}, 422, "malformed"),
        ({"from_month": "2026-13"}, 422, "malformed"),
        ({"known_at": "2026-11-20T00:00:00"}, 422, "malformed"),
        ({"known_at": "2036-11-20T00:00:00Z"}, 400, "bad_instant"),
    ],
)
async def test_an_invalid_request_is_rejected(
    client: Any, bearer: Any, raised: Any, spoil: Any, status: int, code: str
) -> None:
    answer = await requested(client, bearer, **{"list": raised} | spoil)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_officers_of_the_area_request_a_simulation(client: Any, bearer: Any, raised: Any) -> None:
    for role, division in (("officer", MALONG), ("auditor", "530300"), ("resident", None)):
        answer = await client.post("/v1/simulations", headers=bearer(role, division), json={"list": raised})
        assert answer.status_code == 403


async def test_the_number_of_open_simulations_is_limited(
    client: Any, bearer: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("identification.simulating.simulate_policy.OPEN_MAX", 2)
    answers = [await requested(client, bearer, list=raised, months=n) for n in (1, 2, 3)]
    assert [a.status_code for a in answers] == [202, 202, 429]


async def test_one_key_is_one_simulation(client: Any, bearer: Any, raised: Any) -> None:
    headers = {**bearer("officer", "530300"), "Idempotency-Key": "once"}
    answers = [
        await client.post("/v1/simulations", headers=headers, json={"list": raised, "months": months})
        for months in (12, 12, 13)
    ]
    assert [a.status_code for a in answers] == [202, 202, 409]
    assert answers[0].json()["simulation_id"] == answers[1].json()["simulation_id"]
