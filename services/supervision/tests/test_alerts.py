"""An alert as a case: the permitted actions, their order and their events."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from common.events import (
    AlertClosed,
    AlertRaised,
    PolicyVersionHalted,
    ReadBudgetUsed,
    RecordParked,
    RecoveryClosed,
    RecoveryOpened,
    VisitDisputed,
    VisitVerified,
)
from shell import clock
from shell.access.read_budget import case_of
from shell.store.database import Database
from shell.testing import Driver
from supervision import verify
from supervision.domain.alerts import Refused, decide_step

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
PROVIDER = "52530302MJ00000017"
WORDS = {"reason": "工作人员忘记签退"}


def test_only_these_actions_are_permitted_in_each_state() -> None:
    states = ("raised", "explained", "confirmed", "dismissed", "closed")
    actions = ("explain", "confirm", "dismiss", "close")
    permitted = {
        (state, action)
        for state, action in product(states, actions)
        if not isinstance(
            decide_step(state, action, has_provider=True, explain_by=NOON, now=NOON - timedelta(days=1)),  # type: ignore[arg-type]
            Refused,
        )
    }
    assert permitted == {
        ("raised", "explain"),
        ("explained", "confirm"),
        ("explained", "dismiss"),
        ("confirmed", "close"),
        ("dismissed", "close"),
    }


def test_the_officer_decides_without_an_explanation_after_its_deadline_or_if_there_is_no_provider() -> None:
    assert decide_step("raised", "confirm", has_provider=True, explain_by=NOON, now=NOON) == "confirmed"
    early = NOON - timedelta(days=1)
    assert decide_step("raised", "dismiss", has_provider=False, explain_by=NOON, now=early) == "dismissed"


@pytest.fixture
async def disputed(deliver: Any, make: Any, driver: Driver) -> str:
    """The alert about a visit after the death of the person."""
    person = make.id()
    died = clock.today() - timedelta(days=9)
    await deliver(make.decided(person, make.entitlement(), died_on=died), make.checked_out(person, make.id()))
    (raised,) = await driver.emitted(AlertRaised)
    await driver.clear_outbox()
    return str(raised.alert_id)


async def test_an_alert_is_explained_decided_and_closed(
    disputed: str, api: Any, driver: Driver, database: Database
) -> None:
    provider, officer = api("provider", provider=PROVIDER), api(division="530300")
    url = f"/v1/alerts/{disputed}"
    early = await officer.post(f"{url}/confirm", json=WORDS)
    assert (early.status_code, early.json()["code"], early.json()["state"]) == (409, "not_now", "raised")
    assert (await provider.post(f"{url}/explain", json=WORDS)).json()["state"] == "explained"
    assert (await provider.post(f"{url}/explain", json=WORDS)).status_code == 409
    assert (await officer.post(f"{url}/confirm", json=WORDS)).json()["outcome"] == "confirmed"
    assert await driver.emitted() == []
    closed = (await officer.post(f"{url}/close")).json()
    assert (closed["state"], closed["explanation"], closed["text"][:4]) == ("closed", WORDS["reason"], "服务日期")
    (event,) = await driver.emitted()
    assert (type(event), event.outcome) == (AlertClosed, "confirmed")
    assert await verify.check(database, clock.today()) == []


async def test_a_finding_that_comes_back_needs_a_new_explanation(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    person, days_ago = make.id(), lambda days: clock.today() - timedelta(days=days)
    visiting = make.entitlement()
    await deliver(make.decided(person, visiting, died_on=days_ago(9)), make.checked_out(person, make.id()))
    (raised,) = await driver.emitted(AlertRaised)
    provider = api("provider", provider=PROVIDER)
    await provider.post(f"/v1/alerts/{raised.alert_id}/explain", json=WORDS)
    await deliver(make.decided(person, visiting, version=2))  # the death is refuted
    await deliver(make.decided(person, visiting, version=3, died_on=days_ago(8)))
    (alert,) = (await api(division="530300").get("/v1/alerts")).json()["alerts"]
    assert (alert["alert_id"], alert["state"], alert["explanation"]) == (raised.alert_id, "raised", None)


@pytest.mark.parametrize("action", ["dismiss", "confirm"])
async def test_a_decided_warning_about_the_day_of_death_permits_no_visit_after_an_earlier_death(
    deliver: Any, make: Any, api: Any, driver: Driver, database: Database, action: str
) -> None:
    person, task, today = make.id(), make.id(), clock.today()
    await deliver(make.decided(person, make.entitlement(), died_on=today), make.checked_out(person, task))
    (warning,) = await driver.emitted(AlertRaised)
    assert warning.severity == "warn"
    provider, officer, url = (
        api("provider", provider=PROVIDER),
        api(division="530300"),
        f"/v1/alerts/{warning.alert_id}",
    )
    await provider.post(f"{url}/explain", json=WORDS)
    assert (await officer.post(f"{url}/{action}", json=WORDS)).status_code == 200
    await driver.clear_outbox()
    died = make.decided(person, make.entitlement(), version=2, died_on=today - timedelta(days=9))
    await deliver(died)
    await deliver(died)
    disputed, raised = await driver.emitted()
    assert (disputed.task_id, disputed.checks) == (task, ("V01",))
    assert (raised.alert_id, raised.severity) == (warning.alert_id, "block")
    assert await verify.check(database, today) == []


async def test_a_dismissed_block_no_longer_disputes_the_visit(disputed: str, api: Any, driver: Driver) -> None:
    clock.advance(timedelta(days=6))  # after the provider's deadline
    answer = await api(division="530302").post(f"/v1/alerts/{disputed}/dismiss", json=WORDS)
    assert answer.json()["state"] == "dismissed"
    (event,) = await driver.emitted()
    assert isinstance(event, VisitVerified)


async def test_a_dispute_is_stated_again_without_the_check_that_an_officer_dismissed(
    deliver: Any, make: Any, api: Any, driver: Driver, database: Database
) -> None:
    one, other, task, today = make.id(), make.id(), make.id(), clock.today()
    await deliver(make.decided(one, make.entitlement(), died_on=today - timedelta(days=9)))
    await deliver(make.decided(other, make.entitlement()), make.checked_out(other, make.id()))
    await deliver(make.checked_out(one, task))
    raised = [alert for alert in await driver.emitted(AlertRaised) if alert.subject == task]
    assert {alert.check for alert in raised} == {"V01", "V03"}
    await driver.clear_outbox()
    clock.advance(timedelta(days=6))  # after the provider's deadline
    overlap = next(alert.alert_id for alert in raised if alert.check == "V03")
    assert (await api(division="530300").post(f"/v1/alerts/{overlap}/dismiss", json=WORDS)).status_code == 200
    (event,) = await driver.emitted()
    assert (type(event), event.task_id, event.checks) == (VisitDisputed, task, ("V01",))
    assert await verify.check(database, clock.today()) == []


async def test_a_visit_that_is_verified_again_after_a_second_dismissal_is_a_new_event(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    person, other, task = make.id(), make.id(), make.id()
    await deliver(make.decided(person, make.entitlement()), make.decided(other, make.entitlement()))
    await deliver(make.checked_out(other, make.id()), make.checked_out(person, task))
    clock.advance(timedelta(days=6))  # after the provider's deadline
    await _dismiss(api, driver, task, "V03")
    await deliver(make.checked_out(person, make.id(), worker="W8"), at=clock.now())
    clock.advance(timedelta(days=6))
    await _dismiss(api, driver, task, "V05")
    verdicts = [m for m in await driver.emitted_messages() if getattr(m.data, "task_id", None) == task]
    kinds = [type(m.data) for m in verdicts]
    assert kinds[-4:] == [VisitDisputed, VisitVerified, VisitDisputed, VisitVerified]
    assert len({m.id for m in verdicts}) == len(verdicts)


async def _dismiss(api: Any, driver: Driver, task: str, check: str) -> None:
    raised = [alert for alert in await driver.emitted(AlertRaised) if (alert.subject, alert.check) == (task, check)]
    answer = await api(division="530300").post(f"/v1/alerts/{raised[-1].alert_id}/dismiss", json=WORDS)
    assert answer.status_code == 200, answer.text


async def test_an_alert_of_another_area_or_provider_cannot_be_changed(disputed: str, api: Any) -> None:
    url = f"/v1/alerts/{disputed}"
    other = api("provider", provider="91530302MA00000018")
    assert (await other.post(f"{url}/explain", json=WORDS)).status_code == 403
    assert (await api("provider", provider=PROVIDER).post(f"{url}/confirm", json=WORDS)).status_code == 403
    assert (await api(division="140700").post(f"{url}/confirm", json=WORDS)).status_code == 403
    assert (await api("officer").post(f"{url}/explain", json=WORDS)).status_code == 403
    assert (await other.get("/v1/alerts")).json()["alerts"] == []
    assert (await api(division="140700").get("/v1/alerts")).json()["alerts"] == []
    assert (await api(division=None).get("/v1/alerts")).json()["code"] == "area_required"
    assert (await api().post("/v1/alerts/00000000-0000-4000-8000-000000000000/close")).status_code == 404
    assert (await api(division="530302").post(f"{url}/confirm", json={"reason": ""})).status_code == 422


async def test_alerts_are_listed_newest_first_in_pages_and_overdue_ones_are_marked(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    for _ in range(5):
        await deliver(make.missed(make.id(), make.id()))
        clock.advance(timedelta(minutes=1))
    raised = [event.alert_id for event in await driver.emitted(AlertRaised)]
    client = api(division="530300")
    first = (await client.get("/v1/alerts", params={"limit": 3, "check": "visit_missed"})).json()
    second = (await client.get("/v1/alerts", params={"limit": 3, "after": first["next"]})).json()
    assert [a["alert_id"] for a in first["alerts"] + second["alerts"]] == raised[::-1]
    assert not any(a["overdue"] for a in first["alerts"])
    clock.advance(timedelta(days=6))
    assert all(a["overdue"] for a in (await client.get("/v1/alerts", params={"state": "raised"})).json()["alerts"])
    assert (await client.get("/v1/alerts", params={"state": "closed"})).json()["alerts"] == []
    assert (await client.get("/v1/alerts/open")).json() == {"open": 5, "by_check": {"visit_missed": 5}}
    assert (await api(division="140700").get("/v1/alerts/open")).json()["open"] == 0


async def test_an_alert_without_a_provider_is_overdue_when_the_officer_is_late(
    deliver: Any, make: Any, api: Any
) -> None:
    await deliver(recovery_opened(make.id(), make.id(), "death"))
    client = api(division="530300")
    overdue = []
    for _ in range(2):
        clock.advance(timedelta(days=6))
        (alert,) = (await client.get("/v1/alerts")).json()["alerts"]
        overdue.append(alert["overdue"])
    assert overdue == [False, True]


def recovery_opened(person: str, recovery: str, reason: str) -> RecoveryOpened:
    return RecoveryOpened(
        person_id=person,
        recovery_id=recovery,
        item="longevity_allowance",
        jurisdiction="530302",
        service_month="2026-10",
        amount_fen=5000,
        reason=reason,
    )


@pytest.mark.parametrize("together", [False, True])
async def test_a_recovery_whose_amount_changes_stays_a_case(
    deliver: Any, make: Any, api: Any, driver: Driver, *, together: bool
) -> None:
    person, recovery = make.id(), make.id()
    opened = recovery_opened(person, recovery, "not_entitled")
    closed = RecoveryClosed(person_id=person, recovery_id=recovery, amount_fen=5000, outcome="withdrawn")
    await deliver(opened)
    if together:
        await deliver(closed, opened)
    else:
        await deliver(closed)
        await deliver(opened)
    (alert,) = (await api().get("/v1/alerts")).json()["alerts"]
    assert (alert["check"], alert["state"]) == ("recovery_opened", "raised")
    assert [type(e) for e in await driver.emitted()] == [AlertRaised, AlertClosed, AlertRaised]


async def test_a_recovery_that_opens_again_after_its_case_was_closed_is_a_case_again(
    deliver: Any, make: Any, api: Any, driver: Driver, database: Database
) -> None:
    person, recovery = make.id(), make.id()
    opened = recovery_opened(person, recovery, "died")
    await deliver(opened)
    (raised,) = await driver.emitted(AlertRaised)
    officer, url = api(division="530302"), f"/v1/alerts/{raised.alert_id}"
    await officer.post(f"{url}/confirm", json=WORDS)
    clock.advance(timedelta(hours=1))
    assert (await officer.post(f"{url}/close")).json()["state"] == "closed"
    await deliver(opened)  # the same event again
    assert [a["state"] for a in (await officer.get("/v1/alerts")).json()["alerts"]] == ["closed"]
    await deliver(opened, at=clock.now() + timedelta(days=30))
    assert [a["state"] for a in (await officer.get("/v1/alerts")).json()["alerts"]] == ["raised"]
    assert await verify.check(database, clock.today()) == []


async def test_a_recovery_is_a_case_until_it_is_closed(deliver: Any, make: Any, driver: Driver) -> None:
    person, recovery = make.id(), make.id()
    opened = recovery_opened(person, recovery, "died")
    await deliver(opened, opened)
    await deliver(RecoveryClosed(person_id=person, recovery_id=recovery, amount_fen=5000, outcome="collected"))
    raised, closed = await driver.emitted()
    assert (raised.check, raised.division, raised.subject) == ("recovery_opened", "530302", recovery)
    assert (closed.alert_id, closed.outcome) == (raised.alert_id, "confirmed")


async def test_a_parked_record_is_a_case_for_the_platform_and_for_no_person(
    deliver: Any, make: Any, api: Any, driver: Driver
) -> None:
    parked = RecordParked(parked_id=make.id(), service="subsidy", reason="bug", topic_name="x", partition=0, offset=0)
    await deliver(make.record(parked, topic="subsidy.parked"))
    assert await driver.emitted() == []
    (alert,) = (await api("admin").get("/v1/alerts")).json()["alerts"]
    assert (alert["check"], alert["person_id"], alert["subject"]) == ("record_parked", None, parked.parked_id)


async def test_a_halted_list_is_a_case_of_its_area(deliver: Any, make: Any, api: Any, driver: Driver) -> None:
    halted = PolicyVersionHalted(
        jurisdiction="530302",
        version="0" * 32,
        back_to="1" * 32,
        by="band",
        reason="x",
        people=1,
        people_changed=1,
        raised_fen=0,
        cut_fen=0,
    )
    record = make.record(halted, topic="policy.review")
    await deliver(record, record)
    assert await driver.emitted() == []
    (alert,) = (await api("officer", division="530300").get("/v1/alerts")).json()["alerts"]
    assert (alert["check"], alert["division"], alert["person_id"]) == ("policy_halted", "530302", None)


async def test_excessive_reads_of_a_user_are_one_case_of_the_area_without_a_name(
    deliver: Any, make: Any, api: Any, driver: Driver, database: Database
) -> None:
    day = clock.today()
    used = ReadBudgetUsed(
        case_id=case_of("li", day),
        service="ingestion",
        role="officer",
        division="530302",
        day=day,
        persons_max=300,
        used_at=clock.now(),
    )
    for _ in range(2):
        await deliver(make.record(used, topic="ingestion.access"))
    (alert,) = (await api(division="530300").get("/v1/alerts?check=read_budget")).json()["alerts"]
    assert (alert["severity"], alert["division"], alert["subject"]) == ("warn", "530302", used.case_id)
    assert alert["text"] == "一名工作人员当日查阅人员超过限额"
    assert (await api(division="110000").get("/v1/alerts")).json()["alerts"] == []
    assert await driver.emitted() == []
    assert await verify.check(database, clock.today()) == []


async def test_nobody_decides_the_case_about_their_own_reads(deliver: Any, make: Any, api: Any) -> None:
    read_on = clock.today() - timedelta(days=2)  # supervision was down for two days
    case = {"service": "ingestion", "role": "officer", "division": "530302", "persons_max": 300}
    used = ReadBudgetUsed(case_id=case_of("li", read_on), day=read_on, used_at=clock.now(), **case)
    await deliver(make.record(used, topic="ingestion.access"))
    (alert,) = (await api(division="530300").get("/v1/alerts")).json()["alerts"]
    url = f"/v1/alerts/{alert['alert_id']}/dismiss"
    own = await api(division="530300", subject="li").post(url, json=WORDS)
    assert (own.status_code, own.json()["code"]) == (403, "own_case")
    other = await api(division="530300", subject="wang").post(url, json=WORDS)
    assert (other.status_code, other.json()["outcome"]) == (200, "dismissed")
