"""`POST /v1/vault/reveal`: the one way by which personal data leaves ingestion, and every use of it is written down."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final, Literal, get_args

import msgspec
from common.errors import Malformed, Problem
from common.events.facts import Kind
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from rules.facts.timeline import Fact
from shell import clock
from shell.access.auth import Caller, require_only
from shell.access.route_marks import limits_body
from shell.http.params import ONE_LINE, Body, Id
from shell.service import Db

from ingestion.audits import store as audits
from ingestion.people import views as persons
from ingestion.recording.store import statements as store

router = APIRouter(tags=["vault"])
PERSONS_MAX: Final = 5_000
BODY_BYTES_MAX: Final = 256 * 1024
VaultField = Literal["id_number", "name", "address", "phone", "contacts", "bank_account", "institution"]
# What lies in the sealed event of a fact of this kind, under this name; None: all of it.
_IN_FACTS: Final[Mapping[str, tuple[Kind, str | None]]] = {
    "address": ("residence", "address"),
    "phone": ("contact", "phone"),
    "contacts": ("contact", "contacts"),
    "bank_account": ("bank_account", None),
    "institution": ("hospital_stay", "institution"),
}
_ONLY_FOR: Final = {"bank_account": ("bank_file",), "institution": ("task",)}


class Reveal(Body):
    """`cause`: the id of the batch, task or notice that needs it."""

    purpose: Literal["bank_file", "task", "notice", "route"]
    cause: str = Field(min_length=1, max_length=128, pattern=ONE_LINE)
    fields: list[VaultField] = Field(min_length=1, max_length=len(get_args(VaultField)))
    person_ids: list[Id] = Field(min_length=1, max_length=PERSONS_MAX)


class ContactRevealed(BaseModel):
    name: str
    relation: str
    phone: str


class AccountRevealed(BaseModel):
    account_no: str
    bank: str
    holder_name: str


class RevealedPerson(BaseModel):
    """Facts as they hold today. `institution`: the hospital where the person lies."""

    person_id: str
    id_number: str | None = None
    name: str | None = None
    address: str | None = None
    phone: str | None = None
    contacts: list[ContactRevealed] | None = None
    bank_account: AccountRevealed | None = None
    institution: str | None = None


class Revealed(BaseModel):
    """`refused`: unknown or outside your area; the two are not told apart."""

    persons: list[RevealedPerson]
    refused: list[str]


@router.post("/v1/vault/reveal", summary="Reveal personal data for a named purpose")
@limits_body(BODY_BYTES_MAX)
async def reveal(
    body: Reveal, caller: Annotated[Caller, Depends(require_only("service", code="service_only"))], db: Db
) -> Revealed:
    """For services of the platform alone: the token of a user is refused (403, `service_only`). Nothing issues service
    tokens yet, so nobody calls this. The answer holds only the fields asked for, only of persons in the caller's area,
    with an audit row in the same transaction. A line or a task under a number that the person no longer has is answered
    with what the person has now."""
    _need_purpose(body)
    day, asked = clock.today(), list(dict.fromkeys(map(str, body.person_ids)))
    in_facts = [f for f in dict.fromkeys(body.fields) if f in _IN_FACTS]
    async with db.transaction() as tx:
        known = await store.load_persons(tx.sql, asked)
        seen: dict[str, dict[str, str]] = {}
        for person in (known[p] for p in asked if p in known):
            if persons.may_see(caller, persons.areas_of_human(person, known, day)):
                human, _ = persons.human_of(person, known)
                seen[person.person_id] = _events(persons.facts_of(human, known), in_facts, day)
        vaulted = [f for f in body.fields if f not in _IN_FACTS]
        opened = await persons.identities(tx.sql, [known[p] for p in seen], known, vaulted)
        said = await persons.values(tx.sql, {e for events in seen.values() for e in events.values()})
        await audits.append_audit(
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
            **{field: _told(field, said.get(event)) for field, event in events.items()},
        )
        for person_id, events in seen.items()
    ]
    return Revealed(persons=found, refused=[p for p in asked if p not in seen])


def _need_purpose(body: Reveal) -> None:
    """Some fields serve one purpose only. Raises Malformed."""
    for at, field in enumerate(body.fields):
        if body.purpose not in _ONLY_FOR.get(field, (body.purpose,)):
            problem = Problem(pointer=f"/fields/{at}", code="not_for_this_purpose", detail=f"not for {body.purpose}")
            raise Malformed("a field is asked for that this purpose does not need", problems=[problem])


def _events(facts: Sequence[Fact], fields: Sequence[str], day: date) -> dict[str, str]:
    """For each field the event that holds it."""
    return {field: event for field in fields if (event := persons.event_of(facts, _IN_FACTS[field][0], day))}


def _told(field: str, said: Any) -> Any:
    name = _IN_FACTS[field][1]
    return msgspec.to_builtins(said if name is None or said is None else getattr(said, name))
