"""POST /v1/simulations: simulate the effect and the cost of a list before it is in force. GET reads the results."""

import datetime as dt
from typing import Annotated, Final
from uuid import UUID

from common import calendar
from common.errors import BadRequest, Conflict, NotFound, TooBusy
from fastapi import APIRouter, Depends, Query
from rules.form.policy import PolicyList
from shell import clock
from shell.access.auth import Caller, require
from shell.access.route_marks import limits_body
from shell.audit import audits
from shell.http.idempotency import Creates, Creation
from shell.service import Db
from shell.settings import settings
from shell.store.transaction import Tx

from identification.lists.domain.content import content_version, decode_list, encode_list
from identification.lists.domain.list_body import read_list
from identification.lists.in_force import load_set
from identification.lists.shapes import DRAFT_READERS, LIST_BYTES_MAX
from identification.lists.store import policies, publications
from identification.simulating import store
from identification.simulating.domain.comparison import basis_of, tally_of
from identification.simulating.domain.first_year import first_month_needed
from identification.simulating.shapes import SimulationIn, SimulationOut, SimulationsOut, show_simulation
from identification.simulating.store import NewSimulation, Simulation

router = APIRouter(tags=["policies"])
OPEN_MAX: Final = 20
Reader = Annotated[Caller, Depends(require(*DRAFT_READERS))]


@router.post("/v1/simulations", status_code=202, summary="Simulate a list")
@limits_body(LIST_BYTES_MAX)
async def simulate_policy(
    body: SimulationIn,
    db: Db,
    caller: Annotated[Caller, Depends(require("officer", "approver"))],
    creation: Creates,
) -> SimulationOut:
    """Decides every person who ever belonged to the area twice: by the lists in force, and with this list in place of
    the area's list. It adds up the money of both. A simulation runs in the background, continues after a crash and
    shows its progress. A request equal to an open simulation, or with its `Idempotency-Key`, makes no second one. A
    request with `known_at` needs the key for that."""
    now = clock.now()
    if body.known_at is not None and body.known_at > now:
        raise BadRequest("known_at is in the future", code="bad_instant")
    async with db.transaction() as tx:
        await store.lock_requests(tx)
        made_before = await creation.claim(tx, caller, body)
        new = await _new_simulation(tx, body, caller, now, creation)
        if made_before is not None:
            return _shown(await store.load_simulation(tx.sql, made_before), caller)
        simulation = await _find_or_insert(tx, new)
        await creation.created(tx, caller, simulation.status.simulation_id)
    return _shown(simulation, caller)


async def _find_or_insert(tx: Tx, new: NewSimulation) -> Simulation:
    """Return the stored simulation with this id, or an open one of the same question, or insert a new one.

    Raises Conflict (`idempotency_key_reused`), or TooBusy at the limit of open simulations.
    """
    found = await store.load_simulation(tx.sql, new.simulation_id)
    if found is not None and found.status.question != new.question:
        raise Conflict("this Idempotency-Key was used for another simulation", code="idempotency_key_reused")
    if found is None and not new.replayed:
        found = await store.find_open_same(tx, new)
    if found is not None:
        return found
    if await store.count_open(tx) >= OPEN_MAX:
        raise TooBusy(f"{OPEN_MAX} simulations are waiting", retry_after_seconds=60)
    await store.insert_simulation(tx, new)
    inserted = await store.load_simulation(tx.sql, new.simulation_id)
    assert inserted is not None
    return inserted


def _shown(simulation: Simulation | None, caller: Caller) -> SimulationOut:
    """Return the answer without the result. If the caller may not see the people, their number is left out."""
    assert simulation is not None
    return show_simulation(simulation.status, None, full=_sees_people(caller, simulation.status.jurisdiction))


async def _new_simulation(
    tx: Tx, body: SimulationIn, caller: Caller, now: dt.datetime, creation: Creation
) -> NewSimulation:
    """Return the row of a new simulation. Raises NotFound, Malformed, or NotAllowed outside the caller's area."""
    proposed, version = await _proposed(tx, body)
    caller.need_area(proposed.jurisdiction)
    base = await publications.newest_set(tx.sql)
    in_force = await load_set(tx.sql, base)
    month = body.from_month
    first = calendar.parse_month(month) if month else first_month_needed(in_force, proposed, calendar.civil_date(now))
    return NewSimulation(
        simulation_id=creation.id_for("simulation", caller, otherwise=f"{version}/{now.isoformat()}"),
        jurisdiction=proposed.jurisdiction,
        version=version,
        list=encode_list(proposed),
        basis=basis_of(in_force, proposed.jurisdiction),
        base_seq=base.seq,
        base_digest=base.digest,
        first_month=first,
        months=body.months,
        known_at=body.known_at or now,
        replayed=body.known_at is not None,
        settled=not await publications.any_redecision_open(tx.sql),
        demo=settings().demo,
        requested_by=caller.user,
        requested_at=now,
    )


async def _proposed(tx: Tx, body: SimulationIn) -> tuple[PolicyList, str]:
    """Return the list to simulate and its version. Raises NotFound or Malformed."""
    if body.list is not None:
        proposed = read_list(body.list)
        return proposed, content_version(proposed)
    assert body.version is not None
    policy = await policies.lock_policy(tx, body.version)
    if policy is None:
        raise NotFound("no such version")
    return decode_list(policy.list), body.version


@router.get("/v1/simulations", summary="The simulations of a version, newest first")
async def list_simulations(
    db: Db, caller: Reader, version: Annotated[str, Query(pattern=r"^[0-9a-f]{32}$")]
) -> SimulationsOut:
    """Lists at most 100 simulations of lists of your area, without their results."""
    async with db.reading() as connection:
        found = await store.list_simulations(connection, version)
    visible = [status for status in found if caller.may_see(status.jurisdiction)]
    return SimulationsOut(
        simulations=[
            show_simulation(status, None, full=_sees_people(caller, status.jurisdiction)) for status in visible
        ]
    )


@router.get("/v1/simulations/{simulation_id}", summary="The progress and the result of a simulation")
async def read_simulation(simulation_id: UUID, db: Db, caller: Reader) -> SimulationOut:
    """Shows a simulation of a list of your area. Officers and approvers see all numbers and a few people; other callers
    see no small numbers."""
    async with db.transaction() as tx:
        simulation = await store.load_simulation(tx.sql, str(simulation_id))
        if simulation is None:
            raise NotFound("no such simulation")
        caller.need_area(simulation.status.jurisdiction)
        base = await load_set(tx.sql, simulation.base)
        full = _sees_people(caller, simulation.status.jurisdiction)
        tally = tally_of(simulation.result)
        shown = sorted({id_ for ids in tally.examples.values() for id_ in ids}) if full and tally else []
        cause = str(simulation_id)
        await audits.append(tx, caller, act="read", purpose="simulation", cause=cause, person_ids=shown)
    lists = (*base.lists.by_area.values(), decode_list(simulation.list))
    titles = {code: item.title for one in lists for code, item in one.items.items()}
    return show_simulation(simulation.status, tally, full=full, titles=titles)


def _sees_people(caller: Caller, jurisdiction: str) -> bool:
    return caller.role in ("officer", "approver") and caller.may_see(jurisdiction)
