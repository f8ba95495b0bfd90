"""A service crashes at every named point of a batch and restarts; the result is the same as without a crash.

Each crash has its own group of people with the same events. One more group has no crash. The state of all groups must
be equal at the end.
"""

import json
import os
import re
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import synth
from aiokafka.structs import ConsumerRecord
from common.codes import id_number
from shell.faults import POINTS
from shell.settings import settings
from shouwang.commands.verify import check_all
from shouwang.runtime import clock, processes
from shouwang.runtime.machine import Runtime
from shouwang.trials.observer import Observer, header
from shouwang.trials.retrying_client import RetryingClient, tokens

SERVICES = ("ingestion", "identification", "subsidy", "supervision")
LATECOMERS = ("assessment", "dispatch")
VICTIMS = ("identification", "subsidy")
LOADED_ON = date(2025, 12, 1)
TODAY = datetime.fromisoformat("2026-06-10T10:00:00+08:00")
PEOPLE, MONTHS, SEED = 40, 3, 5
RATES = replace(synth.Rates().times(20), deaths_times=10)
DEADLINE_SECONDS = 120
EDGES = ("EntitlementStarted", "EntitlementEnded")
Event = dict[str, Any]


class Outcome(NamedTuple):
    """The final state of one person, without ids that differ between groups."""

    life: tuple[Any, ...]
    entitlements: list[tuple[Any, ...]]
    dues: list[tuple[Any, ...]]
    entries: list[tuple[Any, ...]]
    emitted: Counter[tuple[Any, ...]]


@dataclass
class Group:
    """People with their own ids and ID numbers, and the same events as every other group."""

    numbers: list[str]
    load: list[Event]
    changes: list[Event]
    person_ids: list[str]

    async def learn_ids(self, observer: Observer, receipts: dict[str, Any]) -> None:
        event_ids = {r["id"]: r["event_id"] for r in receipts["results"]}
        first = {e["data"]["person"]["id_number"]: event_ids[e["id"]] for e in self.load}
        rows = await observer.rows(
            "ingestion", "SELECT event_id, person_id FROM received WHERE event_id = ANY($1)", list(first.values())
        )
        persons = dict(tuple(row) for row in rows)
        self.person_ids = [persons[first[number]] for number in self.numbers]


def make_group(numbers: list[str], load: list[Event], changes: list[Event], turn: int) -> Group:
    """The same events for other people, born on the same days in the same places."""
    others = {n: id_number.make(n[:6], date.fromisoformat(n[6:14]), (int(n[14:17]) + 2 * turn) % 1000) for n in numbers}
    known_number = re.compile("|".join(others))

    def replaced(events: list[Event]) -> list[Event]:
        text = known_number.sub(lambda match: others[match[0]], json.dumps(events))
        copies: list[Event] = json.loads(text.replace('"H5303', f'"H{turn:02d}'))
        for event in copies:
            event["id"] = f"{turn}-{event['id']}"
            if event["data"]["previous_event_id"]:
                event["data"]["previous_event_id"] = f"{turn}-{event['data']['previous_event_id']}"
        return copies

    return Group([others[n] for n in numbers], replaced(load), replaced(changes), [])


def make_groups(how_many: int) -> list[Group]:
    county = synth.county(SEED, PEOPLE, ["530302", "530303"], LOADED_ON)
    numbers = [person.number for person in county.people]
    load = list(county.initial_load())
    changes = [push.event for push in synth.stream(county, MONTHS, SEED, rates=RATES)]
    known = set(numbers)
    changes = [
        e for e in changes if e["data"]["person"]["id_number"] in known
    ]  # new people have no load event from which to learn their person id
    groups = [make_group(numbers, load, changes, turn) for turn in range(how_many)]
    assert len({n for group in groups for n in group.numbers}) == how_many * PEOPLE
    return groups


class Trial:
    """A running platform, the groups, and the outcome without a crash."""

    def __init__(self, runtime: Runtime, client: RetryingClient, observer: Observer, groups: list[Group]) -> None:
        self.runtime, self.client, self.observer = runtime, client, observer
        self.groups = groups
        self._next = count(1)
        self.without_crash: list[Outcome] = []

    def plan_file(self, service: str) -> Path:
        return self.runtime.home / f"crash-{service}"

    def start(self, service: str) -> None:
        plan = self.plan_file(service)
        env = {
            "CRASH_AT": f"@{plan}",
            "CRASH_ONCE": f"{plan}.done",
            "SHOUWANG_PAY_FROM_MONTH": f"{LOADED_ON:%Y-%m}",
        }
        self.runtime.start_service(service, env=env)

    async def begin(self) -> None:
        for group in self.groups:
            await group.learn_ids(self.observer, await self.client.push(group.load))
        await self.observer.until_quiet(DEADLINE_SECONDS)
        await self.client.push(self.groups[0].changes)
        await self.observer.until_quiet(DEADLINE_SECONDS)
        self.without_crash = await self.outcomes(self.groups[0])

    def next_group(self) -> Group:
        return self.groups[next(self._next)]

    async def outcomes(self, group: Group) -> list[Outcome]:
        ids = group.person_ids
        decisions = await self.observer.rows(
            "identification", "SELECT person_id, decision FROM persons WHERE person_id = ANY($1)", ids
        )
        decided = {row["person_id"]: json.loads(row["decision"]) for row in decisions}
        dues = await self._money(
            "SELECT person_id, item, jurisdiction, service_month, amount_fen, state, fund, paid_fen, open_fen, sequence"
            " FROM dues WHERE person_id = ANY($1)",
            ids,
        )
        entries = await self._money(
            "SELECT person_id, item, jurisdiction, service_month, kind, sequence, debit_account, credit_account,"
            " amount_fen, state FROM entries WHERE person_id = ANY($1)",
            ids,
        )
        emitted = await self._emitted()
        return [
            Outcome(_life(decided[i]), _entitlements(decided[i]), dues[i], entries[i], Counter(emitted[i].values()))
            for i in ids
        ]

    async def _money(self, statement: str, ids: list[str]) -> dict[str, list[tuple[Any, ...]]]:
        found: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for row in await self.observer.rows("subsidy", statement, ids):
            found[row["person_id"]].append(tuple(row)[1:])
        return defaultdict(list, {person_id: sorted(lines) for person_id, lines in found.items()})

    async def _emitted(self) -> dict[str, dict[str, tuple[Any, ...]]]:
        """Emitted starts, ends and dues of each person, by event id: a repeated id is one event."""
        found: defaultdict[str, dict[str, tuple[Any, ...]]] = defaultdict(dict)
        for record in await self.observer.records(["identification.edge", "subsidy.payment"]):
            body = json.loads(record.value)
            what = [body.get(name) for name in ("item", "jurisdiction", "on")]
            lines = tuple(sorted(map(str, (_plain(line) for line in body.get("lines", ())))))
            found[record.key.decode()][header(record, "ce_id") or ""] = (class_of(record), *what, lines)
        return found


def class_of(record: ConsumerRecord) -> str:
    """`EntitlementStarted` from `cn.eldercare.identification.v1.EntitlementStarted`."""
    return (header(record, "ce_type") or "").rpartition(".")[2]


def _plain(line: Event) -> list[tuple[str, Any]]:
    return sorted((name, value) for name, value in line.items() if not name.endswith("_id"))


def _life(decision: Event) -> tuple[Any, ...]:
    return tuple(decision.get(name) for name in ("birth_date", "residence", "hukou", "died_on", "death_suspected_on"))


def _entitlements(decision: Event) -> list[tuple[Any, ...]]:
    own_ids = {"entitlement_id", "facts", "suppressed_by"}
    return [tuple(str((k, v)) for k, v in e.items() if k not in own_ids) for e in decision["entitlements"]]


@pytest.fixture(scope="module")
async def trial() -> AsyncIterator[Trial]:
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-crashes-")))
        runtime = Runtime(home, ports="free")
        runtime.mark_demo()  # all lists are in force, and example amounts are paid
        stack.callback(runtime.stop_all)
        clock.set_business_time(home, TODAY, force=True)
        runtime.start_stores(with_tables=True)
        runtime.create_topics()
        issued = tokens(runtime, ["admin"])
        async with RetryingClient(runtime, issued) as client, Observer(runtime, SERVICES) as observer:
            trial = Trial(runtime, client, observer, make_groups(1 + len(POINTS) * len(VICTIMS)))
            for service in SERVICES:
                trial.start(service)
            for service in SERVICES:
                runtime.wait_ready(service)
            await trial.begin()
            yield trial


def died_by_sigkill(pid: int) -> bool:
    """Wait for the end of a child process, and return whether SIGKILL ended it."""
    ended: list[int] = []

    def is_over() -> bool:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            ended.append(status)
        return bool(ended)

    processes.wait_until(is_over, DEADLINE_SECONDS)
    return bool(ended) and os.WIFSIGNALED(ended[0]) and os.WTERMSIG(ended[0]) == signal.SIGKILL


def arm(plan: Path, where: str) -> None:
    plan.write_text(where)
    Path(f"{plan}.done").unlink(missing_ok=True)


def has_crashed(plan: Path) -> bool:
    return Path(f"{plan}.done").exists()


def task_of(point: str) -> str:
    """The task that passes the point with a batch; jobs and the start have transactions too."""
    return "relay" if point in ("after_send", "before_outbox_delete") else "consumer"


@pytest.mark.parametrize("point", POINTS)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_a_crash_in_the_middle_of_a_batch_leaves_no_trace(trial: Trial, victim: str, point: str) -> None:
    group, plan = trial.next_group(), trial.plan_file(victim)
    arm(plan, f"{point}@{task_of(point)}")
    pid = trial.runtime.pid(victim)
    assert pid is not None

    await trial.client.push(group.changes)
    assert died_by_sigkill(pid), f"{victim} did not die at {point}"
    assert has_crashed(plan)

    trial.start(victim)
    trial.runtime.wait_ready(victim)
    await trial.observer.until_quiet(DEADLINE_SECONDS)
    found = await trial.outcomes(group)
    for number, (expected, actual) in enumerate(zip(trial.without_crash, found, strict=True)):
        assert actual == expected, f"person {number} of the group"
    await assert_heads_are_rows(trial.observer)
    await assert_each_edge_took_effect_once(trial.observer)


async def test_the_events_without_a_crash_start_and_end_entitlements_and_move_money(trial: Trial) -> None:
    """Otherwise the crashes above would prove nothing."""
    emitted = Counter(what[0] for outcome in trial.without_crash for what in outcome.emitted.elements())
    assert {*EDGES, "DuesDetermined"} <= set(emitted)
    assert sum(len(outcome.entries) for outcome in trial.without_crash) >= 50
    assert any(outcome.life[3] for outcome in trial.without_crash)


async def test_after_all_crashes_all_databases_and_topics_agree(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    for service in LATECOMERS:
        trial.start(service)
    for service in LATECOMERS:
        trial.runtime.wait_ready(service)
    monkeypatch.setenv("SHOUWANG_HOME", str(trial.runtime.home))  # the check changes it; the test restores it
    monkeypatch.setenv("SHOUWANG_DEMO", "1")  # the check sets it for every demonstration home
    report = await check_all(trial.runtime, wait_seconds=DEADLINE_SECONDS)
    settings.cache_clear()
    assert report.ok, report.text()
    parked = [await trial.observer.rows(service, "SELECT reason FROM parked") for service in SERVICES]
    assert parked == [[]] * len(SERVICES)


async def assert_heads_are_rows(observer: Observer) -> None:
    persons = await observer.rows("ingestion", "SELECT person_id, version FROM persons WHERE version > 0")
    heads = await observer.heads("ingestion.person")
    assert {key: json.loads(head.value)["version"] for key, head in heads.items()} == dict(map(tuple, persons))
    rows = await observer.rows("identification", "SELECT person_id, decision FROM persons WHERE version > 0")
    heads = await observer.heads("identification.entitlement")
    assert set(heads) == {row["person_id"] for row in rows}
    for row in rows:
        head = {k: v for k, v in json.loads(heads[row["person_id"]].value).items() if k != "causes"}
        assert head == json.loads(row["decision"])


async def assert_each_edge_took_effect_once(observer: Observer) -> None:
    """The topic may contain an event twice; every reader processes it once."""
    emitted = {header(record, "ce_id") for record in await observer.records(["identification.edge"])}
    steps = await observer.rows(
        "supervision", "SELECT event_id, count(*) FROM steps WHERE what = ANY($1) GROUP BY event_id", list(EDGES)
    )
    assert {row["event_id"] for row in steps} == emitted
    assert {row["count"] for row in steps} == {1}
