"""The platform's decisions are compared with a truth without history."""

from datetime import date
from typing import Any

from common.events.entitlement import Entitlement
from shouwang.trials.truth import TO_CHOOSE, in_force

TODAY = date(2026, 11, 20)


def held(item: str, state: Any, by: str | None = None) -> Entitlement:
    return Entitlement(
        entitlement_id=item,
        item=item,
        jurisdiction="110000",
        kind="cash",
        state=state,
        from_=date(2026, 1, 1),
        suppressed_by=by,
    )


def states(*entitlements: Entitlement) -> dict[str, str]:
    return {item: state for item, _, state, *_ in in_force(entitlements, TODAY)}


def test_the_order_of_items_to_choose_from_is_history() -> None:
    severe, nursing, old = "severe_disability_nursing_subsidy", "nursing_subsidy", "longevity_allowance"
    one = states(held(severe, "granted"), held(nursing, "choice_required", severe), held(old, "granted"))
    other = states(held(nursing, "granted"), held(severe, "choice_required", nursing), held(old, "granted"))
    neither = states(held(nursing, "choice_required"), held(severe, "choice_required"), held(old, "granted"))
    assert one == other == neither == {severe: TO_CHOOSE, nursing: TO_CHOOSE, old: "granted"}


def test_an_item_without_a_rival_must_be_granted() -> None:
    assert states(held("dibao", "granted")) != states(held("dibao", "choice_required"))
    assert states(held("dibao", "granted")) != states(held("dibao", "suppressed", "nursing_subsidy"))
