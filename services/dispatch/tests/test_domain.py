"""The pure rules under random histories: tasks and plans compared with slow, obvious versions of the same rules."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from common.calendar import SHANGHAI, add_months, month_of, start_of_day
from common.events import TaskWithdrawn, VisitCheckedOut
from common.events.entitlement import Circumstances, IncidentTold
from dispatch.domain.answers import Answer, decide_answer
from dispatch.domain.decision import decide_plan
from dispatch.domain.extras import tag_age
from dispatch.domain.facts import Incident, LivingTags, Stay, VisitFacts, visit_digest
from dispatch.domain.plan import Plan
from dispatch.domain.providers import Provider, ProviderPool, offer_tasks
from dispatch.domain.task import (
    OPEN,
    ROUTINE,
    Change,
    Refused,
    Repeated,
    Task,
    cancelled,
    created,
    decide_excuse,
    decide_reassign,
    decide_tick,
    new_task_id,
)
from dispatch.verify import plan_fault
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from rules.scales.visits import Stretch, load_visit_rules
from shell.settings import repository_root

RULES = load_visit_rules(repository_root() / "contracts" / "visits" / "parameters.yaml")
TOWN, COUNTY, OTHER = "530302001", "530302", "530303"
PROVIDERS = ("A" * 18, "B" * 18, "C" * 18, "D" * 18)
START = datetime(2026, 11, 22, 10, tzinfo=SHANGHAI).astimezone(UTC)
ALLOWED = {
    "planned": {"planned", "offered", "missed", "excused", "cancelled"},
    "offered": {"planned", "offered", "accepted", "missed", "excused", "cancelled"},
    "accepted": {"planned", "offered", "in_progress", "missed", "failed", "excused", "cancelled"},
    "in_progress": {"completed", "failed", "cancelled"},
    "missed": {"excused"},
    "failed": {"excused"},
}


def provider(code: str, *areas: str, open_tasks: int = 0, capacity_per_day: int = 10) -> Provider:
    return Provider(
        uscc=code, divisions=areas, items=("visiting_care",), capacity_per_day=capacity_per_day, open_tasks=open_tasks
    )


def a_task(**fields: Any) -> Task:
    window_from = fields.pop("window_from", date(2026, 11, 22))
    return Task(
        **{
            "task_id": new_task_id("p", "visiting_care", "first", window_from),
            "person_id": "p",
            "item": "visiting_care",
            "reason": "first",
            "division": TOWN,
            "window_from": window_from,
            "window_to": window_from + timedelta(days=7),
            "entitlement_id": "e",
            "correlation_id": "c",
        }
        | fields
    )


class TaskLife(RuleBasedStateMachine):
    """Answers of all providers, officers' decisions, deaths and time, in any order."""

    @initialize()
    def begin(self) -> None:
        self.now = START
        self.task = a_task()
        self.messages: list[Any] = []
        self.events: list[Any] = []
        self._take(created(self.task))

    def _take(self, result: Change | Repeated | Refused | None) -> None:
        if not isinstance(result, Change):
            return
        before = self.task.state
        pool = ProviderPool([provider(code, COUNTY) for code in PROVIDERS])
        [change] = offer_tasks([result], pool, self.now, RULES)
        assert change.created or change.task.state in ALLOWED[before], (before, change.task.state)
        self.task = change.task
        self.messages += change.provider_messages
        self.events += change.events
        if result.successor is not None:
            assert self.task.state in ("missed", "failed")
            assert result.successor.window_from >= self.task.window_from

    @rule(
        kind=st.sampled_from(["accept", "decline", "check_in", "check_out", "fail"]),
        by=st.sampled_from(PROVIDERS),
        late=st.integers(-600, 4),
    )
    def answer(self, kind: Any, by: str, late: int) -> None:
        owner = self.task.provider
        given = Answer(kind, by, self.now + timedelta(minutes=late))
        result = decide_answer(self.task, given, self.now, RULES)
        if isinstance(result, Change):
            assert by == owner
        if isinstance(result, Change) and kind == "decline":  # a provider that declines needs no withdrawal
            self.messages.append(TaskWithdrawn(task_id=self.task.task_id, provider=by, reason="declined"))
        self._take(result)

    @rule(hours=st.integers(0, 60))
    def wait(self, hours: int) -> None:
        self.now += timedelta(hours=hours)
        for _ in range(6):
            result = decide_tick(self.task, self.now, RULES)
            if result is None:
                break
            self._take(result)
        assert decide_tick(self.task, self.now, RULES) is None

    @rule()
    def excuse(self) -> None:
        self._take(decide_excuse(self.task, "away"))

    @rule()
    def reassign(self) -> None:
        self._take(decide_reassign(self.task))

    @rule()
    def die(self) -> None:
        if self.task.state in OPEN:
            self._take(cancelled(self.task, "died"))

    @invariant()
    def it_has_a_next_step_while_it_is_open_and_none_after(self) -> None:
        assert (self.task.act_at is not None) == (self.task.state in OPEN)

    @invariant()
    def an_assigned_provider_received_an_offer_and_only_one_has_it(self) -> None:
        holders: set[str] = set()
        for message in self.messages:
            if type(message).__name__ == "TaskOffered":
                assert not holders
                holders.add(message.provider)
            else:
                holders.discard(message.provider)
        if self.task.state in ("offered", "accepted", "in_progress"):
            assert self.task.provider in {m.provider for m in self.messages}
        if self.task.state == "planned":
            assert self.task.provider is None

    @invariant()
    def it_is_completed_at_most_once_and_in_its_window(self) -> None:
        done = [e for e in self.events if isinstance(e, VisitCheckedOut)]
        assert len(done) == (self.task.state == "completed")
        for event in done:
            assert start_of_day(event.window_from) <= event.checked_in_at < start_of_day(event.window_to)
            assert event.checked_in_at <= event.checked_out_at

    @invariant()
    def at_most_three_providers_receive_an_offer_without_an_officer(self) -> None:
        assert len(self.task.tried) <= RULES.offers_max + 1


TestTaskLife = TaskLife.TestCase
TestTaskLife.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


# ── plans ────────────────────────────────────────────────────────────────────────────────────────────────────────

CARE = st.tuples(st.sampled_from([TOWN, "530303001"]), st.sampled_from([("A", 7), ("B", 15), ("C", 31), ("D", 92)]))


MONTHS = st.sampled_from([None, 1, 3, 12])
VERIFIED = st.dates(date(2025, 1, 31), date(2026, 6, 1))


@st.composite
def facts(draw: Callable[..., Any]) -> VisitFacts:
    """A timeline with a change of care or a gap, with or without a suspicion or a death."""
    start = date(2026, 1, 1) + timedelta(days=draw(st.integers(0, 400)))
    stretches = []
    for n in range(draw(st.integers(0, 2))):
        division, (tier, interval) = draw(CARE)
        to = start + timedelta(days=draw(st.integers(5, 200)))
        stretches.append(Stretch(f"e{n}", start, to, division, tier, interval, draw(MONTHS)))
        start = to + timedelta(days=draw(st.sampled_from([0, 0, 9])))
    if draw(st.booleans()):
        division, (tier, interval) = draw(CARE)
        stretches.append(Stretch("last", start, None, division, tier, interval, draw(MONTHS)))
    what = draw(st.sampled_from(["alive", "alive", "alive", "suspected", "died"]))
    day = date(2026, 6, 1)
    stays, incidents = [], []
    for n in range(draw(st.sampled_from([0, 0, 1, 2]))):
        since = date(2026, 4, 10) + timedelta(days=draw(st.integers(0, 150)))
        until = since + timedelta(days=draw(st.integers(1, 40))) if draw(st.booleans()) else None
        stays.append(Stay(f"s{n}", since, until))
    for n in range(draw(st.sampled_from([0, 0, 1, 2]))):
        incidents.append(Incident(f"i{n}", date(2026, 4, 10) + timedelta(days=draw(st.integers(0, 150)))))
    return VisitFacts(
        tuple(stretches),
        day if what == "died" else None,
        day if what == "suspected" else None,
        stays=tuple(stays),
        incidents=tuple(incidents),
        tags=draw(living_tags()),
    )


@st.composite
def living_tags(draw: Callable[..., Any]) -> tuple[LivingTags, ...]:
    """None, without an end, or until other tags follow that were verified on another day."""
    turn = date(2026, 4, 10) + timedelta(days=draw(st.integers(0, 150)))
    first, second = LivingTags(draw(VERIFIED), None, turn), LivingTags(draw(VERIFIED), turn, None)
    return draw(st.sampled_from([(), (msgspec.structs.replace(first, to=None),), (first,), (second,), (first, second)]))


class Life:
    """The plan and tasks of a person, as the service stores them. Open windows that pass become missed."""

    def __init__(self, facts: VisitFacts) -> None:
        self.plan = Plan(person_id="p", item="visiting_care", facts=facts)
        self.tasks: dict[str, Task] = {}

    def on(self, today: date) -> None:
        for _ in range(40):
            live = [
                t for t in self.tasks.values() if t.state in OPEN or (t.state == "completed" and t.window_to > today)
            ]
            decision = decide_plan(self.plan, live, today, RULES)
            self.plan = decision.plan
            for change in decision.changes:
                task = change.task
                assert not (change.created and task.task_id in self.tasks), "the same task was created twice"
                self.tasks[task.task_id] = task
            if self.plan.act_on is None or self.plan.act_on > today:
                break
        else:
            pytest.fail("the plan never comes to rest")
        for task in list(self.tasks.values()):
            if task.state in OPEN and task.window_to <= today:
                self.tasks[task.task_id] = msgspec.structs.replace(task, state="missed")

    def due(self, today: date) -> bool:
        """Whether a job has a step today. No other step must be necessary."""
        passed = any(t.state in OPEN and t.window_to <= today for t in self.tasks.values())
        return passed or (self.plan.act_on is not None and self.plan.act_on <= today)

    def routine(self) -> list[Task]:
        kept = [t for t in self.tasks.values() if t.reason in ROUTINE and t.state != "cancelled"]
        return sorted(kept, key=lambda t: t.window_from)


def cut_short(before: VisitFacts, end: date) -> VisitFacts:
    """The same care with an earlier end."""
    kept = [msgspec.structs.replace(s, to=min(s.to or end, end)) for s in before.stretches if s.from_ < end]
    return msgspec.structs.replace(before, stretches=tuple(kept))


def entitled(known: VisitFacts, day: date) -> Stretch | None:
    return next((s for s in known.stretches if s.from_ <= day and (s.to is None or day < s.to)), None)


@given(facts(), facts() | st.integers(1, 20), st.integers(20, 150))
@example(VisitFacts(), VisitFacts((Stretch("e", date(2026, 5, 10), date(2026, 5, 18), TOWN, "C", 31),)), 20)
@settings(max_examples=150, deadline=None)
def test_a_plan_follows_any_timeline_and_any_change_of_it(
    before: VisitFacts, after: VisitFacts | int, change_day: int
) -> None:
    life, start = Life(before), date(2026, 4, 20)
    for n in range(220):
        today = start + timedelta(days=n)
        if n == change_day:
            changed = after if isinstance(after, VisitFacts) else cut_short(before, today + timedelta(days=after))
            changed = msgspec.structs.replace(changed, handled=life.plan.facts.handled)
            life.plan = msgspec.structs.replace(life.plan, facts=changed)
        if n in (0, change_day) or life.due(today):
            life.on(today)
        has_window = any(t.state != "cancelled" and t.window_to > today for t in life.tasks.values())
        assert plan_fault(life.plan, today, RULES, has_window=has_window) is None
        known, open_ = life.plan.facts, [t for t in life.tasks.values() if t.state in OPEN]
        stretch = entitled(known, today)
        if known.died_on:
            assert open_ == []
            continue
        if known.suspected_on:
            assert {t.reason for t in open_} <= {"suspicion"}
            assert any(t.reason == "suspicion" and t.state != "cancelled" for t in life.tasks.values())
            continue
        if stretch is None:
            assert open_ == []
            continue
        if known.in_hospital(today):
            assert {t.reason for t in open_} <= {"stay"}
            continue
        routine = sorted((t for t in open_ if t.reason in ROUTINE), key=lambda t: t.window_from)
        assert len(routine) <= 2
        assert all(a.window_to <= b.window_from for a, b in pairwise(routine))
        assert {(t.division, t.tier) for t in routine} <= {(stretch.division, stretch.tier)}
        assert all(entitled(known, t.window_from) for t in routine if t.window_from > today)


def asked_days(stay: Stay, days: int) -> set[date]:
    """Day by day: the days on which a stay has lasted for whole terms and has no known end within the next term."""
    assert stay.from_ is not None
    found = set()
    for n in range(RULES.open_stay_days, days, RULES.open_stay_days):
        day = stay.from_ + timedelta(days=n)
        if stay.to is None or stay.to > day + timedelta(days=RULES.open_stay_days):
            found.add(day)
    return found


@given(st.integers(0, 60), st.none() | st.integers(1, 120), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_an_open_stay_is_asked_about_on_its_days_and_on_no_other(since: int, length: int | None, late: int) -> None:
    """`late`: the job runs so many days late, as after an outage."""
    start = date(2026, 4, 20)
    admitted = start + timedelta(days=since)
    home = None if length is None else admitted + timedelta(days=length)
    stay = Stay("s", admitted, home)
    life = Life(VisitFacts((Stretch("e", start, None, TOWN, "A", 7),), stays=(stay,)))
    looked = [start + timedelta(days=n) for n in range(0, 200, late + 1)]
    for today in looked:
        life.on(today)
    wanted = [day for day in asked_days(stay, 200) if day <= looked[-1]]
    made = [t.window_from for t in life.tasks.values() if t.reason == "stay"]
    assert sorted(made) == sorted(min(d for d in looked if d >= day) for day in wanted)


@given(facts(), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_every_incident_and_every_discharge_known_in_time_is_followed_by_a_visit(known: VisitFacts, late: int) -> None:
    """Except for a person who is dead, in hospital, suspected dead or not entitled to visits on those days."""
    known = msgspec.structs.replace(known, died_on=None, suspected_on=None)
    life, start = Life(known), date(2026, 4, 20)
    for n in range(0, 200, late + 1):  # the job runs late, as after an outage
        life.on(start + timedelta(days=n))
    last = start + timedelta(days=n)
    events = [(i.on, "incident") for i in known.incidents] + [(s.to, "discharge") for s in known.stays if s.to]
    for day, reason in events:
        days = [day + timedelta(days=n) for n in range(late + 1)]
        if day < start or days[-1] > last or not all(entitled(known, d) for d in days):
            continue
        if any(known.in_hospital(d) for d in days):
            continue
        made = [t for t in life.tasks.values() if t.reason == reason and day <= t.window_from <= days[-1]]
        assert made, (day, reason)
    for reason in ("incident", "discharge"):
        made = [t for t in life.tasks.values() if t.reason == reason and t.state != "cancelled"]
        places = 1 + len(known.stretches)
        assert len(made) <= sum(1 for _, why in events if why == reason) * places + len(known.stays)


def old_since(verified_on: date, months: int, today: date) -> date | None:
    """Day by day: the last day on which another term ended."""
    terms = [add_months(verified_on, months * n) for n in range(1, 60)]
    return max((day for day in terms if day <= today), default=None)


@given(VERIFIED, st.sampled_from([1, 3, 12]), st.integers(0, 900))
@example(date(2025, 1, 31), 1, 28)
@example(date(2024, 2, 29), 12, 365)
def test_tags_are_old_from_the_day_on_which_a_term_ends(verified_on: date, months: int, days: int) -> None:
    today = verified_on + timedelta(days=days)
    found = tag_age([LivingTags(verified_on, None, None)], months, today)
    assert found.old_since == old_since(verified_on, months, today)
    assert found.changes_on is not None
    assert found.changes_on > today
    assert old_since(verified_on, months, found.changes_on) == found.changes_on
    assert old_since(verified_on, months, found.changes_on - timedelta(days=1)) == found.old_since


@given(living_tags(), st.sampled_from([1, 3, 12]), st.integers(0, 3))
@settings(max_examples=150, deadline=None)
def test_old_tags_bring_one_visit_each_time_they_grow_old(tags: tuple[LivingTags, ...], months: int, late: int) -> None:
    """There is none while they are fresh, none in the first days, and none without tags."""
    start = date(2026, 4, 20)
    life = Life(VisitFacts((Stretch("e", start, None, TOWN, "C", 31, months),), tags=tags))
    looked = [start + timedelta(days=n) for n in range(0, 300, late + 1)]
    asked: dict[date, date] = {}  # the first day of old tags → the first day on which the job could know it
    for today in looked:
        if life.due(today) or today == start:
            life.on(today)
        held = [t for t in tags if (t.from_ or start) <= today and (t.to is None or today < t.to)]
        since = old_since(held[0].verified_on, months, today) if held else None
        open_ = [t for t in life.tasks.values() if t.reason == "reverify" and t.state in OPEN]
        if since is None:
            assert open_ == []
        elif today >= start + timedelta(days=RULES.first_visit_days):
            asked.setdefault(since, today)
    made = sorted(t.window_from for t in life.tasks.values() if t.reason == "reverify")
    close = RULES.reverify_visit_days + late
    joined = [b for a, b in pairwise(sorted(asked.values())) if (b - a).days <= close]
    assert set(made) <= set(asked.values())
    assert set(asked.values()) - set(made) <= set(joined), (asked, made)  # one is still open, so there is no second one
    assert len(made) == len(set(made))


@given(CARE, st.integers(0, 400))
@settings(max_examples=60, deadline=None)
def test_every_whole_calendar_month_of_an_entitlement_has_a_window_of_its_own(care: Any, offset: int) -> None:
    division, (tier, interval) = care
    start = date(2026, 1, 1) + timedelta(days=offset)
    life = Life(VisitFacts((Stretch("e", start, None, division, tier, interval),)))
    for n in range(200):
        life.on(start + timedelta(days=n))
    month = add_months(month_of(start), 1)
    while add_months(month, 1) <= start + timedelta(days=200):
        following = add_months(month, 1)
        assert any(month <= t.window_from and t.window_to <= following for t in life.routine()), month
        month = following
    windows = life.routine()
    assert all(a.window_to <= b.window_from for a, b in pairwise(windows))


def test_a_long_visit_under_another_number_replaces_one_week_and_moves_the_windows_once() -> None:
    today = date(2026, 11, 22)
    care = VisitFacts((Stretch("e", today, None, TOWN, "A", 7),), aliases=("other",))
    life = Life(care)
    life.on(today)
    made = datetime(2026, 11, 22, 3, tzinfo=UTC)
    visit = a_task(
        person_id="other", reason="reverify", state="completed", window_to=date(2026, 12, 22), checked_in_at=made
    )
    moved = decide_plan(life.plan, list(life.tasks.values()), today, RULES, [visit])
    opened = [change.task for change in moved.changes if change.created]
    assert [task.window_from for task in opened] == [date(2026, 11, 29)]
    assert decide_plan(moved.plan, opened, today, RULES, [visit]).changes == ()


def test_the_nearest_area_wins_over_a_lighter_load() -> None:
    pool = ProviderPool([provider(PROVIDERS[0], COUNTY), provider(PROVIDERS[1], TOWN, open_tasks=50)])
    assert pool.choose(TOWN, "visiting_care", ()) == PROVIDERS[1]
    assert pool.choose("530302002", "visiting_care", ()) == PROVIDERS[0]
    assert pool.choose(OTHER, "visiting_care", ()) is None


def test_load_is_measured_by_capacity_and_ties_go_by_code() -> None:
    small, large = PROVIDERS[0], PROVIDERS[1]
    pool = ProviderPool([provider(small, COUNTY, capacity_per_day=1), provider(large, COUNTY, capacity_per_day=3)])
    assert [pool.choose(TOWN, "visiting_care", ()) for _ in range(4)] == [small, large, large, large]


def test_a_provider_that_received_an_offer_receives_no_second_one() -> None:
    pool = ProviderPool([provider(code, COUNTY) for code in PROVIDERS[:2]])
    assert pool.choose(TOWN, "visiting_care", PROVIDERS[:1]) == PROVIDERS[1]
    assert pool.choose(TOWN, "visiting_care", PROVIDERS[:2]) is None


def test_the_digest_changes_with_everything_that_matters_and_with_nothing_else(story: Any) -> None:
    base = visit_digest(story.visiting())
    assert base == visit_digest(story.visiting(version=9, birth_date=date(1940, 1, 1), residence="530302002"))
    others = [
        story.visiting(tier="B"),
        story.visiting(interval_days=15),
        story.visiting(division=OTHER),
        story.visiting(to=date(2027, 1, 1)),
        story.visiting(from_=date(2026, 1, 2)),
        story.visiting(died_on=date(2026, 1, 2)),
        story.visiting(death_suspected_on=date(2026, 1, 2)),
        story.visiting(merged_into="x"),
        story.visiting(circumstances=Circumstances(incidents=(IncidentTold(event_id="i", on=date(2026, 1, 2)),))),
        story.visiting(granted=False),
    ]
    assert len({base, *map(visit_digest, others)}) == len(others) + 1
    assert visit_digest(story.visiting(granted=False, died_on=date(2026, 1, 2))) == 0
