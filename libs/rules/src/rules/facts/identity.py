"""Select the statements that count for a person with several identities, as known at any instant.

Every ID number has a person of its own. All statements under the number always belong to this person. Sources also
state, correct and annul which persons are one human. So the knowledge of identities has a history. A view of a day
before a merge shows two persons again.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

import msgspec
from common.events.facts import Household, Identity, PersonFactsRecorded, Statement

NOBODY_ELSE = Identity(recorded_at=datetime.min.replace(tzinfo=UTC))


def identity_known_at(identities: Sequence[Identity], known_at: datetime | None = None) -> Identity:
    """Return the identity of a person as known at an instant (None: now). `identities`: the history, oldest first."""
    if known_at is None:
        return identities[-1] if identities else NOBODY_ELSE
    return next((i for i in reversed(identities) if i.recorded_at <= known_at), NOBODY_ELSE)


def statements_known_at(recorded: PersonFactsRecorded, known_at: datetime | None = None) -> Sequence[Statement]:
    """Return the statements about this person and its aliases at an instant (None: now), whatever their standing.

    Without identities, all statements are returned, also later ones; `facts_known_at` leaves those out."""
    return statements_counting(recorded.statements, recorded.identities, known_at)


def statements_counting(
    statements: Sequence[Statement], identities: Sequence[Identity], known_at: datetime | None = None
) -> Sequence[Statement]:
    """Return the statements about a person and its aliases at an instant (None: now), whatever their standing.

    If `identities` is empty, all statements are returned, including those recorded after the instant.
    """
    if not identities:
        return statements
    aliases = identity_known_at(identities, known_at).aliases
    own = (s for s in statements if s.of is None or s.of in aliases)
    return united(s for s in own if known_at is None or s.recorded_at <= known_at)


def united(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """Return the statements about several identities as statements about one person.

    A household list that names two of the identities counts once. The person is a member if either identity is.
    """
    found: dict[tuple[str, str], Statement] = {}
    for s in statements:
        key = (s.event_id, s.chain)
        before = found.setdefault(key, s)
        if before is not s and isinstance(s.value, Household) and s.value.member:
            found[key] = msgspec.structs.replace(before, value=s.value)
    return tuple(found.values())
