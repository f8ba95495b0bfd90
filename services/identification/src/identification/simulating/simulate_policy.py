"""POST /v1/simulations: what a list would do to whom, and what it would cost, before it is in force."""

import datetime as dt
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec
from common import calendar
from common.errors import BadRequest, Conflict, NotFound, TooBusy
from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field, model_validator
from rules.form.policy import PolicyList
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.http.idempotency import Creates, Creation
from shell.http.params import Body, Instant, Json, Month
from shell.service import Db
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.bodies import read_list
from identification.lists.in_force import running_at, running_now
from identification.lists.shapes import GATE_READERS, LIST_BYTES_MAX
from identification.lists.store import lists as lists_store
from identification.simulating import store
from identification.simulating.chunks import basis_of, tally_of
from identification.simulating.domain.report import SimulationView, view_simulation
from identification.simulating.gate import MONTHS_NEEDED, first_month_needed

router = APIRouter(tags=["policies"])
MONTHS_MAX: Final = 36
OPEN_MAX: Final = 20
Reader = Annotated[Caller, Depends(require(*GATE_READERS))]
_decoder = msgspec.json.Decoder(PolicyList)


class SimulationRequest(Body):
    """Either a stored version or a whole list. Left out: from the month in which it first matters, over a year, with
    everything known now. An earlier `known_at` replays what was known then; nobody can sign upon that."""

    version: str | None = Field(default=None, pattern=r"^[0-9a-f]{32}$")
    list: Json | None = Field(default=None, description="jurisdiction, items by code, exclusions")
    from_month: Month | None = None
    months: int = Field(default=MONTHS_NEEDED, ge=1, le=MONTHS_MAX)
    known_at: Instant | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> "SimulationRequest":
        if (self.version is None) == (self.list is None):
            raise ValueError("either version or list")
        return self


@router.post("/v1/simulations", status_code=202, summary="Simulate a list")
@limits_body(LIST_BYTES_MAX)
async def simulate_policy(
    body: SimulationRequest,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "approver"))],
    creation: Creates,
) -> SimulationView:
    """Everybody who ever belonged to the area is decided by the lists in force and by the same with this one, and what
    both owe is added up. It runs beside live work, goes on after a crash, and shows how far it is. The same question
    while one is open is one simulation, and so is the same `Idempotency-Key`."""
    now = clock.now()
    if body.known_at is not None and body.known_at > now:
        raise BadRequest("known_at is not in the future", code="bad_instant")
    async with db.transaction() as tx:
        await store.lock_requests(tx)
        made_before = await creation.claim(tx, caller, body)
        new = await _question(tx, body, caller, now, creation)
        if made_before is not None:
            return _asked(await store.load_simulation(tx.sql, made_before), caller)
        row = await store.load_simulation(tx.sql, new.simulation_id)
        if row is not None and _asks(dict(row)) != _asks(new._asdict()):
            raise Conflict("this Idempotency-Key asked something else", code="idempotency_key_reused")
        if row is None and not new.replayed:
            row = await store.find_same(tx, new)
        if row is None:
            if await store.count_open(tx) >= OPEN_MAX:
                raise TooBusy(f"{OPEN_MAX} simulations are waiting", retry_after_seconds=60)
            await store.insert_simulation(tx, new)
            row = await store.load_simulation(tx.sql, new.simulation_id)
        await creation.created(tx, caller, row["simulation_id"])
    return _asked(row, caller)


def _asked(row: Any, caller: Caller) -> SimulationView:
    """Without its result. An earlier simulation may be complete, so its number of people is protected here, too."""
    return view_simulation(row, None, full=_may_see_all(caller, row["jurisdiction"]))


def _asks(simulation: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(simulation[name] for name in ("version", "first_month", "months", "replayed"))


async def _question(
    tx: Tx, body: SimulationRequest, caller: Caller, now: dt.datetime, creation: Creation
) -> store.NewSimulation:
    proposed, version = await _proposed(tx, body)
    caller.need_area(proposed.jurisdiction)
    seq, digest = await lists_store.newest_publication(tx.sql)
    running = await running_now(tx.sql)
    month = body.from_month
    first = calendar.parse_month(month) if month else first_month_needed(running, proposed, calendar.civil_date(now))
    return store.NewSimulation(
        simulation_id=creation.id_for("simulation", caller, otherwise=f"{version}/{now.isoformat()}"),
        jurisdiction=proposed.jurisdiction,
        version=version,
        list=msgspec.json.encode(proposed, order="deterministic"),
        basis=basis_of(running, proposed.jurisdiction),
        base_seq=seq,
        base_digest=digest,
        first_month=first,
        months=body.months,
        known_at=body.known_at or now,
        replayed=body.known_at is not None,
        settled=not await lists_store.any_redecision_open(tx.sql),
        demo=settings().demo,
        requested_by=caller.subject,
        requested_at=now,
    )


async def _proposed(tx: Tx, body: SimulationRequest) -> tuple[PolicyList, str]:
    if body.list is not None:
        proposed = read_list(body.list)
        return proposed, lists_store.content_version(proposed)
    assert body.version is not None
    row = await lists_store.lock_policy(tx, body.version)
    if row is None:
        raise NotFound("no such version")
    return _decoder.decode(row["list"]), body.version


class SimulationPage(BaseModel):
    simulations: list[SimulationView]


@router.get("/v1/simulations", summary="The simulations of a version, newest first")
async def list_simulations(
    db: Db, caller: Reader, version: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]
) -> SimulationPage:
    """At most 100 of lists of your area, without their results."""
    async with db.reading() as connection:
        rows = await store.list_simulations(connection, version)
    return SimulationPage(
        simulations=[
            view_simulation(row, None, full=_may_see_all(caller, row["jurisdiction"]))
            for row in rows
            if caller.may_see(row["jurisdiction"])
        ]
    )


@router.get("/v1/simulations/{simulation_id}", summary="How far a simulation is, and what it found")
async def read_simulation(simulation_id: UUID, db: Db, caller: Reader) -> SimulationView:
    """Of a list of your area. Officers and approvers see all numbers and a few people; others see no small numbers."""
    async with db.reading() as connection:
        row = await store.load_simulation(connection, str(simulation_id))
        if row is None:
            raise NotFound("no such simulation")
        caller.need_area(row["jurisdiction"])
        base = await running_at(connection, (row["base_seq"], row["base_digest"]))
    both = (*base.lists.by_area.values(), _decoder.decode(row["list"]))
    titles = {code: item.title for one in both for code, item in one.items.items()}
    full = _may_see_all(caller, row["jurisdiction"])
    return view_simulation(row, tally_of(row["result"]), full=full, titles=titles)


def _may_see_all(caller: Caller, jurisdiction: str) -> bool:
    return caller.role in ("officer", "approver") and caller.may_see(jurisdiction)
