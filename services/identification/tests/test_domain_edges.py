"""Changed items and edges of a new decision, without any database."""

from datetime import date, timedelta
from typing import Any

import pytest
from common.events import Entitlement
from hypothesis import given, settings
from hypothesis import strategies as st
from identification.deciding.domain.decision import changed_items
from identification.deciding.domain.edges import (
    Spell,
    edges_of_change,
    edges_on,
    emitted_through,
    next_edge,
    spells_of,
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


def test_only_a_granted_period_is_a_spell_and_a_suspension_prolongs_it() -> None:
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
def test_all_days_before_the_next_edge_are_emitted(next_on: date | None, expected: date) -> None:
    assert emitted_through(next_on, day(9)) == expected


def spell(start: int, end: int) -> Spell:
    return Spell(f"@{start}", "a", "530302", day(start), FAR if end > 40 else day(end), ())


@st.composite
def timelines(draw: Any) -> list[Spell]:
    cuts = sorted(draw(st.sets(st.integers(-10, 50), max_size=8)))
    return [spell(a, b) for a, b in zip(cuts[::2], cuts[1::2], strict=False)]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("decision"), timelines()),
        st.tuples(st.just("days"), st.integers(0, 6)),
        st.just(("job", None)),
    ),
    max_size=12,
)


@settings(max_examples=500, deadline=None)
@given(STEPS)
def test_a_receiver_of_the_edges_knows_the_items_in_force(steps: list[tuple[str, Any]]) -> None:
    """In any order of new decisions, missed days and the daily job, nothing starts or ends twice. Once the job has
    caught up, the receiver knows exactly the spells in force."""
    today, spells, next_on = DAY_ONE, [], None
    known: set[str] = set()

    def receive(edges: Any) -> None:
        for edge in edges:
            assert edge.on <= today
            if edge.started:
                assert edge.spell.entitlement_id not in known
                known.add(edge.spell.entitlement_id)
            else:
                assert edge.spell.entitlement_id in known
                known.remove(edge.spell.entitlement_id)

    def job() -> None:
        nonlocal next_on
        while next_on is not None and next_on <= today:
            receive(edges_on(spells, next_on))
            next_on = next_edge(spells, next_on)

    for what, argument in [*steps, ("job", None)]:
        if what == "days":
            today += timedelta(days=argument)
        elif what == "job":
            job()
            assert known == {s.entitlement_id for s in spells if s.start <= today < s.end}
        else:
            receive(edges_of_change(spells, argument, emitted_through(next_on, today), today))
            spells, next_on = argument, next_edge(argument, today)
            assert known == {s.entitlement_id for s in spells if s.start <= today < s.end}
