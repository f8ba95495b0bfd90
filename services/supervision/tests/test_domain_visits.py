"""The verdict about a completed visit: tables of cases."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from common.calendar import civil_date
from supervision.checks import checks
from supervision.domain.visits import Decision, DurationRule, Judgement, Visit, VisitRules, decide_verdict

TEN = datetime(2026, 11, 20, 2, 0, tzinfo=UTC)  # 10:00 in Asia/Shanghai
DAY = date(2026, 11, 20)
WAIT = timedelta(minutes=2)
DURATIONS = [
    DurationRule("visiting_care", date(2020, 1, 1), 10, 240),
    DurationRule("visiting_care", date(2027, 1, 1), 20, 240),
]
RULES = VisitRules(DURATIONS, WAIT, checks().visit_rules.severities)
ENTITLED = Decision(TEN - timedelta(days=30), visiting=[(date(2026, 1, 1), None)])


def visit(minutes: int = 30, begin: datetime = TEN, **given: Any) -> Visit:
    fields: dict[str, Any] = {
        "task_id": "t1",
        "person_id": "p1",
        "item": "visiting_care",
        "division": "530302",
        "provider": "A",
        "worker": "w1",
        "checked_in_at": begin,
        "checked_out_at": begin + timedelta(minutes=minutes),
        "at": begin + timedelta(minutes=minutes),
    }
    fields |= given
    days = {"visited_on": "checked_in_at", "ended_on": "checked_out_at", "recorded_on": "at"}
    return Visit(**fields, **{day: civil_date(fields[instant]) for day, instant in days.items()})


def verdict(
    done: Visit, decision: Decision | None = ENTITLED, *others: Visit, now: datetime | None = None
) -> Judgement:
    return decide_verdict(done, decision, [done, *others], RULES, now or done.at)


def test_an_ordinary_visit_is_verified_without_findings() -> None:
    assert verdict(visit()) == ("verified", frozenset(), frozenset())


@pytest.mark.parametrize(
    ("died_on", "expected"),
    [
        (date(2026, 11, 19), ("disputed", {"V01"}, set())),
        (date(2026, 11, 20), ("verified", set(), {"V01"})),
        (date(2026, 11, 21), ("verified", set(), set())),
    ],
)
def test_a_visit_after_the_death_is_disputed_and_one_on_the_day_only_warns(died_on: date, expected: Any) -> None:
    judged = verdict(visit(), Decision(TEN, died_on, ENTITLED.visiting))
    assert (judged.verdict, set(judged.blocks), set(judged.warnings)) == expected


@pytest.mark.parametrize(
    ("other", "found"),
    [
        ({"worker": "w1", "person_id": "p2"}, {"V03"}),
        ({"worker": "w2", "person_id": "p1"}, {"V05"}),
        ({"worker": "w1", "person_id": "p1"}, {"V03", "V05"}),
        ({"worker": "w2", "person_id": "p2"}, set()),
        ({"worker": "w1", "person_id": "p2", "provider": "B"}, set()),  # another provider's worker code
        ({"worker": "w1", "person_id": "p2", "begin": TEN + timedelta(minutes=30)}, set()),  # begins as this ends
        ({"worker": "w1", "person_id": "p2", "begin": TEN + timedelta(minutes=29)}, {"V03"}),
        ({"worker": "w2", "person_id": "p1", "item": "home_help"}, set()),
    ],
)
def test_overlapping_visits_of_one_worker_or_one_person_are_disputed(other: Any, found: set[str]) -> None:
    second = visit(task_id="t2", **other)
    for one, other_visit in ((visit(), second), (second, visit())):
        assert set(verdict(one, ENTITLED, other_visit).blocks) == found


def test_visits_without_a_worker_code_are_not_visits_of_one_worker() -> None:
    assert verdict(visit(worker=None), ENTITLED, visit(task_id="t2", person_id="p2", worker=None)).blocks == set()


@pytest.mark.parametrize(("minutes", "found"), [(9, {"V06"}), (10, set()), (240, set()), (241, {"V06"})])
def test_a_visit_shorter_or_longer_than_the_item_allows_only_warns(minutes: int, found: set[str]) -> None:
    judged = verdict(visit(minutes))
    assert (judged.verdict, set(judged.warnings)) == ("verified", found)


def test_the_duration_rule_in_force_on_the_day_of_the_visit_counts() -> None:
    later = datetime(2027, 2, 1, 2, 0, tzinfo=UTC)
    assert verdict(visit(15)).warnings == set()
    assert verdict(visit(15, later)).warnings == {"V06"}


def test_a_visit_recorded_on_a_later_day_warns() -> None:
    assert verdict(visit(at=TEN + timedelta(hours=13))).warnings == set()  # 23:00 of the same day
    assert verdict(visit(at=TEN + timedelta(hours=14, minutes=1))).warnings == {"V09"}


def test_a_visit_waits_for_its_entitlement_and_is_disputed_if_none_arrives() -> None:
    done = visit()
    assert verdict(done, None).verdict == "waiting"
    assert verdict(done, None, now=done.at + WAIT) == ("disputed", {"V12"}, frozenset())


def test_a_decision_made_after_the_visit_is_conclusive_at_once() -> None:
    over = Decision(TEN + timedelta(hours=1), visiting=[(date(2026, 1, 1), DAY)])
    assert verdict(visit(), over).blocks == {"V12"}


@pytest.mark.parametrize(("begin", "end", "holds"), [(DAY, None, True), (date(2026, 1, 1), DAY, False)])
def test_the_first_day_of_a_period_is_included_and_its_end_is_not(begin: date, end: date | None, holds: bool) -> None:
    decision = Decision(TEN + timedelta(days=1), visiting=[(begin, end)])
    assert verdict(visit(), decision).verdict == ("verified" if holds else "disputed")


def test_an_entitlement_that_ended_later_still_covers_an_earlier_visit() -> None:
    gone = Decision(TEN + timedelta(days=9), visiting_before=[(date(2026, 1, 1), date(2026, 11, 30))])
    assert verdict(visit(), gone).verdict == "verified"


def test_a_block_that_an_officer_waived_no_longer_disputes_the_visit() -> None:
    dead = Decision(TEN, date(2026, 11, 1), ENTITLED.visiting)
    assert verdict(visit(waived=frozenset({"V01"})), dead).verdict == "verified"
    assert verdict(visit(waived=frozenset({"V12"})), None, now=TEN + timedelta(days=1)).verdict == "verified"
