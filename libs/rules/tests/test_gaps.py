"""A month that no area pays because of a move is reported with its reason; no other month is."""

from datetime import date, timedelta
from typing import Any

import pytest
from common.calendar import add_months, month_text
from common.events import Entitlement, MoveGap, PayTerms
from common.events.facts import Registration, Residence
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.deciding.gaps import WHY, gap_text, gaps_of_moves
from rules.facts.timeline import Fact
from rules.money.due import due

OLD, NEW = "530302", "140702"
MOVED = date(2025, 4, 18)
RULES = st.sampled_from(["same_month", "next_month"])


def lived(*places: tuple[date | None, str]) -> list[Fact]:
    """A life with these hukous."""
    return [
        Fact(
            "registration",
            Registration(sex="1", birth_date=date(1940, 1, 1), hukou_division=d, hukou_kind="rural"),
            on,
            None,
            f"r{i}",
            "s",
            1,
        )
        for i, (on, d) in enumerate(places)
    ]


def right(area: str, since: date, until: date | None = None, fen: int | None = 5000, **more: Any) -> Entitlement:
    terms = {k: more.pop(k) for k in ("start", "stop", "when") if k in more}
    return Entitlement(
        entitlement_id=f"{area}{since}",
        item="longevity_allowance",
        jurisdiction=area,
        kind="cash",
        state=more.pop("state", "granted"),
        from_=since,
        to=until,
        amount_fen_per_month=fen,
        pay=None if fen is None else PayTerms(status="documented", **terms),
        policy=f"{area}/longevity_allowance@{since}",
    )


SINCE = date(2024, 1, 1)
MOVE = lived((None, OLD), (MOVED, NEW))


def test_lists_of_which_one_stops_in_the_month_and_the_other_starts_in_the_next_leave_that_month_to_nobody() -> None:
    before, after = right(OLD, SINCE, MOVED, stop="same_month"), right(NEW, MOVED, start="next_month")
    (gap,) = gaps_of_moves(MOVE, [before, after])
    assert gap == MoveGap(
        item="longevity_allowance",
        old=OLD,
        old_policy=f"{OLD}/longevity_allowance@2024-01-01",
        left=OLD,
        new=NEW,
        new_policy=f"{NEW}/longevity_allowance@2025-04-18",
        moved_to=NEW,
        moved_on=MOVED,
        first_month="2025-04",
        until_month="2025-05",
        why="pay_rules",
    )
    assert (
        gap_text(gap)
        == "2025-04-18由麒麟区迁到榆次区：高龄津贴2025-04至2025-05（不含）无人发放，两地的起停月份没有接上"
    )


@pytest.mark.parametrize(("stop", "start"), [("next_month", "next_month"), ("same_month", "same_month")])
def test_lists_that_meet_leave_no_gap(stop: str, start: str) -> None:
    assert gaps_of_moves(MOVE, [right(OLD, SINCE, MOVED, stop=stop), right(NEW, MOVED, start=start)]) == ()


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ([], "refused"),
        ([right(NEW, MOVED, fen=None)], "no_amount"),
        ([right(NEW, MOVED, fen=None, state="unknown")], "unknown"),
        ([right(NEW, MOVED, state="suppressed")], "suppressed"),
        ([right(NEW, MOVED, state="choice_required")], "choice_required"),
    ],
)
def test_the_new_area_that_does_not_pay_is_named_with_its_reason(after: list[Entitlement], why: str) -> None:
    (gap,) = gaps_of_moves(MOVE, [right(OLD, SINCE, MOVED), *after])
    assert (gap.left, gap.moved_to) == (OLD, NEW)
    assert (gap.why, gap.new, gap.first_month, gap.until_month) == (why, NEW if after else None, "2025-05", None)
    assert gap_text(gap).endswith(WHY[gap.why])
    assert "2025-05起无人发放" in gap_text(gap)


def test_a_gap_ends_where_the_new_area_begins_to_pay() -> None:
    later = [right(NEW, MOVED, date(2025, 9, 10), fen=None), right(NEW, date(2025, 9, 10))]
    (gap,) = gaps_of_moves(MOVE, [right(OLD, SINCE, MOVED), *later])
    assert (gap.why, gap.first_month, gap.until_month) == ("no_amount", "2025-05", "2025-10")


def test_two_moves_within_a_month_leave_one_gap_the_last_one() -> None:
    away = lived((None, OLD), (MOVED, NEW), (date(2025, 4, 25), "130000"))
    rights = [right(OLD, SINCE, MOVED), right(NEW, MOVED, date(2025, 4, 25), start="same_month")]
    (gap,) = gaps_of_moves(away, rights)
    assert (gap.old, gap.moved_on, gap.first_month) == (NEW, date(2025, 4, 25), "2025-05")
    back = [*rights, right(OLD, date(2025, 4, 25))]
    assert gaps_of_moves(lived((None, OLD), (MOVED, NEW), (date(2025, 4, 25), OLD)), back) == ()


def test_the_counties_of_a_move_are_named_though_the_list_of_a_city_paid() -> None:
    from_village = lived((None, "530302001"), (MOVED, "140702001"))
    (gap,) = gaps_of_moves(from_village, [right("530300", SINCE, MOVED)])
    assert (gap.old, gap.left, gap.moved_to) == ("530300", OLD, NEW)
    home = Fact("residence", Residence(division="140702001"), MOVED, None, "home", "s", 1)
    (gap,) = gaps_of_moves([home], [right("530300", SINCE, MOVED)])
    assert gap.left == "530300"  # where they lived before nobody knows


def test_an_end_that_no_move_made_is_no_gap() -> None:
    ended = right(OLD, SINCE, date(2025, 3, 1))
    assert gaps_of_moves(MOVE, [ended]) == ()
    assert gaps_of_moves(lived((None, OLD)), [ended]) == ()
    assert gaps_of_moves(lived((None, OLD), (MOVED, "530302001")), [right(OLD, SINCE, MOVED)]) == ()  # within the area
    assert gaps_of_moves(MOVE, [right(OLD, SINCE, MOVED)], died_on=date(2025, 3, 31)) == ()
    home = Fact("residence", Residence(division=NEW), MOVED, None, "home", "s", 1)
    assert len(gaps_of_moves([*lived((None, OLD)), home], [right(OLD, SINCE, MOVED)])) == 1  # an item of the residence


@settings(max_examples=200, deadline=None)
@given(RULES, RULES, RULES, st.integers(0, 400), st.integers(0, 40))
def test_the_gaps_are_just_the_months_between_that_nobody_owes(
    stop: str, start: str, first: str, days: int, apart: int
) -> None:
    """`apart`: days after the move on which the new list begins to pay."""
    moved = date(2025, 1, 1) + timedelta(days=days)
    begins = moved + timedelta(days=apart)
    rights = [right(OLD, SINCE, moved, stop=stop, start=first), right(NEW, begins, start=start)]
    owed = {line.service_month for line in due(rights, through_month=date(2027, 12, 1), demo=False)}
    months = [add_months(min(owed), n) for n in range(12 * 3)]
    nobody = {m for m in months if min(owed) < m < max(owed) and m not in owed}
    told = {
        m
        for gap in gaps_of_moves(lived((None, OLD), (moved, NEW)), rights)
        for m in months
        if gap.first_month <= month_text(m) < (gap.until_month or "9999")
    }
    assert told == nobody
