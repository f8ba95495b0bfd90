"""The cluster is killed while people are taken in; records that nobody can read, and some that meet a bug, lie in the
way of others."""

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
from shell.settings import settings
from shouwang.commands.verify import check_all
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.trials.asking import Asker, tokens
from shouwang.trials.observing import Observer

LOADED_ON = date(2025, 12, 1)
DEADLINE_SECONDS = 120
Event = dict[str, Any]
Headers = list[tuple[str, bytes]]
TYPED: Headers = [("ce_type", PersonFactsRecorded.wire_type().encode()), ("ce_id", str(uuid4()).encode())]
RUBBISH: list[tuple[bytes | None, Headers]] = [
    (b"\xff\xfe{", TYPED),
    (b"", TYPED),
    (b"[" * 20_000, TYPED),
    (b'{"person_id":7}', []),
    (None, TYPED),
]


class Platform:
    """All services, and county after county of new people."""

    def __init__(self, runtime: Runtime, asker: Asker, observer: Observer) -> None:
        self.runtime, self.asker, self.observer = runtime, asker, observer
        self._numbers = synth.Numbers()
        self._told = 0

    def county(self, people: int) -> synth.County:
        """People that nobody has heard of yet."""
        first, self._told = self._told, self._told + people
        return synth.county(first, people, ["530302"], LOADED_ON, self._numbers, first)

    async def arrive(self, people: int) -> list[str]:
        return await self.take_in(list(self.county(people).initial_load()))

    async def take_in(self, events: Sequence[Event]) -> list[str]:
        """Push them; the ids of the persons."""
        receipts = await self.asker.push(events)
        assert receipts["accepted"] == len(events), receipts
        ids = [receipt["event_id"] for receipt in receipts["results"]]
        rows = await self.observer.rows(
            "ingestion", "SELECT DISTINCT person_id FROM received WHERE event_id = ANY($1)", ids
        )
        return [row["person_id"] for row in rows]

    async def behind(self) -> set[str]:
        """Who is not decided from the newest facts."""
        newest = dict(tuple(r) for r in await self.observer.rows("ingestion", "SELECT person_id, version FROM persons"))
        rows = await self.observer.rows("identification", "SELECT person_id, facts_version FROM persons")
        return {person_id for person_id, _ in newest.items() - {tuple(row) for row in rows}}

    async def decided(self, person_ids: Sequence[str]) -> set[str]:
        rows = await self.observer.rows(
            "identification", "SELECT person_id FROM persons WHERE version > 0 AND person_id = ANY($1)", person_ids
        )
        return {row["person_id"] for row in rows}

    async def until_ready(self, expected: bool) -> None:
        """Wait until every service says of itself that it is ready, or that it is not."""
        deadline = monotonic() + DEADLINE_SECONDS
        async with httpx.AsyncClient(trust_env=False, timeout=20) as client:
            while (said := [await _ready(client, self.runtime, name) for name in STORED]) != [expected] * 6:
                if monotonic() > deadline:
                    raise TimeoutError(f"readiness is {dict(zip(STORED, said, strict=True))}")
                await asyncio.sleep(0.1)

    async def parked(self, service: str) -> list[Event]:
        answer = await self.asker.ask("GET", service, "/v1/parked")
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
    """Whether it says that every part of it runs; None while it says nothing."""
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
        runtime.mark_demo()  # all lists are in force, and what only examples give is paid
        stack.callback(runtime.stop_all)
        runtime.start_stores(with_tables=True)
        runtime.create_topics()
        for service in STORED:
            runtime.start_service(service)
        for service in STORED:
            runtime.wait_ready(service)
        issued = tokens(runtime, ["admin"])
        async with Asker(runtime, issued) as asker, Observer(runtime, STORED) as observer:
            yield Platform(runtime, asker, observer)


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
    before["subsidy"] = runtime.start_service("subsidy")  # starts while there is no database

    await _until_logged(runtime, "subsidy", "waiting for the database")
    await asyncio.to_thread(runtime.start_postgres)
    await platform.until_ready(True)
    persons += await pushing
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert {service: runtime.pid(service) for service in STORED} == before  # waited, not died
    assert await platform.decided(persons) == set(persons)
    assert len(set(persons)) == 300
    assert [await platform.parked(service) for service in STORED] == [[]] * len(STORED)


async def _until_logged(runtime: Runtime, service: str, words: str) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while words not in runtime.logs(service):
            await asyncio.sleep(0.1)


async def _take_in_all(platform: Platform, parts: Sequence[Sequence[Event]]) -> list[str]:
    return [person_id for part in parts for person_id in await platform.take_in(part)]


async def test_what_nobody_can_read_is_parked_and_its_neighbours_pass(platform: Platform) -> None:
    before = await platform.arrive(20)
    await _put_on(platform, PersonFactsRecorded.topic, RUBBISH)
    after = await platform.arrive(20)

    parked = await platform.until_parked("identification", len(RUBBISH))
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert await platform.decided(before + after) == {*before, *after}
    reasons = sorted(record["reason"] for record in parked)
    assert reasons == ["empty_body", "no_ce_type", *["undecodable_PersonFactsRecorded"] * 3]
    assert {record["topic"] for record in parked} == {PersonFactsRecorded.topic}
    told = await platform.observer.records(["identification.parked"])
    assert len({record.key for record in told}) == len(RUBBISH)
    assert all(b"\xff\xfe" not in record.value and b"[[" not in record.value for record in told)

    for record in parked:
        again = await platform.asker.ask("POST", "identification", f"/v1/parked/{record['parked_id']}/replay")
        assert (again.status_code, again.json()["state"]) == (200, "parked")
    assert len(await platform.parked("identification")) == len(RUBBISH)
    nonsense = await platform.asker.ask("POST", "identification", "/v1/parked/no-id/replay")
    assert nonsense.status_code == 422


async def _put_on(platform: Platform, topic: str, records: Sequence[tuple[bytes | None, Headers]]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=platform.runtime.kafka_address)
    await producer.start()
    try:
        for value, headers in records:
            await producer.send_and_wait(topic, value, key=str(uuid4()).encode(), headers=headers)
    finally:
        await producer.stop()


async def test_a_record_that_meets_a_bug_waits_for_a_replay_or_for_newer_news(platform: Platform) -> None:
    county = platform.county(20)
    persons = await platform.take_in(list(county.initial_load()))
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    changes = list(synth.changes(county, 40, 20, seed=1))
    replayed, overtaken = unlucky = persons[:2]
    known = {record["parked_id"] for record in await platform.parked("identification")}

    await _have_bug(platform, unlucky)
    await platform.take_in(changes[:20])
    parked = [r for r in await platform.until_parked("identification", len(known) + 2) if r["parked_id"] not in known]
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert {(record["reason"], record["error_type"].partition(" ")[0]) for record in parked} == {("bug", "RaiseError")}
    assert await platform.behind() == set(unlucky)
    of = {await _whose(platform, record): f"/v1/parked/{record['parked_id']}/replay" for record in parked}
    again = await platform.asker.ask("POST", "identification", of[replayed])
    assert (again.status_code, again.json()["code"]) == (409, "failed_again")

    await _mend(platform)
    again = await platform.asker.ask("POST", "identification", of[replayed])
    assert again.json()["state"] == "replayed"
    assert await platform.behind() == {overtaken}
    await platform.take_in(changes[20:])
    await platform.observer.until_quiet(DEADLINE_SECONDS)
    assert await platform.behind() == set()
    assert {record["parked_id"] for record in await platform.parked("identification")} == known
    gone = await platform.asker.ask("POST", "identification", of[overtaken])
    assert gone.status_code == 404, "superseded by the newer state"


async def _have_bug(platform: Platform, unlucky: Sequence[str]) -> None:
    """Whoever writes these people down in identification fails, as by a mistake of ours."""
    async with platform.observer.database("identification") as connection:
        await connection.execute(
            "CREATE FUNCTION bug() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'a bug'; END $$"
        )
        listed = ", ".join(f"'{person_id}'" for person_id in unlucky)
        await connection.execute(
            f"""CREATE TRIGGER bug BEFORE INSERT OR UPDATE ON persons FOR EACH ROW
                WHEN (NEW.person_id IN ({listed})) EXECUTE FUNCTION bug()"""
        )


async def _mend(platform: Platform) -> None:
    async with platform.observer.database("identification") as connection:
        await connection.execute("DROP TRIGGER bug ON persons")


async def _whose(platform: Platform, record: Event) -> str:
    rows = await platform.observer.rows(
        "identification", "SELECT convert_from(key, 'UTF8') FROM parked WHERE parked_id = $1", record["parked_id"]
    )
    return str(rows[0][0])


async def test_in_the_end_all_agrees_but_for_what_an_intruder_wrote(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(platform.runtime.home))  # taken by the check, given back after the test
    monkeypatch.setenv("SHOUWANG_DEMO", "1")  # set by the check, as for every home of a demonstration
    report = await check_all(platform.runtime, wait_seconds=DEADLINE_SECONDS)
    settings.cache_clear()
    wrong = {line.what: line.fault_count for line in report.wrong()}
    assert wrong == {"head of ingestion.person = the row behind it": len(RUBBISH)}, report.text()
