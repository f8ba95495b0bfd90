"""Visits from check-out to verdict, in every order of the topics."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import pytest
from common.events import AlertClosed, AlertRaised, VisitDisputed, VisitVerified
from shell import clock
from shell.store.database import Database
from shell.testing import Driver
from supervision import verify
from supervision.judge_visits import judge_waiting

NOON = clock.datetime.fromisoformat("2026-11-20T04:00:00+00:00")
FINDINGS = (VisitVerified, VisitDisputed, AlertRaised, AlertClosed)


async def test_a_valid_visit_is_verified_once_even_if_it_is_delivered_three_times(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    person, task = make.id(), make.id()
    entitled = make.record(make.decided(person, make.entitlement()))
    visit = make.record(make.checked_out(person, task), correlation_id=make.id())
    await deliver(entitled, visit, visit)
    await deliver(visit)
    (found,) = await driver.emitted_messages()
    assert isinstance(found.data, VisitVerified)
    assert (found.data.task_id, found.data.visited_on, found.data.warnings) == (task, date(2026, 11, 20), ())
    assert found.correlation_id == visit.header("ce_correlationid")
    assert await verify.check(database, clock.today()) == []


async def test_the_order_of_the_topics_does_not_change_the_verdict(driver: Driver, deliver: Any, make: Any) -> None:
    """Visit before entitlement, overlapping visit before or after: the final verdict is the same."""
    for order in permutations(range(4)):
        one, other = make.id(), make.id()
        tasks = [make.id(), make.id()]
        records = [
            make.record(make.decided(one, make.entitlement())),
            make.record(make.decided(other, make.entitlement())),
            make.record(make.checked_out(one, tasks[0], worker=one[:8])),
            make.record(make.checked_out(other, tasks[1], worker=one[:8])),
        ]
        await driver.clear_outbox()
        for place in order:
            await deliver(records[place])
        last: dict[str, Any] = {}
        for event in await driver.emitted(VisitVerified, VisitDisputed):
            last[event.task_id] = event
        assert {task: getattr(event, "checks", None) for task, event in last.items()} == {
            tasks[0]: ("V03",),
            tasks[1]: ("V03",),
        }, order
        raised = await driver.emitted(AlertRaised)
        assert sorted(a.subject for a in raised) == sorted(tasks)


async def test_a_visit_waits_for_its_entitlement_and_is_verified_when_it_comes(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(make.checked_out(person, task))
    assert await driver.emitted() == []
    await deliver(make.decided(person, make.entitlement()), at=NOON - timedelta(hours=2))
    assert [type(e) for e in await driver.emitted()] == [VisitVerified]
    assert await judge_waiting(database) == 0


async def test_a_visit_without_entitlement_is_disputed_after_its_wait_and_verified_when_the_entitlement_arrives(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(make.checked_out(person, task))
    assert await judge_waiting(database) == 0
    clock.advance(timedelta(minutes=3))
    assert await judge_waiting(database) == 1
    disputed, raised = await driver.emitted(*FINDINGS)
    assert (disputed.checks, raised.check, raised.severity) == (("V12",), "V12", "block")
    await driver.clear_outbox()
    await deliver(make.decided(person, make.entitlement()))
    verified, closed = await driver.emitted(*FINDINGS)
    assert isinstance(verified, VisitVerified)
    assert (closed.alert_id, closed.outcome) == (raised.alert_id, "dismissed")
    assert await verify.check(database, clock.today()) == []


async def test_a_death_that_becomes_known_late_disputes_a_verified_visit_until_it_is_revoked(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(make.decided(person, make.entitlement()), make.checked_out(person, task))
    await driver.clear_outbox()
    death = make.id()
    late = make.decided(person, version=2, died_on=date(2026, 11, 1), causes=(death,))
    await deliver(late)
    await deliver(late)
    disputed, raised = await driver.emitted_messages()
    assert (disputed.data.checks, raised.data.check) == (("V01",), "V01")
    assert disputed.correlation_id == raised.correlation_id == death
    await driver.clear_outbox()
    await deliver(make.decided(person, make.entitlement(), version=3))
    assert [type(e) for e in await driver.emitted()] == [VisitVerified, AlertClosed]
    await driver.clear_outbox()
    await deliver(make.decided(person, version=4, died_on=date(2026, 11, 1)))
    assert [type(e) for e in await driver.emitted()] == [VisitDisputed, AlertRaised]
    assert await verify.check(database, clock.today()) == []


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize(("visited_on_day", "expected"), [(20, VisitVerified), (25, VisitDisputed)])
async def test_an_entitlement_ended_retroactively_covers_visits_until_the_day_of_the_decision(
    driver: Driver, deliver: Any, make: Any, together: bool, place: int, visited_on_day: int, expected: Any
) -> None:
    """The entitlement ends on 1 November; the decision is made on the 20th."""
    person, task = make.id(), make.id()
    begin = (NOON - timedelta(hours=1)).replace(day=visited_on_day)
    visit = make.record(make.checked_out(person, task, begin=begin), at=begin + timedelta(hours=1))
    granted = make.record(make.decided(person, make.entitlement()), at=NOON - timedelta(days=30))
    ended = make.record(make.decided(person, make.entitlement(to=date(2026, 11, 1)), version=2), at=NOON)
    records = [granted, ended]
    records.insert(place, visit)
    clock.advance(timedelta(days=7))
    for batch in [records] if together else [[record] for record in records]:
        await deliver(*batch)
    assert type((await driver.emitted(VisitVerified, VisitDisputed))[-1]) is expected


async def test_decisions_of_several_days_in_one_batch_judge_the_visits_between_them(
    driver: Driver, deliver: Any, make: Any
) -> None:
    """Visiting care ends by a decision of the 20th, which arrives together with one of the 25th."""
    person, visited_at = make.id(), NOON + timedelta(days=2)
    clock.advance(timedelta(days=7))
    visit = make.record(make.checked_out(person, make.id(), begin=visited_at - timedelta(hours=1)), at=visited_at)
    await deliver(make.record(make.decided(person, make.entitlement()), at=NOON - timedelta(days=30)), visit)
    ended = make.entitlement(to=date(2026, 11, 20))
    newer = [
        make.record(make.decided(person, ended, version=2), at=NOON),
        make.record(make.decided(person, ended, version=3), at=NOON + timedelta(days=5)),
    ]
    await deliver(*newer)
    verified, disputed = await driver.emitted(VisitVerified, VisitDisputed)
    assert (type(verified), disputed.checks) == (VisitVerified, ("V12",))


async def test_an_older_decision_arriving_late_changes_nothing(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    person, task = make.id(), make.id()
    await deliver(make.decided(person, make.entitlement(), version=5), make.checked_out(person, task))
    await driver.clear_outbox()
    await deliver(make.decided(person, version=4, died_on=date(2026, 11, 1)))
    assert await driver.emitted() == []
    assert await database.pool.fetchval("SELECT version FROM people") == 5


async def test_a_visit_on_the_day_of_death_is_verified_with_a_warning_and_an_alert(
    driver: Driver, deliver: Any, make: Any
) -> None:
    person, task = make.id(), make.id()
    dead = make.decided(person, make.entitlement(to=date(2026, 11, 21)), died_on=date(2026, 11, 20))
    await deliver(dead, make.checked_out(person, task, minutes=5))
    verified, *alerts = await driver.emitted(*FINDINGS)
    assert (type(verified), verified.warnings) == (VisitVerified, ("V01", "V06"))
    assert sorted((a.check, a.severity) for a in alerts) == [("V01", "warn"), ("V06", "warn")]


async def test_a_suspected_death_does_not_make_the_visit_that_checks_it_unentitled(
    driver: Driver, deliver: Any, make: Any
) -> None:
    person, task = make.id(), make.id()
    await deliver(make.decided(person, make.entitlement(state="suspended")), make.checked_out(person, task))
    assert [type(e) for e in await driver.emitted()] == [VisitVerified]


async def test_nothing_is_stored_or_emitted_if_the_process_ends_before_the_commit(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    from shell.kafka.dispatch import dispatch
    from supervision.main import service

    person, task = make.id(), make.id()
    records = [make.record(make.decided(person, make.entitlement())), make.record(make.checked_out(person, task))]

    async def die() -> None:
        async with database.transaction() as tx:
            await dispatch(tx, "supervision", service.handlers, records)
            assert tx.emitted
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await die()
    assert await driver.emitted() == []
    await deliver(*records)
    assert [type(e) for e in await driver.emitted()] == [VisitVerified]


async def test_a_missed_visit_raises_one_alert(driver: Driver, deliver: Any, make: Any) -> None:
    gone = make.record(make.missed(make.id(), make.id()), correlation_id=make.id())
    await deliver(gone, gone)
    await deliver(gone)
    (raised,) = await driver.emitted_messages()
    assert (raised.data.check, raised.data.severity) == ("visit_missed", "warn")
    assert raised.correlation_id == gone.header("ce_correlationid")


async def test_a_late_step_of_a_visit_does_not_replace_a_newer_one(deliver: Any, make: Any, database: Database) -> None:
    person, task = make.id(), make.id()
    await deliver(make.offered(person, task), at=NOON)
    await deliver(make.planned(person, task), at=NOON - timedelta(minutes=5))
    assert await database.pool.fetchval("SELECT state FROM tasks") == "offered"
    await deliver(make.checked_out(person, task), at=NOON - timedelta(minutes=1))
    await deliver(make.missed(person, task), at=NOON + timedelta(days=9))
    assert await database.pool.fetchval("SELECT state FROM tasks") == "completed"


async def test_verify_finds_manual_changes(deliver: Any, make: Any, database: Database) -> None:
    person, task = make.id(), make.id()
    await deliver(make.decided(person, make.entitlement()), make.checked_out(person, task, minutes=1))
    assert await verify.check(database, clock.today()) == []
    await database.pool.execute("UPDATE tasks SET verdict = 'disputed'")
    await database.pool.execute("UPDATE people SET version = 0")
    await database.pool.execute("UPDATE alerts SET state = 'closed'")
    assert len(await verify.check(database, clock.today())) == 3


async def test_overlapping_visits_of_two_merged_identities_are_disputed_until_a_split(
    driver: Driver, deliver: Any, make: Any, database: Database
) -> None:
    """This includes visits that were verified before the merge. After the split both are verified again."""
    stays, goes = make.id(), make.id()
    tasks = [make.id(), make.id()]
    await deliver(make.decided(stays, make.entitlement()), make.decided(goes, make.entitlement()))
    await deliver(make.checked_out(stays, tasks[0], worker="W1"), make.checked_out(goes, tasks[1], worker="W2"))
    assert [type(e) for e in await driver.emitted(VisitVerified, VisitDisputed)] == [VisitVerified] * 2
    await driver.clear_outbox()
    await deliver(make.decided(goes, version=2, merged_into=stays))
    found = {e.task_id: e.checks for e in await driver.emitted(VisitDisputed)}
    assert found == dict.fromkeys(tasks, ("V05",))
    await driver.clear_outbox()
    await deliver(make.decided(goes, make.entitlement(), version=3))
    assert {e.task_id for e in await driver.emitted(VisitVerified)} == set(tasks)
    assert await verify.check(database, clock.today()) == []


async def test_a_decision_about_the_survivor_counts_for_visits_under_another_identity(
    driver: Driver, deliver: Any, make: Any
) -> None:
    stays, goes, task = make.id(), make.id(), make.id()
    await deliver(make.decided(stays), make.decided(goes, make.entitlement(), version=1))
    await deliver(make.decided(goes, version=2, merged_into=stays), make.decided(stays, make.entitlement(), version=2))
    await deliver(make.checked_out(goes, task))
    assert [type(e) for e in await driver.emitted()] == [VisitVerified]
    await driver.clear_outbox()
    await deliver(make.decided(stays, version=3, died_on=date(2026, 11, 1)))
    (disputed,) = await driver.emitted(VisitDisputed)
    assert (disputed.task_id, disputed.checks) == (task, ("V01",))
