"""Registered sources: who may say what, and how far it is believed (`contracts/sources.yaml`)."""

from functools import cache

import yaml
from common.settings import repository_root

from ingestion.domain.pushed import Source


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
