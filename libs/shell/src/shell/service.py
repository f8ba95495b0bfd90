"""The shell around every service: `Service(name, routes, handlers)` is the whole wiring.

It opens the database, relays the outbox, consumes the topics of its handlers, runs its jobs, and answers `/healthz`,
`/readyz`, `/metrics`, `/openapi.json`, `/docs`; every error leaves as application/problem+json.
"""

import asyncio
import gc
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from time import monotonic
from typing import Annotated, Final

from common.events import Event
from fastapi import APIRouter, Depends, FastAPI, Request

from shell import telemetry
from shell.http.answers import Watch, install_problems
from shell.http.body_guard import Guard
from shell.http.openapi import describe_problems
from shell.http.streams import set_on_signals
from shell.jobs import Job
from shell.kafka.consumer import Consumer
from shell.kafka.dispatch import Handler, Handlers, RawHandler
from shell.kafka.pace import Pace
from shell.kafka.probes import Broker
from shell.kafka.relay import Relay
from shell.kafka.retention import LOOK_EVERY_SECONDS
from shell.kafka.topics import load_topics
from shell.logs import start_logging
from shell.parts import consumer_part, job_part, relay_part
from shell.platform_routes import platform_routes
from shell.settings import Settings, settings
from shell.store.database import Database
from shell.store.failures import UNAVAILABLE
from shell.store.mode import keep_mode
from shell.watchdog import Watchdog

log = logging.getLogger(__name__)
START_SECONDS_MAX: Final = 60.0
START_AGAIN_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.03
GATHER_RECORDS: Final = 300


class Service:
    """`on_start(database)` runs once the database is open and before anything is consumed. `gather_seconds`: how long
    to let records gather after a batch of less than `gather_records`. The first record after a pause never waits; those
    that follow closely share a transaction, which costs little more than one record's. Longer where nobody waits."""

    def __init__(
        self,
        name: str,
        *,
        routes: Sequence[APIRouter] = (),
        handlers: Mapping[type[Event], Handler] | None = None,
        raw: Mapping[str, RawHandler] | None = None,
        jobs: Sequence[Job] = (),
        on_start: Callable[[Database], Awaitable[None]] | None = None,
        description: str = "",
        gather_seconds: float = GATHER_SECONDS,
        gather_records: int = GATHER_RECORDS,
    ) -> None:
        self.name = name
        self.settings: Settings = settings()
        self.handlers = Handlers(handlers or {}, raw or {})
        self.jobs = tuple(jobs)
        self.on_start = on_start
        self.database = Database(self.settings.database_url(name), name)
        pace = Pace([t for t in load_topics() if t.owner == name], self.settings)
        self.relay = Relay(self.database, self.settings, pace)
        self.consumer = None
        if self.handlers:
            gather = (gather_seconds, gather_records)
            self.consumer = Consumer(name, self.database, self.handlers, self.settings, *gather)
            look = Job("watch_retention", LOOK_EVERY_SECONDS, self.consumer.retention.look, shared=True)
            self.jobs = (*self.jobs, look)
        broker = Broker(self.settings)
        parts = [relay_part(self.relay, broker, self.settings)]
        if self.consumer is not None:
            parts.append(consumer_part(self.consumer, broker, self.settings))
        parts += [job_part(job, self.database, self.relay, self.settings) for job in self.jobs]
        self.broker = broker
        self.watchdog = Watchdog(name, parts, self.settings)
        self.app = FastAPI(
            title=f"Shouwang {name}",
            version="1",
            description=description,
            lifespan=self._lifespan,
            telemetry=telemetry.REQUEST_SPANS,
        )
        self.app.state.service = self
        install_problems(self.app)
        describe_problems(self.app)
        for router in routes:
            self.app.include_router(router)
        self.app.include_router(platform_routes(self))
        self.app.add_middleware(Guard, routes=self.app.routes, settings=self.settings)
        self.app.add_middleware(Watch, service=name)

    def trouble(self) -> list[str]:
        """The parts that do not run as they should, in words for an operator. The service still takes requests."""
        found = self.watchdog.trouble()
        if self.relay.trouble:
            found.append(f"relay: {self.relay.trouble}")
        if self.consumer is not None:
            found += [f"consumer: {reason}" for reason in self.consumer.reasons()]
        if self.consumer is not None and not self.consumer.assigned and self.settings.replica == 0:
            found.append("consumer: no partition assigned yet")
        return found

    @asynccontextmanager
    async def _lifespan(self, app: FastAPI) -> AsyncIterator[None]:
        start_logging()
        telemetry.start(self.name, self.settings.otlp_endpoint)
        await _patiently(self.database.open)
        await _patiently(partial(keep_mode, self.database, demo=self.settings.demo))
        _calm_the_collector()
        if self.on_start is not None:
            await _patiently(partial(self.on_start, self.database))
        app.state.closing = asyncio.Event()
        set_on_signals(app.state.closing)
        guarding = asyncio.create_task(self.watchdog.run(), name="watchdog")
        try:
            yield
        finally:
            guarding.cancel()
            await asyncio.gather(guarding, return_exceptions=True)
            await self.broker.close()
            await self.relay.pace.close()
            await self.database.close()
            self.watchdog.leave()


async def _patiently(step: Callable[[], Awaitable[None]]) -> None:
    """A service that starts while its database is away waits for it, but not for ever: then something is wrong."""
    deadline = monotonic() + START_SECONDS_MAX
    while True:
        try:
            return await step()
        except UNAVAILABLE as error:
            if monotonic() > deadline:
                raise
            log.warning("waiting for the database: %s", type(error).__name__)
            await asyncio.sleep(START_AGAIN_SECONDS)


def _calm_the_collector() -> None:
    """What was imported stays; a batch allocates some hundred thousand objects that reference counting frees."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def database(request: Request) -> Database:
    found: Database = request.app.state.service.database
    return found


Db = Annotated[Database, Depends(database)]
