"""A month is reserved by one person, approved by another and settled by the bank. Nothing is paid twice."""

import asyncio
import csv
from datetime import date
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from common.events import PaymentOrdered, PaymentReserved, PaymentSettled, RecoveryOpened
from shell.access.auth import issue_token
from subsidy import make_batch as making
from subsidy.domain.ledger import Changes, Line, Position
from subsidy.domain.payment import give_back, settle


async def _owed_since_april(town: Any, people: int = 1) -> list[Any]:
    found = [town.person() for _ in range(people)]
    await town.receive(*[person.decided(town.entitled("2026-03-05")) for person in found])
    await town.emitted()
    return found


async def test_a_batch_pays_the_month_and_earlier_ones_and_emits_every_step(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve("2026-06")
    assert (batch["state"], batch["line_count"], batch["amount_fen"]) == ("reserved", 3, 15000)
    assert [(line["service_month"], line["kind"]) for line in await town.office.lines(batch)] == [
        ("2026-04", "back_pay"),
        ("2026-05", "back_pay"),
        ("2026-06", "pay"),
    ]
    pays = await town.office.ledger(person, "pay", "back_pay")
    assert {state for _, _, _, state in pays} == {"pending"}
    approved = await town.office.approve(batch)
    assert (approved["state"], approved["checker"]) == ("approved", "local-approver")
    answer = await town.office.bank_returns(batch)
    assert answer == {"settled": 3, "returned": 0, "unchanged": 0, "refused": []}
    pays = await town.office.ledger(person, "pay", "back_pay")
    assert {state for _, _, _, state in pays} == {"posted"}
    assert await town.office.balance(person) == 0
    emitted = await town.emitted(PaymentReserved, PaymentOrdered, PaymentSettled)
    assert [type(event).__name__ for event in emitted] == [
        *["PaymentReserved"] * 3,
        *["PaymentOrdered"] * 3,
        *["PaymentSettled"] * 3,
    ]
    assert len({event.entry_id for event in emitted}) == 3
    await town.is_sound()


async def test_the_event_that_made_money_due_is_the_correlation_of_its_payment(town: Any) -> None:
    person = town.person()
    decided = person.decided(town.entitled("2026-04-05"))
    await town.receive(decided)
    await town.driver.clear_outbox()
    await town.office.pay()
    messages = await town.driver.emitted_messages()
    assert {m.correlation_id for m in messages} == {decided.causes[0]}
    assert len(messages) == 6


async def test_a_month_that_is_paid_or_in_a_batch_enters_no_other_batch(town: Any) -> None:
    await _owed_since_april(town)
    batch = await town.office.reserve()
    answer = await town.office.reserve(status=409)
    assert answer["code"] == "nothing_to_pay"
    await town.office.approve(batch)
    await town.office.reserve(status=409)
    await town.office.bank_returns(batch)
    await town.office.reserve(status=409)
    await town.is_sound()


async def test_an_earlier_month_leaves_the_later_ones_to_their_own_batch(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.pay("2026-05")
    assert [line["service_month"] for line in await town.office.lines(batch)] == ["2026-04", "2026-05"]
    assert await town.office.balance(person) == 5000


async def test_two_makers_at_the_same_moment_never_pay_a_month_twice(town: Any) -> None:
    people = await _owed_since_april(town, 40)

    async def make() -> int:
        body = {"month": "2026-06", "jurisdiction": town.QILIN}
        headers = {
            "authorization": f"Bearer {issue_token('officer', subject=str(uuid4()), division=town.QILIN)}",
            "idempotency-key": str(uuid4()),
        }
        answer = await town.office.client.post("/v1/batches", json=body, headers=headers)
        assert answer.status_code in (201, 409), answer.text
        return int(answer.json().get("line_count", 0))

    counts = await asyncio.gather(*(make() for _ in range(6)))
    assert sum(counts) == 120
    assert await town.database.pool.fetchval("SELECT count(*) FROM batch_lines") == 120
    assert [await town.office.balance(person) for person in people[:3]] == [15000] * 3
    await town.is_sound()


async def test_makers_checkers_banks_and_late_deaths_at_once_leave_a_sound_ledger(town: Any) -> None:
    people = await _owed_since_april(town, 30)
    batch = await town.office.reserve("2026-05")
    await town.office.call("POST", f"/v1/batches/{batch['batch_id']}/submit")
    dead = [p.decided(town.entitled("2026-03-05", "2026-04-11"), died="2026-04-10") for p in people[::2]]

    async def pay_june() -> None:
        await town.office.approve(await town.office.reserve("2026-06"))

    await asyncio.gather(
        town.office.call("POST", f"/v1/batches/{batch['batch_id']}/approve", "approver"),
        town.receive(*dead),
        pay_june(),
    )
    for row in await town.database.pool.fetch("SELECT batch_id FROM batches"):
        await town.office.bank_returns({"batch_id": row["batch_id"]})
    await town.is_sound()
    if await town.database.pool.fetchval("SELECT count(*) FROM dues WHERE amount_fen > paid_fen"):
        await town.office.pay("2026-06")  # for dues that were in neither batch
    for person in people:
        overpaid = sum(fen for _, fen, _ in await town.office.recoveries(person, "open"))
        assert await town.office.balance(person) == -overpaid
    await town.is_sound()


async def test_the_same_key_makes_one_batch_and_rejects_another_request(town: Any) -> None:
    await _owed_since_april(town)
    first, again = [await town.office.reserve(key="the-june-batch") for _ in range(2)]
    assert first == again
    assert await town.database.pool.fetchval("SELECT count(*) FROM batches") == 1
    answer = await town.office.reserve("2026-05", key="the-june-batch", status=409)
    assert answer["code"] == "idempotency_key_reused"


async def test_the_maker_of_a_batch_does_not_approve_it(town: Any) -> None:
    await _owed_since_april(town)
    batch = await town.office.reserve(subject="li")
    where = f"/v1/batches/{batch['batch_id']}"
    await town.office.call("POST", f"{where}/submit", subject="li")
    answer = await town.office.call("POST", f"{where}/approve", "approver", subject="li", status=403)
    assert answer["code"] == "four_eyes"
    await town.office.call("POST", f"{where}/approve", "officer", subject="wang", status=403)
    await town.office.call("POST", f"{where}/submit", subject="wang", status=403)
    # a table constraint rejects it too
    with pytest.raises(asyncpg.CheckViolationError):
        await town.database.pool.execute("UPDATE batches SET checker = maker")
    approved = await town.office.call("POST", f"{where}/approve", "approver", subject="wang")
    assert approved["state"] == "approved"


async def test_a_maker_with_a_second_account_neither_approves_nor_rejects_the_own_batch(town: Any) -> None:
    await _owed_since_april(town)
    batch = await town.office.reserve(subject="li-1", user="li")
    where = f"/v1/batches/{batch['batch_id']}"
    await town.office.call("POST", f"{where}/submit", subject="li-2", user="li")
    for what, body in (("approve", {}), ("reject", {"json": {"reason": "错误"}})):
        answer = await town.office.call(
            "POST", f"{where}/{what}", "approver", subject="li-2", user="li", status=403, **body
        )
        assert answer["code"] == "four_eyes"
    approved = await town.office.call("POST", f"{where}/approve", "approver", subject="wang-1", user="wang")
    assert (approved["state"], approved["checker"]) == ("approved", "wang")


async def test_a_batch_is_approved_once_and_only_after_it_was_submitted(town: Any) -> None:
    await _owed_since_april(town)
    batch = await town.office.reserve()
    where = f"/v1/batches/{batch['batch_id']}"
    await town.office.call("POST", f"{where}/approve", "approver", status=409)
    first = await town.office.approve(batch)
    assert await town.office.call("POST", f"{where}/approve", "approver") == first
    await town.office.call("POST", f"{where}/approve", "approver", subject="third", status=409)
    await town.office.call("POST", f"{where}/reject", "approver", json={"reason": "late"}, status=409)
    await town.office.call("POST", f"{where}/submit", status=409)
    assert len(await town.emitted(PaymentOrdered)) == 3


async def test_a_rejected_batch_is_voided_and_its_months_go_into_the_next_one(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve()
    where = f"/v1/batches/{batch['batch_id']}"
    rejected = await town.office.call("POST", f"{where}/reject", "approver", json={"reason": "wrong month"})
    assert (rejected["state"], rejected["line_count"], rejected["reason"]) == ("rejected", 0, "wrong month")
    await town.is_sound()
    await town.office.pay()
    states = [state for _, _, _, state in await town.office.ledger(person, "pay", "back_pay")]
    assert sorted(states) == ["posted"] * 3 + ["voided"] * 3
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_death_before_the_approval_takes_later_months_out_of_the_batch(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve()
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    approved = await town.office.approve(batch)
    assert (approved["line_count"], approved["amount_fen"]) == (2, 10000)
    lines = {line["service_month"]: (line["state"], line["reason"]) for line in await town.office.lines(batch)}
    assert lines == {
        "2026-04": ("ordered", None),
        "2026-05": ("ordered", None),
        "2026-06": ("taken_out", "no_longer_due"),
    }
    assert await town.office.ledger(person, "pay") == [("2026-06", "pay", 5000, "voided")]
    assert await town.office.recoveries(person) == []
    await town.office.bank_returns(batch)
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_suspicion_before_the_approval_holds_the_line_until_it_is_cleared(
    town: Any,
) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve()
    suspected = town.entitled("2026-03-05", "2026-06-02"), town.entitled("2026-06-02", state="suspended")
    await town.receive(person.decided(*suspected))
    await town.office.approve(batch)
    assert await town.office.ledger(person, "pay") == [("2026-06", "pay", 5000, "held")]
    await town.office.bank_returns(batch)
    await town.is_sound()
    await town.receive(person.decided(town.entitled("2026-03-05")))
    await town.office.pay()
    assert await town.office.ledger(person, "pay") == [
        ("2026-06", "pay", 5000, "held"),
        ("2026-06", "pay", 5000, "posted"),
    ]
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_death_learnt_after_the_order_is_recovered_once_the_payment_is_settled(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.order()
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    assert await town.emitted(RecoveryOpened) == []
    await town.is_sound()
    await town.office.bank_returns(batch)
    (opened,) = await town.emitted(RecoveryOpened)
    assert (opened.service_month, opened.amount_fen, opened.reason) == ("2026-06", 5000, "died")
    await town.is_sound()


async def test_a_lower_amount_after_reservation_takes_the_line_out_and_the_next_batch_pays_it(
    town: Any,
) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve()
    await town.receive(person.decided(town.entitled("2026-03-05", fen=3000)))
    assert (await town.office.approve(batch))["line_count"] == 0
    await town.office.pay()
    assert await town.office.balance(person) == 0
    assert (
        sum(fen for _, _, fen, state in await town.office.ledger(person, "pay", "back_pay") if state == "posted")
        == 9000
    )
    await town.is_sound()


async def test_a_raised_amount_pays_the_difference_for_the_months_already_paid(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    await town.office.pay()
    await town.receive(person.decided(town.entitled("2026-03-05", fen=6000)))
    batch = await town.office.pay()
    assert [(line["kind"], line["amount_fen"]) for line in await town.office.lines(batch)] == [("back_pay", 1000)] * 3
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_returned_payment_is_paid_again_as_a_reissue(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-05-05")))
    batch = await town.office.order()
    answer = await town.office.bank_returns(batch, "returned")
    assert (answer["returned"], answer["refused"]) == (1, [])
    assert await town.office.balance(person) == 5000
    await town.is_sound()
    again = await town.office.order()
    assert [line["kind"] for line in await town.office.lines(again)] == ["reissue"]
    await town.office.bank_returns(again)
    # a settled payment may still be returned days later
    await town.office.bank_returns(again, "returned")
    assert await town.office.balance(person) == 5000
    await town.office.pay()
    assert await town.office.ledger(person) == [
        ("2026-06", "due", 5000, "posted"),
        ("2026-06", "pay", 5000, "posted"),
        ("2026-06", "return", 5000, "posted"),
        ("2026-06", "reissue", 5000, "posted"),
        ("2026-06", "return", 5000, "posted"),
        ("2026-06", "reissue", 5000, "posted"),
    ]
    assert await town.office.balance(person) == 0
    await town.is_sound()


async def test_a_bank_return_for_a_dead_person_closes_the_recovery(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.pay()
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    assert await town.office.recoveries(person, "open") == [("2026-06", 5000, "open")]
    june = [line for line in await town.office.lines(batch) if line["service_month"] == "2026-06"]
    body = {"lines": [{"line_id": june[0]["line_id"], "outcome": "returned", "reason": "账户已销户"}]}
    await town.office.call("POST", "/v1/bank-returns", json=body)
    assert await town.office.recoveries(person) == [("2026-06", 5000, "withdrawn")]
    assert await town.office.balance(person) == 0
    await town.office.reserve(status=409)
    await town.is_sound()


async def test_money_collected_from_the_family_cannot_be_returned_by_the_bank_too(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.pay()
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    (case,) = (await town.office.call("GET", "/v1/recoveries"))["recoveries"]
    for _ in range(2):
        closed = await town.office.call("POST", f"/v1/recoveries/{case['recovery_id']}/collect")
        assert (closed["state"], closed["closed_by"]) == ("collected", "local-officer")
    answer = await town.office.bank_returns(batch, "returned")
    assert (answer["returned"], [refused["code"] for refused in answer["refused"]]) == (2, ["already_recovered"])
    await town.is_sound()


async def test_an_approver_writes_off_a_loss_and_it_is_reversed_when_the_month_is_owed_again(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    await town.office.pay()
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    (case,) = (await town.office.call("GET", "/v1/recoveries"))["recoveries"]
    where = f"/v1/recoveries/{case['recovery_id']}/write-off"
    await town.office.call("POST", where, json={"reason": "no heirs"}, status=403)
    await town.office.call("POST", where, "approver", json={"reason": "no heirs"})
    assert await town.office.balance(person) == 0
    await town.office.call("POST", f"/v1/recoveries/{case['recovery_id']}/collect", status=409)
    await town.is_sound()
    await town.receive(person.decided(town.entitled("2026-03-05")))
    assert await town.office.balance(person) == 0
    await town.office.reserve(status=409)  # it was paid already: nothing more is owed
    assert await town.office.ledger(person, "write_off") == [
        ("2026-06", "write_off", 5000, "posted"),
        ("2026-06", "write_off", -5000, "posted"),
    ]
    await town.is_sound()


async def test_the_same_bank_return_a_second_time_changes_nothing(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.order()
    await town.office.bank_returns(batch)
    before = await town.office.ledger(person)
    assert await town.office.bank_returns(batch) == {"settled": 0, "returned": 0, "unchanged": 3, "refused": []}
    assert await town.office.ledger(person) == before
    assert len(await town.emitted(PaymentSettled)) == 3


async def test_a_line_that_was_never_ordered_cannot_be_settled(town: Any) -> None:
    await _owed_since_april(town)
    batch = await town.office.reserve()
    ids = [line["line_id"] for line in await town.office.lines(batch)] + [str(uuid4())]
    body = {"lines": [{"line_id": id_, "outcome": "settled"} for id_ in ids]}
    answer = await town.office.call("POST", "/v1/bank-returns", json=body)
    assert sorted(refused["code"] for refused in answer["refused"]) == ["not_ordered"] * 3 + ["unknown_line"]
    await town.is_sound()


async def test_the_bank_file_has_no_names_and_only_ordered_lines(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.reserve()
    where = f"/v1/batches/{batch['batch_id']}/bank-file"
    await town.office.call("GET", where, status=409)
    await town.office.approve(batch)
    rows = list(csv.DictReader((await town.office.call("GET", where)).splitlines()))
    assert [(row["person_id"], row["amount_fen"], row["amount_yuan"]) for row in rows] == [
        (person.id, "5000", "50.00")
    ] * 3


async def test_an_officer_sees_and_pays_only_their_own_area(town: Any) -> None:
    here, there = town.person(), town.person()
    await town.receive(
        here.decided(town.entitled("2026-04-05")),
        there.decided(town.entitled("2026-04-05", jurisdiction=town.ZHANYI)),
    )
    await town.office.reserve(area=town.ZHANYI, status=201)
    batch = (await town.office.call("GET", "/v1/batches"))["batches"][0]
    headers = {"subject": "li", "area": town.QILIN}
    await town.office.call("GET", f"/v1/batches/{batch['batch_id']}", status=404, **headers)
    await town.office.call("POST", f"/v1/batches/{batch['batch_id']}/submit", status=404, **headers)
    assert (await town.office.call("GET", "/v1/batches", **headers))["batches"] == []
    await town.office.call("GET", f"/v1/persons/{there.id}/ledger", status=404, **headers)
    assert len((await town.office.call("GET", f"/v1/persons/{here.id}/ledger", **headers))["entries"]) == 2
    assert (await town.office.call("GET", "/v1/trial-balance", **headers))["debit_fen"] == 10000
    assert (await town.office.call("GET", "/v1/trial-balance"))["debit_fen"] == 20000
    body = {"month": "2026-06", "jurisdiction": town.ZHANYI}
    await town.office.call("POST", "/v1/batches", json=body, status=403, **headers)
    for role in ("officer", "approver", "auditor"):  # a token without an area opens none
        refused = await town.office.call("GET", "/v1/trial-balance", role, area=None, status=403)
        assert refused["code"] == "area_required"
    assert (await town.office.call("GET", "/v1/trial-balance", "auditor"))["debit_fen"] == 20000
    await town.office.call("POST", "/v1/batches", json=body, status=403, area=None)


async def test_an_officer_cannot_settle_or_recover_in_another_area(town: Any) -> None:
    (person,) = await _owed_since_april(town)
    batch = await town.office.order()
    elsewhere = {"subject": "li", "area": town.ZHANYI}
    body = {"lines": [{"line_id": line["line_id"], "outcome": "settled"} for line in await town.office.lines(batch)]}
    answer = await town.office.call("POST", "/v1/bank-returns", json=body, **elsewhere)
    assert [refused["code"] for refused in answer["refused"]] == ["unknown_line"] * 3
    await town.office.bank_returns(batch)
    await town.receive(person.decided(town.entitled("2026-03-05", "2026-05-11"), died="2026-05-10"))
    (case,) = (await town.office.call("GET", "/v1/recoveries"))["recoveries"]
    assert (await town.office.call("GET", "/v1/recoveries", **elsewhere))["recoveries"] == []
    await town.office.call("POST", f"/v1/recoveries/{case['recovery_id']}/collect", status=404, **elsewhere)
    assert await town.office.recoveries(person, "open") == [("2026-06", 5000, "open")]


async def test_a_reissue_that_was_rejected_is_still_a_reissue(town: Any) -> None:
    person = town.person()
    await town.receive(person.decided(town.entitled("2026-05-05")))
    await town.office.bank_returns(await town.office.order(), "returned")
    batch = await town.office.reserve()
    await town.office.call(
        "POST", f"/v1/batches/{batch['batch_id']}/reject", "approver", json={"reason": "account not corrected yet"}
    )
    batch = await town.office.pay()
    assert [line["kind"] for line in await town.office.lines(batch)] == ["reissue"]
    await town.is_sound()


async def test_the_trial_balance_shows_every_account(town: Any) -> None:
    await _owed_since_april(town)
    await town.office.pay("2026-05")
    found = await town.office.call("GET", "/v1/trial-balance")
    assert found == {
        "debit_fen": 25000,
        "credit_fen": 25000,
        "accounts": [
            {"account": "bank", "balance_fen": -10000},
            {"account": "payable_to_persons", "balance_fen": -5000},
            {"account": "subsidy_expense", "balance_fen": 15000},
        ],
    }


async def test_lines_beyond_the_maximum_go_into_the_next_batch(town: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    await _owed_since_april(town, 3)
    monkeypatch.setattr(making, "LINES_MAX", 5)
    assert [(await town.office.reserve())["line_count"] for _ in range(2)] == [5, 4]
    await town.office.reserve(status=409)
    await town.is_sound()


@pytest.mark.parametrize("month", ["2026-13", "2026-6", "june", "2026-08"])
async def test_a_malformed_or_too_distant_month_is_rejected(town: Any, month: str) -> None:
    await town.office.reserve(month, status=409 if month == "2026-08" else 422)


async def test_a_batch_without_an_idempotency_key_is_rejected(town: Any) -> None:
    answer = await town.office.client.post(
        "/v1/batches",
        json={"month": "2026-06", "jurisdiction": town.QILIN},
        headers={"authorization": f"Bearer {issue_token('officer', division=town.QILIN)}"},
    )
    assert answer.status_code == 422


async def test_requests_with_one_key_at_the_same_moment_make_one_batch(town: Any) -> None:
    await _owed_since_april(town, 3)
    made = await asyncio.gather(*(town.office.reserve(key="the-june-batch") for _ in range(6)))
    assert len({batch["batch_id"] for batch in made}) == 1
    assert await town.database.pool.fetchval("SELECT count(*) FROM batches") == 1
    assert await town.database.pool.fetchval("SELECT count(*) FROM batch_lines") == 9
    await town.is_sound()


async def test_an_expired_key_still_makes_no_second_batch(town: Any) -> None:
    await _owed_since_april(town)
    first = await town.office.reserve(key="the-june-batch")
    await town.database.pool.execute("DELETE FROM request_keys")
    assert (await town.office.reserve(key="the-june-batch"))["batch_id"] == first["batch_id"]
    assert await town.database.pool.fetchval("SELECT count(*) FROM batches") == 1


def test_a_recovery_that_opens_and_ends_in_one_bank_file_states_its_reason() -> None:
    key = (str(uuid4()), "longevity_allowance", "530302", date(2026, 6, 1))
    position, changes = Position(*key, amount_fen=5000, paid_fen=5000, open_fen=1000), Changes()
    settle(position, Line(str(uuid4()), *key, "back_pay", 2, 1000, "ordered"), None, changes)
    give_back(position, Line(str(uuid4()), *key, "pay", 1, 5000, "settled"), None, changes)
    (case,) = changes.cases.values()
    assert (case.state, case.amount_fen, case.reason) == ("withdrawn", 1000, "amount_lowered")
