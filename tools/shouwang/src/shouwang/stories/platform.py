"""Uses the platform from outside, through HTTP APIs, topics and the clock. Every wait has a deadline."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import date, datetime, timedelta
from time import monotonic
from types import TracebackType
from typing import Any, Final, TypeVar
from uuid import uuid4

import httpx
from aiokafka import AIOKafkaProducer
from common import calendar
from common.codes import divisions
from shell.access import auth, local_issuer
from shell.kafka.client import connection
from shell.kafka.topics import inbound_topic, is_inbound, load_topics
from shell.settings import Settings, settings

from shouwang.runtime import clock
from shouwang.runtime.kafka_acls import OPERATOR, PROVISION, writer_of
from shouwang.runtime.kafka_grants import make_outsider
from shouwang.runtime.stores import Stores
from shouwang.stories.people import CITY, Cast, Elder, Event
from shouwang.stories.transcript import StoryFailed
from shouwang.stories.watch import SECONDS_MAX, Watch

T = TypeVar("T")
BATCH_EVENTS_MAX: Final = 1_000
LOOK_EVERY_SECONDS: Final = 0.03
TOKEN_SECONDS: Final = 300.0  # approvals need a recent sign-in
CLOCK_SEEN_SECONDS: Final = 0.1  # every process reads the stored clock at least once in 50 ms
REQUEST_ARGUMENTS: Final = ("json", "params", "headers", "content")
Json = dict[str, Any]


class Answer(StoryFailed):
    """An unexpected HTTP error. `status` and `code` come from the problem document."""

    def __init__(self, status: int, body: Json, where: str) -> None:
        super().__init__(f"{where} answered {status}: {json.dumps(body, ensure_ascii=False)[:600]}")
        self.status = status
        self.code = str(body.get("code", ""))


class Platform:
    """A running platform. `kafka`: how an operator reads its topics. `urls`: base URL by service.

    `cast` makes synthetic people.
    `async with` begins to read the topics into `watch`.
    """

    def __init__(self, stores: Stores, urls: dict[str, str]) -> None:
        self.home = stores.home
        self.kafka = stores.kafka_settings(OPERATOR)
        self.urls = urls
        self.cast = Cast()
        self.watch = Watch(self.kafka, [t.name for t in load_topics() if not is_inbound(t.name)])
        self._stores = stores
        self._passwords: dict[str, str] = {}  # of sources and providers, by user of Kafka
        self._tokens: dict[tuple[tuple[str, str], ...], tuple[str, float]] = {}
        self._http = httpx.AsyncClient(timeout=30, trust_env=False)

    async def __aenter__(self) -> Platform:
        settings.cache_clear()  # SHOUWANG_HOME may have changed: the keys of this home sign the tokens
        local_issuer.forget()
        await self.watch.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.watch.stop()
        await self._http.aclose()

    # -- the clock

    def now(self) -> datetime:
        """Business time in Asia/Shanghai."""
        return clock.business_time(self.home)

    def today(self) -> date:
        return self.now().date()

    async def move_to(self, instant: datetime) -> None:
        """Move business time forward; every service has read it on return. Raises LocalProblem for the past."""
        clock.set_business_time(self.home, instant)
        await asyncio.sleep(CLOCK_SEEN_SECONDS)

    async def move_to_day(self, day: date) -> None:
        """Move business time to the first instant of a day."""
        await self.move_to(calendar.start_of_day(day))

    def next_month(self) -> date:
        """The first day of the next month."""
        return calendar.add_months(calendar.month_of(self.today()), 1)

    # -- HTTP

    async def call(self, method: str, service: str, path: str, *, role: str, **more: Any) -> Any:
        """Send a request; returns the JSON (or text) of the answer. Raises Answer for 4xx and 5xx.

        `more`: arguments of httpx (REQUEST_ARGUMENTS), and claims of the token (`subject`, `division`, …).
        """
        request = {name: more.pop(name) for name in REQUEST_ARGUMENTS if name in more}
        headers = {"authorization": f"Bearer {self.token(role, **more)}", **request.pop("headers", {})}
        answer = await self._http.request(method, f"{self.urls[service]}{path}", headers=headers, **request)
        body = _body(answer)
        if answer.is_error:
            problem = body if isinstance(body, dict) else {"text": answer.text[:300]}
            raise Answer(answer.status_code, problem, f"{method} {service} {path.partition('?')[0]}")
        return body

    def token(self, role: str, **claims: str) -> str:
        """Issue a token of a role with these claims; for some minutes the same arguments give the same token."""
        known = tuple(sorted({"role": role, **claims}.items()))
        token, issued_at = self._tokens.get(known, ("", float("-inf")))
        if monotonic() - issued_at > TOKEN_SECONDS:
            token = auth.issue_token(role, **claims)  # type: ignore[arg-type]
            self._tokens[known] = (token, monotonic())
        return token

    async def get(self, service: str, path: str, role: str = "officer", **params: Any) -> Any:
        """GET as an officer of Qujing, or in another role of Qujing; returns the JSON. Omits parameters with None."""
        given = {name: value for name, value in params.items() if value is not None}
        return await self.call("GET", service, path, role=role, division=CITY, params=given)

    async def post(self, service: str, path: str, body: Any = None, role: str = "officer", **claims: Any) -> Any:
        """POST a JSON body as an officer of Qujing or another caller, by default with a new Idempotency-Key."""
        claims.setdefault("headers", {"Idempotency-Key": str(uuid4())})
        return await self.call("POST", service, path, role=role, json=body, **{"division": CITY, **claims})

    async def until(self, subject: str, probe: Callable[[], Awaitable[T | None]], seconds: float = SECONDS_MAX) -> T:
        """Call `probe` until its result is neither None nor False; returns it. Raises StoryFailed after `seconds`."""
        deadline = monotonic() + seconds
        while True:
            found = await probe()
            if found is not None and found is not False:
                return found
            if monotonic() > deadline:
                raise StoryFailed(f"{subject}: not within {seconds:.0f} s")
            await asyncio.sleep(LOOK_EVERY_SECONDS)

    # -- pushing

    async def send(self, events: Sequence[Event]) -> list[Json]:
        """Push events by HTTP in batches; returns the receipts, also those of rejected events."""
        results: list[Json] = []
        for first in range(0, len(events), BATCH_EVENTS_MAX):
            body = json.dumps(events[first : first + BATCH_EVENTS_MAX], ensure_ascii=False).encode()
            headers = {"content-type": "application/cloudevents-batch+json"}
            answer = await self.call("POST", "ingestion", "/v1/events", role="admin", content=body, headers=headers)
            results += answer["results"]
        return results

    async def push(self, *events: Event) -> list[str]:
        """Push events by HTTP; returns their event ids. Raises StoryFailed if one is not accepted."""
        results = await self.send(events)
        for result in results:
            if result["status"] != "accepted":
                raise StoryFailed(f"an event was {result['status']}: {result.get('problems')}")
        return [result["event_id"] for result in results]

    async def produce(self, topic: str, records: Sequence[tuple[bytes | None, bytes, list[tuple[str, bytes]]]]) -> None:
        """Write records (key, value, headers) to a topic. The broker has acknowledged all on return.

        The writer of a source's or a provider's topic is that source or provider; of any other topic the super user.
        """
        producer = AIOKafkaProducer(**connection(await asyncio.to_thread(self._writer, topic)), acks="all")
        await producer.start()
        try:
            for key, value, headers in records:
                await producer.send_and_wait(topic, value, key=key, headers=headers)
        finally:
            await producer.stop()

    def _writer(self, topic: str) -> Settings:
        """The settings of the user who writes to a topic. A source or a provider becomes a user at its first record."""
        users, user = self._stores.kafka_users, writer_of(topic)
        if user is None or not users.is_local:
            return users.settings(PROVISION)
        if user not in self._passwords:
            self._passwords[user] = make_outsider(users, user, self._stores.load_registers())
        return users.settings(user, self._passwords[user])

    async def push_by_kafka(self, *events: Event) -> None:
        """Push events in structured mode, in order, each to the topic of its source."""
        kind = [("content-type", b"application/cloudevents+json")]
        for event in events:
            body = json.dumps(event, ensure_ascii=False).encode()
            await self.produce(inbound_topic(event["source"]), [(None, body, kind)])

    async def find(self, elder: Elder) -> str:
        """Look up the person id of the elder by the ID number."""
        answer = await self.post("ingestion", "/v1/persons/lookup", {"id_number": elder.number})
        return str(answer["person_id"])

    # -- reading

    async def entitlements(self, person_id: str, **params: Any) -> list[Json]:
        answer = await self.get("identification", f"/v1/persons/{person_id}/entitlements", **params)
        return list(answer["entitlements"])

    async def explanation(self, person_id: str, item: str, **params: Any) -> Json:
        answer: Json = await self.get("identification", f"/v1/persons/{person_id}/explanations", item=item, **params)
        return answer

    async def ledger(self, person_id: str) -> Json:
        """Fetch the first page of a person's ledger as an auditor of the nation, who sees the entries of every area."""
        path = f"/v1/persons/{person_id}/ledger"
        answer: Json = await self.call("GET", "subsidy", path, role="auditor", division=divisions.NATION)
        return answer

    async def tasks(self, person_id: str, **params: Any) -> list[Json]:
        answer = await self.get("dispatch", "/v1/tasks", person_id=person_id, limit=500, **params)
        return list(answer["tasks"])

    async def trace(self, event_id: str) -> list[Json]:
        """Fetch the steps that followed from a pushed event, in order."""
        answer = await self.get("supervision", f"/v1/trace/{event_id}")
        return list(answer["steps"])


def _body(answer: httpx.Response) -> Any:
    is_json = "json" in answer.headers.get("content-type", "")
    return answer.json() if is_json else answer.text


def years_before(day: date, years: int) -> date:
    """Return the same day `years` earlier. 29 February becomes 28 February in a year without it."""
    try:
        return day.replace(year=day.year - years)
    except ValueError:
        return day.replace(year=day.year - years, day=28)


def month_text(day: date, months: int = 0) -> str:
    """Return `YYYY-MM` of the month that is `months` after the month of `day`."""
    return calendar.month_text(calendar.add_months(calendar.month_of(day), months))


def in_month(day: date, months: int, on: int = 15) -> date:
    """Return day number `on` of the month that is `months` after the month of `day`."""
    return calendar.add_months(calendar.month_of(day), months) + timedelta(days=on - 1)
