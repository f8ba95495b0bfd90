"""A new month adds its dues once, even after a long outage."""

from typing import Any

import pytest
from common.events import DuesDetermined
from subsidy import roll_month as rolling


async def test_a_new_month_is_owed_to_those_whose_entitlement_goes_on(town: Any) -> None:
    living, dead, never = town.person(), town.person(), town.person()
    await town.receive(
        living.decided(town.entitled("2026-04-05")),
        dead.decided(town.entitled("2026-04-05", "2026-06-03"), died="2026-06-02"),
        never.decided(),
    )
    await town.emitted()
    assert await town.month_turns() == 0
    town.at("2026-07-01")
    assert await town.month_turns() == 1
    assert list(await town.dues(living)) == ["2026-05", "2026-06", "2026-07"]
    assert list(await town.dues(dead)) == ["2026-05", "2026-06"]
    (emitted,) = await town.emitted(DuesDetermined)
    assert (emitted.person_id, [line.service_month for line in emitted.lines]) == (living.id, ["2026-07"])
    assert await town.month_turns() == 0
    await town.is_sound()


async def test_months_in_which_the_service_was_down_are_caught_up(town: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rolling, "PEOPLE_MAX", 2)
    people = [town.person() for _ in range(5)]
    await town.receive(*[person.decided(town.entitled("2026-05-05")) for person in people])
    town.at("2026-09-20")
    assert await town.month_turns() == 5
    for person in people:
        assert list(await town.dues(person)) == ["2026-06", "2026-07", "2026-08", "2026-09"]
    await town.is_sound()


async def test_a_birthday_in_the_future_waits_for_its_month(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-08-10")))
    town.at("2026-08-31")
    assert await town.month_turns() == 0
    town.at("2026-09-01")
    assert await town.month_turns() == 1
    assert await town.dues(person) == {"2026-09": "530302: 5000 due"}
    await town.is_sound()


async def test_paid_in_advance_the_coming_month_is_owed_in_this_one(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-04-05", when="advance")))
    assert list(await town.dues(person)) == ["2026-05", "2026-06", "2026-07"]
    batch = await town.office.pay("2026-07")
    assert [line["kind"] for line in await town.office.lines(batch)] == ["back_pay", "back_pay", "pay"]
    town.at("2026-07-01")
    assert await town.month_turns() == 1
    assert list(await town.dues(person))[-1] == "2026-08"
    # a death in June is learnt in July: the months after it were paid ahead
    await town.receive(person.decided(town.entitled("2026-04-05", "2026-06-21", when="advance"), died="2026-06-20"))
    assert await town.office.recoveries(person) == [("2026-07", 5000, "open")]
    await town.is_sound()


async def test_no_month_is_lost_when_the_clock_is_set_back(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-04-05")))
    town.at("2026-07-01")
    await town.month_turns()
    town.at("2026-05-01")
    await town.receive(person.decided(town.entitled("2026-04-05", fen=6000)))
    assert list(await town.dues(person)) == ["2026-05", "2026-06", "2026-07"]
    await town.is_sound()


async def test_the_new_month_of_a_held_entitlement_is_held(town: Any) -> None:
    person = town.person()
    await town.receive(
        person.decided(town.entitled("2026-04-05", "2026-06-10"), town.entitled("2026-06-10", state="suspended"))
    )
    town.at("2026-07-01")
    await town.month_turns()
    assert (await town.dues(person))["2026-07"] == "530302: 5000 held"
    await town.is_sound()


async def test_a_month_that_is_no_longer_paid_in_advance_is_owed_when_it_begins(town: Any) -> None:
    person, other = town.person(), town.person()
    await town.receive(person.decided(town.entitled("2026-04-05", when="advance")))
    batch = await town.office.pay("2026-07")
    assert [line["service_month"] for line in await town.office.lines(batch)] == ["2026-05", "2026-06", "2026-07"]
    # from July the list pays in arrears
    await town.receive(
        person.decided(
            town.entitled("2026-04-05", "2026-07-01", when="advance"),
            town.entitled("2026-07-01", policy="530302/longevity_allowance@2026-07-01"),
        ),
        other.decided(town.entitled("2026-04-05")),
    )
    assert list(await town.dues(person)) == ["2026-05", "2026-06"]
    town.at("2026-07-01")
    assert await town.month_turns() == 2
    assert list(await town.dues(person)) == list(await town.dues(other)) == ["2026-05", "2026-06", "2026-07"]
    assert await town.office.recoveries(person) == [("2026-07", 5000, "withdrawn")]
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_damaged_account_does_not_take_the_new_month_from_others(
    town: Any, caplog: pytest.LogCaptureFixture
) -> None:
    damaged, *people = [town.person() for _ in range(3)]
    await town.receive(*[person.decided(town.entitled("2026-05-05")) for person in (damaged, *people)])
    await town.database.pool.execute("UPDATE accounts SET entitlements = '{' WHERE person_id = $1", damaged.id)
    town.at("2026-07-01")
    assert await town.month_turns() == 2
    assert damaged.id in caplog.text
    for person in people:
        assert list(await town.dues(person)) == ["2026-06", "2026-07"]
    await town.receive(damaged.decided(town.entitled("2026-05-05", fen=6000)))
    assert list(await town.dues(damaged)) == ["2026-06", "2026-07"]
    await town.is_sound()
