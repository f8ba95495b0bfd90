"""Two identities belong to one person: a merge alone moves no fen, in any order of arrival."""

from random import Random
from typing import Any

import pytest


async def _in_total(town: Any, *people: Any) -> int:
    return sum([await town.office.balance(person) for person in people])


@pytest.mark.parametrize("merged_first", [True, False])
async def test_payments_under_the_merged_identity_count_for_the_survivor(town: Any, merged_first: bool) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-02-05")
    await town.receive(gone.decided(granted))
    await town.office.pay("2026-04")  # March and April, under the identity that goes
    merge, takes_over = gone.decided(merged_into=stays.id), stays.decided(granted, aliases=(gone.id,))
    for decided in (merge, takes_over) if merged_first else (takes_over, merge):
        await town.receive(decided)
    await town.is_sound()
    assert await town.office.recoveries(gone) == []
    assert await town.dues(gone) == {"2026-03": "530302: 5000 due", "2026-04": "530302: 5000 due"}
    assert await town.dues(stays) == {"2026-05": "530302: 5000 due", "2026-06": "530302: 5000 due"}
    town.at("2026-07-01")
    assert await town.month_turns() == 1
    batch = await town.office.pay("2026-07")
    assert [line["service_month"] for line in await town.office.lines(batch)] == ["2026-05", "2026-06", "2026-07"]
    assert await _in_total(town, gone, stays) == 0
    await town.is_sound()


async def test_money_ordered_for_the_merged_identity_is_not_paid_again(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(gone.decided(granted))
    batch = await town.office.order("2026-05")
    await town.receive(gone.decided(merged_into=stays.id), stays.decided(granted, aliases=(gone.id,)))
    again = await town.office.pay("2026-06")
    assert [line["service_month"] for line in await town.office.lines(again)] == ["2026-06"]
    await town.office.bank_returns(batch)
    assert await _in_total(town, gone, stays) == 0
    await town.is_sound()


async def test_a_person_paid_twice_under_two_identities_repays_one_payment(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(gone.decided(granted), stays.decided(granted))
    await town.office.pay("2026-06")
    await town.receive(gone.decided(merged_into=stays.id), stays.decided(granted, aliases=(gone.id,)))
    cases = await town.office.recoveries(gone) + await town.office.recoveries(stays)
    assert cases == [("2026-05", 5000, "open"), ("2026-06", 5000, "open")]
    await town.is_sound()


async def test_after_an_annulled_merge_each_person_has_their_own_dues(town: Any) -> None:
    gone, stays = town.person(), town.person()
    mine, theirs = town.entitled("2026-04-05"), town.entitled("2026-04-05", fen=8000)
    await town.receive(gone.decided(mine))
    await town.office.pay("2026-05")
    await town.receive(stays.decided(theirs, aliases=(gone.id,)), gone.decided(merged_into=stays.id))
    assert await town.dues(gone) == {"2026-05": "530302: 5000 due"}
    assert await town.dues(stays) == {"2026-05": "530302: 3000 due", "2026-06": "530302: 8000 due"}
    await town.is_sound()
    await town.receive(gone.decided(mine), stays.decided(theirs))
    assert await town.dues(gone) == {"2026-05": "530302: 5000 due", "2026-06": "530302: 5000 due"}
    assert await town.dues(stays) == {"2026-05": "530302: 8000 due", "2026-06": "530302: 8000 due"}
    await town.is_sound()


async def test_a_merge_whose_survivor_is_not_known_yet_changes_nothing(town: Any) -> None:
    gone, stays = town.person(), town.person()
    await town.receive(gone.decided(town.entitled("2026-04-05")))
    await town.office.pay("2026-05")
    before = await town.dues(gone)
    await town.receive(gone.decided(merged_into=stays.id))
    assert await town.dues(gone) == before
    assert await town.office.recoveries(gone) == []
    await town.is_sound()


async def test_a_merge_opens_no_recovery_before_the_survivor_is_decided_again(town: Any) -> None:
    """The survivor has no entitlement of its own; payments under the other identity are still owed."""
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(stays.decided(), gone.decided(granted))
    await town.office.pay("2026-05")
    await town.emitted()
    await town.receive(gone.decided(merged_into=stays.id))
    await town.receive(stays.decided(granted, aliases=(gone.id,)))
    assert [e for e in await town.emitted() if "Recover" in type(e).__name__] == []
    await town.is_sound()


async def test_an_alias_is_owed_nothing_even_before_its_own_decision_arrives(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(gone.decided(granted))
    await town.receive(stays.decided(granted, aliases=(gone.id,)))
    assert await town.dues(gone) == {}
    assert len(await town.dues(stays)) == 2
    town.at("2026-07-01")
    await town.month_turns()
    assert await town.dues(gone) == {}
    await town.is_sound()


async def test_a_month_paid_twice_is_recovered_and_the_ledger_of_the_survivor_shows_both_payments(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(gone.decided(granted), stays.decided(granted))
    await town.office.pay("2026-05")
    await town.receive(stays.decided(granted, aliases=(gone.id,)), gone.decided(merged_into=stays.id))
    seen = await town.office.call("GET", "/v1/recoveries")
    assert [(r["service_month"], r["reason"]) for r in seen["recoveries"]] == [("2026-05", "paid_twice")]
    ledger = await town.office.call("GET", f"/v1/persons/{stays.id}/ledger", params={"limit": 3})
    assert ledger["aliases"] == [gone.id]
    entries = list(ledger["entries"])
    while ledger["next"]:
        after = {"limit": 3, "after": ledger["next"]}
        ledger = await town.office.call("GET", f"/v1/persons/{stays.id}/ledger", params=after)
        entries += ledger["entries"]
    assert len({e["entry_id"] for e in entries}) == len(entries)
    assert sorted(e["person_id"] for e in entries if e["kind"] == "pay") == sorted([gone.id, stays.id])
    assert (await town.office.call("GET", f"/v1/persons/{gone.id}/ledger"))["merged_into"] == stays.id
    balance = await town.office.call("GET", "/v1/trial-balance")
    assert balance["debit_fen"] == balance["credit_fen"]


async def test_an_alias_of_a_merged_survivor_is_counted_with_the_last_survivor(town: Any) -> None:
    """Three people; the decision of the third arrives first, that of the second last."""
    first, second, third = town.person(), town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.receive(first.decided(granted))
    await town.office.pay("2026-05")
    await town.receive(second.decided(granted, aliases=(first.id,)), first.decided(merged_into=second.id))
    await town.receive(third.decided(granted, aliases=tuple(sorted((first.id, second.id)))))
    await town.is_sound()
    await town.receive(first.decided(merged_into=third.id))
    await town.receive(second.decided(merged_into=third.id))
    assert await town.dues(first) == {"2026-05": "530302: 5000 due"}
    assert await town.dues(third) == {"2026-06": "530302: 5000 due"}
    assert await town.dues(second) == {}
    assert await town.office.recoveries(first) == []
    await town.is_sound()


@pytest.mark.parametrize("seed", range(8))
async def test_after_any_merges_splits_and_payments_everyone_has_exactly_their_dues(town: Any, seed: int) -> None:
    """Merges and splits arrive late, in any order and twice, while batches are open. A person with several identities
    is owed once, and a double payment is recovered. After a split each has their own dues."""
    chance = Random(seed)
    people = [town.person() for _ in range(3)]
    granted = [town.entitled(f"2026-0{chance.randint(1, 4)}-05", fen=chance.choice((5000, 8000))) for _ in people]
    await town.receive(*(p.decided(g) for p, g in zip(people, granted, strict=True)))
    waiting: list[Any] = []
    for _ in range(6):
        together = chance.sample(range(3), chance.choice((1, 2, 2, 3)))
        for n, person in enumerate(people):
            if n not in together:
                waiting.append(person.decided(granted[n]))
            elif n == together[0]:
                waiting.append(person.decided(granted[n], aliases=tuple(people[m].id for m in together[1:])))
            else:
                waiting.append(person.decided(merged_into=people[together[0]].id))
        chance.shuffle(waiting)
        for _ in range(chance.randint(0, len(waiting))):
            await town.receive(waiting.pop(), times=2)
        if chance.random() < 0.7:
            batch = await town.office.reserve("2026-06", status=(201, 409))
            if "batch_id" in batch and chance.random() < 0.8:
                await town.office.bank_returns(await town.office.approve(batch))
        await town.is_sound()
    await town.receive(*waiting)
    await town.is_sound()
    owed = [await town.dues(p) for p in people]
    human = granted[together[0]]
    joined = [owed[n] for n in together]
    months = [month for dues in joined for month in dues]
    assert all(sum(int(d[m].split()[1]) for d in joined if m in d) == human.amount_fen_per_month for m in months)
    await town.receive(*(p.decided(g) for p, g in zip(people, granted, strict=True)))
    fresh = [town.person() for _ in people]
    await town.receive(*(p.decided(g) for p, g in zip(fresh, granted, strict=True)))
    assert [await town.dues(p) for p in people] == [await town.dues(p) for p in fresh]
    await town.is_sound()
