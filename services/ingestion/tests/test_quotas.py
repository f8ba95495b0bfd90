"""Quotas of sources: the average is kept, a death is never refused, no request is half accepted."""

import asyncio
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from common.message import Record
from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion.files.run_imports import run_imports
from ingestion.register import quotas
from ingestion.register.domain import Limits, filled, taken, wait_seconds
from ingestion.register.seed import seed
from ingestion.register.seed_register import seed_register
from shell.access.auth import issue_token

PSB = "urn:cn:exchange:530300:psb"
NOW = datetime(2026, 11, 22, tzinfo=UTC)


# ── the rule ────────────────────────────────────────────────────────────────────────────────────────────────


@settings(max_examples=100, deadline=None)
@given(
    limits=st.builds(Limits, st.integers(1, 100), st.integers(1, 500)),
    requests=st.lists(st.tuples(st.integers(0, 120), st.integers(1, 60)), max_size=60),
)
def test_in_any_period_at_most_full_buckets_refills_and_one_request_pass(limits, requests):
    at, bucket, passed, largest = NOW, None, 0, 0
    for seconds, events in requests:
        at += timedelta(seconds=seconds)
        bucket = filled(bucket, limits, at)
        if not wait_seconds(bucket, limits):
            bucket, passed, largest = taken(bucket, events), passed + events, max(largest, events)
        elapsed = (at - NOW).total_seconds()
        assert passed <= limits.per_minute * (1 + elapsed / 60) + largest + 1e-6
        assert passed <= limits.per_day * (1 + elapsed / 86400) + largest + 1e-6


@settings(max_examples=100, deadline=None)
@given(limits=st.builds(Limits, st.integers(1, 1000), st.integers(1, 1000)), events=st.integers(1, 5000))
def test_after_the_reported_wait_an_event_passes_again(limits, events):
    empty = taken(filled(None, limits, NOW), events)
    wait = wait_seconds(empty, limits)
    assert (wait > 0) == (events > min(limits) - 1)
    assert wait_seconds(filled(empty, limits, NOW + timedelta(seconds=wait, microseconds=1)), limits) == 0


def test_a_clock_set_back_refills_nothing():
    limits = Limits(60, 1000)
    bucket = taken(filled(None, limits, NOW), 60)
    assert filled(bucket, limits, NOW - timedelta(hours=1)) == bucket


# ── the channels ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
async def limit(database, admin):
    await seed_register(database)
    version = 1

    async def _limit(per_minute, per_day=1_000_000, urn=PSB):
        nonlocal version
        entry = seed()[urn].model_dump(mode="json") | {"quota": {"per_minute": per_minute, "per_day": per_day}}
        answer = await admin.put(f"/v1/sources/{urn}", json={"entry": entry, "reason": "x", "replaces": version})
        assert answer.status_code == 200, answer.text
        version += 1

    yield _limit
    quotas.forget()


@pytest.fixture
def send(client_for, people):
    async def _send(*events, urn=PSB):
        async with client_for(issue_token("source", source=urn)) as client:
            body = msgspec.json.encode(events)
            return await client.post("/v1/events", content=body, headers={"content-type": people.BATCH})

    return _send


def residences(people, first, count):
    return [people.residence(people.number(n), id=f"r{n}") for n in range(first, first + count)]


async def test_over_the_quota_nothing_of_a_request_is_stored_and_the_wait_is_reported(limit, send, people, database):
    await limit(20)
    assert (await send(*residences(people, 0, 25))).status_code == 202  # as long as anything is left
    answer = await send(*residences(people, 25, 3))
    assert (answer.status_code, answer.json()["code"]) == (429, "quota_exceeded")
    assert 15 <= int(answer.headers["retry-after"]) <= 25
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 25
    await database.pool.execute("UPDATE quotas SET at = at - interval '1 minute'")
    quotas.forget()  # the process waited too
    assert (await send(*residences(people, 25, 3))).status_code == 202


async def test_the_day_has_its_own_quota(limit, send, people):
    await limit(1_000, per_day=10)
    assert (await send(*residences(people, 0, 10))).status_code == 202
    answer = await send(*residences(people, 10, 1))
    assert answer.status_code == 429
    assert int(answer.headers["retry-after"]) == 3_600  # never longer: quotas are changed


async def test_a_request_with_a_death_is_never_refused_and_its_excess_is_a_debt(limit, send, people, admin, client_for):
    await limit(5)
    await send(*residences(people, 0, 6))
    death = people.event("death", people.number(1), {"evidence": "register_cancelled"}, id="d", valid_from="2026-11-20")
    answer = await send(death, *residences(people, 6, 10))
    assert (answer.status_code, answer.json()["accepted"]) == (202, 11)
    assert (await send(*residences(people, 20, 1))).status_code == 429
    left = (await admin.get(f"/v1/sources/{PSB}")).json()["quota_left"]
    assert -15 <= left["minute"] < -5


async def test_one_source_over_its_quota_does_not_stop_another(limit, send, people):
    await limit(1)
    await send(*residences(people, 0, 3))
    grid = PSB.replace("psb", "grid")
    event = people.event("alive", people.number(1), {"method": "visit"}, id="x", valid_from="2026-11-20")
    tags = people.event("living_situation", people.number(1), {"tags": ["alone"]}, id="y")
    assert (await send(event, tags, urn=grid)).status_code == 202


async def test_replicas_share_a_quota(limit, people, database):
    """Two processes that take at the same time get no more than one would, apart from their leases."""
    await limit(1_000, per_day=100)
    passed, replicas = 0, [{}, {}]
    for _ in range(40):
        for mine in replicas:
            quotas._leases[database] = mine
            passed += not await quotas._take(database, PSB, 10, may_refuse=True)
    assert 9 <= passed <= 10
    waits = await asyncio.gather(*(quotas._take(database, PSB, 1, may_refuse=True) for _ in range(30)))
    assert passed * 10 + sum(not wait for wait in waits) <= 110


async def test_concurrent_requests_share_one_lease(limit, database):
    await limit(1_000)
    waits = await asyncio.gather(*(quotas._take(database, PSB, 1, may_refuse=True) for _ in range(40)))
    assert waits == [0.0] * 40
    assert await database.pool.fetchval("SELECT minute_left FROM quotas") >= 1_000 - 2 * (50 + 1)


async def test_within_a_lease_the_database_is_not_asked(limit, people, database):
    await limit(1_000)
    assert await quotas._take(database, PSB, 1, may_refuse=True) == 0
    await database.pool.execute("ALTER TABLE quotas RENAME TO hidden")
    for _ in range(50):
        assert await quotas._take(database, PSB, 1, may_refuse=True) == 0


async def test_a_file_over_the_quota_waits_and_loses_nothing(limit, imports, people, database):
    await limit(10)
    lines = [msgspec.json.encode(e) for e in residences(people, 0, 20)]
    await imports.send(b"\n".join(lines), None, office="psb")
    while await run_imports(database):
        pass
    second = [msgspec.json.encode(e) for e in residences(people, 20, 5)]
    answer = await imports.send(b"\n".join(second), None, office="psb")
    assert await run_imports(database) == 0
    shown = await imports.show(answer.json()["import_id"])
    assert (shown["state"], shown["rows_read"]) == ("waiting", 0)
    await database.pool.execute("UPDATE quotas SET at = at - interval '5 minutes'")
    quotas.forget()
    while await run_imports(database):
        pass
    assert (await imports.show(answer.json()["import_id"]))["state"] == "done"
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 25


async def test_events_from_kafka_are_recorded_and_charged(limit, people, database, driver, send):
    await limit(10)
    records = [
        Record("population.inbound.530300.psb", 0, 0, None, msgspec.json.encode(e), ())
        for e in residences(people, 0, 30)
    ]
    await driver.deliver_records(records)
    assert await database.pool.fetchval("SELECT count(*) FROM received") == 30
    assert (await send(*residences(people, 30, 1))).status_code == 429
