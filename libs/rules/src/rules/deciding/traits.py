"""What a list can tell people by, in one short line: whoever shares a line is touched by the same edits of lists.

`a:2 d:4.2 h:530302 l:tekun/scattered r:530302001/home v:alone x:2025` – every ability level, disability (class and
level), hukou, low income, residence, only child (`s:`), living situation, merit (`m:`), benefit elsewhere (`e:`, with
its amount) and wish (`w:`) that the timeline holds at any time, and the year of a confirmed death. `h?`, `r?`: there
are days on which the place is not known; `h:`: there is no hukou. The age is not among them: a timeline reaches into
the future, so everybody's 80th birthday is in it.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import date
from functools import lru_cache
from itertools import chain, combinations
from typing import Any, Final, NamedTuple

from common.events.ability import Ability

from rules.deciding.lists import NOWHERE
from rules.facts.timeline import Fact

ANYTHING: Final = "*"  # more than is worth telling apart: every edit is taken to touch these people
_LENGTH_MAX: Final = 400
_PLACES: Final = {"registration": "h", "residence": "r"}
_VALUES: Final[dict[str, Callable[[Any], str]]] = {
    "disability": lambda value: f"d:{value.class_}.{value.level}",
    "low_income": lambda value: f"l:{value.category}/{value.support}" if value.support else f"l:{value.category}",
    "living_situation": lambda value: f"v:{','.join(sorted(value.tags))}",
    "special_family": lambda value: f"s:{value.only_child}",
    "merit": lambda value: f"m:{value.merit}",
    "benefit_elsewhere": lambda value: f"e:{value.benefit}/{value.amount_fen_per_month}",
    "application": lambda value: f"w:{value.item}/{value.wish}",
}
_SEVERAL_MAX: Final = 8  # of one kind of which several may hold at once: every set of them is a case


class Traits(NamedTuple):
    """The line taken apart: the values that each part of a `World` ever has, None among them where it may be unknown.

    `residences` with their kind of place. `died_in`: the year, after which nothing counts any more.
    """

    hukous: tuple[str | None, ...]
    residences: tuple[tuple[str | None, str | None], ...]
    disability: tuple[Any, ...]
    low_income: tuple[Any, ...]
    living: tuple[Any, ...]
    special: tuple[Any, ...]
    ability: tuple[Any, ...]
    merits: tuple[Any, ...]
    elsewhere: tuple[Any, ...]
    wishes: tuple[Any, ...]
    died_in: int | None


def traits_of(facts: Iterable[Fact], abilities: Sequence[Ability], died_on: date | None) -> str:
    """The line of somebody with these facts (sorted by kind and period, as `facts_known_at` gives them)."""
    found: dict[str, None] = {}
    known: dict[str, tuple[date | None, bool]] = {}  # a place: up to when it is known, whether without a gap
    for kind, value, valid_from, valid_to, *_ in facts:
        if kind in _VALUES:
            found[_VALUES[kind](value)] = None
        elif kind in _PLACES:
            name = _PLACES[kind]
            if name == "h":
                found[f"h:{value.hukou_division or NOWHERE}"] = None  # type: ignore[union-attr]
            else:
                found[f"r:{value.division}/{value.place}"] = None  # type: ignore[union-attr]
            before, whole = known.get(name, (None, True))
            known[name] = valid_to, whole and valid_from == before
    for name in ("h", "r"):
        until, whole = known.get(name, (date.min, False))
        if until is not None or not whole:
            found[f"{name}?"] = None
    for ability in abilities:
        found[f"a:{ability.level}"] = None
    if died_on is not None:
        found[f"x:{died_on.year}"] = None
    line = " ".join(sorted(found))
    crowded = len(found) > _SEVERAL_MAX and any(sum(p.startswith(n) for p in found) > _SEVERAL_MAX for n in _SETS)
    return ANYTHING if crowded or len(line) > _LENGTH_MAX else line


@lru_cache(maxsize=10_000)
def read_traits(line: str) -> Traits:
    """The parts of a line that `traits_of` made (not of ANYTHING)."""
    said: dict[str, list[Any]] = {name: [None] for name in "dlvsa"} | {name: [] for name in "hrxmew"}
    for part in line.split():
        name, _, text = part.partition(":")
        if name in ("h?", "r?"):
            said[name[0]].append(None if name == "h?" else (None, None))
        else:
            said[name].append(_READ[name](text))
    parts = [tuple(said[name]) for name in "hrdlvsa"] + [_sets(said[name]) for name in _SETS]
    return Traits._make([*parts, said["x"][0] if said["x"] else None])


def _sets(ever: Sequence[Any]) -> tuple[frozenset[Any] | None, ...]:
    """Everything that may have stood there at once; None: nothing."""
    return None, *map(frozenset, chain.from_iterable(combinations(ever, n) for n in range(1, len(ever) + 1)))


def _benefit(text: str) -> tuple[str, int | None]:
    benefit, _, fen = text.partition("/")
    return benefit, None if fen == "None" else int(fen)


def _low_income(text: str) -> tuple[str, str | None]:
    category, _, support = text.partition("/")
    return category, support or None


def _residence(text: str) -> tuple[str, str]:
    division, _, place = text.partition("/")
    return division, place


_SETS: Final = "mew"
_READ: Final[dict[str, Callable[[str], Any]]] = {
    "h": str,
    "r": _residence,
    "d": lambda text: tuple(int(part) for part in text.split(".")),
    "l": _low_income,
    "v": lambda text: tuple(text.split(",")) if text else (),
    "s": str,
    "a": int,
    "x": int,
    "m": str,
    "e": _benefit,
    "w": lambda text: tuple(text.split("/")),
}
