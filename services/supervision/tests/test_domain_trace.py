"""The order of a chain."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

from supervision.domain.trace import Step, in_order

START = datetime(2026, 11, 20, tzinfo=UTC)


def step(id: str, seconds: int, cause: str | None = None) -> Step:
    return Step(START + timedelta(seconds=seconds), "s", "E", "p", id, cause)


def ids(steps: list[Step]) -> str:
    return "".join(s.event_id for s in steps)


def test_a_chain_is_oldest_first_in_any_order_of_storage() -> None:
    steps = [step("a", 0), step("b", 1, "a"), step("c", 2, "b"), step("d", 3, "b")]
    assert {ids(in_order(p)) for p in permutations(steps)} == {"abcd"}


def test_no_effect_comes_before_its_cause_even_when_the_clock_was_set_back() -> None:
    steps = [step("a", 10), step("b", 3, "a"), step("c", 1, "b"), step("d", 11)]
    assert {ids(in_order(p)) for p in permutations(steps)} == {"abcd"}


def test_a_step_with_an_unknown_cause_is_ordered_by_its_time() -> None:
    assert ids(in_order([step("b", 2, "gone"), step("a", 1), step("c", 3, "a")])) == "abc"


def test_each_event_appears_once_and_events_that_cause_each_other_are_kept() -> None:
    assert ids(in_order([step("a", 1), step("a", 1)])) == "a"
    assert sorted(ids(in_order([step("a", 1, "b"), step("b", 2, "a")]))) == ["a", "b"]
