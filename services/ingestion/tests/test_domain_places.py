"""Vouched places, compared with an oracle that follows the rule sentence by sentence and shares no code with it."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import permutations
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from ingestion.domain.places import Judged, Place, belongs, judge
from ingestion.domain.pushed import Source

DAYS = 60
TOWNS = ["530302001", "530302002", "530303001", "530325", "110105001", "110105", "140702"]
AREAS = ["530302", "530303", "530325", "530300", "110105", "110000", "140702", "000000"]
FIRST = date(2026, 1, 1)


def source(area: str) -> Source:
    return Source(f"urn:cn:exchange:{area}:psb", area, area, {"residence": 1, "registration": 1}, (area,), True)


days = st.none() | st.integers(0, 6).map(lambda n: FIRST + timedelta(days=25 * n))
place = st.builds(
    lambda hukou, town, area, from_, closed, ruling: ("", hukou, town, source(area), from_, closed, ruling),
    st.booleans(),
    st.sampled_from(TOWNS),
    st.sampled_from(AREAS),
    days,
    days,
    st.sampled_from([None, None, None, None, "confirmed", "silent"]),
)
histories = st.lists(place, max_size=7).map(lambda found: [Place(f"c{n}", *p[1:]) for n, p in enumerate(found)])
mates = st.sampled_from([frozenset(), frozenset(), frozenset({"530302002"}), frozenset({"110105"})])


# ── the oracle ──────────────────────────────────────────────────────────────────────────────────────────────


def inside(town: str, area: str) -> bool:
    return town.startswith(area.removesuffix("0000").removesuffix("00") if area != "000000" else "")


def knows(issuer: Source, towns: Any) -> bool:
    return any(inside(town, issuer.area) for town in towns)


def explained(closed: Place, claim: Place, others: Sequence[Place]) -> bool:
    """Whether the person has moved from the closed place to another known one, not to the claimed one."""
    assert closed.closed_on is not None
    assert claim.from_ is not None
    for other in others:
        if other.chain == closed.chain or other.hukou != closed.hukou or other.from_ is None:
            continue
        begins_later = closed.from_ is None or other.from_ > closed.from_
        near = (closed.closed_on - other.from_).days <= DAYS
        if begins_later and near and (other.from_ <= claim.from_ or other.from_ <= closed.closed_on):
            return True
    return False


def vouched(
    taken: Sequence[Place],
    seed: Place | None,
    rulings: tuple[str, ...],
    given: frozenset[str],
    *,
    closings_count: bool = True,
    explaining: Sequence[Place] | None = None,
) -> list[str]:
    """Vouched chains: first those that need no closing, then those that follow from one.

    `explaining`: the places that may explain a closing; None: those that need no closing."""
    found = [p for p in taken if p is seed or p.ruling in rulings]
    for with_closings in (False, True) if closings_count else (False,):
        plain = list(found) if explaining is None else explaining
        for _ in taken:
            towns = {p.division for p in found} | given
            for p in taken:
                if p in found:
                    continue
                same_county = p.division[:6] in {t[:6] for t in towns}
                closing = with_closings and any(
                    b.closed_on is not None
                    and p.from_ is not None
                    and -DAYS <= (b.closed_on - p.from_).days <= DAYS
                    and knows(b.source, towns)
                    and not explained(b, p, plain)
                    for b in found
                )
                if same_county or knows(p.source, towns) or closing:
                    found.append(p)
                    towns.add(p.division)
    return [p.chain for p in found]


STRONG, WEAK = ("confirmed",), ("confirmed", "silent")
Explaining = dict[tuple[str, ...], list[Place]]


def taken_together(places: Sequence[Place], seed: Place, given: frozenset[str]) -> tuple[list[Place], Explaining]:
    """All places are looked at with all others present: closings count only after everything else.

    Only places that were taken before closings counted explain a closing."""
    taken: list[Place] = []
    explaining: Explaining = {}
    for closings_count in (False, True):
        if closings_count:
            for rulings in (STRONG, WEAK):
                plain = vouched(taken, seed, rulings, given, closings_count=False)
                explaining[rulings] = [p for p in taken if p.chain in plain]
        while True:
            weak = vouched(taken, seed, WEAK, given, closings_count=closings_count, explaining=explaining.get(WEAK))
            towns = {p.division for p in taken if p.chain in weak} | given
            more = [
                p
                for p in places
                if p not in taken
                and (inside(p.division, p.source.area) or p.ruling == "confirmed" or knows(p.source, towns))
            ]
            if not more:
                break
            taken += more
    return taken, explaining


def oracle(places: Sequence[Place], given: frozenset[str]) -> tuple[dict[str, str], str | None]:
    """The state of every chain, and the seed."""
    seed: Place | None = None
    hukou_known = False
    taken: list[Place] = []
    weak: list[str] = []
    for count in range(1, len(places) + 1):
        while True:
            towns = {p.division for p in taken if p.chain in weak} | given
            free = (
                p
                for p in places[:count]
                if p not in taken
                and (inside(p.division, p.source.area) or p.ruling == "confirmed" or knows(p.source, towns))
            )
            new = next(free, None)
            if new is None:
                break
            own = inside(new.division, new.source.area) or new.ruling == "confirmed"
            if new.hukou and not hukou_known and own:
                seed, taken = new, []
            hukou_known = hukou_known or new.hukou
            seed = seed or new
            taken = [*taken, new]
            weak = vouched(taken, seed, WEAK, given)
    explaining: Explaining = {}
    if seed is not None:
        taken, explaining = taken_together(places, seed, given)
        weak = vouched(taken, seed, WEAK, given, explaining=explaining[WEAK])
    strong = vouched(taken, seed, STRONG, given, explaining=explaining.get(STRONG))
    states = {}
    for p in places:
        if p not in taken:
            states[p.chain] = "outside"
        elif p.chain in strong:
            states[p.chain] = "vouched"
        else:
            states[p.chain] = "silent" if p.chain in weak else "claimed"
    return states, seed.chain if seed else None


# ── properties ──────────────────────────────────────────────────────────────────────────────────────────────


def essence(judged: Judged) -> tuple[Any, ...]:
    return judged.strong, judged.weak, judged.states, judged.seed


@settings(max_examples=600, deadline=None)
@given(histories, mates)
def test_every_place_has_the_state_that_the_oracle_gives_it(places, given_):
    judged = judge(places, DAYS, given_)
    assert (judged.states, judged.seed) == oracle(places, given_)
    assert judged.strong == {p.division for p in places if judged.states[p.chain] == "vouched"} | given_


def test_a_claim_that_rests_on_a_closing_does_not_depend_on_when_the_closing_was_explained():
    """The source in Beijing belongs only if the person moved there. A confirmed hukou shows that they moved elsewhere.
    So what Beijing states of a third place is not accepted, also if it came before that hukou."""
    moved = FIRST + timedelta(days=125)
    first = Place("first", True, "140702", source("140702"), None, FIRST + timedelta(days=75))
    elsewhere = Place("elsewhere", True, "530325", source("530302"), moved, None, "confirmed")
    beijing = Place("beijing", False, "110105001", source("110105"), moved)
    claim = Place("claim", True, "530302001", source("110000"))
    for order in permutations((elsewhere, beijing, claim)):
        assert judge([first, *order], DAYS).states["claim"] == "outside"


@settings(max_examples=400, deadline=None)
@given(histories, st.data())
def test_after_the_first_hukou_the_order_does_not_matter(places, data):
    first = next((p for p in places if p.hukou and (p.own or p.ruling == "confirmed")), None)
    if first is None:
        return
    rest = [p for p in places if p is not first]
    shuffled = data.draw(st.permutations(rest))
    assert essence(judge([first, *rest], DAYS)) == essence(judge([first, *shuffled], DAYS))


def test_a_place_that_is_accepted_by_a_closing_does_not_explain_this_closing():
    """The source of the second move belongs by the first move only, whose closing it would explain."""
    moved = date(2026, 1, 1)
    first = Place("first", False, "110105", source("110105"), None, moved)
    away = Place("away", False, "530302001", source("530302"), moved)
    within = Place("within", False, "110105001", source("530302"), moved)
    for order in permutations((away, within)):
        states = judge([first, *order], DAYS).states
        assert states == {"first": "vouched", "away": "vouched", "within": "vouched"}


@settings(max_examples=400, deadline=None)
@given(histories, mates)
def test_a_claimed_place_changes_nothing_for_its_source(places, given_):
    """Without the claimed places the same sources belong to the person."""
    judged = judge(places, DAYS, given_)
    if any(p.chain == judged.seed and not p.own and p.ruling != "confirmed" for p in places):
        return  # the first residence has stated this hukou, and is claimed itself since then
    others = [p for p in places if judged.states[p.chain] not in ("claimed", "outside")]
    without = judge(others, DAYS, given_)
    assert (without.strong, without.weak, without.seed) == (judged.strong, judged.weak, judged.seed)
    for p in places:
        if judged.states[p.chain] == "claimed":
            assert not belongs(p.source, judged.strong)


@settings(max_examples=200, deadline=None)
@given(histories, mates, place)
def test_a_further_place_takes_no_standing_from_a_source_unless_it_explains_a_closing(places, given_, more):
    before = judge(places, DAYS, given_)
    later = Place("more", *more[1:])._replace(from_=None)  # without a beginning it explains nothing
    if before.seed is None or not any(p.hukou and p.chain == before.seed for p in places):
        return
    after = judge([*places, later], DAYS, given_)
    assert before.strong <= after.strong
