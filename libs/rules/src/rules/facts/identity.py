"""What counts of a person who was, or is, known by several identities: pure, as known at any instant.

Every number has a person of its own, to whom everything said under it belongs for good. Which of them are one human is
itself something that sources say, correct and annul; so it has a history on the axis of knowledge, and a look back to
a day before a merge shows two people again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from common.events.facts import Household, Identity, PersonFactsRecorded, Statement

NOBODY_ELSE = Identity(recorded_at=datetime.min.replace(tzinfo=UTC))


def identity_known_at(identities: Sequence[Identity], known_at: datetime | None = None) -> Identity:
    """Who this person was taken for at an instant (None: now)."""
    if known_at is None:
        return identities[-1] if identities else NOBODY_ELSE
    return next((i for i in reversed(identities) if i.recorded_at <= known_at), NOBODY_ELSE)


def statements_known_at(said: PersonFactsRecorded, known_at: datetime | None = None) -> Sequence[Statement]:
    """The statements that count as this person's at an instant (None: now)."""
    return statements_counting(said.statements, said.identities, known_at)


def statements_counting(
    statements: Sequence[Statement], identities: Sequence[Identity], known_at: datetime | None = None
) -> Sequence[Statement]:
    """The same, of statements and identities that have not become an event."""
    if not identities:
        return statements
    counts = identity_known_at(identities, known_at).aliases
    return united(
        s for s in statements if (s.of is None or s.of in counts) and (known_at is None or s.recorded_at <= known_at)
    )


def united(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """What was said of several identities as if said of one: a household list that reached two of them counts once,
    and its human is a member if it names either."""
    found: dict[tuple[str, str], Statement] = {}
    for s in statements:
        key = (s.event_id, s.chain)
        before = found.setdefault(key, s)
        if before is not s and isinstance(s.value, Household) and s.value.member:
            found[key] = msgspec.structs.replace(before, value=s.value)
    return tuple(found.values())
