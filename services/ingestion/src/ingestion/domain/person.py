"""A person's statements and their order. The result does not depend on the order of arrival.

The statements are kept as the JSON in which they are sent, joined by commas. A *chain* is a statement and all later
statements that correct, annul or end it. A new chain is an append of bytes, and only a statement that continues a chain
needs a decode. Within a chain the order is by time, then by the id that the source gave the event.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import msgspec
from common.events.facts import Identity, Registration, Residence, Statement

from ingestion.domain.standing_state import StandingState

_encode = msgspec.json.Encoder().encode
_MICROSECOND: Final = timedelta(microseconds=1)
_ACCOUNT: Final = b'"bank_account"'
URGENT_KINDS: Final = ("death", "alive")


# ── one person ──────────────────────────────────────────────────────────────────────────────────────────────


class Memory(msgspec.Struct, array_like=True):
    """The derived values in a person's row: the hash of the name, the newest division, and the vouched places.

    `name_at`, `division_at`: the source's time of the statement, in seconds since 1970. `division_rank`: 2 from a
    residence, 1 from a registration, 0 if no division is known. `standing`: the vouched places. `registered_in`: the
    division in which a person without a hukou is registered; statements do not have it."""

    name_digest: bytes = b""
    name_at: float = 0.0
    division_rank: int = 0
    division_at: float = 0.0
    standing: StandingState = StandingState()
    registered_in: str | None = None


@dataclass(slots=True, eq=False)
class Person:
    """A person's row while a batch works on it.

    `waiting`: number of open rows in quarantine. `circle`: the name of the person's circle (`domain.identity`), which
    is the smallest id in it; None: no statement has ever linked the person with another one. `identities`: the history
    of the person's ids, one entry per change, the oldest first. `others`: all persons who were ever aliases of this
    one. `rejoined`: circle or identities have changed in this batch and must be saved. `causes`: ids of the events that
    change the person in this batch, in their order; `urgent`: one of them is of an urgent kind. `touched`: the row must
    be saved although no statement has changed."""

    person_id: str
    version: int
    recorded_at: datetime | None
    division: str | None
    waiting: int
    statements: bytes
    memory: Memory
    circle: str | None = None
    identities: tuple[Identity, ...] = ()
    others: list["Person"] = field(default_factory=list, init=False)
    rejoined: bool = field(default=False, init=False)
    causes: dict[str, None] = field(default_factory=dict, init=False)
    urgent: bool = field(default=False, init=False)
    touched: bool = field(default=False, init=False)

    @property
    def merged_into(self) -> str | None:
        return self.identities[-1].merged_into if self.identities else None

    @property
    def aliases(self) -> tuple[str, ...]:
        """The other persons for whom this one answers now."""
        return self.identities[-1].aliases if self.identities else ()

    @property
    def has_account(self) -> bool:
        """Whether a bank account is stated, whether it counts or not."""
        return _ACCOUNT in self.statements

    def states(self, event_id: str) -> bool:
        """Whether a statement of this event is stored, whether it counts or not."""
        return b'"event_id":"%b"' % event_id.encode() in self.statements

    def add(self, statement: Statement, source_ids: Mapping[str, str]) -> None:
        """Insert a statement. `source_ids`: see `place`."""
        self.statements = place(self.statements, statement, source_ids)
        self.note_cause(statement.event_id, urgent=statement.kind in URGENT_KINDS)

    def note_cause(self, event_id: str, *, urgent: bool) -> None:
        """Note an event that has changed the statements."""
        self.causes[event_id] = None
        self.urgent = self.urgent or urgent


def instant_of_batch(now: datetime, persons: Iterable[Person]) -> datetime:
    """One recording time for all persons of a batch, later than their earlier ones: `now`, or a microsecond after the
    latest one."""
    recorded = (p.recorded_at for p in persons if p.recorded_at is not None)
    latest = max(recorded, default=None)
    return now if latest is None or latest < now else latest + _MICROSECOND


# ── the order within a chain ────────────────────────────────────────────────────────────────────────────────


class _Placed(msgspec.Struct, gc=False):
    event_id: str
    chain: str
    time: datetime


_placed = msgspec.json.Decoder(list[_Placed])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_statements = msgspec.json.Decoder(tuple[Statement, ...])


def statements_of(joined: bytes) -> tuple[Statement, ...]:
    """Decode the statements of a person's row."""
    return _statements.decode(b"[%b]" % joined)


def place(joined: bytes, new: Statement, source_ids: Mapping[str, str]) -> bytes:
    """Insert a statement in the order of its chain.

    `source_ids`: event id → the id that the source gave the event, for the new statement and for all statements of its
    chain and time.
    """
    encoded = _encode(new)
    if not joined:
        return encoded
    at = _position(joined, new, source_ids) if new.chain.encode() in joined else None
    if at is None:
        return b"%b,%b" % (joined, encoded)
    parts = [bytes(raw) for raw in _raws.decode(b"[%b]" % joined)]
    return b",".join([*parts[:at], encoded, *parts[at:]])


def _position(joined: bytes, new: Statement, source_ids: Mapping[str, str]) -> int | None:
    """The position of the first statement of the chain that comes after the new one; None if there is none."""
    key = (new.time, source_ids.get(new.event_id, ""))
    for at, old in enumerate(_placed.decode(b"[%b]" % joined)):
        if old.chain == new.chain and (old.time, source_ids.get(old.event_id, "")) > key:
            return at
    return None


def join(statements: Iterable[Statement]) -> bytes:
    """Encode statements, given in their order, as a person's row keeps them."""
    return b",".join(map(_encode, statements))


def same_moment(joined: bytes, chain: str, time: datetime) -> list[str]:
    """Event ids of a chain's statements of one time. Their order depends on the ids that the source gave
    the events."""
    if chain.encode() not in joined:
        return []
    return [p.event_id for p in _placed.decode(b"[%b]" % joined) if p.chain == chain and p.time == time]


# ── derived values ──────────────────────────────────────────────────────────────────────────────────────────


def remember_place(person: Person, statement: Statement, registered_in: str | None = None) -> None:
    """Keep the division that decides which area may see the person: a residence before a hukou, then the newest by the
    time of the source.

    `statement`: one of the person's statements. `registered_in`: the division that a new registration of a person
    without a hukou names; None keeps the known one, and so does a registration that is not the newest."""
    memory = person.memory
    if registered_in and _is_newest_without_hukou(person, statement):
        memory.registered_in = registered_in
    rank, division = _ranked_division(statement, memory.registered_in)
    new, kept = (rank, statement.time.timestamp()), (memory.division_rank, memory.division_at)
    if division and (new > kept or (new == kept and _is_last_of_its_time(person, statement))):
        person.division = division
        memory.division_rank, memory.division_at = new


def _is_newest_without_hukou(person: Person, statement: Statement) -> bool:
    """Whether a statement registers a person without a hukou, and no registration that counts fully is newer."""
    if not isinstance(statement.value, Registration) or statement.value.hukou_division is not None:
        return False
    stated = [s for s in statements_of(person.statements) if s.kind == "registration" and s.value]
    newer = [s for s in stated if s.time > statement.time and s.standing_at() == "full"]
    return not newer and _is_last_of_its_time(person, statement)


def _is_last_of_its_time(person: Person, statement: Statement) -> bool:
    """Whether a place comes last among those of its kind and time that count fully: by chain, then as in the chain.

    So the kept division does not depend on the order of arrival."""
    tied = [
        s
        for s in statements_of(person.statements)
        if s.kind == statement.kind and s.time == statement.time and s.value and s.standing_at() == "full"
    ]
    return sorted(tied, key=lambda s: s.chain)[-1].event_id == statement.event_id


def forget_place(person: Person) -> None:
    """Remove the kept division, so that `remember_place` can find it again from all statements."""
    memory = person.memory
    person.division, memory.division_rank, memory.division_at = None, 0, 0.0


def _ranked_division(statement: Statement, registered_in: str | None) -> tuple[int, str | None]:
    """The rank of a statement (2 residence, 1 registration, 0 other) and its division; None if it names none."""
    value = statement.value
    if isinstance(value, Residence):
        return 2, value.division
    if isinstance(value, Registration):
        return 1, value.hukou_division or registered_in
    return 0, None


def remember_name(person: Person, time: datetime, name_digest: bytes) -> bool:
    """Keep the digest of the newest registered name; return whether a new name must be sealed."""
    at, memory = time.timestamp(), person.memory
    if (at, name_digest) < (memory.name_at, memory.name_digest):
        return False
    changed = name_digest != memory.name_digest
    person.touched = True
    memory.name_digest, memory.name_at = name_digest, at
    return changed


def forget_name(person: Person) -> None:
    """Remove the kept digest of the name, so that any registered name is newer."""
    person.memory.name_digest, person.memory.name_at = b"", 0.0
    person.touched = True
