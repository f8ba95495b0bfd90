"""Write and read a person's traits: one short line of all circumstances by which lists can distinguish this person.

Persons with the same line are affected by the same changes of lists. Example:
`a:2 d:4.2 h:530302 l:tekun/scattered r:530302001/home v:alone x:2025`. A part is a letter and a value. The table of
circumstances gives most letters. The others are `h` (hukou), `r` (residence and kind of place) and `x` (year of a
confirmed death). `h?`, `r?`: the place is unknown on some days. `h:`: there is no hukou. The age is not in the line: a
timeline reaches into the future, so it contains every birthday.

The lines are stored. A new circumstance adds a part to new lines only. So the release that adds it sets all stored
lines to ANYTHING. The next decision about a person writes a new line.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain, combinations
from typing import Any, Final, NamedTuple

from common.events.ability import Ability

from rules.deciding.areas import NOWHERE
from rules.facts.timeline import FAR_PAST, Fact
from rules.form.circumstances import CIRCUMSTANCES
from rules.form.situation import REST

ANYTHING: Final = "*"  # too many traits: every change of lists counts as one that affects these persons
_LENGTH_MAX: Final = 400
_SEVERAL_MAX: Final = 8  # values of one circumstance that may hold together: every set of them is a case


class Traits(NamedTuple):
    """A line in parts.

    `hukous`: every hukou that the person ever has; None if it is unknown on some days. `residences`: every (division,
    kind of place) that the person ever has; (None, None) if it is unknown on some days.
    `rest`: for each circumstance of `REST` every value that the person may have. The first is always None, for no fact.
    Age and place have only None. `died_in`: the year after which nothing counts; None: no confirmed death.
    """

    hukous: tuple[str | None, ...]
    residences: tuple[tuple[str | None, str | None], ...]
    rest: tuple[tuple[Any, ...], ...]
    died_in: int | None


def _hukou_part(value: Any) -> str:
    return f"h:{value.hukou_division or NOWHERE}"


def _residence_part(value: Any) -> str:
    return f"r:{value.division}/{value.place}"


class _Writer(NamedTuple):
    """How a value of a fact becomes a part of a line: `prefix` and `encode(read(value))`."""

    prefix: str
    read: Callable[[Any], Any]
    encode: Callable[[Any], str]


def _writers() -> dict[str, list[_Writer]]:
    """Return the writers of the parts, by kind of fact. Places have none (`_PLACES`)."""
    writers: dict[str, list[_Writer]] = {}
    for row in CIRCUMSTANCES:
        if row.letter is not None and row.read is not None:
            writers.setdefault(row.fact.code, []).append(_Writer(f"{row.letter}:", row.read, row.encode))
    return writers


_WRITERS: Final = _writers()
_PLACES: Final = {"registration": _hukou_part, "residence": _residence_part}
_UNKNOWN: Final = {"registration": "h?", "residence": "r?"}
_SEVERAL: Final = tuple(f"{row.letter}:" for row in CIRCUMSTANCES if row.element is not None)
_LETTERS: Final = {row.letter: row for row in CIRCUMSTANCES if row.letter is not None}


def _gaps(periods: Iterable[tuple[str, date | None, date | None]]) -> Iterator[str]:
    """Yield the parts for places that are unknown on some days. `periods`: (kind, from, to) of the known places."""
    until: dict[str, date | None] = {}  # by kind of place the end of the last period
    gaps: set[str] = set()
    for kind, valid_from, valid_to in periods:
        if valid_from != until.get(kind):
            gaps.add(kind)
        until[kind] = valid_to
    for kind, part in _UNKNOWN.items():
        if kind in gaps or until.get(kind, FAR_PAST) is not None:
            yield part


def traits_of(facts: Iterable[Fact], abilities: Sequence[Ability], died_on: date | None) -> str:
    """Return the traits line of a person. `facts` are sorted by kind and period, as `facts_known_at` returns them."""
    found: dict[str, None] = {}
    periods: list[tuple[str, date | None, date | None]] = []
    for kind, value, valid_from, valid_to, *_ in facts:
        for prefix, read, encode in _WRITERS.get(kind, ()):
            found[prefix + encode(read(value))] = None
        if kind in _PLACES:
            found[_PLACES[kind](value)] = None
            periods.append((kind, valid_from, valid_to))
    found.update(dict.fromkeys(_gaps(periods)))
    for ability in abilities:
        found[f"a:{ability.level}"] = None
    if died_on is not None:
        found[f"x:{died_on.year}"] = None
    line = " ".join(sorted(found))
    return ANYTHING if len(line) > _LENGTH_MAX or _is_crowded(found) else line


def _is_crowded(parts: Iterable[str]) -> bool:
    """True if too many values of one circumstance may hold together."""
    found = list(parts)
    if len(found) <= _SEVERAL_MAX:
        return False
    return any(sum(part.startswith(letter) for part in found) > _SEVERAL_MAX for letter in _SEVERAL)


@lru_cache(maxsize=10_000)
def read_traits(line: str) -> Traits:
    """Parse a line that `traits_of` wrote. The line must not be ANYTHING."""
    hukous: list[str | None] = []
    residences: list[tuple[str | None, str | None]] = []
    died_in = None
    values: dict[str, list[Any]] = {letter: [] for letter in _LETTERS}
    for part in line.split():
        letter, _, text = part.partition(":")
        if letter in ("h", "h?"):
            hukous.append(text if letter == "h" else None)
        elif letter in ("r", "r?"):
            division, _, place = text.partition("/")
            residences.append((division, place) if letter == "r" else (None, None))
        elif letter == "x":
            died_in = int(text)
        else:
            values[letter].append(_LETTERS[letter].parse(text))
    rest = tuple(_possible(slot, values) for slot in REST)
    return Traits(tuple(hukous), tuple(residences), rest, died_in)


def _possible(slot: int, values: dict[str, list[Any]]) -> tuple[Any, ...]:
    """Return every value that a circumstance may have. The first is None, for no fact. `values`: by letter."""
    row = CIRCUMSTANCES[slot]
    found = values[row.letter] if row.letter is not None else []
    return _sets(found) if row.element is not None else (None, *found)


def _sets(values: Sequence[Any]) -> tuple[frozenset[Any] | None, ...]:
    """Return every set of values that may have held together. The first is None, for no fact."""
    sizes = range(1, len(values) + 1)
    return None, *map(frozenset, chain.from_iterable(combinations(values, n) for n in sizes))
