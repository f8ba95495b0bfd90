"""Turn a floor into a list, so that the proof compares it like any other list."""

from common.words_zh import ITEMS

from rules.form.bounds import Floor
from rules.form.policy import Amount, ItemPolicy, Pay, PolicyList, Tier, Version


def floor_list(area: str, floor: Floor) -> PolicyList:
    """Return a list that grants exactly the floor. Its pay terms and visits are the weakest possible."""
    item = ItemPolicy(
        item=floor.item,
        title=ITEMS.get(floor.item, floor.item),
        kind=floor.kind,
        follows=floor.follows,
        versions=(_version(floor),),
    )
    return PolicyList(jurisdiction=area, items={floor.item: item})


def _version(floor: Floor) -> Version:
    cash = floor.kind == "cash"
    pay = Pay(start="next_month", stop="same_month", band_change="next_month", when="arrears", status=floor.status)
    weakest = Tier(tier="Z", interval_days=31, mode="any", status=floor.status)
    return Version(
        valid_from=floor.valid_from,
        valid_to=floor.valid_to,
        status=floor.status,
        citation=floor.citation,
        conditions=floor.conditions,
        amount=Amount(flat_fen=floor.amount_fen_min) if cash else None,
        pay=pay if cash else None,
        tiers=(weakest,) if floor.item == "visiting_care" else (),
    )
