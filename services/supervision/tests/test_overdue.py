"""Overdue holds, long hospital stays and urgent tasks without a provider become alerts of the area."""

from datetime import date, datetime, timedelta
from typing import Any

import pytest
from common.codes.divisions import NATION
from common.events import (
    AlertClosed,
    AlertRaised,
    VisitCancelled,
    VisitDisputed,
    VisitMissed,
    VisitOffered,
    VisitPlanned,
    VisitUnplaced,
    VisitVerified,
)
from common.events.entitlement import Circumstances, HospitalStayTold
from shell import clock
from shell.store.database import Database
from shell.testing import Driver
from supervision import verify
from supervision.raise_alerts import raise_overdue

NOON = datetime.fromisoformat("2026-11-20T04:00:00+00:00")
TOWN = "530302001"
REPORTED_ON = date(2026, 11, 18)


@pytest.fixture
def decided(make: Any) -> Any:
    """`decided(version, …)`: a decision about one person, who is suspected dead by default."""
    person = make.id()

    def of(version: int = 1, **given: Any) -> Any:
        given.setdefault("death_suspected_on", REPORTED_ON)
        given.setdefault("residence", TOWN)
        items = given.pop("items", (make.entitlement("longevity_allowance", state="suspended"),))
        return make.decided(given.pop("person", person), *items, version=version, **given)

    return of


async def alerts(api: Any, check: str, division: str = NATION) -> list[Any]:
    answer = await api(division=division).get("/v1/alerts", params={"check": check})
    found: list[Any] = answer.json()["alerts"]
    return found


async def pass_days(database: Database, days: float) -> None:
    clock.advance(timedelta(days=days))
    while await raise_overdue(database):
        pass


async def test_a_hold_older_than_five_days_is_one_alert_of_the_area(
    deliver: Any, decided: Any, api: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided())
    await deliver(decided())
    await pass_days(database, 4.99)
    assert await alerts(api, "hold_overdue") == []
    await pass_days(database, 0.02)
    await deliver(decided(2, death_suspected_on=date(2026, 11, 17)), at=clock.now())  # the same hold
    await pass_days(database, 30)
    (event,) = await driver.emitted(AlertRaised)
    assert (event.check, event.division) == ("hold_overdue", TOWN)
    (alert,) = await alerts(api, "hold_overdue", "530302")
    assert (alert["state"], alert["person_id"], alert["provider"]) == ("raised", event.person_id, None)
    assert alert["explain_by"] < alert["decide_by"] < alert["close_by"]
    assert await alerts(api, "hold_overdue", "530303") == []
    assert await verify.check(database, clock.today()) == []


@pytest.mark.parametrize(("after", "outcome"), [({}, "dismissed"), ({"died_on": REPORTED_ON}, "confirmed")])
async def test_the_alert_of_a_hold_is_withdrawn_when_the_hold_ends(
    deliver: Any, decided: Any, api: Any, driver: Driver, database: Database, after: dict[str, Any], outcome: str
) -> None:
    await deliver(decided())
    await pass_days(database, 6)
    ended = decided(2, death_suspected_on=None, **after)
    await deliver(ended, at=clock.now())
    await deliver(ended, at=clock.now())
    (event,) = await driver.emitted(AlertClosed)
    assert event.outcome == outcome
    (alert,) = await alerts(api, "hold_overdue")
    assert alert["state"] == "closed"
    await pass_days(database, 10)
    assert len(await driver.emitted(AlertRaised)) == 1
    assert await verify.check(database, clock.today()) == []


async def test_the_alert_of_a_hold_goes_to_the_area_where_the_person_lives_now(
    deliver: Any, decided: Any, api: Any, database: Database
) -> None:
    await deliver(decided())
    await deliver(decided(2, residence="140702"), at=NOON + timedelta(days=1))
    await deliver(decided())  # an older decision is delivered again
    await pass_days(database, 6)
    assert [len(await alerts(api, "hold_overdue", area)) for area in ("530302", "140702")] == [0, 1]


async def test_the_alert_of_an_overdue_hold_follows_the_person_to_another_area(
    deliver: Any, decided: Any, api: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided())
    await pass_days(database, 6)
    await deliver(decided(2, residence="140702"), at=clock.now())
    await pass_days(database, 0)
    assert [len(await alerts(api, "hold_overdue", area)) for area in ("530302", "140702")] == [0, 1]
    assert [event.division for event in await driver.emitted(AlertRaised)] == [TOWN, "140702"]
    assert await verify.check(database, clock.today()) == []


async def test_a_hold_that_ends_in_time_raises_nothing(
    deliver: Any, decided: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided())
    clock.advance(timedelta(days=3))
    await deliver(decided(2, death_suspected_on=None), at=clock.now())
    await deliver(decided())  # an older decision is delivered again
    await pass_days(database, 10)
    assert await driver.emitted(AlertRaised) == []


async def test_a_new_hold_of_the_same_person_is_a_new_case_with_a_new_deadline(
    deliver: Any, decided: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided())
    await pass_days(database, 6)
    await deliver(decided(2, death_suspected_on=None), at=clock.now())
    await deliver(decided(3), at=clock.now())
    await pass_days(database, 4)
    assert len(await driver.emitted(AlertRaised)) == 1
    await pass_days(database, 2)
    first, second = await driver.emitted(AlertRaised)
    assert first.alert_id != second.alert_id


async def test_after_a_merge_the_survivor_has_the_hold(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    survivor = make.id()
    await deliver(decided())
    await deliver(decided(2, merged_into=survivor, items=()), decided(person=survivor))
    await pass_days(database, 6)
    (event,) = await driver.emitted(AlertRaised)
    assert event.person_id == survivor


async def test_the_alert_of_a_hold_goes_to_the_hukou_without_a_residence_and_else_to_the_nation(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided(person=make.id(), residence=None, hukou="530303002"))
    await deliver(decided(person=make.id(), residence=None))
    await pass_days(database, 6)
    assert {e.division for e in await driver.emitted(AlertRaised)} == {"530303002", NATION}


async def test_many_holds_are_raised_in_bounded_steps(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    await deliver(*[decided(person=make.id()) for _ in range(600)])
    clock.advance(timedelta(days=6))
    assert await raise_overdue(database) == 500
    assert await raise_overdue(database) == 100
    assert await raise_overdue(database) == 0
    assert len(await driver.emitted(AlertRaised)) == 600


def in_hospital(from_: date | None = date(2026, 11, 10), to: date | None = None, event_id: str = "s1") -> Circumstances:
    return Circumstances(in_hospital=(HospitalStayTold(event_id=event_id, from_=from_, to=to),))


async def test_a_stay_open_for_long_is_an_alert_until_it_ends(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    alive = {"death_suspected_on": None, "items": (make.entitlement(),)}
    await deliver(decided(1, circumstances=in_hospital(), **alive))
    await pass_days(database, 34)  # 44 days after the admission
    assert await driver.emitted(AlertRaised) == []
    await pass_days(database, 1)
    (raised,) = await driver.emitted(AlertRaised)
    assert (raised.check, raised.division) == ("stay_open_long", TOWN)
    ended = decided(2, circumstances=in_hospital(to=date(2026, 12, 24)), **alive)
    await deliver(ended, at=clock.now())
    (closed,) = await driver.emitted(AlertClosed)
    assert closed.alert_id == raised.alert_id
    assert await verify.check(database, clock.today()) == []


async def test_a_hinted_stay_raises_nothing_and_does_not_hide_a_certain_one(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    alive = {"death_suspected_on": None, "items": (make.entitlement(),)}
    hint = HospitalStayTold(event_id="hint", from_=date(2026, 10, 1), hint=True)
    await deliver(decided(1, circumstances=Circumstances(in_hospital=(hint,)), **alive))
    await pass_days(database, 34)
    assert await driver.emitted(AlertRaised) == []
    certain = HospitalStayTold(event_id="s1", from_=date(2026, 11, 10))
    await deliver(decided(2, circumstances=Circumstances(in_hospital=(hint, certain)), **alive))
    await pass_days(database, 1)
    (raised,) = await driver.emitted(AlertRaised)
    assert raised.check == "stay_open_long"


async def test_another_stay_is_another_case(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    alive = {"death_suspected_on": None, "items": (make.entitlement(),)}
    await deliver(decided(1, circumstances=in_hospital(), **alive))
    await pass_days(database, 40)
    await deliver(decided(2, circumstances=in_hospital(date(2026, 12, 1), event_id="s2"), **alive), at=clock.now())
    assert len(await driver.emitted(AlertClosed)) == 1
    await pass_days(database, 30)
    assert len(await driver.emitted(AlertRaised)) == 2


async def test_a_stay_of_a_person_without_visiting_care_raises_nothing(
    deliver: Any, decided: Any, driver: Driver, database: Database
) -> None:
    await deliver(decided(1, death_suspected_on=None, circumstances=in_hospital()))
    await pass_days(database, 90)
    assert await driver.emitted(AlertRaised) == []


def step(cls: Any, person: str, task: str, **given: Any) -> Any:
    fields = {"item": "visiting_care", "division": TOWN, "window_from": NOON.date(), "provider": None}
    fields["window_to"] = NOON.date() + timedelta(days=1)
    return cls(person_id=person, task_id=task, **{**fields, **given})


def unplaced(person: str, task: str, cause: str = "no_provider") -> Any:
    return step(VisitUnplaced, person, task, reason="suspicion", cause=cause)


def planned(person: str, task: str) -> Any:
    return step(VisitPlanned, person, task, reason="suspicion", entitlement_id="e")


async def test_an_urgent_task_without_a_provider_is_an_alert_at_once_until_it_has_one(
    deliver: Any, make: Any, api: Any, driver: Driver, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(planned(person, task), unplaced(person, task))
    await deliver(unplaced(person, task, "all_declined"))
    (raised,) = await driver.emitted(AlertRaised)
    assert (raised.check, raised.subject, raised.division) == ("visit_unplaced", task, TOWN)
    assert len(await alerts(api, "visit_unplaced", "530302")) == 1
    assert await verify.check(database, clock.today()) == []
    later = NOON + timedelta(hours=1)
    offered = step(VisitOffered, person, task, provider="52530302MJ00000017", accept_by=later)
    await deliver(offered, at=later)
    assert [e.alert_id for e in await driver.emitted(AlertClosed)] == [raised.alert_id]
    await deliver(unplaced(person, task))  # the old event is delivered again
    assert len(await driver.emitted(AlertRaised)) == 1


async def test_a_task_that_loses_its_provider_is_an_alert_again_after_an_officer_closed_the_first(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    person, task = make.id(), make.id()
    await deliver(planned(person, task), unplaced(person, task))
    (raised,) = await driver.emitted(AlertRaised)
    url, officer = f"/v1/alerts/{raised.alert_id}", api(division="530302")
    await officer.post(f"{url}/confirm", json={"reason": "a provider will be asked"})
    assert (await officer.post(f"{url}/close")).json()["state"] == "closed"
    later = NOON + timedelta(hours=1)
    await deliver(step(VisitOffered, person, task, provider="52530302MJ00000017", accept_by=later), at=later)
    again = make.record(unplaced(person, task, "all_declined"), at=NOON + timedelta(hours=2))
    await deliver(again, again)
    assert [event.alert_id for event in await driver.emitted(AlertRaised)] == [raised.alert_id] * 2
    (alert,) = await alerts(api, "visit_unplaced", "530302")
    assert (alert["state"], alert["decision"]) == ("raised", None)


async def test_a_task_that_found_a_provider_in_the_same_batch_raises_nothing(
    deliver: Any, make: Any, driver: Driver
) -> None:
    person, task = make.id(), make.id()
    offered = step(VisitOffered, person, task, provider="52530302MJ00000017", accept_by=NOON)
    await deliver(planned(person, task), unplaced(person, task), make.record(offered, at=NOON + timedelta(minutes=1)))
    assert await driver.emitted(AlertRaised) == []


@pytest.mark.parametrize("end", [(VisitMissed, {}), (VisitCancelled, {"reason": "resolved"})])
async def test_the_alert_of_a_task_without_a_provider_ends_with_the_task(
    deliver: Any, make: Any, driver: Driver, database: Database, end: Any
) -> None:
    person, task = make.id(), make.id()
    await deliver(planned(person, task), unplaced(person, task))
    cls, more = end
    await deliver(step(cls, person, task, **more), at=NOON + timedelta(hours=12))
    raised = {e.alert_id for e in await driver.emitted(AlertRaised) if e.check == "visit_unplaced"}
    assert {e.alert_id for e in await driver.emitted(AlertClosed)} == raised
    assert await verify.check(database, clock.today()) == []


async def test_a_visit_that_finds_the_person_at_home_during_an_open_stay_is_an_alert(
    deliver: Any, decided: Any, make: Any, driver: Driver
) -> None:
    person = make.id()
    alive = {"death_suspected_on": None, "items": (make.entitlement(),), "person": person}
    await deliver(decided(1, circumstances=in_hospital(), **alive))
    for outcome in ("seen", "not_found", "seen"):
        task = make.id()
        reason = "stay" if outcome != "seen" else None
        await deliver(make.checked_out(person, task, outcome=outcome, reason=reason))
    assert [e for e in await driver.emitted(AlertRaised) if e.check == "stay_contradicted"] == []
    task = make.id()
    await deliver(make.checked_out(person, task, begin=NOON - timedelta(hours=5), outcome="seen", reason="stay"))
    (raised,) = [e for e in await driver.emitted(AlertRaised) if e.check == "stay_contradicted"]
    assert (raised.subject, raised.division) == (task, "530302")


async def test_a_check_of_a_suspected_death_needs_no_entitlement(
    deliver: Any, decided: Any, make: Any, driver: Driver, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(decided(1, person=person), make.checked_out(person, task, reason="suspicion"))
    assert [e.task_id for e in await driver.emitted(VisitVerified)] == [task]
    assert await driver.emitted(VisitDisputed) == []
    assert await verify.check(database, clock.today()) == []


@pytest.mark.parametrize(("outcome", "disputed"), [("not_found", False), ("seen", True)])
async def test_a_check_that_did_not_see_the_person_is_not_disputed_by_the_death(
    deliver: Any, decided: Any, make: Any, driver: Driver, outcome: str, disputed: bool
) -> None:
    person, task = make.id(), make.id()
    await deliver(decided(1, person=person), make.checked_out(person, task, reason="suspicion", outcome=outcome))
    await deliver(decided(2, person=person, death_suspected_on=None, died_on=REPORTED_ON))
    assert bool(await driver.emitted(VisitDisputed)) == disputed


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ("UPDATE matters SET raised = false", "was due"),
        ("DELETE FROM alerts WHERE check_id = 'hold_overdue'", "has no alert"),
        ("DELETE FROM alerts WHERE check_id = 'visit_unplaced'", "has no alert"),
        ("DELETE FROM alerts WHERE check_id = 'visit_missed'", "has no alert"),
    ],
)
async def test_verify_finds_a_missing_alert(
    deliver: Any, decided: Any, make: Any, database: Database, damage: str, words: str
) -> None:
    person, task = make.id(), make.id()
    await deliver(decided(), planned(person, task), unplaced(person, task), make.missed(make.id(), make.id()))
    await pass_days(database, 6)
    assert await verify.check(database, clock.today()) == []
    await database.pool.execute(damage)
    assert any(words in fault for fault in await verify.check(database, clock.today()))
