"""Reads dues and payments from a ledger, and pays a month with maker, checker and bank."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Final

from shouwang.stories.platform import Answer, Json, Platform
from shouwang.stories.transcript import StoryFailed, expect

MAKER: Final = "officer-maker"
CHECKER: Final = "approver-checker"
BANK_LINES_MAX: Final = 2_000
BATCH_PAGE: Final = 500
PAID: Final = ("pay", "back_pay", "reissue")


@dataclass(frozen=True)
class PaidBatch:
    """A settled batch with all its lines, as they were after the approval and before the answer of the bank."""

    batch_id: str
    lines: list[Json]
    amount_fen: int


def sums(
    ledger: Json, kinds: tuple[str, ...], item: str, states: tuple[str, ...] = ("posted",)
) -> dict[tuple[str, str], int]:
    """Return fen by (service month, area): the sums of the item's entries of these kinds and states, without zeros."""
    found: Counter[tuple[str, str]] = Counter()
    for entry in ledger["entries"]:
        if entry["item"] == item and entry["kind"] in kinds and entry["state"] in states:
            found[entry["service_month"], entry["jurisdiction"]] += entry["amount_fen"]
    return {key: amount_fen for key, amount_fen in sorted(found.items()) if amount_fen}


def owed(ledger: Json, item: str) -> dict[tuple[str, str], int]:
    """Return the fen due by (service month, area), held dues included."""
    return sums(ledger, ("due",), item, ("posted", "held"))


def paid(ledger: Json, item: str) -> dict[tuple[str, str], int]:
    """Return the fen paid by the bank, by (service month, area). Returned payments are not subtracted."""
    return sums(ledger, PAID, item)


async def pay(platform: Platform, county: str, month: str) -> PaidBatch:
    """Pay all that the county owes up to `month`. Raises StoryFailed when nothing is owed, or when the maker may
    approve this batch."""
    batch = await platform.post("subsidy", "/v1/batches", {"month": month, "jurisdiction": county}, subject=MAKER)
    path = f"/v1/batches/{batch['batch_id']}"
    await platform.post("subsidy", f"{path}/submit", subject=MAKER)
    await _maker_is_refused(platform, path)
    approved = await platform.post("subsidy", f"{path}/approve", role="approver", subject=CHECKER)
    lines = await _lines(platform, path)
    await _settle(platform, [line["line_id"] for line in lines if line["state"] == "ordered"])
    return PaidBatch(batch["batch_id"], lines, approved["amount_fen"])


async def _maker_is_refused(platform: Platform, path: str) -> None:
    """Check that the maker of a batch may not approve it. Raises StoryFailed."""
    try:
        await platform.post("subsidy", f"{path}/approve", role="approver", subject=MAKER)
    except Answer as refused:
        expect((refused.status, refused.code), (403, "four_eyes"), "a maker who approves the own batch")
    else:
        raise StoryFailed("a batch was approved by its maker")


async def _settle(platform: Platform, line_ids: list[str]) -> None:
    """Report, in place of the bank, that these lines were paid."""
    for first in range(0, len(line_ids), BANK_LINES_MAX):
        part = line_ids[first : first + BANK_LINES_MAX]
        results = [{"line_id": line_id, "outcome": "settled"} for line_id in part]
        answer = await platform.post("subsidy", "/v1/bank-returns", {"lines": results}, subject=MAKER)
        expect((answer["settled"], answer["refused"]), (len(part), []), "the result of the bank return")


async def _lines(platform: Platform, path: str) -> list[Json]:
    """Fetch all lines of a batch."""
    lines: list[Json] = []
    after = None
    while True:
        page = await platform.get("subsidy", path, after=after, limit=BATCH_PAGE)
        lines += page["lines"]
        after = page["next"]
        if after is None:
            return lines
