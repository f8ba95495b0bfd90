"""The database cluster is killed during intake; unreadable records and records that meet a bug do not block others."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
import pytest
import synth
from aiokafka import AIOKafkaProducer
from common.events import PersonFactsRecorded
from shell.kafka.client import connection
from shell.settings import settings
from shouwang.commands.verify import check_all
from shouwang.runtime.kafka_acls import PROVISION
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.trials.observer import Observer
from shouwang.trials.retrying_client import RetryingClient, tokens

LOADED_ON = date(2025, 12, 1)
DEADLINE_SECONDS = 120
Event = dict[str, Any]
Headers = list[tuple[str, bytes]]
TYPED: Headers = [("ce_type", PersonFactsRecorded.wire_type().encode()), ("ce_id", str(uuid4()).encode())]
UNREADABLE: list[tuple[bytes | None, Headers]] = [
    (b"\xff\xfe{", TYPED),
    (b"", TYPED),
    (b"[" * 20_000, TYPED),
    (b'{"person_id":7}', []),
    (None, TYPED),
]


class Platform:
    """All services, and new people county by county."""

    def __init__(self, runtime: Runtime, client: RetryingClient, observer: Observer) -> None:
        self.runtime, self.client, self.observer = runtime, client, observer
        self._numbers = synth.Numbers()
        self._made = 0

    def county(self, people: int) -> synth.County:
        """New people, unknown to the platform."""
        first, self._made = self._made, self._made + people
        return synth.county(first, people, ["530302"], LOADED_ON, self._numbers, first)

    async def arrive(self, people: int) -> list[str]:
        return await self.take_in(list(self.county(people).initial_load()))

    async def take_in(self, events: Sequence[Event]) -> list[str]:
        """Push events and return the person ids."""
        receipts = await self.client.push(events)
        assert receipts["accepted"] == len(events), receipts
        ids = [receipt["event_id"] for receipt in receipts["results"]]
        rows = await self.observer.rows(
            "ingestion", "SELECT DISTINCT person_id FROM received WHERE event_id = ANY($1)", ids
        )
        return [row["person_id"] for row in rows]

    async def behind(self) -> set[str]:
        """Persons without a decision from their newest facts."""
        newest = dict(tuple(r) for r in await self.observer.rows("ingestion", "SELECT person_id, version FROM persons"))
        rows = await self.observer.rows("identification", "SELECT person_id, facts_version FROM persons")
        return {person_id for person_id, _ in newest.items() - {tuple(row) for row in rows}}

    async def decided(self, person_ids: Sequence[str]) -> set[str]:
        rows = await self.observer.rows(
            "identification", "SELECT person_id FROM persons WHERE version > 0 AND person_id = ANY($1)", person_ids
        )
        return {row["person_id"] for row in rows}

    async def until_ready(self, expected: bool) -> None:
        """Wait until every service reports `expected` as its readiness."""
        deadline = monotonic() + DEADLINE_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            while (readiness := [await _ready(client, self.runtime, name) for name in STORED]) != [expected] * 6:
                if monotonic() > deadline:
                    raise TimeoutError(f"readiness is {dict(zip(STORED, readiness, strict=True))}")
                await asyncio.sleep(0.1)

    async def parked(self, service: str) -> list[Event]:
        answer = await self.client.request("GET", service, "/v1/parked")
        found: list[Event] = answer.json()["parked"]
        return found

    async def until_parked(self, service: str, how_many: int) -> list[Event]:
        deadline = monotonic() + DEADLINE_SECONDS
        while len(found := await self.parked(service)) < how_many:
            if monotonic() > deadline:
                raise TimeoutError(f"{len(found)} records are parked in {service}, not {how_many}")
            await asyncio.sleep(0.1)
        return found


async def _ready(client: httpx.AsyncClient, runtime: Runtime, service: str) -> bool | None:
    """The readiness that a service reports; None without an answer."""
    try:
        answer = await client.get(f"{runtime.service_url(service)}/readyz")
        return answer.status_code == 200 and bool(answer.json()["ready"])
    except httpx.TransportError:
        return None


@pytest.fixture(scope="module")
async def platform() -> AsyncIterator[Platform]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-stores-")))
        runtime = Runtime(home, ports="free")
        runtime.mark_demo()  # all lists are in force, and example amounts are paid
        stack.callback(runtime.stop_all)
        runtime.start_stores(with_tables=True)
        runtime.create_topics()
        for service in STORED:
            runtime.start_service(service)
        for service in STORED:
            runtime.wait_ready(service)
        issued = tokens(runtime, ["admin"])
        async with RetryingClient(runtime, issued) as client, Observer(runtime, STORED) as observer:
            yield Platform(runtime, client, observer)


async def test_services_wait_for_a_killed_cluster_and_lose_nothing(platform: Platform) -> None:
    runtime, events = platform.runtime, list(platform.county(300).initial_load())
    before = {service: runtime.pid(service) for service in STORED}
    parts = [events[start : start + 60] for start in range(0, len(events), 60)]
    persons = await platform.take_in(parts[0])

    await asyncio.to_thread(runtime.kill, "postgres")
    pushing = asyncio.create_task(_take_in_all(platform, parts[1:]))
    await platform.until_ready(False)
    assert not pushing.done()
    await asyncio.to_thread(runtime.kill, "subsidy")
    before["subsidy"] = runtime.start_service("subsidy")  # starts without a database

    await _until_logged(runtime, "subsidy", "waiting for the database")
    await asyncio.to_thread(runtime.start_postgres)
    await platform.until_ready(True)
    persons += await pushing
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert {service: runtime.pid(service) for service in STORED} == before  # no process has ended
    assert await platform.decided(persons) == set(persons)
    assert len(set(persons)) == 300
    assert [await platform.parked(service) for service in STORED] == [[]] * len(STORED)


async def _until_logged(runtime: Runtime, service: str, words: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while words not in runtime.logs(service):
            await asyncio.sleep(0.1)


async def _take_in_all(platform: Platform, parts: Sequence[Sequence[Event]]) -> list[str]:
    return [person_id for part in parts for person_id in await platform.take_in(part)]


async def test_an_unreadable_record_is_parked_and_the_records_around_it_pass(platform: Platform) -> None:
    before = await platform.arrive(20)
    await _produce(platform, PersonFactsRecorded.topic, UNREADABLE)
    after = await platform.arrive(20)

    parked = await platform.until_parked("identification", len(UNREADABLE))
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert await platform.decided(before + after) == {*before, *after}
    reasons = sorted(record["reason"] for record in parked)
    assert reasons == ["empty_body", "no_ce_type", *["undecodable_PersonFactsRecorded"] * 3]
    assert {record["topic"] for record in parked} == {PersonFactsRecorded.topic}
    notices = await platform.observer.records(["identification.parked"])
    assert len({record.key for record in notices}) == len(UNREADABLE)
    assert all(b"\xff\xfe" not in record.value and b"[[" not in record.value for record in notices)

    for record in parked:
        again = await platform.client.request("POST", "identification", f"/v1/parked/{record['parked_id']}/replay")
        assert (again.status_code, again.json()["state"]) == (200, "parked")
    assert len(await platform.parked("identification")) == len(UNREADABLE)
    nonsense = await platform.client.request("POST", "identification", "/v1/parked/no-id/replay")
    assert nonsense.status_code == 422


async def _produce(platform: Platform, topic: str, records: Sequence[tuple[bytes | None, Headers]]) -> None:
    producer = AIOKafkaProducer(**connection(platform.runtime.kafka_settings(PROVISION)))
    await producer.start()
    try:
        for value, headers in records:
            await producer.send_and_wait(topic, value, key=str(uuid4()).encode(), headers=headers)
    finally:
        await producer.stop()


async def test_a_record_that_fails_by_a_bug_is_parked_until_a_replay_or_a_newer_state(platform: Platform) -> None:
    county = platform.county(20)
    persons = await platform.take_in(list(county.initial_load()))
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    changes = list(synth.changes(county, 40, 20, seed=1))
    replayed, superseded = unlucky = persons[:2]
    known = {record["parked_id"] for record in await platform.parked("identification")}

    await _add_bug(platform, unlucky)
    await platform.take_in(changes[:20])
    parked = [r for r in await platform.until_parked("identification", len(known) + 2) if r["parked_id"] not in known]
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert {(record["reason"], record["error_type"].partition(" ")[0]) for record in parked} == {("bug", "RaiseError")}
    assert await platform.behind() == set(unlucky)
    of = {await _person_of(platform, record): f"/v1/parked/{record['parked_id']}/replay" for record in parked}
    again = await platform.client.request("POST", "identification", of[replayed])
    assert (again.status_code, again.json()["code"]) == (409, "failed_again")

    await _remove_bug(platform)
    again = await platform.client.request("POST", "identification", of[replayed])
    assert again.json()["state"] == "replayed"
    assert await platform.behind() == {superseded}
    await platform.take_in(changes[20:])
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert await platform.behind() == set()
    assert {record["parked_id"] for record in await platform.parked("identification")} == known
    gone = await platform.client.request("POST", "identification", of[superseded])
    assert gone.status_code == 404, "superseded by the newer state"


async def _add_bug(platform: Platform, unlucky: Sequence[str]) -> None:
    """Writing these persons in identification fails, like by a bug of ours."""
    async with platform.observer.database("identification") as connection:
        await connection.execute(
            "CREATE FUNCTION bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a bug'; END $$"
        )
        listed = ", ".join(f"'{person_id}'" for person_id in unlucky)
        await connection.execute(
            f"""CREATE TRIGGER bug BEFORE INSERT OR UPDATE ON persons FOR EACH ROW
                WHEN (NEW.person_id IN ({listed})) EXECUTE FUNCTION bug()"""
        )


async def _remove_bug(platform: Platform) -> None:
    async with platform.observer.database("identification") as connection:
        await connection.execute("DROP TRIGGER bug ON persons")


async def _person_of(platform: Platform, record: Event) -> str:
    rows = await platform.observer.rows(
        "identification", "SELECT convert_from(key, 'UTF8') FROM parked WHERE parked_id = $1", record["parked_id"]
    )
    return str(rows[0][0])


async def test_at_the_end_verify_finds_only_the_foreign_records(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(platform.runtime.home))  # the check changes it; the test restores it
    monkeypatch.setenv("SHOUWANG_DEMO", "1")  # the check sets it for every demonstration home
    report = await check_all(platform.runtime, wait_seconds=DEADLINE_SECONDS)
    settings.cache_clear()
    wrong = {line.invariant: line.fault_count for line in report.wrong()}
    with_value = [value for value, _ in UNREADABLE if value is not None]  # a record without one deletes its key
    assert wrong == {"head of ingestion.person = the row behind it": len(with_value)}, report.text()
