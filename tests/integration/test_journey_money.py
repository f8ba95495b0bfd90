"""A month is paid once, and never by one officer alone."""

import pytest
from common.events import DuesDetermined
from shouwang.stories import people
from shouwang.stories.longevity import LONGEVITY
from shouwang.stories.money import owed, paid, pay
from shouwang.stories.people import XUANWEI
from shouwang.stories.platform import Answer, Platform, month_text


async def test_a_batch_needs_maker_and_checker_and_pays_everything_once(platform: Platform) -> None:
    elder, month = platform.cast.aged(91, platform.today(), county=XUANWEI), month_text(platform.today())
    await platform.push(*people.register_entries(elder, platform.now()))
    person_id = await platform.find(elder)
    await platform.watch.event(DuesDetermined, person_id)
    batch = await pay(platform, XUANWEI, month)  # also checks that the maker cannot be the checker
    assert batch.amount_fen == sum(line["amount_fen"] for line in batch.lines)
    ledger = await platform.ledger(person_id)
    assert paid(ledger, LONGEVITY) == owed(ledger, LONGEVITY) != {}
    assert ledger["balance_fen"] == 0
    with pytest.raises(Answer) as refused:
        await pay(platform, XUANWEI, month)
    assert (refused.value.status, refused.value.code) == (409, "nothing_to_pay")


async def test_debits_equal_credits_over_all_entries(platform: Platform) -> None:
    balance = await platform.call("GET", "subsidy", "/v1/trial-balance", role="auditor", division="000000")
    assert balance["debit_fen"] == balance["credit_fen"]
    assert sum(account["balance_fen"] for account in balance["accounts"]) == 0
