"""The money owed for each month: cases that officials met, and every rule against a slow reading of the calendar."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import count
from typing import Any

import msgspec
import pytest
from common.calendar import add_months, birthday
from common.events import Entitlement, PayTerms
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.money.due import Due, due, example_of, next_change, owed_before

OLD, NEW = "530302", "530303"
_ids = count()


def on(text: str) -> date:
    return date.fromisoformat(text)


def cash(
    first: date | str, to: date | str | None = None, fen: int | None = 5000, *, area: str = OLD, **more: Any
) -> Entitlement:
    names = ("start", "stop", "band_change", "when", "fund", "status")
    terms = {name: more.pop(name) for name in names if name in more}
    return Entitlement(
        **{
            "entitlement_id": str(next(_ids)),
            "item": "longevity_allowance",
            "jurisdiction": area,
            "kind": "cash",
            "state": "granted",
            "from_": on(first) if isinstance(first, str) else first,
            "to": on(to) if isinstance(to, str) else to,
            "amount_fen_per_month": fen,
            "pay": PayTerms(**{"status": "documented", **terms}),
            **more,
        }
    )


def owed(entitlements: Sequence[Entitlement], through: str, died: str | None = None, **more: Any) -> dict[str, Any]:
    """The money owed by month, with the area if there are several."""
    more = {"demo": False, **more}
    lines = due(entitlements, through_month=on(f"{through}-01"), died_on=on(died) if died else None, **more)
    several = len({line.jurisdiction for line in lines}) > 1
    return {
        f"{line.service_month:%Y-%m}": (line.jurisdiction, line.amount_fen) if several else line.amount_fen
        for line in lines
    }


# ── the cases of the payment rules ──────────────────────────────────────────────────────────────────────────


def test_born_on_15_june_1945_the_first_paid_month_is_july_where_the_list_says_the_next_month() -> None:
    turned_80 = birthday(on("1945-06-15"), 80)
    assert min(owed([cash(turned_80)], "2025-12")) == "2025-07"


def test_born_on_15_june_1945_the_first_paid_month_is_june_where_the_list_says_the_same_month() -> None:
    turned_80 = birthday(on("1945-06-15"), 80)
    assert min(owed([cash(turned_80, start="same_month")], "2025-12")) == "2025-06"


def test_born_on_29_february_1944_the_allowance_begins_in_march_2024() -> None:
    turned_80 = birthday(on("1944-02-29"), 80)
    assert turned_80 == on("2024-02-29")
    assert min(owed([cash(turned_80)], "2024-12")) == "2024-03"
    assert birthday(on("1944-02-29"), 81) == on("2025-03-01")


def test_months_of_which_no_list_says_how_much_are_not_owed_and_begin_nothing() -> None:
    open_ = cash("2023-05-21", "2023-11-08", None, area="000000")
    assert owed([open_], "2024-01") == {}
    assert next_change([open_], after_month=on("2023-01-01")) is None
    assert owed([open_, cash("2023-11-08")], "2024-01") == {"2023-12": 5000, "2024-01": 5000}
    same = cash("2023-05-21", "2023-11-08", None, band_change="same_month")
    assert min(owed([same, cash("2023-11-08", band_change="same_month")], "2024-01")) == "2023-12"  # a beginning


def test_a_birthday_on_the_first_of_a_month_pays_from_the_month_after_it() -> None:
    assert min(owed([cash("2025-06-01")], "2025-12")) == "2025-07"


def test_after_a_death_on_31_march_april_and_may_are_not_owed() -> None:
    before = owed([cash("2024-01-01")], "2025-05")
    after = owed([cash("2024-01-01", "2025-04-01")], "2025-05", died="2025-03-31")
    assert sorted(before.keys() - after.keys()) == ["2025-04", "2025-05"]


def test_paid_in_advance_april_is_owed_in_march_and_no_longer_after_a_death_on_31_march() -> None:
    before = owed([cash("2025-01-10", when="advance")], "2025-03")
    after = owed([cash("2025-01-10", "2025-04-01", when="advance")], "2025-03", died="2025-03-31")
    assert before == {"2025-02": 5000, "2025-03": 5000, "2025-04": 5000}
    assert after == {"2025-02": 5000, "2025-03": 5000}


def test_a_revoked_death_owes_every_month_again() -> None:
    assert owed([cash("2025-01-10")], "2025-06") == {f"2025-0{m}": 5000 for m in range(2, 7)}


def test_at_90_on_20_august_2025_august_has_the_old_band_and_september_the_new_one() -> None:
    bands = [cash("2015-08-20", "2025-08-20", 5000), cash("2025-08-20", None, 10000)]
    paid = owed(bands, "2025-10")
    assert (paid["2025-07"], paid["2025-08"], paid["2025-09"]) == (5000, 5000, 10000)


def test_where_the_list_says_the_same_month_the_new_band_counts_from_the_month_of_the_birthday() -> None:
    same = {"band_change": "same_month"}
    bands = [cash("2015-08-20", "2025-08-20", 5000, **same), cash("2025-08-20", None, 10000, **same)]
    assert owed(bands, "2025-08")["2025-08"] == 10000


def test_an_interval_decided_three_times_is_paid_once() -> None:
    assert owed([cash("2025-05-10")] * 3, "2025-06") == {"2025-06": 5000}


def test_moved_out_in_february_before_a_birthday_in_march_nothing_is_owed_by_the_old_county() -> None:
    lines = due([cash("2025-03-05", area=NEW)], through_month=on("2025-06-01"), demo=False)
    assert {line.jurisdiction for line in lines} == {NEW}


# ── moves ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("moved", ["2025-03-01", "2025-03-15", "2025-03-31"])
@pytest.mark.parametrize("start", ["same_month", "next_month"])
def test_the_month_of_a_move_is_paid_once_by_the_older_area(moved: str, start: str) -> None:
    paid = owed([cash("2024-01-10", moved), cash(moved, area=NEW, fen=8000, start=start)], "2025-05")
    assert [paid[m] for m in ("2025-02", "2025-03", "2025-04")] == [(OLD, 5000), (OLD, 5000), (NEW, 8000)]


def test_where_the_old_area_stops_in_the_month_itself_the_new_one_may_pay_it() -> None:
    moved = [cash("2024-01-10", "2025-03-15", stop="same_month"), cash("2025-03-15", area=NEW, start="same_month")]
    assert owed(moved, "2025-04")["2025-03"] == (NEW, 5000)


def test_two_moves_in_one_month_pay_it_once_and_leave_the_months_around_it_whole() -> None:
    there_and_back = [
        cash("2024-01-10", "2025-03-05"),
        cash("2025-03-05", "2025-03-25", area=NEW, start="same_month"),
        cash("2025-03-25", start="same_month"),
    ]
    assert owed(there_and_back, "2025-05") == owed([cash("2024-01-10")], "2025-05")


def test_a_month_that_would_be_due_in_advance_waits_for_the_older_area_that_will_pay_it_in_arrears() -> None:
    moved = [
        cash("2024-01-10", "2025-03-15"),
        cash("2025-03-15", area=NEW, start="same_month", when="advance"),
    ]
    assert "2025-03" not in owed(moved, "2025-02")
    assert owed(moved, "2025-03")["2025-03"] == (OLD, 5000)


# ── what a list changes, not a person ───────────────────────────────────────────────────────────────────────


def listed(day: str) -> str:
    return f"530302/longevity_allowance@{day}"


def test_a_list_in_force_from_1_january_pays_january_to_those_already_old_enough() -> None:
    assert min(owed([cash("2025-01-01", policy=listed("2025-01-01"))], "2025-06")) == "2025-01"
    assert min(owed([cash("2025-01-01", policy=listed("2023-01-01"))], "2025-06")) == "2025-02"


def test_a_list_that_begins_within_a_month_follows_the_rule_for_beginnings() -> None:
    assert min(owed([cash("2025-01-17", policy=listed("2025-01-17"))], "2025-06")) == "2025-02"


def test_a_new_amount_of_the_list_counts_from_its_first_day() -> None:
    raised = [
        cash("2024-05-05", "2025-01-01", 5000, policy=listed("2023-01-01")),
        cash("2025-01-01", None, 6000, policy=listed("2025-01-01")),
    ]
    paid = owed(raised, "2025-02")
    assert (paid["2024-12"], paid["2025-01"]) == (5000, 6000)


def test_a_county_list_that_takes_over_from_the_city_pays_its_own_first_month() -> None:
    taken_over = [
        cash("2024-05-05", "2025-01-01", 5000, area="530300"),
        cash("2025-01-01", None, 6000, policy=listed("2025-01-01")),
    ]
    paid = owed(taken_over, "2025-01")
    assert (paid["2024-12"], paid["2025-01"]) == (("530300", 5000), (OLD, 6000))


# ── held, barred, nothing ───────────────────────────────────────────────────────────────────────────────────


def test_a_suspicion_holds_the_month_in_which_it_begins_and_all_later_ones() -> None:
    suspected = [cash("2025-01-10", "2025-04-12"), cash("2025-04-12", state="suspended")]
    lines = due(suspected, through_month=on("2025-06-01"), demo=False)
    assert [(f"{line.service_month:%m}", line.state) for line in lines] == [
        ("02", "due"),
        ("03", "due"),
        ("04", "held"),
        ("05", "held"),
        ("06", "held"),
    ]


def test_an_example_is_barred_unless_this_is_a_demonstration() -> None:
    example = [cash("2025-01-10", policy_status="example")]
    assert {line.state for line in due(example, through_month=on("2025-06-01"), demo=False)} == {"barred"}
    assert {line.state for line in due(example, through_month=on("2025-06-01"), demo=True)} == {"due"}


def test_money_by_an_example_pay_rule_is_barred_unless_this_is_a_demonstration() -> None:
    rule = [cash("2025-01-10", status="example")]
    lines = due(rule, through_month=on("2025-06-01"), demo=False)
    assert {(line.state, line.rests_on) for line in lines} == {("barred", "example_pay_rule")}
    assert {line.state for line in due(rule, through_month=on("2025-06-01"), demo=True)} == {"due"}
    assert owed_before(rule, on("2025-06-01"), demo=False) == {}


def test_a_month_that_only_the_rule_of_the_next_interval_leaves_to_this_one_rests_on_that_rule() -> None:
    turned = [cash("2025-01-10", "2025-03-15"), cash("2025-03-15", fen=8000, status="example")]
    lines = due(turned, through_month=on("2025-04-01"), demo=False)
    assert [(line.service_month.month, line.amount_fen, line.state) for line in lines] == [
        (2, 5000, "due"),
        (3, 5000, "barred"),  # the new amount counts from April because the example rule says so
        (4, 8000, "barred"),
    ]


def test_the_example_that_bars_an_amount_is_named() -> None:
    amount = cash("2025-01-10", policy_status="example", status="example")
    assert [example_of(e) for e in (amount, cash("2025-01-10", status="example"), cash("2025-01-10"))] == [
        "example_amount",
        "example_pay_rule",
        None,
    ]


def test_a_pay_rule_without_a_status_counts_as_an_example() -> None:
    """Decisions stored before the status existed must not pay by a rule without a document."""
    old = msgspec.json.encode(cash("2025-01-10"))
    assert b'"status":"documented"' in old  # a documented rule always states it
    without = old.replace(b',"status":"documented"', b"").replace(b'"status":"documented"', b"")
    (unsaid,) = msgspec.json.decode(b"[" + without + b"]", type=list[Entitlement])
    assert example_of(unsaid) == "example_pay_rule"
    assert {line.state for line in due([unsaid], through_month=on("2025-04-01"), demo=False)} == {"barred"}
    assert {line.state for line in due([unsaid], through_month=on("2025-04-01"), demo=True)} == {"due"}


def test_a_barred_month_does_not_keep_another_area_from_paying_it() -> None:
    moved = [
        cash("2024-01-10", "2025-03-15", policy_status="example"),
        cash("2025-03-15", area=NEW, start="same_month"),
    ]
    lines = due(moved, through_month=on("2025-04-01"), demo=False)
    assert [line.jurisdiction for line in lines if line.service_month == on("2025-03-01")] == [NEW]


@pytest.mark.parametrize("state", ["suppressed", "choice_required", "unknown"])
def test_a_suppressed_undecided_or_unknown_item_owes_nothing(state: str) -> None:
    assert owed([cash("2025-01-10", state=state)], "2025-06") == {}


def test_a_service_owes_nothing() -> None:
    assert owed([cash("2025-01-10", kind="service", pay=None)], "2025-06") == {}


def test_months_before_the_first_one_of_the_ledger_are_not_owed_but_still_belong_to_an_area() -> None:
    floors = {"*": on("2025-01-01"), OLD: on("2025-04-01")}
    moved = [cash("2024-01-10", "2025-03-15"), cash("2025-03-15", area=NEW, start="same_month")]
    # March was paid by what came before this ledger, in the old area: the new one does not pay it again
    assert owed(moved, "2025-05", pay_from=floors) == {"2025-04": 5000, "2025-05": 5000}
    the_other_way = [cash("2024-12-10", "2025-03-15", area=NEW), cash("2025-03-15")]
    assert sorted(owed(the_other_way, "2025-04", pay_from=floors)) == ["2025-01", "2025-02", "2025-03", "2025-04"]
    assert owed([cash("2024-01-10")], "2025-05", pay_from={"*": on("2025-05-01")}) == {"2025-05": 5000}


# ── against a slow reading of the calendar ──────────────────────────────────────────────────────────────────

DAY = timedelta(days=1)
FIRST, DAYS = on("2024-11-01"), 500
Run = list[Entitlement]


def _days_of(entitlements: Sequence[Entitlement], died: date | None) -> dict[date, Entitlement]:
    """By day the interval in force that pays or is held."""
    life: dict[date, Entitlement] = {}
    for n in range(DAYS + 200):
        day = FIRST + n * DAY
        for e in entitlements:
            inside = e.from_ <= day and (e.to is None or day < e.to)
            if inside and e.state in ("granted", "suspended") and (died is None or day <= died):
                life[day] = e
    return life


def _runs_of(life: dict[date, Entitlement]) -> list[tuple[date, date | None, Run]]:
    """(first day, first day after, intervals) of every unbroken stay in one area."""
    runs: list[tuple[date, date | None, Run]] = []
    end_of_view = FIRST + (DAYS + 200) * DAY
    day = FIRST
    while day < end_of_view:
        if day not in life:
            day += DAY
            continue
        start, intervals = day, [life[day]]
        while day in life and life[day].jurisdiction == intervals[0].jurisdiction:
            if life[day] is not intervals[-1]:
                intervals.append(life[day])
            day += DAY
        runs.append((start, None if day == end_of_view else day, intervals))
    return runs


def _begins_with_list(e: Entitlement, month: date) -> bool:
    return e.from_ == month and e.policy.endswith(str(month))


def _reads(rule: str, day: date, month: date) -> bool:
    """Whether an event of a day counts in a month."""
    return day < month if rule == "next_month" else day < add_months(month, 1)


def oracle(entitlements: Sequence[Entitlement], month: date, died: date | None, demo: bool) -> list[tuple[Any, ...]]:
    """The area that owes one month, by a check of every stay."""
    life = _days_of(entitlements, died)
    claims = []
    for start, after, run in _runs_of(life):
        begun = _begins_with_list(run[0], month) or _reads(run[0].pay.start, start, month)
        if not begun:
            continue
        if after is not None:
            happened = died if died is not None and after == died + DAY else after
            successor = life.get(after)
            by_list = successor is not None and _begins_with_list(successor, after) and after.day == 1
            if _reads("same_month" if by_list else run[-1].pay.stop, happened, month):
                continue
        amount = state = run[0]
        for e in run[1:]:
            if _begins_with_list(e, month) or _reads(e.pay.band_change, e.from_, month):
                amount = e
            if e.from_ < add_months(month, 1):
                state = e
        barred = "example" in (amount.policy_status, amount.pay.status, state.pay.status) and not demo
        word = "barred" if barred else "held" if state.state == "suspended" else "due"
        claims.append((barred, start, amount.jurisdiction, amount.amount_fen_per_month, word))
    return [(area, fen, word) for _, _, area, fen, word in sorted(claims)[:1]]


_rule = st.sampled_from(["same_month", "next_month"])
_status = st.sampled_from(["documented", "documented", "documented", "example"])
_terms = st.builds(PayTerms, start=_rule, stop=_rule, band_change=_rule, status=_status)


@st.composite
def timelines(draw: st.DrawFn) -> tuple[list[Entitlement], date | None]:
    """A life in pieces: intervals that do not overlap, gaps, moves, new amounts, holds, lists that begin."""
    cuts = draw(st.lists(st.integers(0, DAYS), min_size=1, max_size=7, unique=True).map(sorted))
    firsts = draw(st.sets(st.integers(0, 15), max_size=3))
    days = sorted({FIRST + cut * DAY for cut in cuts} | {add_months(FIRST, n) for n in firsts})
    ends: list[date | None] = [*days[1:], draw(st.sampled_from([None, days[-1] + 40 * DAY]))]
    found = []
    for start, end in zip(days, ends, strict=True):
        if draw(st.integers(0, 4)) == 0:
            continue
        found.append(
            cash(
                start,
                end,
                draw(st.sampled_from([5000, 8000])),
                area=draw(st.sampled_from([OLD, OLD, NEW])),
                state=draw(st.sampled_from(["granted", "granted", "suspended", "suppressed"])),
                policy_status=draw(st.sampled_from(["documented", "documented", "example"])),
                policy=listed(start.isoformat()) if draw(st.booleans()) else listed("2020-01-01"),
                pay=draw(_terms),
            )
        )
    died = FIRST + draw(st.integers(0, DAYS)) * DAY if draw(st.integers(0, 2)) == 0 else None
    if died is not None:  # as `decide` does it
        found = [e if e.to is not None and e.to <= died else _until(e, died + DAY) for e in found if e.from_ <= died]
    return found, died


def _until(e: Entitlement, end: date) -> Entitlement:
    return cash(
        e.from_,
        end,
        e.amount_fen_per_month or 0,
        area=e.jurisdiction,
        state=e.state,
        policy=e.policy,
        policy_status=e.policy_status,
        pay=e.pay,
    )


@settings(max_examples=300, deadline=None)
@given(timelines(), st.booleans())
def test_every_month_is_owed_as_the_calendar_says(life: tuple[list[Entitlement], date | None], demo: bool) -> None:
    entitlements, died = life
    through = on("2026-06-01")
    lines: dict[date, list[tuple[Any, ...]]] = {}
    for line in due(entitlements, through_month=through, died_on=died, demo=demo):
        lines.setdefault(line.service_month, []).append((line.jurisdiction, line.amount_fen, line.state))
    for n in range(20):
        month = add_months(FIRST, n)
        assert lines.get(month, []) == oracle(entitlements, month, died, demo), month


@settings(max_examples=200, deadline=None)
@given(timelines(), st.integers(0, 18), st.booleans())
def test_time_only_adds_months_and_the_next_change_misses_none(
    life: tuple[list[Entitlement], date | None], so_far: int, in_advance: bool
) -> None:
    entitlements, died = life
    if in_advance:
        entitlements = [_in_advance(e) for e in entitlements]
    month = add_months(FIRST, so_far)
    before = _lines(entitlements, month, died)
    upcoming = next_change(entitlements, after_month=month, died_on=died)
    for n in range(1, 6):
        later = add_months(month, n)
        after = _lines(entitlements, later, died)
        assert set(before) <= set(after)
        if set(after) > set(before):
            assert upcoming is not None
            assert upcoming <= later
            break


@settings(max_examples=300, deadline=None)
@given(timelines(), st.integers(0, 18), st.booleans(), st.booleans())
def test_by_stretches_as_much_was_owed_before_a_month_as_month_by_month(
    life: tuple[list[Entitlement], date | None], so_far: int, in_advance: bool, demo: bool
) -> None:
    entitlements, died = life
    if in_advance:
        entitlements = [_in_advance(e) for e in entitlements]
    month = add_months(FIRST, so_far)
    owed: dict[tuple[str, str, str], int] = {}
    for line in due(entitlements, through_month=add_months(month, -1), died_on=died, demo=demo):
        if line.state != "barred" and line.service_month < month:
            key = (line.jurisdiction, line.fund, line.item)
            owed[key] = owed.get(key, 0) + line.amount_fen
    assert owed_before(entitlements, month, died_on=died, demo=demo) == owed


def _lines(entitlements: Sequence[Entitlement], through: date, died: date | None) -> tuple[Due, ...]:
    return due(entitlements, through_month=through, died_on=died, demo=True)


def _in_advance(e: Entitlement) -> Entitlement:
    assert e.pay is not None
    pay = PayTerms(
        start=e.pay.start, stop=e.pay.stop, band_change=e.pay.band_change, when="advance", status=e.pay.status
    )
    return cash(
        e.from_, e.to, e.amount_fen_per_month or 0, area=e.jurisdiction, state=e.state, policy=e.policy, pay=pay
    )


@settings(max_examples=100, deadline=None)
@given(timelines(), st.randoms())
def test_the_order_in_which_intervals_are_listed_does_not_matter(
    life: tuple[list[Entitlement], date | None], chance: Any
) -> None:
    entitlements, died = life
    shuffled = list(entitlements)
    chance.shuffle(shuffled)
    assert _lines(shuffled, on("2026-06-01"), died) == _lines(entitlements, on("2026-06-01"), died)
