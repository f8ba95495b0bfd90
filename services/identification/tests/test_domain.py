"""What is news about somebody's entitlements, without any database."""

from datetime import date, timedelta
from typing import Any

import pytest
from common.events import Entitlement
from hypothesis import given, settings
from hypothesis import strategies as st
from identification.deciding.domain.decision import (
    Spell,
    changed_items,
    edges_of_change,
    edges_on,
    next_edge,
    spells_of,
    told_through,
)

DAY_ONE = date(2026, 1, 1)
FAR = date.max


def day(n: int) -> date:
    return DAY_ONE + timedelta(days=n)


def interval(state: Any, start: int, end: int | None, item: str = "a", **more: Any) -> Entitlement:
    return Entitlement(
        entitlement_id=f"{item}@{start}",
        item=item,
        jurisdiction="530302",
        kind="cash",
        state=state,
        from_=day(start),
        to=None if end is None else day(end),
        **more,
    )


def test_only_what_is_given_is_a_spell_and_a_hold_prolongs_it() -> None:
    timeline = [
        interval("unknown", 0, 5),
        interval("granted", 5, 9),
        interval("suspended", 9, None),
        interval("suspended", 0, None, item="b"),
        interval("suppressed", 0, None, item="c"),
    ]
    assert [(s.entitlement_id, s.start, s.end) for s in spells_of(timeline)] == [("a@5", day(5), FAR)]


def test_a_gap_or_another_item_is_not_prolonged() -> None:
    gap = [interval("granted", 0, 5), interval("suspended", 6, None)]
    other = [interval("granted", 0, 5), interval("suspended", 5, None, item="b")]
    assert spells_of(gap)[0].end == spells_of(other)[0].end == day(5)


def test_an_item_is_changed_by_any_difference_of_its_intervals() -> None:
    before = [interval("granted", 0, 5), interval("granted", 0, 5, item="b"), interval("granted", 0, 5, item="c")]
    now = [interval("granted", 0, 6), interval("granted", 0, 5, item="b"), interval("unknown", 1, 2, item="d")]
    assert changed_items(before, now) == ("a", "c", "d")
    assert changed_items(now, now) == ()


@pytest.mark.parametrize(
    ("next_on", "expected"), [(None, day(9)), (day(12), day(9)), (day(9), day(8)), (day(4), day(3))]
)
def test_everything_before_the_first_untold_edge_has_been_told(next_on: date | None, expected: date) -> None:
    assert told_through(next_on, day(9)) == expected


def spell(start: int, end: int) -> Spell:
    return Spell(f"@{start}", "a", "530302", day(start), FAR if end > 40 else day(end), ())


@st.composite
def timelines(draw: Any) -> list[Spell]:
    cuts = sorted(draw(st.sets(st.integers(-10, 50), max_size=8)))
    return [spell(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("news"), timelines()), st.tuples(st.just("days"), st.integers(0, 6)), st.just(("job", None))
    ),
    max_size=12,
)


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_whoever_listens_to_the_edges_knows_what_is_in_force(steps: list[tuple[str, Any]]) -> None:
    """However news, missed days and the daily job follow each other: nothing begins or ends twice, and once the job
    has caught up, what was told to be in force is in force, and nothing else."""
    today, spells, next_on = DAY_ONE, [], None
    told: set[str] = set()

    def listen(edges: Any) -> None:
        for edge in edges:
            assert edge.on <= today
            if edge.started:
                assert edge.spell.entitlement_id not in told
                told.add(edge.spell.entitlement_id)
            else:
                assert edge.spell.entitlement_id in told
                told.remove(edge.spell.entitlement_id)

    def job() -> None:
        nonlocal next_on
        while next_on is not None and next_on <= today:
            listen(edges_on(spells, next_on))
            next_on = next_edge(spells, next_on)

    for what, argument in [*steps, ("job", None)]:
        if what == "days":
            today += timedelta(days=argument)
        elif what == "job":
            job()
            assert told == {s.entitlement_id for s in spells if s.start <= today < s.end}
        else:
            listen(edges_of_change(spells, argument, told_through(next_on, today), today))
            spells, next_on = argument, next_edge(argument, today)
            assert told == {s.entitlement_id for s in spells if s.start <= today < s.end}
