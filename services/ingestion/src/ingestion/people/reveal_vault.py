"""`POST /v1/vault/reveal`: the only route that returns personal data in clear text. Every call is audited."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any, Final

import msgspec
from common.errors import Malformed, Problem
from common.events.facts import Kind
from common.events.pushed_values import PopulationValue
from fastapi import APIRouter, Depends
from rules.facts.timeline import Fact
from shell import clock
from shell.access.auth import Caller, require_only
from shell.access.route_marks import limits_body
from shell.audit import audits
from shell.service import Db
from shell.store.transaction import Tx

from ingestion.domain.person import Person
from ingestion.people import views
from ingestion.people.shapes import RevealedOut, RevealedPersonOut, RevealIn
from ingestion.recording.store import statements as store

router = APIRouter(tags=["vault"])
BODY_BYTES_MAX: Final = 256 * 1024
# Field → kind of the fact whose encrypted event holds it, and its name there; None means the whole value.
_FACT_FIELDS: Final[Mapping[str, tuple[Kind, str | None]]] = {
    "address": ("residence", "address"),
    "phone": ("contact", "phone"),
    "contacts": ("contact", "contacts"),
    "bank_account": ("bank_account", None),
    "institution": ("hospital_stay", "institution"),
}
_ONLY_FOR: Final = {"bank_account": ("bank_file",), "institution": ("task",)}


@router.post("/v1/vault/reveal", summary="Reveal personal data for a named purpose")
@limits_body(BODY_BYTES_MAX)
async def reveal(
    body: RevealIn, caller: Annotated[Caller, Depends(require_only("service", code="service_only"))], db: Db
) -> RevealedOut:
    """For services of the platform only; a user's token is refused (403, `service_only`). Nothing issues service tokens
    yet, so no service calls this route. The answer holds the requested fields of the persons in the caller's area. An
    audit row is written in the same transaction. For a merged person the answer holds present data, also if the caller
    asks by an old number's person id."""
    _need_purpose(body)
    day, asked = clock.today(), list(dict.fromkeys(map(str, body.person_ids)))
    async with db.transaction() as tx:
        known = await store.load_persons(tx.sql, asked)
        visible = _visible(caller, asked, known, day)
        revealed = await _reveal(tx, visible, known, list(dict.fromkeys(body.fields)), day)
        given = [person.person_id for person in visible]
        await _audit(tx, caller, body, given)
    return RevealedOut(persons=revealed, refused=[p for p in asked if p not in set(given)])


async def _audit(tx: Tx, caller: Caller, body: RevealIn, given: Sequence[str]) -> None:
    await audits.append(
        tx,
        caller,
        act="reveal",
        purpose=body.purpose,
        cause=body.cause,
        fields=sorted(set(body.fields)),
        person_ids=given,
    )


def _need_purpose(body: RevealIn) -> None:
    """Raise Malformed if a field does not serve the purpose."""
    for at, field in enumerate(body.fields):
        if not _serves(field, body.purpose):
            problem = Problem(pointer=f"/fields/{at}", code="not_for_this_purpose", detail=f"not for {body.purpose}")
            raise Malformed("a field is asked for that this purpose does not need", problems=[problem])


def _serves(field: str, purpose: str) -> bool:
    return field not in _ONLY_FOR or purpose in _ONLY_FOR[field]


def _visible(caller: Caller, asked: Sequence[str], known: Mapping[str, Person], day: date) -> list[Person]:
    """The persons that exist and lie in the caller's area."""
    persons = [known[person_id] for person_id in asked if person_id in known]
    return [person for person in persons if views.may_see(caller, views.areas_of_human(person, known, day))]


async def _reveal(
    tx: Tx, persons: Sequence[Person], known: Mapping[str, Person], fields: Sequence[str], day: date
) -> list[RevealedPersonOut]:
    fact_fields = [field for field in fields if field in _FACT_FIELDS]
    events = {person.person_id: _events(person, known, fact_fields, day) for person in persons}
    opened = await views.load_identities(tx.sql, persons, known, _vault_fields(fields))
    values = await views.load_values(tx.sql, {event for of_person in events.values() for event in of_person.values()})
    return [_revealed(person_id, opened, _facts(of_person, values)) for person_id, of_person in events.items()]


def _vault_fields(fields: Sequence[str]) -> list[str]:
    """The fields that are in the vault itself, and not in an encrypted event."""
    return [field for field in fields if field not in _FACT_FIELDS]


def _revealed(person_id: str, opened: Mapping[tuple[str, str], str], facts: dict[str, Any]) -> RevealedPersonOut:
    number, name = opened.get((person_id, "id_number")), opened.get((person_id, "name"))
    return RevealedPersonOut(person_id=person_id, id_number=number, name=name, **facts)


def _facts(events: Mapping[str, str], values: views.Values) -> dict[str, Any]:
    """The fields as JSON, by name. `events`: field → id of the event that holds it; `values`: by event id."""
    return {field: _field(field, values.get(event)) for field, event in events.items()}


def _events(person: Person, known: Mapping[str, Person], fields: Sequence[str], day: date) -> dict[str, str]:
    """For each field the id of the event that holds it on the day."""
    human, _ = views.human_of(person, known)
    facts = views.facts_of(human, known)
    found = {}
    for field in fields:
        event = _event(facts, field, day)
        if event:
            found[field] = event
    return found


def _event(facts: Sequence[Fact], field: str, day: date) -> str | None:
    kind, _ = _FACT_FIELDS[field]
    return views.event_of(facts, kind, day)


def _field(field: str, value: PopulationValue | None) -> Any:
    """The field as JSON, taken from the value of an event; None without a value."""
    _, name = _FACT_FIELDS[field]
    return msgspec.to_builtins(value if name is None or value is None else getattr(value, name))
