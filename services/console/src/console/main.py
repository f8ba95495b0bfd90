"""The console shows pages about all services. It has no database and no consumer group."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from shell import telemetry
from shell.access.issuers import local_is_on
from shell.access.route_marks import needs_no_credential
from shell.http.answers import Watch, install_problems
from shell.http.body_guard import Guard
from shell.http.docs_page import add_docs
from shell.http.openapi import describe_problems
from shell.http.security_headers import SecurityHeaders
from shell.http.streams import set_on_signals
from shell.settings import settings
from shell.watchdog import Watchdog

from console import follow_chain, show_alerts, show_person, show_policies, sign_in, sign_out
from console.cookies import Cookies
from console.domain.chain import Chain
from console.domain.item_titles import ItemTitles
from console.domain.meter import Meter
from console.ended_sessions import EndedSessions
from console.forms import FormExpired, own_page
from console.issuer import configured
from console.page import POLICY
from console.reader import Reader
from console.settings import settings as console_settings
from console.tokens import Renewals

platform = APIRouter(tags=["platform"])


@platform.get("/healthz")
@needs_no_credential
async def healthz() -> dict[str, str]:
    """Answer that the process runs."""
    return {"status": "ok"}


@platform.get("/readyz")
@needs_no_credential
async def readyz(request: Request) -> JSONResponse:
    """Always 200: the pages work without the topics. The body reports whether the topics are read."""
    reader: Reader = request.app.state.reader
    trouble = [*request.app.state.watchdog.trouble(), *([reader.trouble] if reader.trouble else [])]
    return JSONResponse({"ready": not trouble, "trouble": trouble})


@platform.get("/metrics", include_in_schema=False)
@needs_no_credential
async def prometheus() -> Response:
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    telemetry.start("console", settings().otlp_endpoint)
    set_on_signals(app.state.reader.closing)
    guarding = asyncio.create_task(app.state.watchdog.run(), name="watchdog")
    try:
        yield
    finally:
        guarding.cancel()
        await asyncio.gather(guarding, return_exceptions=True)
        await app.state.reader.close()
        await app.state.peers.aclose()
        if app.state.issuer is not None:
            await app.state.issuer.close()
        app.state.watchdog.leave()


app = FastAPI(
    title="Shouwang console",
    version="1",
    description="Pages about all services: the live page, persons, lists and alerts.",
    lifespan=lifespan,
    telemetry=telemetry.REQUEST_SPANS,
    dependencies=[Depends(own_page)],
    docs_url=None,
    redoc_url=None,
)
app.state.titles = ItemTitles()
app.state.reader = Reader(settings(), Chain(), Meter(), app.state.titles)
app.state.watchdog = Watchdog("console", [app.state.reader.part()], settings())
app.state.peers = httpx.AsyncClient(timeout=5, trust_env=False)
app.state.issuer = configured(console_settings())
app.state.local_tokens = local_is_on()
app.state.renewals = Renewals(app.state.issuer)
app.state.ended_sessions = EndedSessions()
add_docs(app)
install_problems(app)
app.add_exception_handler(FormExpired, sign_in.on_form_expired)
describe_problems(app)
for router in (
    sign_in.router,
    sign_out.router,
    follow_chain.router,
    show_person.router,
    show_alerts.router,
    show_policies.router,
    platform,
):
    app.include_router(router)
app.mount("/static", StaticFiles(directory=str(files("console") / "static")), name="static")
app.add_middleware(Guard, routes=app.routes, settings=settings())
app.add_middleware(Cookies)
app.add_middleware(SecurityHeaders, policy=POLICY, https=(console_settings().url or "").startswith("https:"))
app.add_middleware(Watch, service="console")
