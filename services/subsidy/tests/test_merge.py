"""Two identities turn out to be one person: a merge alone moves no fen, in whatever order it is heard."""

from typing import Any

import pytest


async def _in_total(town: Any, *people: Any) -> int:
    return sum([await town.office.balance(person) for person in people])


@pytest.mark.parametrize("merged_first", [True, False])
async def test_what_was_paid_under_the_merged_identity_counts_for_the_survivor(town: Any, merged_first: bool) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-02-05")
    await town.hear(gone.decided(granted))
    await town.office.pay("2026-04")  # March and April, under the identity that goes
    merge, takes_over = gone.decided(merged_into=stays.id), stays.decided(granted)
    for decided in (merge, takes_over) if merged_first else (takes_over, merge):
        await town.hear(decided)
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


async def test_money_on_its_way_to_the_merged_identity_is_not_sent_a_second_time(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.hear(gone.decided(granted))
    batch = await town.office.order("2026-05")
    await town.hear(gone.decided(merged_into=stays.id), stays.decided(granted))
    again = await town.office.pay("2026-06")
    assert [line["service_month"] for line in await town.office.lines(again)] == ["2026-06"]
    await town.office.bank_says(batch)
    assert await _in_total(town, gone, stays) == 0
    await town.is_sound()


async def test_one_person_who_was_paid_twice_under_two_identities_gives_one_of_them_back(town: Any) -> None:
    gone, stays = town.person(), town.person()
    granted = town.entitled("2026-04-05")
    await town.hear(gone.decided(granted), stays.decided(granted))
    await town.office.pay("2026-06")
    await town.hear(gone.decided(merged_into=stays.id))
    cases = await town.office.recoveries(gone) + await town.office.recoveries(stays)
    assert cases == [("2026-05", 5000, "open"), ("2026-06", 5000, "open")]
    await town.is_sound()


async def test_a_merge_that_is_annulled_leaves_each_with_their_own(town: Any) -> None:
    gone, stays = town.person(), town.person()
    mine, theirs = town.entitled("2026-04-05"), town.entitled("2026-04-05", fen=8000)
    await town.hear(gone.decided(mine))
    await town.office.pay("2026-05")
    await town.hear(stays.decided(theirs), gone.decided(merged_into=stays.id))
    assert await town.dues(gone) == {"2026-05": "530302: 5000 due"}
    assert await town.dues(stays) == {"2026-05": "530302: 3000 due", "2026-06": "530302: 8000 due"}
    await town.is_sound()
    await town.hear(gone.decided(mine))
    assert await town.dues(gone) == {"2026-05": "530302: 5000 due", "2026-06": "530302: 5000 due"}
    assert await town.dues(stays) == {"2026-05": "530302: 8000 due", "2026-06": "530302: 8000 due"}
    await town.is_sound()


async def test_a_merge_whose_survivor_is_not_known_yet_changes_nothing(town: Any) -> None:
    gone, stays = town.person(), town.person()
    await town.hear(gone.decided(town.entitled("2026-04-05")))
    await town.office.pay("2026-05")
    before = await town.dues(gone)
    await town.hear(gone.decided(merged_into=stays.id))
    assert await town.dues(gone) == before
    assert await town.office.recoveries(gone) == []
    await town.is_sound()
