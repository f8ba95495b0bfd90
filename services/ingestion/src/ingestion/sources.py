"""Registered sources: who may say what, and how far it is believed (`contracts/sources.yaml`)."""

from dataclasses import dataclass
from functools import cache

import yaml
from common.settings import repository_root


@dataclass(frozen=True, slots=True)
class Source:
    """`ranks`: kind → rank, 1 is the strongest; a kind that is not in it is refused."""

    urn: str
    area: str
    name: str
    ranks: dict[str, int]


@cache
def registered() -> dict[str, Source]:
    """All sources by URN."""
    data = yaml.safe_load((repository_root() / "contracts" / "sources.yaml").read_text(encoding="utf-8"))
    found = {}
    for area in data["areas"]:
        for office, entry in data["offices"].items():
            urn = f"urn:cn:exchange:{area}:{office}"
            found[urn] = Source(urn, area, entry["name"], dict(entry["kinds"]))
    return found
