"""Which accounts are one human's: the survivor says who counts as it, whatever has been heard of the others. Pure."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Claim(NamedTuple):
    survivor: str
    alias: str


def settle_claims(claims: Iterable[Claim], merged_into: Mapping[str, str | None]) -> dict[str, str | None]:
    """By alias the survivor it is counted with. None: whoever claims it is claimed too, since not all of them have been
    heard yet; until then everything stays as it is. `merged_into`: whom an alias names itself, if two claim it."""
    claimants: dict[str, list[str]] = {}
    for claim in claims:
        claimants.setdefault(claim.alias, []).append(claim.survivor)
    found: dict[str, str | None] = {}
    for alias, survivors in claimants.items():
        free = sorted(s for s in survivors if s not in claimants)
        named = merged_into.get(alias)
        found[alias] = named if named in free else free[0] if free else None
    return found
