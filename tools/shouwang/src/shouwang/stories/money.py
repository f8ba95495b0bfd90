"""What is owed and paid: reading a ledger, and paying a month with maker, checker and bank."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Final

from shouwang.stories.platform import Answer, Json, Platform
from shouwang.stories.transcript import StoryFailed, expect

MAKER: Final = "officer-maker"
CHECKER: Final = "approver-checker"
BANK_LINES_MAX: Final = 2_000
PAID: Final = ("pay", "back_pay", "reissue")


@dataclass(frozen=True)
class Paid:
    """A settled batch; `lines` of everybody in it."""

    batch_id: str
    lines: list[Json]
    amount_fen: int


def sums(ledger: Json, kinds: tuple[str, ...], item: str, states: tuple[str, ...] = ("posted",)) -> dict[Any, int]:
    """Fen by (service month, area) of an item's entries of these kinds; what sums up to nothing is left out."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in ledger["entries"]:
        if entry["item"] == item and entry["kind"] in kinds and entry["state"] in states:
            found[entry["service_month"], entry["jurisdiction"]] += entry["amount_fen"]
    return {key: amount for key, amount in sorted(found.items()) if amount}


def owed(ledger: Json, item: str) -> dict[Any, int]:
    """What is due by (service month, area), held lines included."""
    return sums(ledger, ("due",), item, ("posted", "held"))


def paid(ledger: Json, item: str) -> dict[Any, int]:
    """What the bank has paid by (service month, area)."""
    return sums(ledger, PAID, item)


async def pay(platform: Platform, county: str, month: str) -> Paid:
    """Maker, checker, bank: pay what the county owes up to `month`. Shows on the way that one pair of eyes is not
    enough. Raises StoryFailed when nothing is owed."""
    batch = await platform.post("subsidy", "/v1/batches", {"month": month, "jurisdiction": county}, subject=MAKER)
    path = f"/v1/batches/{batch['batch_id']}"
    await platform.post("subsidy", f"{path}/submit", subject=MAKER)
    try:
        await platform.post("subsidy", f"{path}/approve", role="approver", subject=MAKER)
    except Answer as refused:
        expect((refused.status, refused.code), (403, "four_eyes"), "a maker who approves the own batch")
    else:
        raise StoryFailed("a batch was approved by its maker")
    approved = await platform.post("subsidy", f"{path}/approve", role="approver", subject=CHECKER)
    lines = await _lines(platform, path)
    ordered = [line["line_id"] for line in lines if line["state"] == "ordered"]
    for first in range(0, len(ordered), BANK_LINES_MAX):
        part = [{"line_id": line_id, "outcome": "settled"} for line_id in ordered[first : first + BANK_LINES_MAX]]
        answer = await platform.post("subsidy", "/v1/bank-returns", {"lines": part}, subject=MAKER)
        expect((answer["settled"], answer["refused"]), (len(part), []), "what the bank paid")
    return Paid(batch["batch_id"], lines, approved["amount_fen"])


async def _lines(platform: Platform, path: str) -> list[Json]:
    lines: list[Json] = []
    after = None
    while True:
        page = await platform.get("subsidy", path, after=after, limit=500)
        lines += page["lines"]
        after = page["next"]
        if after is None:
            return lines
