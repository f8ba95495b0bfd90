"""Build a service from its parts: `Service(name, routes=…, handlers=…)` is the whole content of a `main.py`.

A service opens the database, relays the outbox, consumes the topics of its handlers and runs its jobs. It answers
`/healthz`, `/readyz`, `/metrics`, `/openapi.json` and `/docs`. Every error answer of a route is
application/problem+json, except the 503 of `/readyz`.
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
from shell.access.issuers import issuers
from shell.audit import routes as audit_routes
from shell.audit.sealing import SEAL_EVERY_SECONDS, seal_audits
from shell.http.answers import Watch, install_problems
from shell.http.body_guard import Guard
from shell.http.docs_page import add_docs
from shell.http.openapi import describe_problems
from shell.http.security_headers import SecurityHeaders
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
from shell.watchdog import Part, Watchdog

log = logging.getLogger(__name__)
START_SECONDS_MAX: Final = 60.0
START_AGAIN_SECONDS: Final = 0.5
GATHER_SECONDS: Final = 0.03
GATHER_RECORDS: Final = 300


class Service:
    """One process of a service; `app` is its HTTP application. `on_start(database)` runs when the database is open,
    before anything is consumed.

    `gather_seconds`: the pause after a batch of less than `gather_records` records. Records that arrive in the pause
    share a transaction. The first record after a longer silence never waits.
    """

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
        self.on_start = on_start
        self.database = Database(self.settings.database_url(name), name)
        pace = Pace([topic for topic in load_topics() if topic.owner == name], self.settings)
        self.relay = Relay(self.database, self.settings, pace)
        self.consumer = self._consumer(gather_seconds, gather_records) if self.handlers else None
        self.jobs = (*jobs, *self._own_jobs())
        self.broker = Broker(self.settings)
        self.watchdog = Watchdog(name, self._parts(), self.settings)
        self.app = self._application(description, routes)

    def _consumer(self, gather_seconds: float, gather_records: int) -> Consumer:
        return Consumer(self.name, self.database, self.handlers, self.settings, gather_seconds, gather_records)

    def _own_jobs(self) -> tuple[Job, ...]:
        """The jobs that a service has besides those of its `main.py`."""
        seal = Job("seal_audits", SEAL_EVERY_SECONDS, seal_audits)
        if self.consumer is None:
            return (seal,)
        return (seal, Job("watch_retention", LOOK_EVERY_SECONDS, self.consumer.retention.look, shared=True))

    def _parts(self) -> list[Part]:
        """The parts of the process that the watchdog runs and guards."""
        parts = [relay_part(self.relay, self.broker, self.settings)]
        if self.consumer is not None:
            parts.append(consumer_part(self.consumer, self.broker, self.settings))
        parts += [job_part(job, self.database, self.relay, self.settings) for job in self.jobs]
        return parts

    def _application(self, description: str, routes: Sequence[APIRouter]) -> FastAPI:
        app = FastAPI(
            title=f"Shouwang {self.name}",
            version="1",
            description=description,
            lifespan=self._lifespan,
            telemetry=telemetry.REQUEST_SPANS,
            docs_url=None,
            redoc_url=None,
        )
        app.state.service = self
        add_docs(app)
        install_problems(app)
        describe_problems(app)
        for router in (*routes, audit_routes.router, platform_routes(self)):
            app.include_router(router)
        app.add_middleware(Guard, routes=app.routes, settings=self.settings)
        app.add_middleware(SecurityHeaders)
        app.add_middleware(Watch, service=self.name)
        return app

    def trouble(self) -> list[str]:
        """Return the problems of all parts for the operator. The service still takes requests."""
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
        issuers()  # a wrong file ends the process here, not a request later
        telemetry.start(self.name, self.settings.otlp_endpoint)
        await _repeat_while_away(self.database.open)
        await _repeat_while_away(partial(keep_mode, self.database, demo=self.settings.demo))
        _tune_garbage_collection()
        if self.on_start is not None:
            await _repeat_while_away(partial(self.on_start, self.database))
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


async def _repeat_while_away(step: Callable[[], Awaitable[None]]) -> None:
    """Do `step`, and repeat it while the database is away, since a service may start first. After START_SECONDS_MAX,
    raise the error."""
    deadline = monotonic() + START_SECONDS_MAX
    while True:
        try:
            return await step()
        except UNAVAILABLE as error:
            if monotonic() > deadline:
                raise
            log.warning("waiting for the database: %s", type(error).__name__)
            await asyncio.sleep(START_AGAIN_SECONDS)


def _tune_garbage_collection() -> None:
    """Exclude the imported modules from garbage collection, and collect less often. A batch allocates some hundred
    thousand objects, and reference counting frees them, so a collection would only cost time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def database(request: Request) -> Database:
    """The database of the service that answers this request."""
    found: Database = request.app.state.service.database
    return found


Db = Annotated[Database, Depends(database)]
