"""Compute facts from the statements of sources. The order of arrival makes no difference.

A chain is a statement with its later corrections, annulments and ends. Its last statement counts. Some kinds have one
value at a time. There, a later beginning closes an earlier one of the same rank, and a stronger rank covers a weaker
one. Some kinds have lines, such as one per household or benefit. Each line has one value at a time. A statement through
a household holds while the person is a member, and yields to any direct statement. `common.events.kinds` has the rules.

A piece is the last statement of a chain with a period, before the other chains have cut this period.
"""

from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, NamedTuple

import msgspec
from common.calendar import civil_date
from common.events.ability import Ability
from common.events.facts import Household, Registration, Standing, Statement, Value
from common.events.kinds import LINE_OF, ONE_DAY_KINDS

FAR_PAST: Final = date.min
FAR_FUTURE: Final = date.max
_NOT_COUNTED: Final = ("waits", "withheld")
_DAY: Final = timedelta(days=1)


class Fact(NamedTuple):
    """A value over [`valid_from`, `valid_to`) (None: open), after all statements known at an instant.

    `event_id`: the statement that gave the value. Facts of one kind never overlap; in a kind with lines, facts of one
    line never overlap. Single days are an exception: all count. Facts with the `standing` `hint` are separate: they
    neither close nor cover others.
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


class _Piece(NamedTuple):
    """The last statement of one chain, with its period [start, end)."""

    start: date
    end: date
    statement: Statement
    standing: Standing = "full"


def facts_known_at(statements: Iterable[Statement], known_at: datetime | None = None) -> tuple[Fact, ...]:
    """Return the facts after the statements recorded up to an instant (None: all), sorted by kind and period.

    Statements of one chain must be in the order of their source. The order between chains makes no difference.
    """
    by_kind: dict[str, list[_Piece]] = {}
    facts: list[Fact] = []
    for piece in _last_statements(statements, known_at):
        kind = piece.statement.kind
        if piece.standing == "hint":
            facts.append(_one_day(piece) if kind in ONE_DAY_KINDS else _fact(piece))
        elif kind in by_kind:
            by_kind[kind].append(piece)
        else:
            by_kind[kind] = [piece]
    if "registration" in by_kind:
        by_kind["registration"] = _with_full_birth(by_kind["registration"])
    members: dict[str, list[_Piece]] = {}
    if "household" in by_kind:
        facts += _households(by_kind.pop("household"), members)
    for name, pieces in by_kind.items():
        if name not in ONE_DAY_KINDS and len(pieces) == 1 and pieces[0].statement.via is None:
            facts.append(_fact(pieces[0]))
        else:
            facts += _facts_of_kind(name, pieces, members)
    facts.sort(key=_order)
    return tuple(facts)


def _facts_of_kind(kind: str, pieces: list[_Piece], members: dict[str, list[_Piece]]) -> Iterable[Fact]:
    """Return the facts of one kind from its pieces. `members`: by household the periods of membership."""
    if kind in ONE_DAY_KINDS:
        return map(_one_day, pieces)
    if kind not in LINE_OF:
        return map(_fact, _single_valued(pieces, members))
    lines = _lines(pieces, LINE_OF[kind]).values()
    return (_fact(piece) for line in lines for piece in _cover(_closed_by_next(line)))


def _order(fact: Fact) -> tuple[str, date, str]:
    return fact.kind, fact.valid_from or FAR_PAST, fact.event_id


def _last_statements(statements: Iterable[Statement], known_at: datetime | None) -> list[_Piece]:
    """Return one piece per chain that is not annulled. A correction after an annulment restores the chain."""
    last: dict[str, Statement] = {}
    ends: dict[str, date] = {}
    for s in statements:
        if known_at is not None and s.recorded_at > known_at:
            continue
        if s.standing and s.standing_at(known_at) in _NOT_COUNTED:
            continue
        if s.action == "annulled":
            last.pop(s.chain, None)
            ends.pop(s.chain, None)
        elif s.action == "ended":
            if s.valid_to is not None and s.chain in last:
                ends[s.chain] = s.valid_to
        elif s.value is not None:
            last[s.chain] = s
            if ends:
                ends.pop(s.chain, None)
    return _pieces(last, ends, known_at)


def _pieces(last: dict[str, Statement], ends: dict[str, date], known_at: datetime | None) -> list[_Piece]:
    """Return the pieces of all chains; an empty period gives none.

    `last`: by chain its last statement with a value. `ends`: by chain the day on which a later statement ends it.
    """
    pieces = []
    for chain, s in last.items():
        start = s.valid_from or FAR_PAST
        end = (ends.get(chain) if ends else None) or s.valid_to or FAR_FUTURE
        if start < end or s.kind in ONE_DAY_KINDS:
            pieces.append(_Piece(start, end, s, s.standing_at(known_at) if s.standing else "full"))
    return pieces


def _with_full_birth(pieces: list[_Piece]) -> list[_Piece]:
    """Return the registrations, with birth date and sex from the newest one of standing `full`, if there is one.

    The reason: a claimed hukou decides the place, not the age.
    """
    full = [p for p in pieces if p.standing == "full"]
    if not full or len(full) == len(pieces):
        return pieces
    value = max(full, key=lambda p: (p.start, p.statement.time, p.statement.chain)).statement.value
    assert isinstance(value, Registration)
    return [p if p.standing == "full" else _with_birth_of(p, value) for p in pieces]


def _with_birth_of(piece: _Piece, known: Registration) -> _Piece:
    s = piece.statement
    assert s.value is not None
    value = msgspec.structs.replace(s.value, birth_date=known.birth_date, sex=known.sex)
    return piece._replace(statement=msgspec.structs.replace(s, value=value))


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
    """Return a fact of one day, such as a death. Without a day it has the day on which the source recorded it."""
    day = piece.statement.valid_from or civil_date(piece.statement.time)
    return _fact(piece._replace(start=day, end=day + _DAY))


def _households(pieces: list[_Piece], members: dict[str, list[_Piece]]) -> list[Fact]:
    """Return the facts of households, with one line per household. Add the periods of membership to `members`."""
    facts: list[Fact] = []
    for household, line in _lines(pieces, LINE_OF["household"]).items():
        line = _cover(_closed_by_next(line))
        facts += map(_fact, line)
        members[household] = [p for p in line if _is_member(p.statement.value)]
    return facts


def _is_member(value: Value | None) -> bool:
    return isinstance(value, Household) and value.member


def _lines(pieces: list[_Piece], line_of: Callable[[Any], str]) -> dict[str, list[_Piece]]:
    """Return the pieces by line."""
    lines: dict[str, list[_Piece]] = {}
    for piece in pieces:
        lines.setdefault(line_of(piece.statement.value), []).append(piece)
    return lines


def _single_valued(pieces: list[_Piece], members: dict[str, list[_Piece]]) -> list[_Piece]:
    """Return the pieces of a kind with one value at a time, cut so that they do not overlap.

    A piece through a household is first cut to the periods of membership (`members`, by household).
    """
    direct = [p for p in pieces if p.statement.via is None]
    if len(direct) == len(pieces):
        return _cover(_closed_by_next(pieces))
    through: dict[str, list[_Piece]] = {}
    for piece in pieces:
        if piece.statement.via is not None:
            through.setdefault(piece.statement.via, []).append(piece)
    copied: list[_Piece] = []
    for household, line in through.items():
        for piece in _closed_by_next(line):
            copied += _within(piece, members.get(household, []))
    return _cover(_closed_by_next(direct) + copied)


def _within(piece: _Piece, periods: list[_Piece]) -> list[_Piece]:
    """Return the parts of a piece inside some periods."""
    cut = [piece._replace(start=max(piece.start, p.start), end=min(piece.end, p.end)) for p in periods]
    return [c for c in cut if c.start < c.end]


def _closed_by_next(pieces: list[_Piece]) -> list[_Piece]:
    """Return the pieces; within each rank a piece ends where the next one begins.

    Of two pieces with the same beginning, the one that its source recorded later counts.
    """
    if len(pieces) < 2:
        return pieces
    ordered = sorted(pieces, key=_rank_and_start)
    closed = []
    for piece, after in pairwise(ordered):
        if after.statement.rank == piece.statement.rank and after.start < piece.end:
            piece = piece._replace(end=after.start)
        if piece.start < piece.end:
            closed.append(piece)
    closed.append(ordered[-1])
    return closed


def _rank_and_start(piece: _Piece) -> tuple[int, date, datetime, str]:
    s = piece.statement
    return s.rank, piece.start, s.time, s.chain


def _strength(piece: _Piece) -> tuple[bool, int, int, float, str]:
    """Return a sort key, strongest first: direct before copied, low rank before high, late beginning before early."""
    s = piece.statement
    start = s.valid_from or FAR_PAST
    return s.via is not None, s.rank, -start.toordinal(), -s.time.timestamp(), s.chain


def _cover(pieces: list[_Piece]) -> list[_Piece]:
    """Return pieces that do not overlap. A weaker piece keeps only the days on which there is no stronger one."""
    if len({(p.statement.rank, p.statement.via) for p in pieces}) == 1:
        return pieces  # `_closed_by_next` has already separated them
    shown: list[_Piece] = []
    for piece in sorted(pieces, key=_strength):
        shown += _uncovered(piece, shown)
        shown.sort(key=lambda p: p.start)
    return shown


def _uncovered(piece: _Piece, shown: list[_Piece]) -> list[_Piece]:
    """Return the parts of a piece outside those already shown. `shown` is sorted by start."""
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
    """Return the ability results recorded up to an instant (None: all of them)."""
    return tuple(a for a in abilities if known_at is None or a.recorded_at <= known_at)
