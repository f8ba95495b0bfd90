"""Facts agree with a slow oracle that reads the statements for one day at a time."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta

from common.events.facts import (
    Alive,
    Death,
    Disability,
    Household,
    LowIncome,
    Residence,
    Statement,
    Value,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import Fact, facts_known_at

FIRST = date(2024, 1, 1)
DAYS = 14
START = datetime(2024, 1, 1, tzinfo=UTC)


def day(n: int) -> date:
    return FIRST + timedelta(days=n)


def said(
    event_id: str,
    value: Value | None,
    *,
    chain: str | None = None,
    action: str = "created",
    kind: str = "disability",
    minute: int = 0,
    rank: int = 1,
    since: int | None = None,
    until: int | None = None,
    via: str | None = None,
) -> Statement:
    return Statement(
        event_id=event_id,
        chain=chain or event_id,
        action=action,  # type: ignore[arg-type]
        kind=kind,  # type: ignore[arg-type]
        source="urn:cn:exchange:test",
        rank=rank,
        time=START + timedelta(minutes=minute),
        recorded_at=START + timedelta(minutes=minute),
        valid_from=None if since is None else day(since),
        valid_to=None if until is None else day(until),
        value=value,
        via=via,
    )


# --- the oracle -----------------------------------------------------------------------------------


class Last:
    """The last statement of a chain."""

    def __init__(self, chain: Sequence[Statement]) -> None:
        self.statement: Statement | None = None
        self.until: date | None = None
        for s in chain:
            if s.action in ("created", "corrected"):
                self.statement, self.until = s, s.valid_to
            elif s.action == "annulled":
                self.statement = None
            elif self.statement is not None:
                self.until = s.valid_to

    def ever_holds(self) -> bool:
        s = self.statement
        return s is not None and (self.until is None or s.valid_from is None or s.valid_from < self.until)


def shown_in_line(lasts: list[Last], on: date) -> Statement | None:
    """Of chains of one rank and one line: the one that began last, if it still holds."""
    begun = [x for x in lasts if x.statement and (x.statement.valid_from or date.min) <= on]
    if not begun:
        return None
    newest = max(
        begun,
        key=lambda x: (
            x.statement.valid_from or date.min,  # type: ignore[union-attr]
            x.statement.time,  # type: ignore[union-attr]
            x.statement.chain,  # type: ignore[union-attr]
        ),
    )
    return newest.statement if newest.until is None or on < newest.until else None


def oracle(statements: Sequence[Statement], kind: str, on: date) -> str | None:
    """The event id of the value that shows on a day."""
    chains = {s.chain for s in statements if s.kind == kind}
    lasts = [Last([s for s in statements if s.chain == c]) for c in sorted(chains)]
    lasts = [x for x in lasts if x.ever_holds()]
    ranks = sorted({x.statement.rank for x in lasts if x.statement})
    for rank in ranks:
        line = [x for x in lasts if x.statement and x.statement.rank == rank and x.statement.via is None]
        if shown := shown_in_line(line, on):
            return shown.event_id
    for rank in ranks:
        rivals = []
        for household in ("h1", "h2"):
            if not is_member(statements, household, on):
                continue
            line = [x for x in lasts if x.statement and (x.statement.rank, x.statement.via) == (rank, household)]
            if shown := shown_in_line(line, on):
                rivals.append(shown)
        if rivals:
            rivals.sort(key=lambda s: s.chain)
            return max(rivals, key=lambda s: (s.valid_from or date.min, s.time)).event_id
    return None


def is_member(statements: Sequence[Statement], household: str, on: date) -> bool:
    own = [s for s in statements if s.kind == "household"]
    of_household = {s.chain for s in own if isinstance(s.value, Household) and s.value.household == household}
    shown_id = oracle_household([s for s in own if s.chain in of_household], on)
    return any(s.event_id == shown_id and isinstance(s.value, Household) and s.value.member for s in own)


def oracle_household(statements: Sequence[Statement], on: date) -> str | None:
    lasts = [Last([s for s in statements if s.chain == c]) for c in sorted({s.chain for s in statements})]
    lasts = [x for x in lasts if x.ever_holds()]
    for rank in sorted({x.statement.rank for x in lasts if x.statement}):
        if shown := shown_in_line([x for x in lasts if x.statement and x.statement.rank == rank], on):
            return shown.event_id
    return None


# --- generated people ------------------------------------------------------------------------------


@st.composite
def chains_of(draw: st.DrawFn, kind: str, name: str) -> list[Statement]:
    """A chain: created, then up to three actions, in the order of its source."""
    via = draw(st.sampled_from([None, None, "h1", "h2"])) if kind == "low_income" else None
    household = draw(st.sampled_from(["h1", "h2"]))
    rank = draw(st.integers(1, 3))
    chain = []
    actions = ["created", *draw(st.lists(st.sampled_from(["corrected", "annulled", "ended"]), max_size=3))]
    for i, action in enumerate(actions):
        since = draw(st.none() | st.integers(0, DAYS))
        until = draw(st.integers(0, DAYS) if action == "ended" else st.none() | st.integers(0, DAYS))
        value: Value | None = None
        if action in ("created", "corrected"):
            value = draw(values(kind, household))
        minute = draw(st.integers(0, 5)) + 6 * i
        chain.append(
            said(
                f"{name}.{i}",
                value,
                chain=name,
                action=action,
                kind=kind,
                minute=minute,
                rank=rank,
                since=since,
                until=until,
                via=via,
            )
        )
    return chain


def values(kind: str, household: str) -> st.SearchStrategy[Value]:
    if kind == "household":
        return st.builds(Household, household=st.just(household), member=st.booleans())
    if kind == "low_income":
        return st.builds(LowIncome, category=st.sampled_from(["dibao", "tekun"]))
    return st.builds(Disability, class_=st.integers(1, 7), level=st.integers(1, 4))


@st.composite
def people(draw: st.DrawFn) -> list[list[Statement]]:
    kinds = draw(st.lists(st.sampled_from(["disability", "low_income", "household"]), max_size=7))
    return [draw(chains_of(kind, f"{kind}{i}")) for i, kind in enumerate(kinds)]


@settings(deadline=None)
@given(people())
def test_the_value_of_each_day_agrees_with_the_oracle(chains: list[list[Statement]]) -> None:
    statements = [s for chain in chains for s in chain]
    facts = facts_known_at(statements)
    for kind in ("disability", "low_income"):
        for n in range(-1, DAYS + 2):
            shown = [f.event_id for f in facts if f.kind == kind and f.holds_on(day(n))]
            wanted = oracle(statements, kind, day(n))
            assert shown == ([wanted] if wanted else []), (kind, n)


@settings(deadline=None)
@given(people(), st.randoms(use_true_random=False), st.integers(1, 3))
def test_the_order_of_arrival_and_repetition_change_nothing(
    chains: list[list[Statement]], shuffle: object, copies: int
) -> None:
    straight = facts_known_at(s for chain in chains for s in chain)
    queues = [[s for s in chain for _ in range(copies)] for chain in chains]
    mixed = []
    while queues:
        queue = shuffle.choice(queues)  # type: ignore[attr-defined]
        mixed.append(queue.pop(0))
        queues = [q for q in queues if q]
    assert facts_known_at(mixed) == straight


@settings(deadline=None)
@given(people(), st.integers(0, 24))
def test_a_statement_recorded_later_does_not_count(chains: list[list[Statement]], minute: int) -> None:
    statements = [s for chain in chains for s in chain]
    until = START + timedelta(minutes=minute)
    seen = [s for s in statements if s.recorded_at <= until]
    assert facts_known_at(statements, until) == facts_known_at(seen)


# --- tables ----------------------------------------------------------------------------------------


def periods(facts: Sequence[Fact], kind: str) -> list[tuple[str, date | None, date | None]]:
    return [(f.event_id, f.valid_from, f.valid_to) for f in facts if f.kind == kind]


def test_a_new_residence_closes_the_earlier_one() -> None:
    first = said("a", Residence(division="530302"), kind="residence", minute=1)
    second = said("b", Residence(division="530303"), kind="residence", minute=2, since=5)
    assert periods(facts_known_at([second, first]), "residence") == [("a", None, day(5)), ("b", day(5), None)]


def test_an_annulled_move_brings_the_earlier_residence_back() -> None:
    first = said("a", Residence(division="530302"), kind="residence", minute=1)
    second = said("b", Residence(division="530303"), kind="residence", minute=2, since=5)
    annulled = said("c", None, chain="b", action="annulled", kind="residence", minute=3)
    assert periods(facts_known_at([first, second, annulled]), "residence") == [("a", None, None)]


def test_a_stronger_source_paints_over_a_weaker_one_which_shows_again_outside() -> None:
    weak = said("weak", Disability(class_=4, level=3), rank=2, since=0)
    strong = said("strong", Disability(class_=4, level=1), rank=1, since=3, until=6)
    assert periods(facts_known_at([weak, strong]), "disability") == [
        ("weak", day(0), day(3)),
        ("strong", day(3), day(6)),
        ("weak", day(6), None),
    ]


def test_a_household_status_is_cut_to_the_days_of_membership() -> None:
    statements = [
        said("in", Household(household="h1"), kind="household", since=2),
        said("out", Household(household="h1", member=False), kind="household", since=8, minute=1),
        said("low", LowIncome(category="dibao"), kind="low_income", since=0, via="h1"),
    ]
    assert periods(facts_known_at(statements), "low_income") == [("low", day(2), day(8))]


def test_of_two_households_the_status_that_began_later_shows() -> None:
    statements = [
        said("in1", Household(household="h1"), kind="household"),
        said("in2", Household(household="h2"), kind="household"),
        said("early", LowIncome(category="dibao"), kind="low_income", since=0, via="h1", minute=2),
        said("late", LowIncome(category="bianyuan"), kind="low_income", since=4, until=7, via="h2", minute=1),
    ]
    assert periods(facts_known_at(statements), "low_income") == [
        ("early", day(0), day(4)),
        ("late", day(4), day(7)),
        ("early", day(7), None),
    ]


def test_a_correction_after_an_end_opens_the_period_that_it_names() -> None:
    statements = [
        said("a", Disability(class_=4, level=3), since=0),
        said("b", None, chain="a", action="ended", until=5, minute=1),
        said("c", Disability(class_=4, level=2), chain="a", action="corrected", since=1, minute=2),
    ]
    assert periods(facts_known_at(statements), "disability") == [("c", day(1), None)]


def _death(event_id: str, evidence: str, n: int) -> Statement:
    return said(event_id, Death(evidence=evidence), kind="death", since=n)  # type: ignore[arg-type]


def _seen(event_id: str, n: int) -> Statement:
    return said(event_id, Alive(method="visit"), kind="alive", since=n)


def test_only_the_register_or_two_papers_together_confirm_a_death() -> None:
    def verdict(*statements: Statement) -> Deceased | Suspected | None:
        return death_of(facts_known_at(statements))

    assert verdict() is None
    assert verdict(_seen("s", 1)) is None
    assert verdict(_death("r", "register_cancelled", 3)) == Deceased(day(3), ("r",))
    assert verdict(_death("m", "medical_certificate", 3)) == Suspected(day(3), ("m",))
    assert verdict(_death("c", "cremation", 3)) == Suspected(day(3), ("c",))
    assert verdict(_death("x", "reported", 3)) == Suspected(day(3), ("x",))
    papers = _death("c", "cremation", 5), _death("m", "medical_certificate", 3)
    assert verdict(*papers) == Deceased(day(3), ("m", "c"))
    assert verdict(*papers, _death("r", "register_cancelled", 4)) == Deceased(day(3), ("m", "r", "c"))
    assert verdict(_death("x", "reported", 3), _death("y", "reported", 2)) == Suspected(day(2), ("y", "x"))


def test_a_sign_of_life_clears_a_suspicion_but_not_a_confirmed_death() -> None:
    reported = _death("x", "reported", 3)
    assert isinstance(death_of(facts_known_at([reported, _seen("s", 2)])), Suspected)
    assert death_of(facts_known_at([reported, _seen("s", 3)])) is None
    later = _death("y", "reported", 6)
    assert death_of(facts_known_at([reported, _seen("s", 4), later])) == Suspected(day(6), ("y",))
    confirmed = _death("r", "register_cancelled", 3)
    assert death_of(facts_known_at([confirmed, _seen("s", 3)])) == Deceased(day(3), ("r",))
    assert death_of(facts_known_at([confirmed, _seen("s", 9)])) == Deceased(day(3), ("r",), ("s",))


def test_a_death_without_a_day_is_as_old_as_its_record() -> None:
    undated = said("r", Death(evidence="register_cancelled"), kind="death", minute=60)
    assert death_of(facts_known_at([undated])) == Deceased(FIRST, ("r",))
