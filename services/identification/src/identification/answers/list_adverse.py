"""GET /v1/persons/{person_id}/adverse: every automatic no about a person, with the reasons as they were that day."""

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from common.errors import BadRequest
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.words.explain import Explanation
from shell.access.auth import Caller, require
from shell.http.answers import Limit
from shell.http.params import Cursor
from shell.service import Db

from identification.answers.explain_decision import ExplanationView
from identification.deciding.domain.adverse import AdverseOutcome
from identification.deciding.store import adverse as store
from identification.deciding.store import people as people_store
from identification.deciding.views import READERS, need_person

router = APIRouter(tags=["persons"])
_decode = msgspec.json.Decoder(Explanation).decode


class AdverseView(BaseModel):
    """`version`: of the decision. `explanation`: written down then, from what was known then, never changed since."""

    version: int
    decided_at: dt.datetime
    item: str
    on: dt.date = Field(description="the first day on which less is given, or nothing")
    outcome: AdverseOutcome
    lists: str = Field(description="digest of the lists it was decided by")
    explanation: ExplanationView


class AdversePage(BaseModel):
    adverse: list[AdverseView] = Field(description="newest decision first")
    next: str | None = Field(description="give it as `after` for the next page")


@router.get("/v1/persons/{person_id}/adverse", summary="What was withheld or taken away, and why")
async def list_adverse(
    person_id: UUID,
    db: Db,
    caller: Annotated[Caller, Depends(require(*READERS))],
    limit: Limit = 100,
    after: Cursor | None = None,
) -> AdversePage:
    """Reasons are written down within seconds of a decision; until then it is not listed."""
    key = str(person_id)
    async with db.reading() as connection:
        need_person(caller, key, await people_store.load_person(connection, key))
        rows = await store.list_reasons(connection, key, before=_cursor(after), limit=limit)
    views = [
        AdverseView(
            version=row["version"],
            decided_at=row["decided_at"],
            item=row["item"],
            on=row["on_day"],
            outcome=row["outcome"],
            lists=row["policy_digest"],
            explanation=ExplanationView.model_validate(_decode(row["explanation"])),
        )
        for row in rows
    ]
    last = views[-1] if len(views) == limit else None
    return AdversePage(adverse=views, next=f"{last.version}~{last.item}" if last else None)


def _cursor(after: str | None) -> tuple[int, str] | None:
    if after is None:
        return None
    version, _, item = after.partition("~")
    if not (version.isdecimal() and len(version) < 10 and item):
        raise BadRequest("`after` is not a cursor of this list")
    return int(version), item
