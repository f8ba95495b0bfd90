"""A place that is claimed again is an open case again. A waiting status reaches no member of a household."""

from typing import Any

import pytest
from common.events import PlaceClaimed, PlaceSettled
from common.message import derived_id
from rules.facts.timeline import facts_known_at
from shell.privacy import vault

OTHER_PROVINCE = "110000"
LATER, LATEST = "2026-11-21T10:00:00+08:00", "2026-11-21T11:00:00+08:00"


def abroad(event: Any, office: str = "psb") -> Any:
    """The event as a source of another province sends it."""
    event["source"] = f"urn:cn:exchange:{OTHER_PROVINCE}:{office}"
    return event


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


async def incomes(heads: Any, number: str) -> list[str]:
    """The sources of the person's low-income status that counts."""
    statements = (await heads())[person_of(number)].statements
    return [f.source for f in facts_known_at(statements) if f.kind == "low_income"]


async def open_places(database: Any) -> int:
    found: int = await database.pool.fetchval("SELECT count(*) FROM place_cases WHERE state = 'open'")
    return found


async def test_a_place_that_its_source_states_again_is_an_open_case_again(push, people, victim, driver, database):
    stated = abroad(people.residence(victim, "110105", id="stated"))
    annulled = abroad(people.residence(victim, id="annulled", action="annulled", previous="stated", time=LATER))
    annulled["data"] |= {"value": None, "valid_from": None}
    again = abroad(people.residence(victim, "110105", id="again", action="corrected", previous="annulled", time=LATEST))
    await push(stated, expect="accepted")
    await push(annulled, expect="accepted")
    assert await open_places(database) == 0
    await push(again, expect="accepted")
    assert await open_places(database) == 1
    opened, settled = await driver.emitted(PlaceClaimed), await driver.emitted(PlaceSettled)
    assert [e.outcome for e in settled] == ["withdrawn"]
    assert [e.case_id for e in opened] == [settled[0].case_id] * 2
    assert opened[1].opened_at > settled[0].settled_at > opened[0].opened_at


async def test_a_place_is_an_open_case_again_when_the_fact_that_vouched_for_it_is_annulled(
    push, people, victim, driver, database
):
    """The police of the city state the move, too, and annul it."""
    moved = abroad(people.residence(victim, "110105", id="moved"))
    agreed = people.residence(victim, "110105", id="agreed", time=LATER)
    await push(moved, expect="accepted")
    await push(agreed, expect="accepted")
    assert await open_places(database) == 0
    await push(people.annulled(agreed), expect="accepted")
    assert await open_places(database) == 1
    assert [e.outcome for e in await driver.emitted(PlaceSettled)] == ["vouched"]
    assert len(await driver.emitted(PlaceClaimed)) == 2


async def test_a_confirmed_place_to_which_its_source_returns_is_an_open_case_again(
    push, people, victim, officer, database
):
    """The confirmation of the place between the two has replaced the first one."""

    async def confirm() -> None:
        async with officer() as client:
            (case,) = (await client.get("/v1/places")).json()["places"]
            answer = await client.post(f"/v1/places/{case['case_id']}/confirm", json={"reason": "已核实"})
            assert answer.status_code == 200, answer.text

    await push(abroad(people.residence(victim, "110105", id="a")), expect="accepted")
    await confirm()
    corrected = {"action": "corrected", "time": LATER}
    await push(abroad(people.residence(victim, "110102", id="b", previous="a", **corrected)), expect="accepted")
    await confirm()
    back = people.residence(victim, "110105", id="c", previous="b", action="corrected", time=LATEST)
    (receipt,) = await push(abroad(back), expect="accepted")
    assert [p["code"] for p in receipt["problems"]] == ["place_claimed"]
    assert await open_places(database) == 1


@pytest.mark.parametrize("list_first", [False, True])
async def test_a_waiting_status_reaches_no_member_of_the_household(
    push, people, victim, heads, quarantine, settle, list_first
):
    """The status is accepted while no place of its person is known, and waits as soon as one is known."""
    mine, office = people.number(7), "mca"
    income = abroad(people.event("low_income", mine, {"category": "dibao", "household_no": "户1"}, id="l"), office)
    listed = abroad(people.event("household", mine, {"household_no": "户1", "members": [mine, victim]}, id="h"), office)
    events = [listed, income] if list_first else [income, listed]
    await push(*events, expect="accepted")
    await push(people.registration(mine), expect="accepted")
    (part,) = [row for row in await quarantine() if row["person_id"] == person_of(victim)]
    await settle(part["event_id"])
    assert await incomes(heads, mine) == await incomes(heads, victim) == []
    (status,) = [row for row in await quarantine() if row["kind"] == "low_income"]
    await settle(status["event_id"])
    assert await incomes(heads, mine) == await incomes(heads, victim) == [income["source"]]
