"""A person's days: on which of them with visiting care, and at which level of ability."""

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Final, Protocol

LEVELS_MAX: Final = 4


class Interval(Protocol):
    @property
    def item(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def from_(self) -> str: ...
    @property
    def to(self) -> str | None: ...


class Ability(Protocol):
    @property
    def level(self) -> int: ...
    @property
    def valid_from(self) -> date: ...
    @property
    def valid_to(self) -> date | None: ...


def visiting_periods(entitlements: Iterable[Interval]) -> str:
    """The days with visiting care as a PostgreSQL multirange. A visit is also rightful while a suspected death holds
    the money back."""
    spans = [
        f"[{e.from_},{e.to or ''})"
        for e in entitlements
        if e.item == "visiting_care" and e.state in ("granted", "suspended")
    ]
    return "{" + ",".join(spans) + "}"


def ability_periods(abilities: Sequence[Ability]) -> tuple[str, ...]:
    """Per level 0 … 4 the days as a multirange; a later result takes over on its first day, so that no day has two."""
    spans: list[list[str]] = [[] for _ in range(LEVELS_MAX + 1)]
    ordered = sorted(abilities, key=lambda a: a.valid_from)
    for ability, later in zip(ordered, [*ordered[1:], None], strict=True):
        if not 0 <= ability.level <= LEVELS_MAX:
            continue
        ends = [day for day in (ability.valid_to, later.valid_from if later else None) if day is not None]
        if not ends or ability.valid_from < min(ends):
            spans[ability.level].append(f"[{ability.valid_from},{min(ends) if ends else ''})")
    return tuple("{" + ",".join(found) + "}" for found in spans)
