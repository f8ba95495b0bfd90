"""What a row means: whatever happened to it between two readings, the person's facts are what the row says now."""

from datetime import UTC, date, datetime, timedelta

import pytest
from common.events.facts import LowIncome, Statement
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingestion.exchange.domain import Change, Seen, Told, Ways, decide_missing, decide_row
from rules.facts.timeline import facts_known_at

START = datetime(2026, 3, 1, 4, tzinfo=UTC)
WAYS = Ways("by_period", "ended", "ended", False)
DAYS = [None, date(2026, 1, 1), date(2026, 2, 1), date(2026, 6, 1)]
CATEGORIES = ["dibao", "tekun", "bianyuan"]


def told(category, since, until=None, line=b"one"):
    return Told(line, f"{category}{since}".encode(), since, until)


class Person:
    """Plays the deeds back as the statements that they become."""

    def __init__(self):
        self.seen, self.said = None, []

    def change(self, at, row, mark=None):
        """`row`: (category, since, until), or None for a deleted one."""
        change = Change(at, mark, row is None, told(*row) if row else None)
        deeds, self.seen = decide_row(self.seen, change, WAYS)
        self._say(deeds, row, at)

    def miss(self, at):
        deeds, self.seen = decide_missing(self.seen, at, WAYS)
        self._say(deeds, None, at)

    def _say(self, deeds, row, at):
        for deed in deeds:
            id_ = str(deed.version)
            before = next((s for s in self.said if deed.follows and s.event_id == str(deed.follows)), None)
            self.said.append(
                Statement(
                    event_id=id_,
                    chain=before.chain if before else id_,
                    kind="low_income",
                    action=deed.action,
                    source="urn:x",
                    rank=1,
                    time=self.seen.at,
                    recorded_at=at,
                    valid_from=deed.valid_from,
                    valid_to=deed.valid_to,
                    value=LowIncome(category=row[0]) if row and deed.action in ("created", "corrected") else None,
                )
            )

    def on(self, day):
        return next((f.value.category for f in facts_known_at(self.said) if f.holds_on(day)), None)


rows = st.one_of(
    st.none(), st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(DAYS), st.sampled_from([None, date(2026, 9, 1)]))
)


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, max_size=8))
def test_after_any_changes_the_facts_of_tomorrow_are_what_the_row_says(changes):
    person, now = Person(), START
    for row in changes:
        now += timedelta(days=1)
        person.change(now, row)
    tomorrow, last = now.date() + timedelta(days=1), changes[-1] if changes else None
    holds = last is not None and (last[1] is None or last[1] <= tomorrow)
    if last is None:
        assert person.on(tomorrow) is None
    elif holds:
        assert person.on(tomorrow) == last[0]


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, max_size=8))
def test_a_change_that_is_read_twice_says_nothing_the_second_time(changes):
    person, now = Person(), START
    for row in changes:
        now += timedelta(days=1)
        person.change(now, row)
        said = len(person.said)
        person.change(now, row)
        assert len(person.said) == said


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.just("missing"), rows.filter(bool)), max_size=8))
def test_after_any_full_loads_whoever_is_missing_has_nothing_and_whoever_is_there_has_it(loads):
    person, now = Person(), START
    for load in loads:
        now += timedelta(days=1)
        if load != "missing":
            person.change(now, load)
        elif person.seen is not None:
            person.miss(now)
    tomorrow, last = now.date() + timedelta(days=1), loads[-1] if loads else "missing"
    if last == "missing":
        assert person.on(tomorrow) is None
    elif last[1] is None or last[1] <= tomorrow:
        assert person.on(tomorrow) == last[0]


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(3)), st.lists(rows.filter(bool), min_size=3, max_size=3))
@example([1, 0, 2], [("dibao", DAYS[2], None), ("dibao", DAYS[3], None), ("tekun", DAYS[1], None)])
def test_rows_that_come_late_never_hide_the_newest(order, states):
    person = Person()
    for at in order:
        person.change(START + timedelta(days=at), states[at], mark=(at,))
    last, tomorrow = states[2], (START + timedelta(days=4)).date()
    if last[1] is None or last[1] <= tomorrow:
        assert person.on(tomorrow) == last[0]


def test_the_days_of_deaths_do_not_end():
    seen = Seen(1, "alive", START, None, told("x", date(2026, 1, 1)), head=1)
    deeds, after = decide_missing(seen, START, Ways("corrected", "ended", "ended", True))
    assert (deeds, after.life) == ([], "ended")


def test_a_death_that_is_deleted_was_never_true():
    seen = Seen(1, "alive", START, None, told("x", date(2026, 1, 1)), head=1)
    deeds, after = decide_row(seen, Change(START, None, True, None), Ways("corrected", "ended", "ended", True))
    assert ([d.action for d in deeds], after.life) == (["annulled"], "annulled")


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (date(2026, 6, 1), [("ended", None, date(2026, 6, 1)), ("created", date(2026, 6, 1), None)]),
        (date(2026, 1, 1), [("annulled", None, None), ("created", date(2026, 1, 1), None)]),
    ],
)
def test_a_row_that_is_about_somebody_else_leaves_the_first_as_of_then_or_takes_back(since, expected):
    seen = Seen(4, "alive", START, None, told("x", date(2026, 1, 1)), head=4)
    other = Change(START, None, False, told("y", since, line=b"two"))
    deeds, after = decide_row(seen, other, WAYS)
    assert [(d.action, d.valid_from, d.valid_to) for d in deeds] == expected
    assert [d.of_old for d in deeds] == [True, False]
    assert after.version == 6
