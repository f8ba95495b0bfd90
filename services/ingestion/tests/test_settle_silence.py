"""A claimed place without an objection in time is vouched by silence."""

import asyncio
from datetime import UTC, date, datetime

from common.events import PlaceSettled
from ingestion.review.review_places import decide_place
from ingestion.review.settle_silence import settle_silence
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.access.auth import Caller


def _noon(day: str) -> datetime:
    at = date.fromisoformat(day)
    return datetime(at.year, at.month, at.day, 4, tzinfo=UTC)


async def _silent_on(abroad):
    return (await abroad.get("/v1/places"))["places"][0]["silent_on"]


async def test_silence_vouches_only_after_fifteen_working_days(abroad, people, resident, database, driver):
    await abroad.move(people, resident)
    silent_on = date.fromisoformat(await _silent_on(abroad))
    before = silent_on.fromordinal(silent_on.toordinal() - 1)
    clock.set_now(_noon(before.isoformat()))
    assert await settle_silence(database) == 0
    assert len((await abroad.get("/v1/places"))["places"]) == 1
    clock.set_now(_noon(silent_on.isoformat()))
    assert await settle_silence(database) == 1
    assert await settle_silence(database) == 0
    (case,) = (await abroad.get("/v1/places?state=silent"))["places"]
    assert (case["settled_by"], case["state"]) == (None, "silent")
    (settled,) = await driver.emitted(PlaceSettled)
    assert settled.outcome == "silent"


async def test_a_place_vouched_by_silence_is_enough_for_all_but_death_account_and_identity(
    abroad, people, push, resident, database, heads
):
    await abroad.move(people, resident)
    low = abroad.sent(people.event("low_income", resident, {"category": "dibao"}, id="low"))
    await push(low, expect="quarantined")
    clock.set_now(_noon(await _silent_on(abroad)))
    await settle_silence(database)
    kinds = {f.kind for f in facts_known_at((await heads())[abroad.person_id(resident)].statements)}
    assert "low_income" in kinds  # it waited, and the silence releases it
    strict = [
        people.event("bank_account", resident, people.further["bank_account"], id="account"),
        people.event("death", resident, {"evidence": "register_cancelled"}, id="death"),
        people.renumbered(resident, people.number(7)),
    ]
    for event in strict:
        (receipt,) = await push(abroad.sent(event), expect="quarantined")
        assert [p["code"] for p in receipt["problems"]] == ["standing_by_silence"]
    rows = (await abroad.get("/v1/quarantine"))["quarantine"]
    assert {(r["kind"], r["officers_needed"]) for r in rows} == {
        ("bank_account", 2),
        ("death", 2),
        ("identity_change", 2),
    }
    account = next(r for r in rows if r["kind"] == "bank_account")
    url = f"/v1/quarantine/{account['event_id']}/release"
    assert (await abroad.post(url)).json()["state"] == "open"
    assert (await abroad.post(url, by="李科员")).json()["state"] == "released"


async def test_many_silent_places_are_settled_in_one_step_and_an_objection_in_time_counts(
    abroad, people, push, database, heads
):
    numbers = [people.number(n) for n in range(1, 8)]
    await push(*(people.registration(n) for n in numbers), expect="accepted")
    for number in numbers:
        await abroad.move(people, number)
        await abroad.move(people, number, id=f"second-{number[-6:]}", valid_from="2026-11-15")
    silent_on = await _silent_on(abroad)
    cases = (await abroad.get("/v1/places"))["places"]
    refused = [case for case in cases if case["person_id"] == abroad.person_id(numbers[0])]
    for case in refused:
        await abroad.post(f"/v1/places/{case['case_id']}/object")
    clock.set_now(_noon(silent_on))
    assert await settle_silence(database) == len(numbers) - 1
    while await settle_silence(database):
        pass
    assert (await abroad.get("/v1/places"))["places"] == []
    assert len((await abroad.get("/v1/places?state=objected"))["places"]) == len(refused)
    head = (await heads())[abroad.person_id(numbers[0])]
    assert [f for f in facts_known_at(head.statements) if f.kind == "residence"] == []


async def _until_blocked(database):
    """Wait until a statement of another connection waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(20):
        while not await database.pool.fetchval(query):
            await asyncio.sleep(0.01)


async def test_an_objection_at_the_same_moment_is_never_overruled_by_silence(abroad, people, resident, database, heads):
    await abroad.move(people, resident)
    (case,) = (await abroad.get("/v1/places"))["places"]
    clock.set_now(_noon(case["silent_on"]))
    officer = Caller(subject="王科员", role="officer", division=abroad.HOME)
    async with database.transaction() as tx:
        await decide_place(tx, case["case_id"], officer, "未迁出", "objected")
        job = asyncio.create_task(settle_silence(database))  # it sees the case open
        await _until_blocked(database)
    await job
    (found,) = (await abroad.get("/v1/places?state=objected"))["places"]
    assert found["case_id"] == case["case_id"]
    facts = facts_known_at((await heads())[abroad.person_id(resident)].statements)
    assert [f.value.division for f in facts if f.kind == "residence"] == ["530302001"]


async def test_data_that_counted_by_a_silent_place_wait_when_its_source_withdraws_the_place(
    abroad, people, push, resident, database, heads
):
    async def incomes():
        statements = (await heads())[abroad.person_id(resident)].statements
        return [f.source for f in facts_known_at(statements) if f.kind == "low_income"]

    await abroad.move(people, resident)
    clock.set_now(_noon(await _silent_on(abroad)))
    await settle_silence(database)
    low = abroad.sent(people.event("low_income", resident, {"category": "dibao"}, id="low"))
    await push(low, expect="accepted")
    assert await incomes() == [low["source"]]
    claim = abroad.sent(people.residence(resident, abroad.THERE, id=f"claim-{resident[-6:]}"))
    await push(people.annulled(claim) | {"source": claim["source"]}, expect="accepted")
    assert await incomes() == []
    (row,) = (await abroad.get("/v1/quarantine"))["quarantine"]
    assert (row["kind"], row["reason"]) == ("low_income", "source_not_of_person")
