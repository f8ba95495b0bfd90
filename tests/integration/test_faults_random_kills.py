"""Months of change in three counties, delivered late, doubled and in the wrong order, while at random instants every
process is killed, the database cluster as often, and once the broker: in the end the platform knows what is true, and
every fen is where it belongs.

`SHOUWANG_FAULTS_SEED` gives another run; a failure names its seed.
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
from shouwang.trials.asking import Asker, tokens
from shouwang.trials.delivering import Deliverer
from shouwang.trials.killing import Killer, plan_strikes
from shouwang.trials.observing import Observer
from shouwang.trials.paying import Key, Paymaster

SEED = int(os.environ.get("SHOUWANG_FAULTS_SEED", "20261122"))
# Two processes share the topics of the services that decide and that pay.
PROCESSES = (*STORED, "identification-1", "subsidy-1")
COUNTIES = ["530302", "530303", "530381"]
LOADED_ON = date(2025, 5, 1)
NOW = datetime.fromisoformat("2026-11-22T10:00:00+08:00")
PEOPLE, MONTHS, KILLS_EACH = 4_200, 10, 4
RATES = replace(synth.Rates().times(20), deaths_times=2)
FAULTS = synth.Faults(duplicate=400)
BATCH_MIN, BATCH_MAX = 50, 400
BY_TOPIC, RETURNED = 0.2, 0.05
STEPS_AFTER = 12  # kills go on while what was delivered is still on its way
QUIET_SECONDS = 400
ENV = {"SHOUWANG_PAY_FROM_MONTH": f"{LOADED_ON:%Y-%m}"}
Event = dict[str, Any]


class Run:
    """The whole trial: what was told, who pushed, killed and paid, and where to look."""

    def __init__(self, runtime: Runtime, asker: Asker, observer: Observer) -> None:
        self.runtime, self.asker, self.observer = runtime, asker, observer
        self.rng = Random(f"run/{SEED}")
        self.county = synth.county(SEED, PEOPLE, COUNTIES, LOADED_ON)
        self.load = list(self.county.initial_load())
        self.changes = [push.event for push in synth.stream(self.county, MONTHS, SEED, FAULTS, RATES)]
        self.deliverer = Deliverer(runtime, asker)
        self.paymaster = Paymaster(asker, COUNTIES, f"{NOW:%Y-%m}", Random(f"pay/{SEED}"), RETURNED)
        self.persons: dict[str, str] = {}  # ID number → person id
        self.again: Counter[str] = Counter()
        self.killer = Killer(runtime, [], ENV)
        self.summary = ""

    async def go(self) -> None:
        began = monotonic()
        parts = list(self._parts())
        steps = len(parts) + STEPS_AFTER
        strikes = plan_strikes(Random(f"kills/{SEED}"), (*PROCESSES, "postgres"), KILLS_EACH, steps, ["kafka"])
        self.killer, done = Killer(self.runtime, strikes, ENV), asyncio.Event()
        async with asyncio.TaskGroup() as together:
            killing = together.create_task(self.killer.run())
            paying = together.create_task(self.paymaster.work(done))
            for step in range(steps):
                await self.killer.reached(step)
                if step < len(parts):
                    await self._deliver(parts[step])
            await killing
            delivered = monotonic() - began
            await self.observer.until_quiet(QUIET_SECONDS)
            done.set()
            await paying
        await self.paymaster.pay_all()
        await self.observer.until_quiet(QUIET_SECONDS)
        self.again = await self.deliver_again()
        await self.observer.until_quiet(QUIET_SECONDS)
        bank = self.paymaster.bank
        self.summary = (
            f"random kills, seed {SEED}: {len(self.load):,} events of the load, {len(self.changes):,} deliveries of"
            f" {len(distinct(self.changes)):,} changes, {self.deliverer.by_topic:,} by topic;"
            f" killed {dict(sorted(self.killer.kills.items()))}; {self.asker.repeated} requests repeated;"
            f" {self.paymaster.batches} batches, {len(bank.settled):,} lines settled, {len(bank.returned):,} returned;"
            f" delivered after {delivered:.0f} s, all quiet, paid and told again after {monotonic() - began:.0f} s"
        )

    def _parts(self) -> Iterator[list[Event]]:
        events = iter([*self.load, *self.changes])
        while part := list(islice(events, self.rng.randint(BATCH_MIN, BATCH_MAX))):
            yield part

    async def _deliver(self, part: list[Event]) -> None:
        if self.rng.random() < BY_TOPIC:
            await self.deliverer.over_topic(part)
        else:
            await self.deliverer.over_http(part)

    async def deliver_again(self) -> Counter[str]:
        """Everything once more, in the order in which it was recorded: the receipts by status. Learns who is who."""
        events = iter(distinct([*self.load, *self.changes]).values())
        told: dict[str, str] = {}  # event id → ID number
        statuses: Counter[str] = Counter()
        while part := list(islice(events, 2_000)):
            for event, receipt in zip(part, await self.deliverer.over_http(part), strict=True):
                statuses[receipt["status"]] += 1
                told[receipt["event_id"]] = event["data"]["person"]["id_number"]
        rows = await self.observer.rows(
            "ingestion", "SELECT event_id, person_id FROM received WHERE event_id = ANY($1)", list(told)
        )
        found: defaultdict[str, set[str]] = defaultdict(set)
        for event_id, person_id in rows:
            found[told[event_id]].add(person_id)
        assert {len(ids) for ids in found.values()} == {1}, "one number, one person"
        self.persons = {number: ids.pop() for number, ids in found.items()}
        return statuses


def distinct(events: Sequence[Event]) -> dict[tuple[str, str], Event]:
    """By source and id: however often delivered, it is one event."""
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
        runtime.mark_demo()  # all lists are in force, and what only examples give is paid
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
        async with Asker(runtime, issued) as asker, Observer(runtime, STORED) as observer:
            for county in COUNTIES:
                answer = await asker.ask("POST", "dispatch", "/v1/providers", json=register_provider(county))
                assert answer.status_code == 201, answer.text
            run = Run(runtime, asker, observer)
            try:
                await run.go()
            except Exception as error:
                error.add_note(runtime.complaints())
                raise
            finally:
                await run.deliverer.close()
            with request.config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
                print(f"\n{run.summary}")
            yield run


async def test_everybody_was_killed_and_nothing_acknowledged_is_lost(run: Run) -> None:
    assert run.killer.kills == {**dict.fromkeys((*PROCESSES, "postgres"), KILLS_EACH), "kafka": 1}
    changes, everything = distinct(run.changes), distinct([*run.load, *run.changes])
    assert len(run.changes) > len(changes) >= 20_000
    assert run.again == {"duplicate": len(everything)}
    places = await run.observer.rows("ingestion", "SELECT status, count(*) FROM received GROUP BY status")
    assert [tuple(row) for row in places] == [("applied", len(everything))]


async def test_the_platform_believes_what_is_true(run: Run) -> None:
    ids = [row["person_id"] for row in await run.observer.rows("ingestion", "SELECT person_id FROM persons")]
    async with run.observer.database("ingestion") as connection:
        stored = await load_persons(connection, ids)
    truth = run.county.truth(NOW.date())
    assert len(truth) == len(stored) >= PEOPLE
    for number, true in truth.items():
        person_id = run.persons[number]
        facts = facts_of(stored[person_id], stored)
        assert truths.believed(facts, NOW.date()) == truths.true(true), f"person {person_id}, seed {SEED}"


async def test_everybody_holds_what_the_law_gives_for_the_truth(run: Run) -> None:
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


async def test_the_bank_has_paid_what_is_owed_and_nothing_twice(run: Run) -> None:
    paid = run.paymaster.bank.paid_fen()
    recovering = Counter(await _by_key(run, "SELECT {key}, amount_fen FROM recoveries WHERE state = 'open'"))
    owed = await _by_key(run, "SELECT {key}, amount_fen FROM dues WHERE state = 'due'")
    held = await _by_key(run, "SELECT {key}, amount_fen FROM dues WHERE state <> 'due'")
    assert sum(paid.values()) > 0
    assert recovering
    for key in owed.keys() | paid.keys():
        if key.jurisdiction not in COUNTIES:  # other areas have no paymaster here
            assert key not in paid
        elif key not in held:
            assert paid[key] - recovering[key] == owed.get(key, 0), f"{key}, seed {SEED}"
    ordered = await run.observer.rows("subsidy", "SELECT line_id FROM batch_lines WHERE state = 'settled'")
    assert {row["line_id"] for row in ordered} == set(run.paymaster.bank.settled)


async def _by_key(run: Run, statement: str) -> dict[Key, int]:
    key = "person_id, item, jurisdiction, to_char(service_month, 'YYYY-MM')"
    return {Key(*row[:4]): row[4] for row in await run.observer.rows("subsidy", statement.format(key=key))}


async def test_all_stores_and_topics_agree(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads are the rows, decisions are `decide` from scratch, debits are credits, nobody is named anywhere."""
    monkeypatch.setenv("SHOUWANG_HOME", str(run.runtime.home))  # taken by the check, given back after the test
    monkeypatch.setenv("SHOUWANG_DEMO", "1")  # set by the check, as for every home of a demonstration
    report = await check_all(run.runtime, wait_seconds=QUIET_SECONDS)
    settings.cache_clear()
    assert report.ok, f"seed {SEED}\n{report.text()}"
    parked = [await run.observer.rows(service, "SELECT reason FROM parked") for service in STORED]
    assert parked == [[]] * len(STORED)
