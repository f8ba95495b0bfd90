"""The routes that every service has: health, readiness, metrics, and the list and replay of its parked records."""

from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from common.errors import Conflict, ServiceError
from fastapi import APIRouter, Depends, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shell import metrics
from shell.access.auth import Caller, require
from shell.access.route_marks import needs_no_credential
from shell.audit import audits
from shell.http.answers import Limit
from shell.kafka.dispatch import dispatch
from shell.store.failures import is_unavailable
from shell.store.parked import take_parked

if TYPE_CHECKING:
    from shell.service import Service


def platform_routes(service: "Service") -> APIRouter:
    router = APIRouter(tags=["platform"])

    @router.get("/healthz")
    @needs_no_credential
    async def healthz() -> dict[str, str]:
        """The process runs."""
        return {"status": "ok"}

    @router.get("/readyz")
    @needs_no_credential
    async def readyz() -> JSONResponse:
        """The status tells whether the service can take requests: 503 if its database cannot be read, else 200. The
        body tells the operator whether all parts work: `trouble` names the parts that do not, and `ready` is true if
        there are none. So a service with a stalled consumer answers 200 with `ready: false`."""
        trouble, status = service.trouble(), 200
        try:
            async with service.database.reading() as connection:
                age = await connection.fetchval(
                    """SELECT coalesce((SELECT extract(epoch FROM now() - created_at) FROM outbox
                                        ORDER BY seq LIMIT 1), 0)"""
                )
                metrics.outbox_age.labels(service.name).set(float(age))
        except Exception as error:  # noqa: BLE001 - reported to the prober
            trouble.append(f"database: {type(error).__name__}")
            status = 503
        return JSONResponse({"ready": not trouble, "trouble": trouble}, status)

    @router.get("/metrics", include_in_schema=False)
    @needs_no_credential
    async def prometheus() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    _parked_routes(router, service)
    return router


def _parked_routes(router: APIRouter, service: "Service") -> None:
    Operator = Annotated[Caller, Depends(require("admin"))]

    @router.get("/v1/parked")
    async def list_parked(caller: Operator, limit: Limit = 100, after: UUID | None = None) -> dict[str, Any]:
        """Records that could not be processed and still wait, without their content."""
        async with service.database.reading() as connection:
            rows = await connection.fetch(
                """SELECT parked_id, consumer, topic, part, "offset", reason, error_type, parked_at FROM parked
                   WHERE state = 'parked' AND ($1::uuid IS NULL OR parked_id > $1) ORDER BY parked_id LIMIT $2""",
                str(after) if after else None,
                limit,
            )
        page = [dict(row) for row in rows]
        return {"parked": page, "next": page[-1]["parked_id"] if len(page) == limit else None}

    @router.post("/v1/parked/{parked_id}/replay")
    async def replay_parked(parked_id: UUID, caller: Operator) -> dict[str, str]:
        """Process the record again, although its event may be in the inbox already. If a handler fails, the record
        stays parked and the answer is 409 `failed_again`. A record that still cannot be decoded is parked again: the
        answer is 200 with `state: parked`. 409 also if an older record of the same key waits; 404 if no parked record
        has this id."""
        try:
            async with service.database.transaction() as tx:
                record, consumer, generation = await take_parked(tx, str(parked_id))
                await dispatch(tx, consumer, service.handlers, [record], generation)
                await audits.append(tx, caller, act="replay", purpose="parked", cause=str(parked_id))
                state = await tx.sql.fetchval("SELECT state FROM parked WHERE parked_id = $1", str(parked_id))
        except ServiceError:
            raise
        except Exception as error:
            if is_unavailable(error):
                raise
            raise Conflict(f"it failed again: {type(error).__name__}", code="failed_again") from error
        return {"parked_id": str(parked_id), "state": state}
