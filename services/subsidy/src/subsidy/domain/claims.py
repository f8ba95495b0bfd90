"""Decide which accounts belong to one person with several identities.

Only the decision about the survivor connects identities. The decisions about the other identities do not.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple


class Claim(NamedTuple):
    """The decision of `survivor` names `alias` as another identity of the same person."""

    survivor: str
    alias: str


def persons_in(claims: Iterable[Claim]) -> set[str]:
    """Return the ids of all survivors and aliases."""
    return {person_id for claim in claims for person_id in claim}


def settle_claims(claims: Iterable[Claim], merged_into: Mapping[str, str | None]) -> dict[str, str | None]:
    """Return the survivor of each alias, by alias. Payments under the alias are payments to the survivor.

    None: every claimant is itself claimed, because not all decisions have arrived. The alias then stays unchanged.
    `merged_into`: by alias the survivor that its own decision names. It decides between two claimants; if it names
    neither, the claimant with the smallest id counts.
    """
    claimants = _claimants(claims)
    settled: dict[str, str | None] = {}
    for alias, survivors in claimants.items():
        unclaimed = sorted(survivors - claimants.keys())
        settled[alias] = _choose(unclaimed, merged_into.get(alias))
    return settled


def _claimants(claims: Iterable[Claim]) -> dict[str, set[str]]:
    """Return by alias the persons whose decisions name the alias."""
    found: dict[str, set[str]] = {}
    for claim in claims:
        found.setdefault(claim.alias, set()).add(claim.survivor)
    return found


def _choose(unclaimed: list[str], named: str | None) -> str | None:
    if named in unclaimed:
        return named
    return unclaimed[0] if unclaimed else None
