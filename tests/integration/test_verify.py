"""`shouwang verify` finds no fault after the journeys, and finds every kind of deliberate damage."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import asyncpg
import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from common.events import DuesDetermined, EntitlementsDecided
from shell.kafka.client import connection
from shouwang.commands.audit import check_logs
from shouwang.commands.verify import check_all
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.stories import people
from shouwang.stories.people import Elder
from shouwang.stories.platform import Platform

PROVIDER = "dispatch.provider.91530302MA6K000000"


@pytest.fixture(scope="session")
async def resident(platform: Platform) -> tuple[Elder, str]:
    """An elder with an allowance and visits, whose events came by HTTP and on inbound topics."""
    elder, now = platform.cast.aged(84, platform.today()), platform.now()
    events = [*people.register_entries(elder, now), people.lives_alone(elder, now, platform.today())]
    await platform.push(*events)
    await platform.push_by_kafka(*events)
    person_id = await platform.find(elder)
    await platform.watch.event(EntitlementsDecided, person_id)
    return elder, person_id


async def wrong(running: Runtime) -> dict[str, list[str]]:
    report = await check_all(running)
    return {line.invariant: line.faults for line in report.wrong()}


@asynccontextmanager
async def damaged(running: Runtime, service: str, table: str, person_id: str, change: str) -> AsyncIterator[None]:
    """Change one row, and restore it at the end."""
    connection = await asyncpg.connect(running.database_url(service), server_settings={"search_path": service})
    where = "WHERE person_id = $1"
    await connection.execute(f"CREATE TEMP TABLE kept AS SELECT * FROM {table} WHERE person_id = '{person_id}'")
    await connection.execute(f"UPDATE {table} SET {change} {where}", person_id)
    try:
        yield
    finally:
        await connection.execute(f"DELETE FROM {table} {where}", person_id)
        await connection.execute(f"INSERT INTO {table} SELECT * FROM kept")
        await connection.close()


@asynccontextmanager
async def topic_with(running: Runtime, platform: Platform, *bodies: bytes) -> AsyncIterator[None]:
    """A provider's topic with forbidden content."""
    admin = AIOKafkaAdminClient(**connection(running.kafka_settings(PROVISION)))
    await admin.start()
    await admin.create_topics([NewTopic(PROVIDER, 1, 1)])
    try:
        await platform.produce(PROVIDER, [(b"k", body, []) for body in bodies])
        yield
    finally:
        await admin.delete_topics([PROVIDER])
        await admin.close()


async def test_verify_finds_no_fault_after_all_journeys(running: Runtime, resident: tuple[Elder, str]) -> None:
    assert await wrong(running) == {}


async def test_a_suspected_death_that_a_service_does_not_follow_is_found(running: Runtime, platform: Platform) -> None:
    elder, now = platform.cast.aged(85, platform.today()), platform.now()
    await platform.push(*people.register_entries(elder, now), people.death(elder, now, platform.today(), "reported"))
    person_id = await platform.find(elder)
    await platform.watch.event(EntitlementsDecided, person_id, lambda e: e.death_suspected_on is not None)
    line = "every suspected death is checked and its hold is counted"
    assert line not in await wrong(running)
    for service, table, change in (
        ("dispatch", "plans", "cause = 'not_entitled'"),
        ("supervision", "matters", "check_id = 'none'"),
    ):
        async with damaged(running, service, table, person_id, change):
            found = await wrong(running)
        assert found[line] == [f"{person_id}: a death is suspected, and {service} does not follow it"]


async def test_a_due_month_that_the_statistics_do_not_count_is_found(
    running: Runtime, platform: Platform, resident: tuple[Elder, str]
) -> None:
    _, person_id = resident
    await platform.watch.event(DuesDetermined, person_id)
    assert await wrong(running) == {}
    async with damaged(running, "supervision", "due_months", person_id, "months = '{[2020-01-01,2020-02-01)}'"):
        found = await wrong(running)
    assert list(found) == ["the statistics count the dues that subsidy states"]
    assert any("for 2020-01 is due in one of the two only" in fault for fault in next(iter(found.values())))


async def test_an_audit_row_that_a_superuser_changed_is_found(
    running: Runtime, platform: Platform, resident: tuple[Elder, str]
) -> None:
    _, person_id = resident
    path = f"/v1/persons/{person_id}/entitlements"
    await platform.call("GET", "identification", path, role="officer", division="000000")
    assert await wrong(running) == {}
    connection = await asyncpg.connect(
        running.database_url("identification"), server_settings={"search_path": "identification"}
    )
    await connection.execute("SET session_replication_role = replica")  # no trigger
    row, purpose = await connection.fetchrow("SELECT audit_id, purpose FROM audits ORDER BY audit_id DESC LIMIT 1")
    await connection.execute("UPDATE audits SET purpose = 'x' WHERE audit_id = $1", row)
    try:
        found = await wrong(running)
        of_command = await check_logs(running, "identification")
    finally:
        await connection.execute("UPDATE audits SET purpose = $2 WHERE audit_id = $1", row, purpose)
        await connection.close()
    assert list(found) == ["the audit log of identification is complete and unchanged"]
    assert found["the audit log of identification is complete and unchanged"] == [f"row {row} was changed"]
    assert [line.faults for line in of_command.lines] == [[f"row {row} was changed"]]
    assert all(line.count > 0 and not line.fault_count for line in (await check_logs(running, "identification")).lines)


async def test_a_topic_head_that_differs_from_its_row_is_found(running: Runtime, resident: tuple[Elder, str]) -> None:
    _, person_id = resident
    change = """decision = convert_to(replace(convert_from(decision, 'UTF8'), '"amount_fen_per_month":5000',
                '"amount_fen_per_month":9999'), 'UTF8')"""
    async with damaged(running, "identification", "persons", person_id, change):
        found = await wrong(running)
    assert set(found) == {
        "identification: its own store agrees with itself",
        "head of identification.entitlement = the row behind it",
    }
    assert found["head of identification.entitlement = the row behind it"][0].startswith(person_id)


async def test_a_decision_that_did_not_arrive_is_found(running: Runtime, resident: tuple[Elder, str]) -> None:
    _, person_id = resident
    async with damaged(running, "dispatch", "heads", person_id, "version = version - 1"):
        found = await wrong(running)
    assert list(found) == ["every decision has reached dispatch"]


async def test_an_input_in_two_places_is_found(running: Runtime, resident: tuple[Elder, str]) -> None:
    _, person_id = resident
    async with damaged(running, "ingestion", "received", person_id, "status = 'quarantined', chain = NULL"):
        found = await wrong(running)
    assert "every accepted input is in exactly one place" in found
    assert all("quarantined" in fault for fault in found["every accepted input is in exactly one place"])


async def test_a_name_or_number_on_a_topic_is_found(
    running: Runtime, platform: Platform, resident: tuple[Elder, str]
) -> None:
    elder, _ = resident
    task = {"provider": PROVIDER.rpartition(".")[2], "task_id": "t"}
    named = json.dumps({**task, "note": f"访问{elder.name}家"}, ensure_ascii=False).encode()
    escaped = json.dumps({**task, "note": f"访问{elder.name}家"}).encode()
    numbered = json.dumps({**task, "note": elder.number}).encode()
    async with topic_with(running, platform, named, escaped, numbered):
        found = await wrong(running)
    places = [f"{PROVIDER}[0]@{offset}" for offset in range(3)]
    assert found == {
        "nobody's name or number on any topic": [
            f"{places[0]}: a name",
            f"{places[1]}: a name",
            f"{places[2]}: an ID number",
        ]
    }


@contextmanager
def log_with(running: Runtime, text: str) -> Iterator[str]:
    log = running.home / "logs" / "zz-written-by-a-test.log"
    log.write_text(text, encoding="utf-8")
    yield log.name
    log.unlink()


async def test_a_name_in_a_log_is_found(running: Runtime, resident: tuple[Elder, str]) -> None:
    elder, _ = resident
    with log_with(running, f"all is well\ncould not store {elder.name}\n") as name:
        assert await wrong(running) == {"nobody's name or number in any log": [f"{name}, line 2: a name"]}


async def test_a_task_of_another_provider_is_found(running: Runtime, platform: Platform) -> None:
    body = json.dumps({"provider": "52530302MJ0000001M", "task_id": "t"}).encode()
    async with topic_with(running, platform, body):
        found = await wrong(running)
    assert found == {"providers' topics hold their own tasks only": [f"{PROVIDER}@0: task t of 52530302MJ0000001M"]}
