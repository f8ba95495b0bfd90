"""Faulty deliveries for months in three counties, while processes are killed at random instants.

Events come late, twice and in the wrong order. Each process and the database cluster are killed several times, the
broker once. At the end the stored facts are true and every amount is right. `SHOUWANG_FAULTS_SEED` sets another seed; a
failure names its seed.
"""

import asyncio
import os
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from random import Random
from time import monotonic
from typing import Any

import msgspec
import pytest
import synth
from common.codes import uscc
from common.events import EntitlementsDecided
from ingestion.people.views import facts_of
from ingestion.recording.store.statements import load_persons
from rules.deciding.lists import Lists
from rules.form.policy import load_lists
from shell.settings import repository_root, settings
from shouwang.commands.verify import check_all
from shouwang.runtime import clock
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.trials import truth as truths
from shouwang.trials.delivery import Delivery
from shouwang.trials.kills import Killer, plan_kills
from shouwang.trials.observer import Observer
from shouwang.trials.payments import Key, Payer
from shouwang.trials.retrying_client import RetryingClient, tokens

SEED = int(os.environ.get("SHOUWANG_FAULTS_SEED", "20261122"))
# Two processes each share the topics of identification and of subsidy.
PROCESSES = (*STORED, "identification-1", "subsidy-1")
COUNTIES = ["530302", "530303", "530381"]
LOADED_ON = date(2025, 5, 1)
NOW = datetime.fromisoformat("2026-11-22T10:00:00+08:00")
PEOPLE, MONTHS, KILLS_EACH = 4_200, 10, 4
RATES = replace(synth.Rates().times(20), deaths_times=2)
FAULTS = synth.Faults(duplicate=400)
BATCH_MIN, BATCH_MAX = 50, 400
BY_TOPIC, RETURNED = 0.2, 0.05
STEPS_AFTER = 12  # kills continue while the last deliveries are processed
QUIET_SECONDS = 400
# the tokens are issued once, before the kills: a slow machine must not make them too old for an approval
ENV = {"SHOUWANG_PAY_FROM_MONTH": f"{LOADED_ON:%Y-%m}", "SHOUWANG_SIGN_IN_SECONDS_MAX": "7200"}
Event = dict[str, Any]


class Run:
    """The whole trial: its events, and the helpers that deliver, kill, pay and observe."""

    def __init__(self, runtime: Runtime, client: RetryingClient, observer: Observer) -> None:
        self.runtime, self.client, self.observer = runtime, client, observer
        self.rng = Random(f"run/{SEED}")
        self.county = synth.county(SEED, PEOPLE, COUNTIES, LOADED_ON)
        self.load = list(self.county.initial_load())
        self.changes = [push.event for push in synth.stream(self.county, MONTHS, SEED, FAULTS, RATES)]
        self.delivery = Delivery(runtime, client)
        self.payer = Payer(client, COUNTIES, f"{NOW:%Y-%m}", Random(f"pay/{SEED}"), RETURNED)
        self.persons: dict[str, str] = {}  # ID number → person id
        self.again: Counter[str] = Counter()
        self.killer = Killer(runtime, [], ENV)
        self.summary = ""

    async def go(self) -> None:
        began = monotonic()
        parts = list(self._parts())
        steps = len(parts) + STEPS_AFTER
        planned = plan_kills(Random(f"kills/{SEED}"), (*PROCESSES, "postgres"), KILLS_EACH, steps, ["kafka"])
        self.killer, done = Killer(self.runtime, planned, ENV), asyncio.Event()
        async with asyncio.TaskGroup() as together:
            killing = together.create_task(self.killer.run())
            paying = together.create_task(self.payer.work(done))
            for step in range(steps):
                await self.killer.reached(step)
                if step < len(parts):
                    await self._deliver(parts[step])
            await killing
            delivered = monotonic() - began
            await self.observer.until_quiet(QUIET_SECONDS)
            done.set()
            await paying
        await self.payer.pay_all()
        await self.observer.until_quiet(QUIET_SECONDS)
        self.again = await self.deliver_again()
        await self.observer.until_quiet(QUIET_SECONDS)
        bank = self.payer.bank
        self.summary = (
            f"random kills, seed {SEED}: {len(self.load):,} events of the load, {len(self.changes):,} deliveries of"
            f" {len(distinct(self.changes)):,} changes, {self.delivery.by_topic:,} by topic;"
            f" killed {dict(sorted(self.killer.kills.items()))}; {self.client.repeated} requests repeated;"
            f" {self.payer.batches} batches, {len(bank.settled):,} lines settled, {len(bank.returned):,} returned;"
            f" delivered after {delivered:.0f} s, all quiet, paid and delivered again after {monotonic() - began:.0f} s"
        )

    def _parts(self) -> Iterator[list[Event]]:
        events = iter([*self.load, *self.changes])
        while part := list(islice(events, self.rng.randint(BATCH_MIN, BATCH_MAX))):
            yield part

    async def _deliver(self, part: list[Event]) -> None:
        if self.rng.random() < BY_TOPIC:
            await self.delivery.over_topic(part)
        else:
            await self.delivery.over_http(part)

    async def deliver_again(self) -> Counter[str]:
        """Deliver every event once more, in recorded order, and count the receipts by status. Sets `persons`."""
        events = iter(distinct([*self.load, *self.changes]).values())
        numbers: dict[str, str] = {}  # event id → ID number
        statuses: Counter[str] = Counter()
        while part := list(islice(events, 2_000)):
            for event, receipt in zip(part, await self.delivery.over_http(part), strict=True):
                statuses[receipt["status"]] += 1
                numbers[receipt["event_id"]] = event["data"]["person"]["id_number"]
        rows = await self.observer.rows(
            "ingestion", "SELECT event_id, person_id FROM received WHERE event_id = ANY($1)", list(numbers)
        )
        found: defaultdict[str, set[str]] = defaultdict(set)
        for event_id, person_id in rows:
            found[numbers[event_id]].add(person_id)
        assert {len(ids) for ids in found.values()} == {1}, "one number, one person"
        self.persons = {number: ids.pop() for number, ids in found.items()}
        return statuses


def distinct(events: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """Events by source and id, without repeated deliveries."""
    return {(event["source"], event["id"]): event for event in events}


def register_provider(county: str) -> Event:
    return {
        "uscc": uscc.make(f"52{county}FAULT0001"),
        "name": f"合成养老服务机构{county}",
        "divisions": [county],
        "capacity_per_day": 10_000,
        "subscription": "kafka",
    }


@pytest.fixture(scope="module")
async def run(request: pytest.FixtureRequest) -> AsyncIterator[Run]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-kills-")))
        runtime = Runtime(home, ports="free")
        runtime.mark_demo()  # all lists are in force, and example amounts are paid
        stack.callback(runtime.stop_all)
        clock.set_business_time(home, NOW, force=True)
        runtime.start_stores(with_tables=True)
        runtime.create_topics()
        for process in PROCESSES:
            name, _, replica = process.partition("-")
            runtime.start_service(name, int(replica or 0), ENV)
        for process in PROCESSES:
            name, _, replica = process.partition("-")
            runtime.wait_ready(name, int(replica or 0))
        issued = tokens(runtime, ["admin", "officer@530300", "approver@530300"])
        async with RetryingClient(runtime, issued) as client, Observer(runtime, STORED) as observer:
            for county in COUNTIES:
                answer = await client.request("POST", "dispatch", "/v1/providers", json=register_provider(county))
                assert answer.status_code == 201, answer.text
            run = Run(runtime, client, observer)
            try:
                await run.go()
            except Exception as error:
                error.add_note(runtime.complaints())
                raise
            finally:
                await run.delivery.close()
            with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(f"\n{run.summary}")
            yield run


async def test_every_process_was_killed_and_no_acknowledged_event_is_lost(run: Run) -> None:
    assert run.killer.kills == {**dict.fromkeys((*PROCESSES, "postgres"), KILLS_EACH), "kafka": 1}
    changes, everything = distinct(run.changes), distinct([*run.load, *run.changes])
    assert len(run.changes) > len(changes) >= 20_000
    assert run.again == {"duplicate": len(everything)}
    statuses = await run.observer.rows("ingestion", "SELECT status, count(*) FROM received GROUP BY status")
    assert [tuple(row) for row in statuses] == [("applied", len(everything))]


async def test_the_stored_facts_are_the_true_facts(run: Run) -> None:
    ids = [row["person_id"] for row in await run.observer.rows("ingestion", "SELECT person_id FROM persons")]
    async with run.observer.database("ingestion") as connection:
        stored = await load_persons(connection, ids)
    truth = run.county.truth(NOW.date())
    assert len(truth) == len(stored) >= PEOPLE
    for number, true in truth.items():
        person_id = run.persons[number]
        facts = facts_of(stored[person_id], stored)
        assert truths.believed(facts, NOW.date()) == truths.true(true), f"person {person_id}, seed {SEED}"


async def test_every_person_has_the_entitlements_that_follow_from_the_true_facts(run: Run) -> None:
    lists = Lists(load_lists(repository_root() / "contracts" / "policy").values())
    rows = await run.observer.rows("identification", "SELECT person_id, decision FROM persons")
    decoder = msgspec.json.Decoder(EntitlementsDecided)
    decided = {row["person_id"]: decoder.decode(row["decision"]) for row in rows}
    held = 0
    for number, true in run.county.truth(NOW.date()).items():
        person_id = run.persons[number]
        actual = truths.in_force(decided[person_id].entitlements, NOW.date())
        assert actual == truths.deserved(true, lists, NOW.date()), f"person {person_id}, seed {SEED}"
        held += len(actual)
    assert held > PEOPLE


async def test_the_bank_has_paid_every_due_amount_exactly_once(run: Run) -> None:
    paid = run.payer.bank.paid_fen()
    recovering = Counter(await _by_key(run, "SELECT {key}, amount_fen FROM recoveries WHERE state = 'open'"))
    owed = await _by_key(run, "SELECT {key}, amount_fen FROM dues WHERE state = 'due'")
    held = await _by_key(run, "SELECT {key}, amount_fen FROM dues WHERE state <> 'due'")
    assert sum(paid.values()) > 0
    assert recovering
    for key in owed.keys() | paid.keys():
        if key.jurisdiction not in COUNTIES:  # no paymaster runs for other areas
            assert key not in paid
        elif key not in held:
            assert paid[key] - recovering[key] == owed.get(key, 0), f"{key}, seed {SEED}"
    ordered = await run.observer.rows("subsidy", "SELECT line_id FROM batch_lines WHERE state = 'settled'")
    assert {row["line_id"] for row in ordered} == set(run.payer.bank.settled)


async def _by_key(run: Run, statement: str) -> dict[Key, int]:
    key = "person_id, item, jurisdiction, to_char(service_month, 'YYYY-MM')"
    return {Key(*row[:4]): row[4] for row in await run.observer.rows("subsidy", statement.format(key=key))}


async def test_all_databases_and_topics_agree(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """`verify` finds no fault: heads, decisions, ledger and privacy."""
    monkeypatch.setenv("SHOUWANG_HOME", str(run.runtime.home))  # the check changes it; the test restores it
    monkeypatch.setenv("SHOUWANG_DEMO", "1")  # the check sets it for every demonstration home
    report = await check_all(run.runtime, wait_seconds=QUIET_SECONDS)
    settings.cache_clear()
    assert report.ok, f"seed {SEED}\n{report.text()}"
    parked = [await run.observer.rows(service, "SELECT reason FROM parked") for service in STORED]
    assert parked == [[]] * len(STORED)
