"""Which accounts belong to one person with several identities.

Only the survivor's own decision decides this, whatever the decisions of the others say.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Claim(NamedTuple):
    """The decision of `survivor` names `alias` as another identity of the same person."""

    survivor: str
    alias: str


def settle_claims(claims: Iterable[Claim], merged_into: Mapping[str, str | None]) -> dict[str, str | None]:
    """By alias the survivor that it is counted with.

    None: every claimant is itself claimed, because not all decisions have arrived. The alias then stays unchanged.
    `merged_into`: the survivor that an alias names itself; it decides between two claimants.
    """
    claimants: dict[str, list[str]] = {}
    for claim in claims:
        claimants.setdefault(claim.alias, []).append(claim.survivor)
    settled: dict[str, str | None] = {}
    for alias, survivors in claimants.items():
        unclaimed = sorted(s for s in survivors if s not in claimants)
        settled[alias] = _choose(unclaimed, merged_into.get(alias))
    return settled


def _choose(unclaimed: list[str], named: str | None) -> str | None:
    if named in unclaimed:
        return named
    return unclaimed[0] if unclaimed else None
