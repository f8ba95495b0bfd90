"""Builds the JSON of the event `PersonFactsRecorded`. No other Python module builds it."""

from typing import Final

import msgspec

from ingestion.domain.identity import statements_of_others
from ingestion.domain.person import Person

_encode = msgspec.json.Encoder().encode
_HEAD: Final = b'{"person_id":"%b","version":%d,"recorded_at":%b,"statements":['


def snapshot(person: Person) -> bytes:
    """The JSON of the person's last recorded state, without the field `causes`. `person.others` must be loaded.

    For a person without other identities, the database view `outgoing` builds the same bytes from the row."""
    head = _HEAD % (person.person_id.encode(), person.version, _encode(person.recorded_at))
    if not person.identities:
        return b"%b%b]}" % (head, person.statements)
    others = _encode(statements_of_others(person.identities, person.others))[1:-1]
    comma = b"," if others and person.statements else b""
    return b"%b%b%b%b],%b" % (head, person.statements, comma, others, _tail(person))


def _tail(person: Person) -> bytes:
    """The fields after the statements, and the closing brace."""
    fields = {"aliases": person.aliases, "merged_into": person.merged_into, "identities": person.identities}
    return _encode(fields)[1:]
