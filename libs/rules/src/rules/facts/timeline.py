"""From what sources said (statements) to what follows from it (facts): pure, and independent of arrival order.

Within one chain the last word of the source counts. Between chains of a kind with one value at a time, a later
beginning closes an earlier one of the same rank, and a stronger rank paints over a weaker one. What came through
a household holds while the person is a member, and gives way to anything said about the person directly. How facts of
each kind stand to each other is said in `common.events.kinds`.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import msgspec
from common.calendar import civil_date
from common.events.ability import Ability
from common.events.facts import Death, Household, Registration, Standing, Statement, Value
from common.events.kinds import LINE_OF, ONE_DAY_KINDS

FAR_PAST, FAR_FUTURE = date.min, date.max
_NOT_COUNTED = ("waits", "withheld")
_DAY = timedelta(days=1)


class Fact(NamedTuple):
    """What holds over [`valid_from`, `valid_to`) (None: open) after all statements known at an instant.

    `event_id`: the statement that gave the value. Facts of one kind (and of one line, where a kind has lines: a
    household, a benefit …) never overlap, but for single days, which are all kept. Facts with the `standing` `hint`
    are apart from the others: they neither close nor cover them.
    """

    kind: str
    value: Value
    valid_from: date | None
    valid_to: date | None
    event_id: str
    source: str
    rank: int
    via: str | None = None
    standing: Standing = "full"

    def holds_on(self, day: date) -> bool:
        return (self.valid_from is None or self.valid_from <= day) and (self.valid_to is None or day < self.valid_to)


class Deceased(NamedTuple):
    """A confirmed death. `contradicted_by`: event ids of proofs of life dated after the day of death; they do
    not revive anybody, but somebody must look at them.
    """

    on: date
    event_ids: tuple[str, ...]
    contradicted_by: tuple[str, ...] = ()


class Suspected(NamedTuple):
    """An unconfirmed death that no later sign of life has cleared."""

    on: date
    event_ids: tuple[str, ...]


class _Piece(NamedTuple):
    """One chain's last word: a statement's value over [start, end)."""

    start: date
    end: date
    said: Statement
    standing: Standing = "full"


def facts_known_at(statements: Iterable[Statement], known_at: datetime | None = None) -> tuple[Fact, ...]:
    """The facts that follow from the statements recorded up to an instant (None: from all of them).

    Statements of one chain must be in the order of their source, chains may be mixed in any way. The facts come
    sorted by kind and period.
    """
    by_kind: dict[str, list[_Piece]] = {}
    hints: list[_Piece] = []
    for piece in _last_words(statements, known_at):
        if piece.standing == "hint":
            hints.append(piece)
            continue
        same = by_kind.get(piece.said.kind)
        if same is None:
            by_kind[piece.said.kind] = [piece]
        else:
            same.append(piece)
    if "registration" in by_kind:
        by_kind["registration"] = _born_as_vouched(by_kind["registration"])
    facts: list[Fact] = [_one_day(p) if p.said.kind in ONE_DAY_KINDS else _fact(p) for p in hints]
    households: dict[str, list[_Piece]] = {}
    if "household" in by_kind:
        facts += _households(by_kind.pop("household"), households)
    for kind, pieces in by_kind.items():
        if kind in ONE_DAY_KINDS:
            facts += map(_one_day, pieces)
        elif len(pieces) == 1 and pieces[0].said.via is None:
            facts.append(_fact(pieces[0]))
        elif kind in LINE_OF:
            for line in _lines(pieces, LINE_OF[kind]).values():
                facts += map(_fact, _paint(_closed_by_next(line)))
        else:
            facts += map(_fact, _single_valued(pieces, households))
    facts.sort(key=_order)
    return tuple(facts)


def _order(fact: Fact) -> tuple[str, date, str]:
    return fact.kind, fact.valid_from or FAR_PAST, fact.event_id


def _last_words(statements: Iterable[Statement], known_at: datetime | None) -> list[_Piece]:
    """One piece per chain that says anything in the end. A correction after an annulment says it again."""
    said: dict[str, Statement] = {}
    ends: dict[str, date] = {}
    for s in statements:
        if known_at is not None and s.recorded_at > known_at:
            continue
        if s.standing and s.standing_at(known_at) in _NOT_COUNTED:
            continue
        if s.action == "annulled":
            said.pop(s.chain, None)
            ends.pop(s.chain, None)
        elif s.action == "ended":
            if s.valid_to is not None and s.chain in said:
                ends[s.chain] = s.valid_to
        elif s.value is not None:
            said[s.chain] = s
            if ends:
                ends.pop(s.chain, None)
    pieces = []
    for chain, s in said.items():
        start = s.valid_from or FAR_PAST
        end = (ends.get(chain) if ends else None) or s.valid_to or FAR_FUTURE
        if start < end or s.kind in ONE_DAY_KINDS:
            pieces.append(_Piece(start, end, s, s.standing_at(known_at) if s.standing else "full"))
    return pieces


def _born_as_vouched(pieces: list[_Piece]) -> list[_Piece]:
    """A claimed hukou decides where the person belongs, not how old the person is: birth date and sex are those of the
    newest registration that counts fully, where there is one."""
    full = [p for p in pieces if p.standing == "full"]
    if not full or len(full) == len(pieces):
        return pieces
    value = max(full, key=lambda p: (p.start, p.said.time, p.said.chain)).said.value
    assert isinstance(value, Registration)
    return [p if p.standing == "full" else _with_birth_of(p, value) for p in pieces]


def _with_birth_of(piece: _Piece, known: Registration) -> _Piece:
    assert piece.said.value is not None
    value = msgspec.structs.replace(piece.said.value, birth_date=known.birth_date, sex=known.sex)
    return piece._replace(said=msgspec.structs.replace(piece.said, value=value))


def _fact(piece: _Piece) -> Fact:
    start, end, s, standing = piece
    assert s.value is not None
    return Fact(
        s.kind,
        s.value,
        None if start == FAR_PAST else start,
        None if end == FAR_FUTURE else end,
        s.event_id,
        s.source,
        s.rank,
        s.via,
        standing,
    )


def _one_day(piece: _Piece) -> Fact:
    """Such as a death. Without a day it is as old as its record: never before, perhaps not after."""
    day = piece.said.valid_from or civil_date(piece.said.time)
    return _fact(piece._replace(start=day, end=day + _DAY))


def _households(pieces: list[_Piece], members: dict[str, list[_Piece]]) -> list[Fact]:
    """One line per household; `members` receives the periods of membership."""
    facts: list[Fact] = []
    for household, line in _lines(pieces, LINE_OF["household"]).items():
        line = _paint(_closed_by_next(line))
        facts += map(_fact, line)
        members[household] = [p for p in line if isinstance(p.said.value, Household) and p.said.value.member]
    return facts


def _lines(pieces: list[_Piece], line_of: Callable[[Any], str]) -> dict[str, list[_Piece]]:
    lines: dict[str, list[_Piece]] = {}
    for piece in pieces:
        lines.setdefault(line_of(piece.said.value), []).append(piece)
    return lines


def _single_valued(pieces: list[_Piece], members: dict[str, list[_Piece]]) -> list[_Piece]:
    direct = [p for p in pieces if p.said.via is None]
    if len(direct) == len(pieces):
        return _paint(_closed_by_next(pieces))
    through: dict[str, list[_Piece]] = {}
    for piece in pieces:
        if piece.said.via is not None:
            through.setdefault(piece.said.via, []).append(piece)
    copied = [
        cut
        for via, line in through.items()
        for piece in _closed_by_next(line)
        for cut in _within(piece, members.get(via, []))
    ]
    return _paint(_closed_by_next(direct) + copied)


def _within(piece: _Piece, periods: list[_Piece]) -> list[_Piece]:
    cut = [piece._replace(start=max(piece.start, p.start), end=min(piece.end, p.end)) for p in periods]
    return [c for c in cut if c.start < c.end]


def _closed_by_next(pieces: list[_Piece]) -> list[_Piece]:
    """Of each rank, every piece ends where the next begins; of two with one beginning the later recorded holds."""
    if len(pieces) < 2:
        return pieces
    ordered = sorted(pieces, key=lambda p: (p.said.rank, p.start, p.said.time, p.said.chain))
    closed = []
    for piece, after in pairwise(ordered):
        if after.said.rank == piece.said.rank and after.start < piece.end:
            piece = piece._replace(end=after.start)
        if piece.start < piece.end:
            closed.append(piece)
    closed.append(ordered[-1])
    return closed


def _strength(piece: _Piece) -> tuple[bool, int, int, float, str]:
    """Smallest first: direct before copied, low rank before high, late beginning before early."""
    s = piece.said
    start = s.valid_from or FAR_PAST
    return s.via is not None, s.rank, -start.toordinal(), -s.time.timestamp(), s.chain


def _paint(pieces: list[_Piece]) -> list[_Piece]:
    """Pieces that do not overlap: the strongest whole, the weaker ones where nothing stronger is."""
    if len({(p.said.rank, p.said.via) for p in pieces}) == 1:
        return pieces  # `_closed_by_next` has already parted them
    shown: list[_Piece] = []
    for piece in sorted(pieces, key=_strength):
        shown += _uncovered(piece, shown)
        shown.sort(key=lambda p: p.start)
    return shown


def _uncovered(piece: _Piece, shown: list[_Piece]) -> list[_Piece]:
    """What of a piece is left beside those already shown (sorted by start)."""
    left, start = [], piece.start
    for over in shown:
        if over.start >= piece.end:
            break
        if over.end <= start:
            continue
        if start < over.start:
            left.append(piece._replace(start=start, end=over.start))
        start = over.end
    if start < piece.end:
        left.append(piece._replace(start=start))
    return left


def abilities_known_at(abilities: Iterable[Ability], known_at: datetime | None = None) -> tuple[Ability, ...]:
    """The ability results recorded up to an instant (None: all of them)."""
    return tuple(a for a in abilities if known_at is None or a.recorded_at <= known_at)


def death_of(facts: Sequence[Fact]) -> Deceased | Suspected | None:
    """Whether these facts confirm a death, or raise a suspicion that nothing has cleared.

    The police striking a person off the register confirms alone; cremation and medical certificate confirm
    together. The day is the medical certificate's where there is one, because the other two copy it from there;
    else the register's. A sign of life on or after the day of an unconfirmed report clears that report.
    """
    deaths = [f for f in facts if f.kind == "death"]
    if not deaths:
        return None
    alive = [(f.valid_from or FAR_PAST, f.event_id) for f in facts if f.kind == "alive"]
    days: dict[str, list[tuple[date, str]]] = {}
    for f in deaths:
        assert isinstance(f.value, Death)
        days.setdefault(f.value.evidence, []).append((f.valid_from or FAR_PAST, f.event_id))
    certificate, register = days.get("medical_certificate", []), days.get("register_cancelled", [])
    if register or (certificate and "cremation" in days):
        on = min(certificate or register)[0]
        proofs = [*certificate, *days.get("cremation", []), *register]
        return Deceased(
            on,
            tuple(event_id for _, event_id in sorted(proofs)),
            tuple(event_id for day, event_id in alive if day > on),
        )
    last_seen = max((day for day, _ in alive), default=FAR_PAST)
    open_ = sorted(report for reports in days.values() for report in reports if report[0] > last_seen)
    return Suspected(open_[0][0], tuple(event_id for _, event_id in open_)) if open_ else None
