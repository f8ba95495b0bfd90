"""How statements are put in their place: pure, and the same whatever the order of arrival.

A person's statements are kept as the JSON they travel as, joined by commas, so that a new chain is an append of bytes
and only what follows in a chain needs a look inside. Within a chain the order is (time, source id).
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

import msgspec
from common.events.facts import Identity, Registration, Residence, Statement

from ingestion.domain.memory import Stands

_encode = msgspec.json.Encoder().encode
_MICROSECOND: Final = timedelta(microseconds=1)
URGENT_KINDS: Final = ("death", "alive")


# ── one person ──────────────────────────────────────────────────────────────────────────────────────────────


class Memory(msgspec.Struct, array_like=True):
    """What ingestion remembers of a person beside the statements: which name is sealed, where the person is, and which
    places are vouched."""

    name_digest: bytes = b""
    name_at: float = 0.0
    division_rank: int = 0  # 2 from a residence, 1 from a registration
    division_at: float = 0.0
    stands: Stands = Stands()


class Person:
    """A person's row while a batch works on it."""

    __slots__ = (
        "causes",
        "circle",
        "division",
        "identities",
        "memory",
        "others",
        "person_id",
        "recorded_at",
        "rejoined",
        "statements",
        "touched",
        "urgent",
        "version",
        "waiting",
    )

    def __init__(
        self,
        person_id: str,
        version: int,
        recorded_at: datetime | None,
        division: str | None,
        waiting: int,
        statements: bytes,
        memory: Memory,
        circle: str | None = None,
        identities: tuple[Identity, ...] = (),
    ) -> None:
        self.person_id = person_id
        self.version = version
        self.recorded_at = recorded_at
        self.division = division
        self.waiting = waiting
        self.statements = statements
        self.memory = memory
        self.circle = circle
        self.identities = identities
        self.others: list[Person] = []  # who ever counted as this one
        self.rejoined = False  # its circle or identities are to be saved
        self.causes: dict[str, None] = {}
        self.urgent = False
        self.touched = False  # to be saved although nothing is said anew

    @property
    def merged_into(self) -> str | None:
        return self.identities[-1].merged_into if self.identities else None

    def states(self, event_id: str) -> bool:
        """Whether a statement of this event is there, whether it counts or not."""
        return b'"event_id":"%b"' % event_id.encode() in self.statements

    def add(self, statement: Statement, source_ids: Mapping[str, str]) -> None:
        self.statements = place(self.statements, statement, source_ids)
        self.causes[statement.event_id] = None
        if statement.kind in URGENT_KINDS:
            self.urgent = True


def instant_of_batch(now: datetime, persons: Iterable[Person]) -> datetime:
    """One instant for all, later than anything recorded of any of them, also when the clock was set back."""
    latest = max((p.recorded_at for p in persons if p.recorded_at is not None), default=None)
    return now if latest is None or latest < now else latest + _MICROSECOND


def snapshot(person: Person, instant: datetime, of_others: Sequence[Statement] = ()) -> bytes:
    """The JSON of `PersonFactsRecorded` without its causes. `of_others`: see `domain.identity`. Of who has no
    `identities` the view `outgoing` makes the very same bytes."""
    head = b'{"person_id":"%b","version":%d,"recorded_at":%b,"statements":['
    said = head % (person.person_id.encode(), person.version, _encode(instant)) + person.statements
    if not person.identities:
        return said + b"]}"
    others, now = _encode(of_others)[1:-1], person.identities[-1]
    comma = b"," if others and person.statements else b""
    tail = {"aliases": now.aliases, "merged_into": now.merged_into, "identities": person.identities}
    return b"%b%b%b],%b" % (said, comma, others, _encode(tail)[1:])


# ── the order within a chain ────────────────────────────────────────────────────────────────────────────────


class _Placed(msgspec.Struct, gc=False):
    event_id: str
    chain: str
    time: datetime


_placed = msgspec.json.Decoder(list[_Placed])
_raws = msgspec.json.Decoder(list[msgspec.Raw])
_statements = msgspec.json.Decoder(tuple[Statement, ...])


def statements_of(joined: bytes) -> tuple[Statement, ...]:
    return _statements.decode(b"[%b]" % joined)


def place(joined: bytes, new: Statement, source_ids: Mapping[str, str]) -> bytes:
    """Put a statement into its chain's order. `source_ids`: of the new one and of all of its chain and time."""
    encoded = _encode(new)
    if not joined:
        return encoded
    if new.chain.encode() not in joined:
        return b"%b,%b" % (joined, encoded)
    text = b"[%b]" % joined
    key = (new.time, source_ids.get(new.event_id, ""))
    for at, old in enumerate(_placed.decode(text)):
        if old.chain == new.chain and (old.time, source_ids.get(old.event_id, "")) > key:
            parts = [bytes(raw) for raw in _raws.decode(text)]
            return b",".join([*parts[:at], encoded, *parts[at:]])
    return b"%b,%b" % (joined, encoded)


def put_back(statements: Iterable[Statement]) -> bytes:
    """The statements in their order, as they are kept."""
    return b",".join(map(_encode, statements))


def same_moment(joined: bytes, chain: str, time: datetime) -> list[str]:
    """Event ids of a chain's statements of one time: their order hangs on the source's ids."""
    if chain.encode() not in joined:
        return []
    return [p.event_id for p in _placed.decode(b"[%b]" % joined) if p.chain == chain and p.time == time]


def remember_place(person: Person, statement: Statement, registered_in: str | None = None) -> None:
    """Keep the newest division for the area scope: a residence before a hukou, then by the time of the source.
    `registered_in`: where a person without a hukou is registered."""
    value, at, memory = statement.value, statement.time.timestamp(), person.memory
    if isinstance(value, Residence):
        rank, division = 2, value.division
    elif isinstance(value, Registration):
        rank, division = 1, value.hukou_division or registered_in or ""
    else:
        return
    if division and (rank, at) >= (memory.division_rank, memory.division_at):
        person.division = division
        memory.division_rank, memory.division_at = rank, at


def remember_name(person: Person, time: datetime, name_digest: bytes) -> bool:
    """Keep the newest registered name; True when it is to be sealed anew."""
    at, memory = time.timestamp(), person.memory
    if (at, name_digest) < (memory.name_at, memory.name_digest):
        return False
    changed = name_digest != memory.name_digest
    person.touched = True
    memory.name_digest, memory.name_at = name_digest, at
    return changed
