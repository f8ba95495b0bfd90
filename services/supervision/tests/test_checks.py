"""The file of the checks decides the severity of every alert, and whether a visit is disputed."""

import re
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common.events import (
    AccountChanged,
    Event,
    ForeignEventsGrouped,
    MoveGap,
    PolicyVersionHalted,
    ReadBudgetUsed,
    RecordParked,
    RecoveryOpened,
    VisitDisputed,
    VisitUnplaced,
    VisitVerified,
)
from common.events.entitlement import Circumstances, HospitalStayTold
from common.message import Record
from shell import clock
from shell.settings import repository_root
from shell.store.database import Database
from shell.testing import Driver
from supervision.checks import checks, load_checks
from supervision.raise_alerts import raise_overdue

CHECKS = repository_root() / "contracts" / "checks.yaml"
COUNTY = "530302"
DAY = date(2026, 11, 20)
OPPOSITE = {"warn": "block", "block": "warn"}
SOURCE = "urn:cn:exchange:110000:hrss"
NOTHING_CHANGED = {"people": 1, "people_changed": 1, "raised_fen": 0, "cut_fen": 0}


@pytest.fixture
def opposite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Other contracts, whose checks have the opposite severities."""
    folder = tmp_path / "contracts"
    folder.mkdir()
    for entry in CHECKS.parent.iterdir():
        if entry != CHECKS:
            (folder / entry.name).symlink_to(entry)
    text = re.sub(r": (warn|block)(?=[,}])", lambda found: f": {OPPOSITE[found[1]]}", CHECKS.read_text("utf-8"))
    (folder / CHECKS.name).write_text(text, "utf-8")
    monkeypatch.setenv("SHOUWANG_ROOT", str(tmp_path))
    checks.cache_clear()
    yield
    checks.cache_clear()


def about_visits(make: Any) -> list[Event]:
    """Events about visits of different people, with every finding except those about a death."""
    people = [make.id() for _ in range(8)]
    yesterday = clock.now() - timedelta(days=1)
    lying = HospitalStayTold(event_id="s1", from_=date(2026, 10, 1))
    unplaced = {"reason": "suspicion", "cause": "no_provider"}
    task = make.planned(make.id(), make.id(), reason="suspicion")
    window = {"window_from": task.window_from, "window_to": task.window_to, "item": task.item, "division": COUNTY}
    return [
        *(make.decided(person, make.entitlement()) for person in people[:6]),
        make.decided(people[6]),
        make.decided(people[7], make.entitlement(), circumstances=Circumstances(in_hospital=(lying,))),
        make.checked_out(people[0], make.id(), minutes=5, worker="short"),
        make.checked_out(people[1], make.id(), begin=yesterday, worker="late"),
        make.checked_out(people[2], make.id(), worker="busy"),
        make.checked_out(people[3], make.id(), worker="busy"),
        make.checked_out(people[4], make.id(), worker="first"),
        make.checked_out(people[4], make.id(), worker="second"),
        make.checked_out(people[5], make.id(), worker="home", reason="stay"),
        make.checked_out(people[6], make.id(), worker="none"),
        make.missed(make.id(), make.id()),
        VisitUnplaced(person_id=make.id(), task_id=make.id(), provider=None, **window, **unplaced),
    ]


def about_people(make: Any) -> list[Event | Record]:
    """Events about people, money and the platform, each with a finding."""
    gap = MoveGap(
        item="longevity_allowance",
        old=COUNTY,
        old_policy=f"{COUNTY}/longevity_allowance@2023-01-01",
        left=COUNTY,
        moved_to="140702",
        moved_on=date(2025, 4, 18),
        first_month="2025-04",
        until_month="2025-05",
        new="140702",
        why="pay_rules",
    )
    recovery = {"item": "longevity_allowance", "service_month": "2026-10", "amount_fen": 5000, "reason": "died"}
    group = {"kind": "death", "holds": "events", "owner": COUNTY, "opened_at": clock.now()}
    reads = {"service": "ingestion", "role": "officer", "division": COUNTY, "persons_max": 300}
    halted = {"version": "0" * 32, "back_to": "1" * 32, "by": "band", "reason": "x", **NOTHING_CHANGED}
    account = {"source": SOURCE, "holder": "other", "changed_at": clock.now()}
    return [
        make.decided(make.id(), gaps=(gap,)),
        make.decided(make.id(), make.entitlement(state="suspended"), death_suspected_on=DAY),
        RecoveryOpened(person_id=make.id(), recovery_id=make.id(), jurisdiction=COUNTY, **recovery),
        AccountChanged(person_id=make.id(), event_id=make.id(), before=make.id(), **account),
        ForeignEventsGrouped(group_id=make.id(), source=SOURCE, day=DAY, **group),
        make.record(ReadBudgetUsed(case_id=make.id(), day=DAY, used_at=clock.now(), **reads), topic="ingestion.access"),
        PolicyVersionHalted(jurisdiction=COUNTY, **halted),
        make.record(
            RecordParked(parked_id=make.id(), service="subsidy", reason="bug", topic_name="x", partition=0, offset=0),
            topic="subsidy.parked",
        ),
    ]


@pytest.mark.usefixtures("opposite")
async def test_every_alert_has_the_severity_that_the_file_gives_to_its_check(
    deliver: Any, make: Any, database: Database
) -> None:
    for event in (*about_visits(make), *about_people(make)):
        await deliver(event)
    clock.advance(timedelta(days=60))
    assert await raise_overdue(database) == 2
    raised = await database.pool.fetch("SELECT DISTINCT check_id, severity FROM alerts")
    expected = sorted((check.id, check.severity) for check in checks().checks if check.id != "V01")
    assert sorted(tuple(row) for row in raised) == expected


@pytest.mark.usefixtures("opposite")
@pytest.mark.parametrize(("died_on", "expected"), [(DAY, VisitDisputed), (DAY - timedelta(days=1), VisitVerified)])
async def test_the_file_decides_whether_a_visit_after_a_death_or_on_its_day_is_disputed(
    deliver: Any, make: Any, driver: Driver, died_on: date, expected: type[Event]
) -> None:
    person = make.id()
    await deliver(make.decided(person, make.entitlement(), died_on=died_on), make.checked_out(person, make.id()))
    (verdict,) = await driver.emitted(VisitVerified, VisitDisputed)
    assert type(verdict) is expected


@pytest.mark.usefixtures("opposite")
async def test_a_visit_is_verified_without_an_entitlement_if_the_file_says_that_v12_only_warns(
    deliver: Any, make: Any, driver: Driver
) -> None:
    person = make.id()
    await deliver(make.decided(person), make.checked_out(person, make.id()))
    (verdict,) = await driver.emitted(VisitVerified, VisitDisputed)
    assert (type(verdict), verdict.warnings) == (VisitVerified, ("V12",))


def test_a_severity_for_a_circumstance_that_the_check_does_not_know_is_rejected(tmp_path: Path) -> None:
    known = "{id: V03, severity: block,"
    text = CHECKS.read_text("utf-8").replace(known, f"{known} severity_if: {{day_of_death: warn}},")
    (tmp_path / "checks.yaml").write_text(text, "utf-8")
    with pytest.raises(msgspec.ValidationError, match="V03 does not know"):
        load_checks(tmp_path / "checks.yaml")
