"""Full loads: a missing row ends, unless the table changed meanwhile, is empty, or too many rows are missing."""

from dataclasses import replace
from datetime import timedelta

import pytest
from ingestion.exchange import run_feeds as running
from ingestion.exchange import table_runs
from ingestion.exchange.feeds import need_registered
from ingestion.register import sources
from prometheus_client import REGISTRY
from shell import clock

DIBAO = ("dibao", "2026-01-01", None)
ENDED = ("dibao", "2026-01-01", "2026-11-22")


@pytest.fixture
def full(tables):
    tables.configure(tables.FULL)
    return tables


def delete(tables, *people):
    for n in people:
        tables.sql(f"DELETE FROM EX_LOW_INCOME WHERE RID = 'R{n}'")


async def test_a_missing_row_ends_on_the_day_of_the_reading(full, incomes, actions):
    for n in range(4):
        full.put(n)
    await full.work()
    delete(full, 2)
    full.put(9)
    feed = await full.again()
    assert (feed["state"], feed["last_run"]["missing"], feed["last_run"]["ended"]) == ("idle", 1, 1)
    assert await incomes() == sorted([[DIBAO]] * 4 + [[ENDED]], key=str)
    await full.again()
    assert await actions() == {"created": 5, "ended": 1}


async def test_the_whole_table_read_again_changes_nothing(full, actions):
    for n in range(4):
        full.put(n)
    await full.work()
    full.sql("UPDATE EX_LOW_INCOME SET BZ = '备注', GXSJ = '2026-11-22 08:00:00'")
    feed = await full.again()
    assert (feed["last_run"]["rows_read"], feed["last_run"]["unchanged"]) == (4, 4)
    assert await actions() == {"created": 4}


async def test_a_changed_row_is_found_without_an_operation_column(full, incomes):
    full.put(1)
    await full.work()
    full.put(1, LB="特困", KSRQ="2026-06-01")
    await full.again()
    assert await incomes() == [[("dibao", "2026-01-01", "2026-06-01"), ("tekun", "2026-06-01", None)]]


@pytest.mark.parametrize("order", [("低保", "特困"), ("特困", "低保")])
async def test_rows_that_share_a_key_are_rejected_with_their_reason_in_every_order(full, incomes, order):
    full.put(1)
    await full.work()
    delete(full, 1)
    for category in order:
        full.put(1, LB=category, log=True)
    feed = await full.again()
    assert (feed["last_run"]["rejected"], feed["last_run"]["unchanged"]) == (2, 0)
    assert (await full.rejects()).count("key_repeated") == 1
    assert await incomes() == [[DIBAO]]


async def test_a_missing_row_that_is_back_continues(full, incomes):
    for n in (1, 2):
        full.put(n)
    await full.work()
    delete(full, 1)
    await full.again()
    full.put(1)
    await full.again()
    assert await incomes() == [[DIBAO], [DIBAO]]


async def test_a_missing_row_whose_end_was_rejected_ends_after_the_next_reading(full, incomes, monkeypatch):
    for n in (1, 2):
        full.put(n)
    await full.work()
    delete(full, 1)
    known, urn = sources.registered(), full.FULL["source"]
    active = known[urn]
    monkeypatch.setitem(known, urn, active)

    def suspended_meanwhile(feed):
        known[urn] = active
        need_registered(feed)
        known[urn] = replace(active, active=False)

    monkeypatch.setattr(running, "need_registered", suspended_meanwhile)
    feed = await full.again()
    assert (feed["state"], feed["last_run"]["missing"], feed["last_run"]["ended"]) == ("idle", 1, 0)
    assert await incomes() == [[DIBAO]] * 2
    monkeypatch.undo()
    feed = await full.again()
    assert (feed["last_run"]["missing"], feed["last_run"]["ended"]) == (1, 1)
    assert await incomes() == sorted([[ENDED], [DIBAO]], key=str)


async def test_an_empty_table_ends_no_fact_and_waits_for_an_officer(full, incomes):
    for n in range(3):
        full.put(n)
    await full.work()
    delete(full, 0, 1, 2)
    feed = await full.again()
    assert (feed["state"], feed["problem"]["code"]) == ("held", "too_many_missing")
    assert feed["problem"]["more"] == {"missing": 3, "known": 3}
    assert await incomes() == [[DIBAO]] * 3


async def test_too_many_missing_rows_wait_for_an_officer_and_end_when_confirmed(full, incomes, database):
    for n in range(30):
        full.put(n)
    await full.work()
    delete(full, *range(11))
    feed = await full.again()
    assert feed["state"] == "held"
    assert await incomes() == [[DIBAO]] * 30
    wrong = await full.post("/v1/feeds/mca_low_income/confirm", {"missing": 10, "reason": "年度复核"})
    assert (wrong.status_code, wrong.json()["code"]) == (409, "missing_changed")
    right = await full.post("/v1/feeds/mca_low_income/confirm", {"missing": 11, "reason": "年度复核"})
    assert (right.status_code, right.json()["state"]) == (202, "ending")
    feed = await full.work()
    assert (feed["state"], feed["last_run"]["ended"], feed["last_run"]["confirmed_by"]) == ("idle", 11, "local-admin")
    assert await incomes() == sorted([[ENDED]] * 11 + [[DIBAO]] * 19, key=str)
    again = await full.post("/v1/feeds/mca_low_income/confirm", {"missing": 11, "reason": "年度复核"})
    assert again.json()["code"] == "feed_not_held"
    (audit,) = await database.pool.fetch("SELECT action, purpose FROM audits")
    assert tuple(audit) == ("feed_confirmed", "年度复核")


async def test_rows_that_are_new_do_not_hide_that_all_earlier_rows_are_missing(tables, incomes):
    tables.configure(tables.FULL | {"missing_percent_max": 60})
    for n in range(12):
        tables.put(n)
    await tables.work()
    delete(tables, *range(12))
    for n in range(12):
        tables.put(n, key=f"N{n}")  # the office has given every row a new key
    feed = await tables.again()
    assert (feed["state"], feed["problem"]["more"]) == ("held", {"missing": 12, "known": 12})
    assert await incomes() == [[DIBAO]] * 12


def gauge(name):
    return REGISTRY.get_sample_value(f"shouwang_feed_{name}", {"feed": "mca_low_income"})


async def test_a_table_no_longer_fails_once_its_missing_rows_have_ended(full, monkeypatch):
    for n in (1, 2):
        full.put(n)
    await full.work()
    delete(full, 1)
    clock.advance(timedelta(hours=1))
    assert await running.run_feeds(full.database)  # the reading; the missing row ends in the next step
    known, urn = sources.registered(), full.FULL["source"]
    monkeypatch.setitem(known, urn, replace(known[urn], active=False))
    feed = await full.work()
    assert (feed["state"], feed["problem"]["code"], gauge("failing")) == ("ending", "source_suspended", 1)
    monkeypatch.undo()
    feed = await full.again(seconds=10)
    assert (feed["state"], feed["problem"], gauge("failing")) == ("idle", None, 0)


async def test_a_held_table_is_still_shown_as_held_after_a_restart(full):
    for n in range(3):
        full.put(n)
    await full.work()
    delete(full, 0, 1, 2)
    await full.again()
    running.held.clear()  # a new process has no values
    assert await running.run_feeds(full.database) == 0
    assert gauge("held") == 1


async def test_rows_that_come_back_release_the_hold(full, incomes):
    for n in range(3):
        full.put(n)
    await full.work()
    delete(full, 0, 1, 2)
    assert (await full.again())["state"] == "held"
    for n in range(3):
        full.put(n)
    feed = await full.again()
    assert (feed["state"], feed["problem"]) == ("idle", None)
    assert await incomes() == [[DIBAO]] * 3


async def test_no_row_is_missing_if_the_table_changes_while_it_is_read(full, incomes, monkeypatch):
    for n in range(12):
        full.put(n)
    await full.work()
    delete(full, 11)
    monkeypatch.setattr(table_runs, "PAGE_ROWS", 5)
    monkeypatch.setattr(table_runs, "STEP_SECONDS", -1.0)
    clock.advance(timedelta(hours=1))
    assert await running.run_feeds(full.database)
    delete(full, 0)  # the other side is loading the table again
    feed = await full.work()
    assert (feed["state"], feed["problem"]["code"]) == ("idle", "table_moved")
    assert await incomes() == [[DIBAO]] * 12
    feed = await full.again()
    assert feed["last_run"]["ended"] == 2


async def test_a_wrong_row_is_rejected_and_not_missing(full, incomes):
    for n in (1, 2):
        full.put(n)
    await full.work()
    full.put(1, LB="不知道")
    feed = await full.again()
    assert (feed["last_run"]["rejected"], feed["last_run"]["missing"], feed["rejects"]) == (1, 0, 1)
    assert await incomes() == [[DIBAO]] * 2
    full.put(1)
    feed = await full.again()
    assert feed["rejects"] == 0


async def test_a_row_missing_from_a_list_of_deaths_revives_nobody(tables, actions):
    mapping = {"columns": {"person.id_number": "SFZH", "value.evidence": "LB", "valid_from": "KSRQ"}}
    feed = tables.FULL | {"kind": "death", "mapping": mapping | {"codes": {"value.evidence": {"火化": "cremation"}}}}
    tables.configure(feed)
    for n in (1, 2):
        tables.put(n, LB="火化")
    await tables.work()
    delete(tables, 1)
    shown = await tables.again()
    assert (shown["last_run"]["missing"], shown["last_run"]["ended"]) == (1, 0)
    assert await actions() == {"created": 2}


async def test_a_missing_row_with_an_earlier_end_of_its_own_gives_no_event(full, actions):
    full.put(1, TZRQ="2026-09-01")
    full.put(2)
    await full.work()
    delete(full, 1)
    feed = await full.again()
    assert (feed["last_run"]["missing"], feed["state"]) == (0, "idle")
    assert await actions() == {"created": 2}


async def test_two_different_rows_of_one_key_are_rejected(full, incomes):
    full.put(1)
    await full.work()
    full.put(1, LB="特困", log=True)
    full.put(2, key="K")
    full.put(3, key="K", log=True)
    feed = await full.again()
    assert feed["last_run"]["missing"] == 0
    assert await incomes() == [[DIBAO]]
    assert "表中有多行使用同一主键" in await full.rejects()


async def test_a_feed_may_define_that_a_missing_row_means_nothing(tables, incomes):
    tables.configure(tables.FULL | {"missing": "nothing"})
    for n in (1, 2):
        tables.put(n)
    await tables.work()
    delete(tables, 1)
    await tables.again()
    assert await incomes() == [[DIBAO]] * 2
