"""Compute the days on which a person has visiting care, and each ability level, as PostgreSQL multiranges."""

from collections.abc import Iterable, Sequence
from typing import Final

from supervision.domain.events import PartialAbility, PartialEntitlement

LEVELS_MAX: Final = 4
_VISITED_STATES: Final = ("granted", "suspended")


def visiting_periods(entitlements: Iterable[PartialEntitlement]) -> str:
    """Return the days with visiting care, granted or suspended: a visit is valid while a death is only suspected."""
    spans: list[str] = []
    for e in entitlements:
        if e.item == "visiting_care" and e.state in _VISITED_STATES:
            spans.append(f"[{e.from_},{e.to or ''})")
    return "{" + ",".join(spans) + "}"


def ability_periods(abilities: Sequence[PartialAbility]) -> tuple[str, ...]:
    """Return the days of each level 0 … 4. A later result replaces the one before from its first day."""
    spans: list[list[str]] = [[] for _ in range(LEVELS_MAX + 1)]
    ordered = sorted(abilities, key=lambda a: a.valid_from)
    for ability, later in zip(ordered, [*ordered[1:], None], strict=True):
        span = _span(ability, later)
        if span and 0 <= ability.level <= LEVELS_MAX:
            spans[ability.level].append(span)
    return tuple("{" + ",".join(found) + "}" for found in spans)


def _span(ability: PartialAbility, later: PartialAbility | None) -> str | None:
    """The days of a result up to its end or to the next result; None if there are none."""
    ends = [day for day in (ability.valid_to, later.valid_from if later else None) if day is not None]
    if not ends:
        return f"[{ability.valid_from},)"
    return f"[{ability.valid_from},{min(ends)})" if ability.valid_from < min(ends) else None
