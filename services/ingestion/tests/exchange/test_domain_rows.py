"""Decisions about rows: after any changes between two readings, the facts of the person agree with the row."""

import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from common.events.facts import LowIncome, Statement
from hypothesis import example, given, settings
from hypothesis import strategies as st
from ingestion.exchange.domain.decisions import decide_missing, decide_row
from ingestion.exchange.domain.states import Change, Content, FormerPeriods, KeyState, RowRules
from rules.facts.timeline import facts_known_at

sys.path.insert(0, str(Path(__file__).parent))
from said_by_rows import SaidByRows

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

    def __init__(self, rules=RULES):
        self.state, self.statements, self.rules = None, [], rules

    def change(self, at, row, watermark=None):
        """`row`: (category, since, until), or None for a deleted one. A row with an empty period is rejected."""
        change = Change(at, watermark, row is None, content_of(*row) if row else None)
        drafts, after = decide_row(self.state, change, self.rules)
        if not any(d.valid_from and d.valid_to and d.valid_from >= d.valid_to for d in drafts):
            self.state = after
            self._append(drafts, row, at)

    def miss(self, at):
        drafts, self.state = decide_missing(self.state, at, self.rules)
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
@given(st.permutations(range(4)), st.lists(rows, min_size=4, max_size=4))
@example([1, 0, 2, 3], [("dibao", DAYS[2], None), ("dibao", DAYS[3], None), *[("tekun", DAYS[1], None)] * 2])
@example([0, 1, 3, 2], [("dibao", None, None), None, ("dibao", None, None), None])
@example([0, 1, 3, 2], [None, None, ("dibao", None, None), None])
def test_rows_and_deletions_that_arrive_late_never_hide_the_newest(order, states):
    person = Person()
    for at in order:
        person.change(START + timedelta(days=at), states[at], watermark=(at,))
    last, tomorrow = states[3], (START + timedelta(days=5)).date()
    if last is None:
        assert person.on(tomorrow) is None
    elif last[1] is None or last[1] <= tomorrow:
        assert person.on(tomorrow) == last[0]


FIRST_DAYS = [None, date(2020, 1, 1), date(2023, 1, 1), date(2026, 3, 3), date(2026, 6, 1)]
ENDS = [None, date(2021, 1, 1), date(2026, 3, 4), date(2026, 9, 1)]
PERIODS = [(first, end) for first in FIRST_DAYS for end in ENDS if not first or not end or first < end]
stated_rows = st.builds(
    lambda category, period: (category, *period), st.sampled_from(CATEGORIES), st.sampled_from(PERIODS)
)
steps = st.tuples(st.sampled_from([0, 1, 100]), st.one_of(st.none(), stated_rows))
UPDATED, LEFT = (
    st.sampled_from(["by_period", "corrected", "created"]),
    st.sampled_from(["ended", "annulled", "nothing"]),
)
all_rules = st.builds(RowRules, UPDATED, LEFT, LEFT, st.just(False))


@settings(max_examples=1000, deadline=None)
@given(all_rules, st.booleans(), st.lists(steps, max_size=6))
def test_on_every_day_the_facts_are_those_that_the_rows_stated(rules, is_full, history):
    person, said, now, days = Person(rules), SaidByRows(rules), START, {date(1990, 1, 1), date(2040, 1, 1)}
    for wait, row in history:
        now += timedelta(days=wait)
        if row is not None:
            person.change(now, row)
            said.read(now.date(), row)
        elif not is_full:
            person.change(now, None)
            said.leave(now.date(), rules.deleted)
        elif not said.is_over(now.date()):  # a row that states a past end is not looked for
            person.miss(now)
            said.leave(now.date(), rules.missing)
        days |= {now.date(), *filter(None, FIRST_DAYS + ENDS)}
        days |= {day - timedelta(days=1) for day in days}
        assert {day: person.on(day) for day in sorted(days)} == {day: said.on(day) for day in sorted(days)}


def facts_after(rules, *rows):
    """The facts after rows with a day of change each. None: the row is deleted."""
    person = Person(rules)
    for day, row in rows:
        person.change(datetime(*day, 4, tzinfo=UTC), row)
    return [(f.value.category, f.valid_from, f.valid_to) for f in facts_known_at(person.statements)]


FIRST, SECOND = date(2020, 1, 1), date(2023, 1, 1)
OVER, LATER = date(2021, 1, 1), date(2026, 6, 1)
CREATED = RULES._replace(updated="created")


def test_a_correction_of_a_new_period_does_not_lengthen_a_period_that_was_over_before():
    deleted, again = ((2021, 1, 1), None), ((2023, 1, 2), ("tekun", SECOND, None))
    corrected = ((2023, 1, 3), ("bianyuan", SECOND, None))
    facts = facts_after(RULES, ((2020, 1, 2), ("dibao", FIRST, None)), deleted, again, corrected)
    assert facts == [("dibao", FIRST, OVER), ("bianyuan", SECOND, None)]


@pytest.mark.parametrize("updated", ["by_period", "created"])
def test_a_new_period_does_not_lengthen_a_period_whose_row_stated_an_earlier_end(updated):
    rows = [((2020, 1, 2), ("dibao", FIRST, OVER)), ((2023, 1, 2), ("dibao", SECOND, None))]
    facts = facts_after(RULES._replace(updated=updated), *rows)
    assert facts == [("dibao", FIRST, OVER), ("dibao", SECOND, None)]


def test_a_deleted_future_period_does_not_lengthen_a_period_that_was_over_before():
    rows = [((2020, 1, 2), ("dibao", FIRST, OVER)), ((2026, 3, 1), ("tekun", LATER, None)), ((2026, 3, 2), None)]
    assert facts_after(RULES, *rows) == [("dibao", FIRST, OVER)]


def test_a_period_lasts_until_the_next_one_begins_also_if_that_day_is_corrected():
    rows = [((2020, 1, 2), ("dibao", FIRST, None)), ((2026, 3, 1), ("tekun", date(2026, 5, 1), None))]
    facts = facts_after(RULES, *rows, ((2026, 3, 2), ("tekun", LATER, None)))
    assert facts == [("dibao", FIRST, LATER), ("tekun", LATER, None)]


def test_a_second_move_in_a_table_of_first_registrations_does_not_change_the_past():
    rows = [((2026, month, 2), (category, FIRST, None)) for month, category in enumerate(CATEGORIES, 1)]
    days = [FIRST, date(2026, 2, 2), date(2026, 3, 2), None]
    assert facts_after(CREATED, *rows) == list(zip(CATEGORIES, days[:-1], days[1:], strict=True))


def test_a_row_that_is_back_with_a_later_first_day_keeps_the_years_before():
    rows = [((2026, 1, 2), ("dibao", FIRST, None)), ((2026, 2, 2), None), ((2026, 2, 3), ("tekun", SECOND, None))]
    assert facts_after(RULES, *rows) == [("dibao", FIRST, SECOND), ("tekun", SECOND, None)]


def test_a_deletion_that_is_read_before_its_row_ends_the_period_on_its_day():
    person, row = Person(), ("dibao", FIRST, date(2026, 9, 1))
    person.change(START, None, watermark=(2,))
    person.change(START - timedelta(days=9), row, watermark=(1,))
    assert person.on(START.date() - timedelta(days=1)) == "dibao"
    assert person.on(START.date()) is None


def test_an_old_row_that_is_read_after_a_deletion_ends_on_the_day_of_the_deletion():
    person = Person()
    person.change(START, ("tekun", LATER, None), watermark=(2,))
    person.change(START + timedelta(days=1), None, watermark=(3,))
    person.change(START - timedelta(days=1), ("dibao", FIRST, None), watermark=(1,))
    assert person.on(START.date()) == "dibao"
    assert person.on(START.date() + timedelta(days=1)) is None


def test_an_end_that_an_old_stored_state_does_not_have_is_never_moved():
    former = msgspec.json.decode(b'[[2,"2020-01-01"]]', type=FormerPeriods)
    state = state_of(3, content_of("tekun", SECOND))._replace(former=former)
    corrected = Change(START, None, False, content_of("bianyuan", SECOND))
    drafts, after = decide_row(state, corrected, RULES)
    assert [(d.action, d.previous) for d in drafts] == [("corrected", 3)]
    assert after.former == former
    earlier = Change(START, None, False, content_of("bianyuan", date(2019, 1, 1)))
    drafts, after = decide_row(state, earlier, RULES)
    assert [(d.action, d.previous) for d in drafts] == [("corrected", 3), ("annulled", 2)]
    assert after.former == ()


def test_a_death_has_no_end():
    state = state_of(1, content_of("x", date(2026, 1, 1)))
    drafts, after = decide_missing(state, START, RULES_OF_DEATHS)
    assert (drafts, after.life) == ([], "ended")


def test_a_deleted_death_is_annulled():
    state = state_of(1, content_of("x", date(2026, 1, 1)))
    drafts, after = decide_row(state, Change(START, None, True, None), RULES_OF_DEATHS)
    assert ([d.action for d in drafts], after.life) == (["annulled"], "annulled")


def test_a_death_whose_deletion_was_read_before_it_is_annulled():
    deletion = Change(START, (2,), True, None)
    drafts, state = decide_row(None, deletion, RULES_OF_DEATHS)
    assert drafts == []
    written_before = Change(START - timedelta(days=1), (1,), False, content_of("x", date(2026, 1, 1)))
    drafts, after = decide_row(state, written_before, RULES_OF_DEATHS)
    assert ([d.action for d in drafts], after.life) == (["created", "annulled"], "annulled")


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
