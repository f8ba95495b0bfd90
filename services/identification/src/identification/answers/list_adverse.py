"""GET /v1/persons/{person_id}/adverse: list the adverse decisions about a person, with their stored reasons.

A decision is adverse if it withholds an item or gives less of it than before (`deciding.domain.adverse`).
"""

from typing import Annotated
from uuid import UUID

import msgspec
from common.errors import BadRequest
from fastapi import APIRouter, Depends
from rules.words.explain import Explanation
from shell.access.auth import Caller, require
from shell.audit import audits
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.service import Db

from identification.answers.shapes import AdverseOut, AdversePageOut, ExplanationOut
from identification.deciding.access import READERS, need_person
from identification.deciding.store import adverse as store
from identification.deciding.store import people as people_store

router = APIRouter(tags=["persons"])
_decode = msgspec.json.Decoder(Explanation).decode


@router.get("/v1/persons/{person_id}/adverse", summary="Items withheld or taken away, and why")
async def list_adverse(
    person_id: UUID,
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    limit: Limit = 100,
    after: Cursor | None = None,
) -> AdversePageOut:
    """Lists the adverse decisions about a person. A decision is listed as soon as its reasons are stored, normally
    within seconds."""
    key = str(person_id)
    async with db.transaction() as tx:
        need_person(caller, key, await people_store.load_person(tx.sql, key))
        reasons = await store.list_reasons(tx.sql, key, before=_cursor(after), limit=limit)
        await audits.append(tx, caller, act="read", purpose="adverse", person_ids=[key])
    last = reasons[-1] if len(reasons) == limit else None
    return AdversePageOut(
        adverse=[_shown(reason) for reason in reasons], next=f"{last.version}~{last.item}" if last else None
    )


def _shown(reason: store.ListedReason) -> AdverseOut:
    return AdverseOut(
        version=reason.version,
        decided_at=reason.decided_at,
        item=reason.item,
        on=reason.on_day,
        outcome=reason.outcome,
        lists=reason.policy_digest,
        explanation=ExplanationOut.model_validate(_decode(reason.explanation)),
    )


def _cursor(after: str | None) -> tuple[int, str] | None:
    """Return version and item of the last row of the previous page. Raises BadRequest for a malformed cursor."""
    if after is None:
        return None
    version, _, item = after.partition("~")
    if not (version.isdecimal() and len(version) < 10 and item):
        raise BadRequest("`after` is not a cursor of this list")
    return int(version), item
