"""Decisions about rows: after any changes between two readings, the facts of the person agree with the row."""

from datetime import UTC, date, datetime, timedelta

import pytest
from common.events.facts import LowIncome, Statement
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingestion.exchange.domain.decisions import decide_missing, decide_row
from ingestion.exchange.domain.states import Change, Content, KeyState, RowRules
from rules.facts.timeline import facts_known_at

START = datetime(2026, 3, 1, 4, tzinfo=UTC)
RULES = RowRules("by_period", "ended", "ended", False)
RULES_OF_DEATHS = RowRules("corrected", "ended", "ended", True)
DAYS = [None, date(2026, 1, 1), date(2026, 2, 1), date(2026, 6, 1)]
CATEGORIES = ["dibao", "tekun", "bianyuan"]


def content_of(category, since, until=None, subject=b"one"):
    return Content(subject, f"{category}{since}".encode(), since, until)


def state_of(version, content):
    return KeyState(version, "alive", START, None, content, head=version)


class Person:
    """Turns the drafts into statements of one person."""

    def __init__(self):
        self.state, self.statements = None, []

    def change(self, at, row, watermark=None):
        """`row`: (category, since, until), or None for a deleted one."""
        change = Change(at, watermark, row is None, content_of(*row) if row else None)
        drafts, self.state = decide_row(self.state, change, RULES)
        self._append(drafts, row, at)

    def miss(self, at):
        drafts, self.state = decide_missing(self.state, at, RULES)
        self._append(drafts, None, at)

    def _append(self, drafts, row, at):
        chains = {statement.event_id: statement.chain for statement in self.statements}
        for draft in drafts:
            event_id = str(draft.version)
            chains[event_id] = chains.get(str(draft.previous), event_id)
            self.statements.append(
                Statement(
                    event_id=event_id,
                    chain=chains[event_id],
                    kind="low_income",
                    action=draft.action,
                    source="urn:x",
                    rank=1,
                    time=self.state.at,
                    recorded_at=at,
                    valid_from=draft.valid_from,
                    valid_to=draft.valid_to,
                    value=LowIncome(category=row[0]) if row and draft.action in ("created", "corrected") else None,
                )
            )

    def on(self, day):
        return next((f.value.category for f in facts_known_at(self.statements) if f.holds_on(day)), None)


present_rows = st.tuples(st.sampled_from(CATEGORIES), st.sampled_from(DAYS), st.sampled_from([None, date(2026, 9, 1)]))
rows = st.one_of(st.none(), present_rows)


@settings(max_examples=300, deadline=None)
@given(st.lists(rows, max_size=8))
def test_after_any_changes_the_facts_of_tomorrow_agree_with_the_row(changes):
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
def test_a_change_that_is_read_twice_gives_no_event_the_second_time(changes):
    person, now = Person(), START
    for row in changes:
        now += timedelta(days=1)
        person.change(now, row)
        count = len(person.statements)
        person.change(now, row)
        assert len(person.statements) == count


@settings(max_examples=300, deadline=None)
@given(st.lists(st.one_of(st.just("missing"), present_rows), max_size=8))
def test_after_any_full_loads_a_missing_person_has_no_fact_and_a_present_one_has_it(loads):
    person, now = Person(), START
    for load in loads:
        now += timedelta(days=1)
        if load != "missing":
            person.change(now, load)
        elif person.state is not None:
            person.miss(now)
    tomorrow, last = now.date() + timedelta(days=1), loads[-1] if loads else "missing"
    if last == "missing":
        assert person.on(tomorrow) is None
    elif last[1] is None or last[1] <= tomorrow:
        assert person.on(tomorrow) == last[0]


@settings(max_examples=300, deadline=None)
@given(st.permutations(range(3)), st.lists(present_rows, min_size=3, max_size=3))
@example([1, 0, 2], [("dibao", DAYS[2], None), ("dibao", DAYS[3], None), ("tekun", DAYS[1], None)])
def test_rows_that_arrive_late_never_hide_the_newest(order, states):
    person = Person()
    for at in order:
        person.change(START + timedelta(days=at), states[at], watermark=(at,))
    last, tomorrow = states[2], (START + timedelta(days=4)).date()
    if last[1] is None or last[1] <= tomorrow:
        assert person.on(tomorrow) == last[0]


def test_a_death_has_no_end():
    state = state_of(1, content_of("x", date(2026, 1, 1)))
    drafts, after = decide_missing(state, START, RULES_OF_DEATHS)
    assert (drafts, after.life) == ([], "ended")


def test_a_deleted_death_is_annulled():
    state = state_of(1, content_of("x", date(2026, 1, 1)))
    drafts, after = decide_row(state, Change(START, None, True, None), RULES_OF_DEATHS)
    assert ([d.action for d in drafts], after.life) == (["annulled"], "annulled")


@pytest.mark.parametrize(
    ("since", "expected"),
    [
        (date(2026, 6, 1), [("ended", None, date(2026, 6, 1)), ("created", date(2026, 6, 1), None)]),
        (date(2026, 1, 1), [("annulled", None, None), ("created", date(2026, 1, 1), None)]),
    ],
)
def test_a_row_about_another_person_ends_or_annuls_the_fact_of_the_first(since, expected):
    state = state_of(4, content_of("x", date(2026, 1, 1)))
    other = Change(START, None, False, content_of("y", since, subject=b"two"))
    drafts, after = decide_row(state, other, RULES)
    assert [(d.action, d.valid_from, d.valid_to) for d in drafts] == expected
    assert [d.about_former for d in drafts] == [True, False]
    assert after.version == 6
