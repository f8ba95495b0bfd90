"""Entitlement decisions change dues and ledger."""

from typing import Any

import pytest
from common.events import DuesDetermined, RecoveryClosed, RecoveryOpened


def _months(first: int, last: int, what: str) -> dict[str, str]:
    return {f"2026-{month:02d}": what for month in range(first, last + 1)}


async def test_the_allowance_is_owed_from_the_month_after_the_eightieth_birthday(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-05")))
    assert await town.dues(person) == _months(4, 6, "530302: 5000 due")
    (emitted,) = await town.emitted(DuesDetermined)
    assert [(line.service_month, line.amount_fen, line.state) for line in emitted.lines] == [
        ("2026-04", 5000, "due"),
        ("2026-05", 5000, "due"),
        ("2026-06", 5000, "due"),
    ]
    assert await town.office.ledger(person) == [(f"2026-0{m}", "due", 5000, "posted") for m in (4, 5, 6)]
    assert await town.office.balance(person) == 15000
    await town.is_sound()


@pytest.mark.parametrize("sequence", ["2147483648", "9" * 300, "-1", "x"])
async def test_a_cursor_that_no_page_returned_is_rejected(town: Any, sequence: str) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-05")))
    after = f"2026-04-01|longevity_allowance|530302|{sequence}|{person.id}"
    path = f"/v1/persons/{person.id}/ledger"
    refused = await town.office.call("GET", path, params={"after": after}, status=400)
    assert refused["code"] == "bad_cursor"


async def test_the_same_decision_three_times_owes_one_line_a_month(town: Any) -> None:
    person = town.person()
    decided = person.decided(town.entitled("2026-05-05"))
    await town.receive(decided, times=3)
    assert await town.office.ledger(person) == [("2026-06", "due", 5000, "posted")]
    assert len(await town.emitted(DuesDetermined)) == 1
    await town.is_sound()


async def test_a_decision_that_changes_no_dues_only_updates_the_version(town: Any) -> None:
    person, cash = town.person(), town.entitled("2026-05-05")
    await town.receive(person.decided(cash))
    await town.emitted()
    await town.receive(person.decided(cash, residence="530302001"))
    assert await town.emitted() == []
    assert await town.database.pool.fetchval("SELECT version FROM accounts") == 2
    assert await town.database.pool.fetchval("SELECT count(*) FROM entries") == 1


async def test_an_older_decision_that_arrives_late_changes_nothing(town: Any) -> None:
    person = town.person()
    nothing_yet, granted = person.decided(), person.decided(town.entitled("2026-05-05"))
    await town.receive(granted)
    await town.receive(nothing_yet)
    assert await town.dues(person) == _months(6, 6, "530302: 5000 due")
    # … not even if a newer decision in between changed no dues
    unchanged = person.decided(*granted.entitlements)
    late = person.decided()
    newest = person.decided(*granted.entitlements)
    await town.receive(unchanged)
    await town.receive(newest)
    await town.receive(late)
    assert await town.dues(person) == _months(6, 6, "530302: 5000 due")
    await town.is_sound()


async def test_a_move_between_counties_pays_the_month_of_the_move_once_at_the_old_amount(town: Any) -> None:
    person = town.person()
    await town.receive(
        person.decided(
            town.entitled("2023-01-01", "2026-04-10", fen=10000),
            town.entitled("2026-04-10", jurisdiction=town.ZHANYI, fen=5000, start="same_month"),
        )
    )
    assert await town.dues(person) == {
        **_months(1, 4, "530302: 10000 due"),
        **_months(5, 6, "530303: 5000 due"),
    }
    await town.is_sound()


async def test_after_a_move_that_is_learnt_late_the_old_county_owes_nothing(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-20")))
    assert await town.dues(person) == _months(4, 6, "530302: 5000 due")
    await town.emitted()
    await town.receive(person.decided(town.entitled("2026-03-20", jurisdiction=town.ZHANYI, fen=5000)))
    assert await town.dues(person) == _months(4, 6, "530303: 5000 due")
    (emitted,) = await town.emitted(DuesDetermined)
    assert sorted((line.jurisdiction, line.service_month, line.amount_fen) for line in emitted.lines) == [
        *(("530302", f"2026-0{m}", 0) for m in (4, 5, 6)),
        *(("530303", f"2026-0{m}", 5000) for m in (4, 5, 6)),
    ]
    assert await town.office.balance(person) == 15000
    await town.is_sound()


async def test_a_band_changes_in_the_month_after_the_ninetieth_birthday(town: Any) -> None:
    person = town.person()
    await town.receive(
        person.decided(town.entitled("2016-04-20", "2026-04-20", fen=5000), town.entitled("2026-04-20", fen=10000))
    )
    assert await town.dues(person) == {**_months(1, 4, "530302: 5000 due"), **_months(5, 6, "530302: 10000 due")}
    await town.is_sound()


async def test_months_before_the_first_month_of_an_area_are_not_owed(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_PAY_FROM_MONTH", "2026-05,530303=2026-03")
    here, there = town.person(), town.person()
    old = town.entitled("2010-01-05")
    await town.receive(here.decided(old), there.decided(town.entitled("2010-01-05", jurisdiction=town.ZHANYI)))
    assert await town.dues(here) == _months(5, 6, "530302: 5000 due")
    assert await town.dues(there) == _months(3, 6, "530303: 5000 due")
    # the stored month stays
    monkeypatch.setenv("SHOUWANG_PAY_FROM_MONTH", "2026-01")
    await town.receive(here.decided(old, town.entitled("2026-01-01", item="nursing_subsidy")))
    assert await town.dues(here) == _months(5, 6, "530302: 5000 due")
    await town.is_sound()


async def test_an_amount_that_only_an_example_gives_is_barred_and_no_expense(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-05", policy_status="example")))
    assert await town.dues(person) == _months(4, 6, "530302: 5000 barred")
    assert await town.office.ledger(person) == []
    await town.office.reserve(status=409)
    await town.is_sound()
    await town.receive(person.decided(town.entitled("2026-03-05")))
    assert await town.office.balance(person) == 15000
    await town.receive(person.decided(town.entitled("2026-03-05", policy_status="example")))
    assert await town.office.balance(person) == 0
    await town.is_sound()


@pytest.mark.parametrize(
    ("example", "reason", "words"),
    [
        ({"policy_status": "example"}, "example_amount", "标准为示例"),
        ({"status": "example"}, "example_pay_rule", "发放规则为示例"),
    ],
)
async def test_the_ledger_shows_unpaid_entitlements_with_the_reason(
    town: Any, example: dict[str, str], reason: str, words: str
) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-05", **example)))
    assert await town.dues(person) == _months(4, 6, "530302: 5000 barred")
    ledger = await town.office.call("GET", f"/v1/persons/{person.id}/ledger")
    assert (ledger["balance_fen"], ledger["entries"]) == (0, [])
    (unpaid,) = ledger["unpaid"]
    assert words in unpaid.pop("text")
    assert unpaid == {
        "item": "longevity_allowance",
        "jurisdiction": "530302",
        "from_month": "2026-04",
        "through_month": "2026-06",
        "months": 3,
        "amount_fen_per_month": 5000,
        "amount_fen": 15000,
        "reason": reason,
        "policy": "530302/longevity_allowance@2023-01-01",
    }
    await town.office.call("GET", f"/v1/persons/{person.id}/ledger", area="140700", status=404)
    await town.office.reserve(status=409)
    await town.is_sound()
    await town.receive(person.decided(town.entitled("2026-03-05")))  # a document gives the amount: back-pay
    ledger = await town.office.call("GET", f"/v1/persons/{person.id}/ledger")
    assert (ledger["balance_fen"], ledger["unpaid"]) == (15000, [])


@pytest.mark.usefixtures("demonstration")
async def test_a_demonstration_owes_what_only_examples_give(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-03-05", policy_status="example", status="example")))
    assert await town.dues(person) == _months(4, 6, "530302: 5000 due")
    ledger = await town.office.call("GET", f"/v1/persons/{person.id}/ledger")
    assert (ledger["balance_fen"], ledger["unpaid"]) == (15000, [])
    await town.is_sound()


async def test_a_payment_is_not_recovered_when_the_list_becomes_an_example(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-06-01", start="same_month")))
    await town.office.pay()
    await town.receive(person.decided(town.entitled("2026-06-01", start="same_month", status="example")))
    assert await town.office.recoveries(person) == []
    await town.office.reserve(status=409)  # no further month is paid
    await town.is_sound()


async def test_a_suspicion_holds_unpaid_months_until_it_is_cleared(town: Any) -> None:
    person = town.person()
    granted = town.entitled("2026-01-05")
    await town.receive(person.decided(granted))
    await town.office.pay("2026-03")
    suspected = (
        town.entitled("2026-01-05", "2026-03-20"),
        town.entitled("2026-03-20", state="suspended"),
    )
    await town.emitted()
    await town.receive(person.decided(*suspected))
    assert await town.dues(person) == {
        **_months(2, 2, "530302: 5000 due"),
        **_months(3, 6, "530302: 5000 held"),
    }
    (emitted,) = await town.emitted(DuesDetermined, RecoveryOpened)  # held, not recovered, although March is paid
    assert {line.state for line in emitted.lines} == {"held"}
    assert ("2026-05", "due", 5000, "held") in await town.office.ledger(person)
    await town.office.reserve(status=409)  # nor paid
    await town.is_sound()
    await town.receive(person.decided(granted))
    assert await town.dues(person) == _months(2, 6, "530302: 5000 due")
    await town.office.pay()
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_late_death_recovers_later_months_and_its_revocation_withdraws_the_recovery(town: Any) -> None:
    person, granted = town.person(), town.entitled("2025-01-05")
    await town.receive(person.decided(granted))
    await town.office.pay()
    await town.emitted()
    await town.receive(person.decided(town.entitled("2025-01-05", "2026-04-01"), died="2026-03-31"))
    assert await town.dues(person) == _months(1, 3, "530302: 5000 due")
    opened = await town.emitted(RecoveryOpened)
    assert [(r.service_month, r.amount_fen, r.reason) for r in opened] == [
        (f"2026-0{m}", 5000, "died") for m in (4, 5, 6)
    ]
    assert await town.office.recoveries(person) == [(f"2026-0{m}", 5000, "open") for m in (4, 5, 6)]
    assert await town.office.balance(person) == -15000
    await town.is_sound()

    await town.receive(person.decided(granted))
    closed = await town.emitted(RecoveryClosed)
    assert {(r.recovery_id, r.outcome) for r in closed} == {(r.recovery_id, "withdrawn") for r in opened}
    assert await town.office.balance(person) == 0
    await town.office.reserve(status=409)  # everything is paid already
    assert await town.office.ledger(person, "recover") == [(f"2026-0{m}", "recover", 5000, "voided") for m in (4, 5, 6)]
    await town.is_sound()


async def test_after_a_revoked_death_the_collected_money_is_paid_again(town: Any) -> None:
    person, granted = town.person(), town.entitled("2025-01-05")
    await town.receive(person.decided(granted))
    await town.office.pay()
    await town.receive(person.decided(town.entitled("2025-01-05", "2026-05-11"), died="2026-05-10"))
    (case,) = (await town.office.call("GET", "/v1/recoveries"))["recoveries"]
    await town.office.call("POST", f"/v1/recoveries/{case['recovery_id']}/collect")
    assert await town.office.balance(person) == 0
    await town.is_sound()
    await town.receive(person.decided(granted))
    assert await town.office.balance(person) == 5000
    town.at("2026-07-02")
    await town.month_turns()
    batch = await town.office.pay("2026-07")
    assert [(line["service_month"], line["kind"]) for line in await town.office.lines(batch)] == [
        ("2026-06", "back_pay"),
        ("2026-07", "pay"),
    ]
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_crash_before_the_commit_writes_nothing_and_the_retry_writes_everything(
    town: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    person = town.person()
    decided = person.decided(town.entitled("2026-03-05"))

    class Crash(BaseException):
        """The process ends here."""

    def crash(point: str) -> None:
        if point == "before_commit":
            raise Crash

    with monkeypatch.context() as broken:
        broken.setattr("shell.store.database.crash_point", crash)
        with pytest.raises(Crash):
            await town.receive(decided)
    assert await town.dues(person) == {}
    assert await town.emitted() == []
    await town.receive(decided)
    assert await town.dues(person) == _months(4, 6, "530302: 5000 due")
    assert len(await town.emitted(DuesDetermined)) == 1
    await town.is_sound()
