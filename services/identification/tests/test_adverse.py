"""Every automatic refusal is found, explained from the inputs known that day, and never changed."""

from datetime import date, timedelta
from typing import Any

import pytest
from common.events import Entitlement
from identification import verify
from identification.deciding.domain.adverse import Adverse, adverse_of
from identification.deciding.explain_adverse import explain_adverse
from shell import clock
from shell.store.database import Database
from shell.testing import Driver

ALLOWANCE = "longevity_allowance"
NEW_YEAR, SUMMER = date(2026, 1, 1), date(2026, 7, 1)


def given(from_: date = NEW_YEAR, to: date | None = None, fen: int | None = 5000, **more: Any) -> Entitlement:
    fields = {"item": ALLOWANCE, "jurisdiction": "530302", "kind": "cash", "state": "granted", **more}
    return Entitlement(entitlement_id=f"{from_}", from_=from_, to=to, amount_fen_per_month=fen, **fields)


def visits(days: int) -> Entitlement:
    return given(fen=None, kind="service", tier="A", interval_days=days)


@pytest.mark.parametrize(
    ("before", "now", "found"),
    [
        ([given()], [], ("refused", NEW_YEAR)),
        ([given()], [given(to=SUMMER)], ("refused", SUMMER)),
        ([given()], [given(SUMMER)], ("refused", NEW_YEAR)),
        ([given()], [given(to=SUMMER), given(SUMMER, fen=4999)], ("less", SUMMER)),
        ([given()], [given(to=SUMMER), given(SUMMER, fen=5001)], None),
        ([given()], [given(to=SUMMER), given(SUMMER, jurisdiction="530303")], None),
        ([given()], [given(state="suspended")], ("suspended", NEW_YEAR)),
        ([given(state="suspended")], [given()], None),
        ([given(state="suspended")], [given(state="suspended", policy="x")], None),
        ([], [given(state="suppressed", suppressed_by="dibao")], ("suppressed", NEW_YEAR)),
        ([], [given(state="choice_required")], ("choice_required", NEW_YEAR)),
        ([], [given(state="unknown", missing_facts=("ability_result",))], None),
        ([given()], [given(state="unknown", missing_facts=("ability_result",))], ("refused", NEW_YEAR)),
        ([visits(7)], [visits(15)], ("less", NEW_YEAR)),
        ([visits(15)], [visits(7)], None),
        ([], [given()], None),
    ],
)
def test_a_person_who_gets_less_than_before_is_found_with_the_first_day(
    before: list[Entitlement], now: list[Entitlement], found: tuple[Any, date] | None
) -> None:
    expected = [Adverse(ALLOWANCE, found[1], found[0])] if found else []
    assert adverse_of(before, now, (ALLOWANCE,), None) == expected


def test_nothing_is_withheld_from_the_dead() -> None:
    assert adverse_of([given()], [given(to=SUMMER)], (ALLOWANCE,), SUMMER - timedelta(days=1)) == []
    assert adverse_of([given()], [given(to=SUMMER)], (ALLOWANCE,), SUMMER) != []


async def kept(client: Any, bearer: Any, person_id: str, **query: Any) -> dict[str, Any]:
    path = f"/v1/persons/{person_id}/adverse"
    answer = await client.get(path, headers=bearer("officer", "530302"), params=query)
    assert answer.status_code == 200
    body: dict[str, Any] = answer.json()
    return body


async def allowance(client: Any, bearer: Any, person_id: str) -> dict[str, Any]:
    """The entry about the allowance of the second decision."""
    listed = (await kept(client, bearer, person_id))["adverse"]
    (reason,) = (e for e in listed if (e["item"], e["version"]) == (ALLOWANCE, 2))
    return reason


async def test_the_reasons_of_a_refusal_never_change(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    assert await explain_adverse(database) == 0  # a first grant owes no reasons
    person.change(person.born, "corrected", **registration(date(1960, 3, 5)))
    await driver.deliver(person.facts())
    assert await explain_adverse(database) == 1
    assert await explain_adverse(database) == 0
    reason = await allowance(client, bearer, person.person_id)
    assert (reason["item"], reason["outcome"], reason["version"]) == (ALLOWANCE, "refused", 2)
    assert reason["explanation"]["outcome"] == "refused"
    assert reason["explanation"]["sentence"]
    assert reason["explanation"]["policy"]["locator"]
    person.change(person.born, "corrected", **registration(date(1940, 3, 5)))
    await driver.deliver(person.facts())
    assert await explain_adverse(database) == 0
    assert await allowance(client, bearer, person.person_id) == reason


async def test_facts_recorded_after_the_decision_are_not_among_its_reasons(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    person.change(person.born, "corrected", **registration(date(1960, 3, 5)))
    await driver.deliver(person.facts())
    person.change(person.born, "corrected", **registration(date(1961, 3, 5)))
    await driver.deliver(person.facts())  # before the reasons are written down
    assert await explain_adverse(database) == 2
    reason = await allowance(client, bearer, person.person_id)
    ages = [c["value"] for c in reason["explanation"]["conditions"] if c["code"] == "age_years_min"]
    on = date.fromisoformat(reason["on"])
    assert ages == [str(on.year - 1960 - ((on.month, on.day) < (3, 5)))]


async def test_reasons_are_paged_and_shown_only_in_the_own_area(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any
) -> None:
    person = elder()
    born = [date(1940, 3, 5), date(1960, 3, 5)]
    for n in range(6):
        if n:
            person.change(person.born, "corrected", **registration(born[n % 2]))
        await driver.deliver(person.facts())
    while await explain_adverse(database, taken_max=1):
        pass
    seen, after = [], None
    while True:
        page = await kept(client, bearer, person.person_id, limit=1, **({"after": after} if after else {}))
        seen += [(reason["version"], reason["item"]) for reason in page["adverse"]]
        after = page["next"]
        if after is None:
            break
    assert [version for version, item in seen if item == ALLOWANCE] == [6, 4, 2]
    whole = (await kept(client, bearer, person.person_id))["adverse"]
    assert seen == [(reason["version"], reason["item"]) for reason in whole]
    assert seen == sorted(set(seen), key=lambda reason: (-reason[0], reason[1]))
    path = f"/v1/persons/{person.person_id}/adverse"
    assert (await client.get(path, headers=bearer("officer", "530303"))).status_code == 403
    assert (await client.get(path, headers=bearer("provider", "530302"))).status_code == 403
    assert (await client.get(f"{path}?after=yesterday", headers=bearer("officer", "530302"))).status_code == 400


def registration(birth_date: date) -> dict[str, Any]:
    return {"sex": "2", "birth_date": birth_date, "hukou_division": "530302", "hukou_kind": "rural"}


async def test_while_live_events_wait_a_few_decisions_are_explained_and_none_starves(
    driver: Driver, database: Database, elder: Any
) -> None:
    people = [elder() for _ in range(60)]
    await driver.deliver(*(person.facts() for person in people))
    await driver.clear_outbox()
    for person in people:
        person.change(person.born, "corrected", **registration(date(1960, 3, 5)))
    await driver.deliver(*(person.facts() for person in people))
    assert await explain_adverse(database) == 0
    assert await database.pool.fetchval("SELECT count(DISTINCT person_id) FROM adverse") == 2
    await driver.clear_outbox()
    assert await explain_adverse(database) == 58


async def test_reasons_give_way_to_a_backlog(driver: Driver, database: Database, elder: Any) -> None:
    people = [elder() for _ in range(5)]
    await driver.deliver(*(person.facts() for person in people))
    for person in people:
        person.change(person.born, "corrected", **registration(date(1960, 3, 5)))
    await driver.deliver(*(person.facts() for person in people))
    database.hurry(60)
    assert await explain_adverse(database) == 0
    assert await database.pool.fetchval("SELECT count(DISTINCT person_id) FROM adverse") == 2
    database.hurry(0)
    assert await explain_adverse(database) == 3


async def test_an_item_that_continues_under_another_identity_owes_no_reasons(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any
) -> None:
    stays, goes = elder(), elder()
    await driver.deliver(stays.facts(), goes.facts())
    await driver.deliver(goes.merged(stays), stays.united(goes))
    assert await explain_adverse(database) == 0
    assert (await kept(client, bearer, goes.person_id))["adverse"] == []


@pytest.mark.parametrize("survivor_first", [True, False])
async def test_the_survivor_is_owed_the_reasons_why_the_item_of_the_other_identity_ends(
    driver: Driver, database: Database, elder: Any, client: Any, bearer: Any, survivor_first: bool
) -> None:
    """The newest registration gives an age of 46 years."""
    goes, stays = elder(), elder(born=date(1980, 1, 1))
    stays.registered(date(1980, 1, 1), "530302", date(2026, 1, 1))
    await driver.deliver(stays.facts(), goes.facts())
    messages = [stays.united(goes), goes.merged(stays)]
    for event in messages if survivor_first else messages[::-1]:
        await driver.deliver(event)
    await explain_adverse(database)
    pages = [
        (await client.get(f"/v1/persons/{person.person_id}/adverse", headers=bearer())).json()["adverse"]
        for person in (stays, goes)
    ]
    assert [(one["item"], one["outcome"]) for one in pages[0] if one["item"] == ALLOWANCE] == [(ALLOWANCE, "refused")]
    assert pages[1] == []


async def test_reasons_use_the_facts_of_every_merged_identity(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any
) -> None:
    """The death that takes the allowance away was reported for the other identity."""
    stays, goes = elder(), elder()
    goes.say("death", date(2026, 10, 1), evidence="reported")
    await driver.deliver(stays.facts())
    await driver.deliver(stays.united(goes), goes.merged(stays))
    assert await explain_adverse(database) == 1
    reason = await allowance(client, bearer, stays.person_id)
    assert (reason["outcome"], reason["explanation"]["outcome"], reason["on"]) == (
        "suspended",
        "suspended",
        "2026-10-01",
    )


async def test_a_decision_that_cannot_be_explained_does_not_block_the_others(
    client: Any, driver: Driver, database: Database, elder: Any, bearer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    people = [elder() for _ in range(3)]
    await driver.deliver(*(person.facts() for person in people))
    for person in people:
        person.change(person.born, "corrected", **registration(date(1960, 3, 5)))
    await driver.deliver(*(person.facts() for person in people))
    broken = people[1].person_id
    await database.pool.execute("UPDATE unexplained SET adverse = '[1]' WHERE person_id = $1", broken)
    assert await explain_adverse(database) == 3
    assert await explain_adverse(database) == 0
    for person in (people[0], people[2]):
        assert (await allowance(client, bearer, person.person_id))["outcome"] == "refused"
    (fault,) = await verify.check(database, clock.today())
    assert broken in fault
    assert f"the reasons of decision 2 of {broken}" in caplog.text
