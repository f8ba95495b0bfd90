"""`POST /v1/vault/reveal`: the one way by which personal data leaves ingestion, and every use of it is written down."""

from typing import Annotated, Final, Literal
from uuid import UUID

from common import clock
from common.auth import Caller, require
from common.service import Db
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from ingestion import persons
from ingestion.store import review

router = APIRouter(tags=["vault"])
PERSONS_MAX: Final = 5_000
VaultField = Literal["id_number", "name", "address"]


class Reveal(BaseModel):
    """`cause`: the id of the batch, task or notice that needs it."""

    purpose: Literal["bank_file", "task", "notice", "route"]
    cause: str = Field(min_length=1, max_length=128)
    fields: list[VaultField] = Field(min_length=1, max_length=3)
    person_ids: list[UUID] = Field(min_length=1, max_length=PERSONS_MAX)


class RevealedPerson(BaseModel):
    person_id: str
    id_number: str | None = None
    name: str | None = None
    address: str | None = None


class Revealed(BaseModel):
    """`refused`: unknown or outside your area; the two are not told apart."""

    persons: list[RevealedPerson]
    refused: list[str]


@router.post("/v1/vault/reveal", summary="Reveal personal data for a named purpose")
async def reveal(body: Reveal, caller: Annotated[Caller, Depends(require("officer", "approver"))], db: Db) -> Revealed:
    """Only what is asked for, only of people in your area, with an audit row in the same transaction."""
    day, asked = clock.today(), list(dict.fromkeys(map(str, body.person_ids)))
    async with db.transaction() as tx:
        seen: dict[str, str | None] = {}
        for row in await review.load_persons(tx.sql, asked):
            facts = persons.facts_of(row["statements"])
            if persons.may_see(caller, persons.areas_of(facts, day, row["division"])):
                seen[row["person_id"]] = persons.residence_event(facts, day)
        opened = await persons.identities(tx.sql, list(seen), [f for f in body.fields if f != "address"])
        events = [e for e in seen.values() if e] if "address" in body.fields else []
        where = await persons.addresses(tx.sql, events)
        await review.append_audit(
            tx,
            caller,
            clock.real_now(),
            action="reveal",
            purpose=body.purpose,
            cause=body.cause,
            fields=sorted(set(body.fields)),
            person_ids=list(seen),
        )
    found = [
        RevealedPerson(
            person_id=person_id,
            id_number=opened.get((person_id, "id_number")),
            name=opened.get((person_id, "name")),
            address=where.get(event or ""),
        )
        for person_id, event in seen.items()
    ]
    return Revealed(persons=found, refused=[p for p in asked if p not in seen])
