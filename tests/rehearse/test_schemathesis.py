"""Each of the seven services takes 10,000 generated requests of every role and answers none with a 5xx.

Schemathesis makes half of them to fit the OpenAPI and half to break it. Every second one names ids that exist. Three of
four use a role that the route has admitted before. 503 is allowed while `/readyz` is 503 too. A value that only
PostgreSQL refuses is a fault as well: it is answered with 422, but its parameter lacks a bound.

`SHOUWANG_REQUESTS` is the number per service, `SHOUWANG_FUZZ_SERVICES` chooses services, `SHOUWANG_FAULTS_SEED` gives
another run. Streams are left out, because they do not end by themselves.
"""

import asyncio
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from random import Random
from threading import local
from typing import Any, NamedTuple

import httpx
import pytest
import requests
import schemathesis
import synth
from common.calendar import SHANGHAI
from common.codes import uscc
from hypothesis import HealthCheck, Phase, given, seed, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok
from shouwang.runtime import clock
from shouwang.runtime.machine import Runtime
from shouwang.runtime.services import STORED
from shouwang.trials.delivery import Delivery
from shouwang.trials.observer import Observer
from shouwang.trials.retrying_client import RetryingClient

SEED = int(os.environ.get("SHOUWANG_FAULTS_SEED", "20261130"))
REQUESTS = int(os.environ.get("SHOUWANG_REQUESTS", "10000"))
ALL = (*STORED, "console")
CHOSEN = tuple(os.environ.get("SHOUWANG_FUZZ_SERVICES", " ".join(ALL)).split())
COUNTIES = ["530302", "530303"]
LOADED_ON, NOW = date(2025, 5, 1), datetime.fromisoformat("2026-11-22T10:00:00+08:00")
PEOPLE, QUIET_SECONDS, START_SECONDS_MAX, ANSWER_SECONDS_MAX = 150, 300, 240, 60
PART_MAX = 200  # cases of one operation that are generated at once
AT_ONCE = 6
UNCHECKED = list(HealthCheck)
LACKS_BOUND = "a parameter lacks a bound"  # the warning of shell.http.answers
SHOWN_MAX = 20
USCC = uscc.make("52530302000000001")
SOURCE = "urn:cn:exchange:530300:psb"
CALLERS: Mapping[str, Mapping[str, str]] = {
    "admin": {"role": "admin"},
    "officer": {"role": "officer", "division": "530302"},
    "officer of the nation": {"role": "officer", "division": "000000"},
    "officer without area": {"role": "officer"},
    "approver": {"role": "approver", "division": "530300"},
    "auditor": {"role": "auditor", "division": "000000"},
    "assessor": {"role": "assessor", "division": "530302"},
    "resident": {"role": "resident"},
    "provider": {"role": "provider", "provider": USCC},
    "visitor": {"role": "visitor", "provider": USCC},
    "source": {"role": "source", "source": SOURCE},
    "service": {"role": "service"},
}
_ISSUE = """
import json, sys
from shell.access.auth import issue_token
print(json.dumps({name: issue_token(**claims) for name, claims in json.loads(sys.argv[1]).items()}))
"""
# Existing ids by parameter name, each with the owning service and its statement.
KNOWN: Mapping[str, tuple[str, str]] = {
    "person_id": ("ingestion", "SELECT person_id::text AS id FROM persons LIMIT 50"),
    "event_id": ("ingestion", "SELECT event_id::text AS id FROM received LIMIT 50"),
    "source": ("ingestion", "SELECT source AS id FROM registry LIMIT 50"),
    "case_id": ("ingestion", "SELECT case_id::text AS id FROM place_cases LIMIT 50"),
    "group_id": ("ingestion", "SELECT group_id::text AS id FROM groups LIMIT 50"),
    "import_id": ("ingestion", "SELECT import_id::text AS id FROM imports LIMIT 50"),
    "task_id": ("dispatch", "SELECT task_id::text AS id FROM tasks LIMIT 50"),
    "uscc": ("dispatch", "SELECT uscc AS id FROM providers LIMIT 50"),
    "provider": ("dispatch", "SELECT uscc AS id FROM providers LIMIT 50"),
    "version": ("identification", "SELECT version AS id FROM policies LIMIT 50"),
    "jurisdiction": ("identification", "SELECT jurisdiction AS id FROM policies LIMIT 50"),
    "simulation_id": ("identification", "SELECT simulation_id::text AS id FROM simulations LIMIT 50"),
    "assessment_id": ("assessment", "SELECT assessment_id::text AS id FROM cases LIMIT 50"),
    "batch_id": ("subsidy", "SELECT batch_id::text AS id FROM batches LIMIT 50"),
    "recovery_id": ("subsidy", "SELECT recovery_id::text AS id FROM recoveries LIMIT 50"),
    "alert_id": ("supervision", "SELECT alert_id::text AS id FROM alerts LIMIT 50"),
}
# Pages of the console outside its OpenAPI.
_PLAIN: Any = {"responses": {}}
_FORM = {"schema": {"type": "object", "properties": {"token": {"type": "string"}}}}
_SIGN_IN = {"requestBody": {"content": {"application/x-www-form-urlencoded": _FORM}}, **_PLAIN}
HIDDEN: Mapping[str, Any] = {
    "/": {"get": _PLAIN},
    "/policies": {"get": _PLAIN},
    "/logout": {"post": _PLAIN},
    "/logout/backchannel": {"post": _PLAIN},
    "/login": {"get": _PLAIN, "post": _SIGN_IN},
    "/login/start": {"get": _PLAIN},
    "/login/callback": {"get": _PLAIN},
}


class Answer(NamedTuple):
    """`fault`: the reason why the rehearsal fails. It names the route and never a value."""

    status: int
    fault: str | None


class Platform:
    """The running platform, the tokens of all roles, and existing ids."""

    def __init__(self, runtime: Runtime, tokens: Mapping[str, str], observer: Observer) -> None:
        self.runtime = runtime
        self._tokens = [*tokens.values(), "no.token.at-all", ""]
        self._observer = observer
        self._known: dict[str, list[str]] = {}
        self._admitted: dict[str, set[str]] = {}
        self._rng = Random(SEED)
        self._threads = local()

    async def look_for_ids(self) -> None:
        """Includes ids that requests to other services created."""
        for name, asked in KNOWN.items():
            self._known[name] = [row["id"] for row in await self._observer.rows(*asked)]

    def operations(self, service: str) -> list[Any]:
        url = self.runtime.service_url(service)
        document = httpx.get(f"{url}/openapi.json", timeout=ANSWER_SECONDS_MAX, trust_env=False).json()
        document["paths"] = {p: o for p, o in document["paths"].items() if not p.endswith("/stream")}
        if service == "console":
            document["paths"] |= HIDDEN
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=url)
        found = [result.ok() for result in schema.get_all_operations() if isinstance(result, Ok)]
        assert len(found) == sum(len(operations) for operations in document["paths"].values())
        return found

    def send(self, service: str, case: Case[Any]) -> Answer:
        place = f"{case.method} {case.operation.path}"
        admitted = self._admitted.setdefault(place, set())
        likely = sorted(admitted) if admitted and self._rng.random() < 0.75 else self._tokens
        token = self._rng.choice(likely)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        if self._rng.random() < 0.5:
            self._name_known(case)
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
            self._threads.session.trust_env = False
        try:
            answer = case.call(session=self._threads.session, headers=headers, timeout=ANSWER_SECONDS_MAX)
        except requests.Timeout:
            return Answer(0, f"{place}: no answer in {ANSWER_SECONDS_MAX} s")
        except (requests.RequestException, UnicodeError, ValueError):
            # The client cannot send it, or the server closed the connection before it read the body.
            return Answer(0, None)
        if answer.status_code not in (401, 403):
            admitted.add(token)
        if answer.status_code < 500:
            return Answer(answer.status_code, None)
        if answer.status_code == 503 and not self._is_ready(service):
            return Answer(503, None)
        return Answer(answer.status_code, f"{place}: {answer.status_code}")

    def _name_known(self, case: Case[Any]) -> None:
        for values in (case.path_parameters, case.query):
            if isinstance(values, dict):
                for name in values:
                    if self._known.get(name):
                        values[name] = self._rng.choice(self._known[name])
        if isinstance(case.body, dict):
            for name in case.body:
                if self._known.get(name):
                    case.body[name] = self._rng.choice(self._known[name])

    def _is_ready(self, service: str) -> bool:
        url = f"{self.runtime.service_url(service)}/readyz"
        return httpx.get(url, timeout=ANSWER_SECONDS_MAX, trust_env=False).status_code == 200


def generated(operation: Any, mode: GenerationMode, count: int, number: int) -> list[Case[Any]]:
    """At most `count` cases; fewer if the operation has no more."""
    found: list[Case[Any]] = []

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Case[Any]) -> None:
        found.append(case)

    collect()
    return found[:count]


def parts(operations: Sequence[Any]) -> Iterator[list[Case[Any]]]:
    """Endless cases of all operations in turn. Half of them fit the OpenAPI, half break it."""
    for turn in range(REQUESTS):
        for at, operation in enumerate(operations):
            count = max(2, min(PART_MAX, REQUESTS // len(operations) // 2))
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                if mode.is_positive or takes_input(operation):
                    yield generated(operation, mode, count, SEED + 1_000 * turn + at)


def takes_input(operation: Any) -> bool:
    """An operation without parameter and body cannot be wrong."""
    return any(len(group) for group in (operation.path_parameters, operation.query, operation.headers, operation.body))


@pytest.fixture(scope="module")
def progress(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print progress in spite of output capture."""
    capture = request.config.pluginmanager.getplugin("capturemanager")

    def line(text: str) -> None:
        with capture.global_and_fixture_disabled():
            print(f"\n{datetime.now(SHANGHAI):%H:%M:%S} {text}", end="", flush=True)

    return line


def _started(home: Path, stack: ExitStack) -> Runtime:
    runtime = Runtime(home, ports="free")
    stack.callback(runtime.stop_all)
    clock.set_business_time(home, NOW, force=True)
    runtime.start_stores(with_tables=True)
    runtime.create_topics()
    for name in ALL:
        runtime.start_service(name)
    for name in ALL:
        runtime.wait_ready(name, seconds=START_SECONDS_MAX)
    return runtime


def _issued(runtime: Runtime) -> dict[str, str]:
    """In a separate process, because this one may belong to another home."""
    env = {**os.environ, "SHOUWANG_HOME": str(runtime.home)}
    command = [sys.executable, "-c", _ISSUE, json.dumps(CALLERS)]
    issued: dict[str, str] = json.loads(subprocess.run(command, env=env, capture_output=True, check=True).stdout)
    return issued


async def _provider(client: RetryingClient) -> None:
    body = {
        "uscc": USCC,
        "name": "示例养老服务中心",
        "divisions": COUNTIES,
        "capacity_per_day": 20,
        "subscription": "poll",
    }
    answer = await client.request("POST", "dispatch", "/v1/providers", "officer of the nation", json=body)
    assert answer.status_code == 201, answer.text


@pytest.fixture(scope="module")
async def platform(progress: Callable[[str], None]) -> AsyncIterator[Platform]:
    """The platform with a provider and the events of 150 people, so that requests find data."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shouwang-schemathesis-")))
        runtime = await asyncio.to_thread(_started, home, stack)
        issued = _issued(runtime)
        events = list(synth.county(SEED, PEOPLE, COUNTIES, LOADED_ON).initial_load())
        async with RetryingClient(runtime, issued) as client, Observer(runtime, STORED) as observer:
            await _provider(client)
            delivery, rest = Delivery(runtime, client), iter(events)
            while part := list(islice(rest, 500)):
                await delivery.over_http(part)
            await observer.until_quiet(QUIET_SECONDS)
            await delivery.close()
            progress(f"{len(events)} events loaded")
            yield Platform(runtime, issued, observer)


@pytest.mark.parametrize("service", CHOSEN)
async def test_no_generated_request_breaks_a_service(
    service: str, platform: Platform, progress: Callable[[str], None], figure: Callable[[str, float], None]
) -> None:
    pid = platform.runtime.pid(service)
    await platform.look_for_ids()
    operations = platform.operations(service)
    statuses, faults = await asyncio.to_thread(_fuzz, service, platform, operations)
    sent = statuses.total() - statuses[0]
    progress(f"{service}: {sent} requests to {len(operations)} operations: {dict(sorted(statuses.items()))}")
    figure(f"{service}.requests", sent)
    figure(f"{service}.admitted", sent - statuses[401] - statuses[403])
    figure(f"{service}.server_errors", sum(count for status, count in statuses.items() if status >= 500))
    figure(f"{service}.not_sent", statuses[0])
    late = [line for line in platform.runtime.logs(service).splitlines() if LACKS_BOUND in line]
    figure(f"{service}.late_refusals", len(late))
    assert not faults, "\n".join(f"{count} × {fault}" for fault, count in faults.most_common(SHOWN_MAX))
    assert not late, "\n".join(sorted(set(late))[:SHOWN_MAX])
    assert sent >= REQUESTS
    assert platform.runtime.pid(service) == pid, "the process ended"


def _fuzz(service: str, platform: Platform, operations: Sequence[Any]) -> tuple[Counter[int], Counter[str]]:
    """Send `REQUESTS` requests. Returns statuses and faults; status 0 means not sent."""
    statuses, faults, sent = Counter[int](), Counter[str](), 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for cases in parts(operations):
            for answer in pool.map(lambda case: platform.send(service, case), cases[: REQUESTS - sent]):
                statuses[answer.status] += 1
                faults.update([answer.fault] if answer.fault else [])
            sent = statuses.total() - statuses[0]
            if sent >= REQUESTS:
                break
    return statuses, faults
