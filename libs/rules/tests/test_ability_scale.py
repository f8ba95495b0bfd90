"""GB/T 42195-2022: the cases of the domain notes, by name."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rules.scales.ability_scale import Findings, RiskEvent, Scored, assess, load_scale
from shell.settings import repository_root

SCALE = load_scale(repository_root() / "contracts" / "scales" / "gbt42195-2022.yaml")
ON = date(2026, 11, 22)
INTACT, MILD, MODERATE, SEVERE, COMPLETE = range(5)


def form(total: int) -> dict[str, int]:
    """A form with exactly this total."""
    items, left = {}, total
    for code, item in SCALE.items.items():
        items[code] = min(item.max, left)
        left -= items[code]
    assert left == 0
    return items


def level(total: int, *diagnoses: str, coma: bool = False, days_ago: tuple[int, ...] = (), kinds: str = "fall") -> int:
    events = tuple(
        RiskEvent(kind, ON - timedelta(days=d)) for d, kind in zip(days_ago, kinds.split(",") * 9, strict=False)
    )
    scored = assess(form(total), Findings(ON, coma, diagnoses, events), SCALE)
    assert isinstance(scored, Scored)
    assert scored.total == total
    return scored.level


def test_the_scale_has_26_items_in_four_dimensions_that_add_up_to_90() -> None:
    assert len(SCALE.items) == 26
    assert [(d.code, d.max) for d in SCALE.dimensions] == [("B1", 32), ("B2", 15), ("B3", 28), ("B4", 15)]
    assert SCALE.total_max == 90


@pytest.mark.parametrize(
    ("total", "expected"),
    [
        (90, INTACT),
        (89, MILD),
        (66, MILD),
        (65, MODERATE),
        (46, MODERATE),
        (45, SEVERE),
        (30, SEVERE),
        (29, COMPLETE),
        (0, COMPLETE),
    ],
)
def test_a_total_alone_gives_the_preliminary_level(total: int, expected: int) -> None:
    assert level(total) == expected


def test_intact_with_dementia_is_mild() -> None:
    assert level(90, "F00") == MILD


def test_moderate_with_two_falls_in_thirty_days_is_severe() -> None:
    assert level(46, days_ago=(3, 12)) == SEVERE


def test_a_diagnosis_and_two_falls_together_make_it_only_one_level_worse() -> None:
    assert level(46, "F03", days_ago=(3, 12)) == SEVERE


def test_severe_with_a_psychiatric_diagnosis_is_complete_loss() -> None:
    assert level(30, "F32") == COMPLETE


def test_complete_loss_is_never_made_worse() -> None:
    assert level(29, "F03") == COMPLETE


def test_a_coma_is_complete_loss_whatever_the_total() -> None:
    assert level(88, coma=True) == COMPLETE


def test_a_coma_needs_no_points() -> None:
    scored = assess({}, Findings(ON, coma=True), SCALE)
    assert isinstance(scored, Scored)
    assert (scored.total, scored.level, scored.changed_by) == (None, COMPLETE, ("coma",))


def test_an_event_before_the_thirty_days_does_not_count() -> None:
    assert level(80, days_ago=(31, 5)) == MILD


def test_an_event_on_the_thirtieth_day_counts() -> None:
    assert level(80, days_ago=(30, 5)) == MODERATE


def test_two_events_of_different_kinds_count_together() -> None:
    assert level(80, days_ago=(1, 2), kinds="fall,choking") == MODERATE


def test_climbing_stairs_cannot_have_four_points() -> None:
    items = form(90) | {"B2.4": 4}
    assert [(f.pointer, f.code) for f in assess(items, Findings(ON), SCALE)] == [("/items/B2.4", "out_of_range")]


@pytest.mark.parametrize(
    ("change", "pointer", "code"),
    [
        ({"B1.1": -1}, "/items/B1.1", "out_of_range"),
        ({"B3.7": 2}, "/items/B3.7", "out_of_range"),
        ({"B4.4": 4}, "/items/B4.4", "out_of_range"),
        ({"B1.1": True}, "/items/B1.1", "not_whole"),
        ({"B1.1": 3.5}, "/items/B1.1", "not_whole"),
        ({"B9.9": 1}, "/items/B9.9", "unknown_item"),
        ({"a/b~": 1}, "/items/a~1b~0", "unknown_item"),
    ],
)
def test_every_wrong_item_is_named_by_its_pointer(change: dict[str, int], pointer: str, code: str) -> None:
    faults = assess(form(70) | change, Findings(ON), SCALE)
    assert [(f.pointer, f.code) for f in faults] == [(pointer, code)]


def test_a_missing_item_and_wrong_findings_are_all_named_at_once() -> None:
    items = form(90)
    del items["B4.5"]
    findings = Findings(
        ON, diagnoses=("G30",), risk_events=(RiskEvent("fall", ON + timedelta(days=1)), RiskEvent("x", ON))
    )
    faults = assess(items, findings, SCALE)
    assert [(f.pointer, f.code) for f in faults] == [
        ("/items/B4.5", "missing"),
        ("/diagnoses/0", "not_a_diagnosis"),
        ("/risk_events/0/on", "after_assessment"),
        ("/risk_events/1/kind", "unknown_kind"),
    ]


@given(st.fixed_dictionaries({code: st.integers(0, item.max) for code, item in SCALE.items.items()}))
def test_better_points_never_give_a_worse_level(items: dict[str, int]) -> None:
    before = assess(items, Findings(ON), SCALE)
    code = next((c for c in items if items[c] < SCALE.items[c].max), None)
    after = assess(items | ({code: items[code] + 1} if code else {}), Findings(ON), SCALE)
    assert isinstance(before, Scored)
    assert isinstance(after, Scored)
    assert after.level <= before.level
    assert before.total == sum(items.values()) == sum(before.by_dimension.values())
