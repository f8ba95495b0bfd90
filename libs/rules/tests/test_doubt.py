"""While a change of identity waits, money that begins under the newer number is held, and nothing else."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
from common.events import Entitlement, PayTerms
from common.events.facts import IdentityChange, Registration, StandingChange, Statement
from rules.deciding.lists import Lists
from rules.facts.doubt import Doubt, doubt_known_at, held_by_doubt, is_held
from rules.facts.timeline import Fact
from rules.form.policy import load_lists
from rules.money.due import due
from rules.words.explain import explain

DOUBT = Doubt(date(2026, 11, 10), ("doubt",))


def at(day: int, hour: int = 4) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def waiting(*standing: tuple[datetime, Any], event_id: str = "doubt") -> Statement:
    return Statement(
        event_id=event_id,
        chain=event_id,
        action="created",
        kind="identity_change",
        source="urn:cn:exchange:110000:test",
        rank=9,
        time=standing[0][0],
        recorded_at=standing[0][0],
        value=IdentityChange(same_as="older"),
        standing=tuple(StandingChange(*change) for change in standing),
    )


def born(day: int) -> Statement:
    """The registration of the person, recorded on a day of the month."""
    value = Registration(sex="1", birth_date=date(1940, 2, 29), hukou_division="530302", hukou_kind="rural")
    return msgspec.structs.replace(
        waiting((at(day), "full"), event_id="born"), kind="registration", value=value, standing=()
    )


def test_a_doubt_lasts_as_long_as_the_change_waits_and_is_known_when_it_was_known() -> None:
    said = [born(1), waiting((at(10), "waits"), (at(12), "withheld"), (at(14), "waits"), (at(16), "full"))]
    known = {day: doubt_known_at(said, at(day, 12)) for day in (9, 11, 13, 15, 17)}
    assert known == {
        9: None,
        11: Doubt(date(2026, 11, 10), ("doubt",)),
        13: None,
        15: Doubt(date(2026, 11, 14), ("doubt",)),
        17: None,
    }
    assert doubt_known_at(said) is None


def test_the_day_of_a_doubt_is_the_civil_day_and_the_oldest_of_several() -> None:
    said = [born(1), waiting((at(12), "waits"), event_id="second"), waiting((at(9, 17), "waits"), event_id="first")]
    assert doubt_known_at(said) == Doubt(date(2026, 11, 10), ("first", "second"))  # 01:00 in Shanghai


def test_of_a_number_that_was_unknown_before_the_doubt_all_money_is_held() -> None:
    """Its allowance may have begun years ago, and the older number was paid for those months."""
    for said in ([born(10), waiting((at(10), "waits"))], [waiting((at(10), "waits")), born(12)]):
        doubt = doubt_known_at(said)
        assert doubt == Doubt(date.min, ("doubt",))
        assert states(has("longevity_allowance", date(2020, 3, 1)), doubt=doubt) == ["suspended"]
    known = doubt_known_at([born(9), waiting((at(10), "waits"))])
    assert states(has("longevity_allowance", date(2020, 3, 1)), doubt=known) == ["granted"]


def test_a_change_that_counts_or_is_discarded_is_no_doubt() -> None:
    full = msgspec.structs.replace(waiting((at(10), "waits")), standing=())
    assert doubt_known_at([full, waiting((at(10), "withheld"))]) is None


def has(item: str, first: date, to: date | None = None, **more: Any) -> Entitlement:
    return Entitlement(
        **{
            "entitlement_id": f"{item}{first}",
            "item": item,
            "jurisdiction": "530302",
            "kind": "cash",
            "state": "granted",
            "from_": first,
            "to": to,
            "amount_fen_per_month": 5000,
            "facts": ("born",),
            **more,
        }
    )


def states(*entitlements: Entitlement, doubt: Doubt | None = DOUBT) -> list[str]:
    return [e.state for e in held_by_doubt(entitlements, doubt)]


def test_an_item_that_begins_on_the_day_of_the_doubt_or_later_is_held_and_names_the_doubt() -> None:
    (before, on, after) = (has(f"item{day}", date(2026, 11, day)) for day in (9, 10, 11))
    assert states(before, on, after) == ["granted", "suspended", "suspended"]
    assert held_by_doubt((on,), DOUBT)[0].facts == ("born", "doubt")
    assert states(before, on, after, doubt=None) == ["granted"] * 3


def test_money_that_ran_before_goes_on_with_another_amount_and_in_another_area() -> None:
    turns, moves = date(2026, 12, 1), date(2027, 2, 1)
    running = (
        has("longevity_allowance", date(2020, 1, 1), turns),
        has("longevity_allowance", turns, moves, amount_fen_per_month=8000),
        has("longevity_allowance", moves, jurisdiction="530303"),
    )
    assert states(*running) == ["granted"] * 3


def test_an_item_that_begins_again_after_a_gap_is_held() -> None:
    gone, again = date(2026, 10, 1), date(2026, 12, 1)
    first, second = has("nursing_subsidy", date(2020, 1, 1), gone), has("nursing_subsidy", again)
    assert states(first, second) == ["granted", "suspended"]
    between = has("nursing_subsidy", gone, again, state="suppressed")
    assert states(first, between, second) == ["granted", "suppressed", "suspended"]


def test_a_doubt_holds_no_service_and_no_item_that_is_not_given() -> None:
    since = date(2026, 12, 1)
    assert states(has("visiting_care", since, kind="service")) == ["granted"]
    assert states(has("nursing_subsidy", since, state="unknown")) == ["unknown"]


def test_the_months_of_a_held_item_are_held_and_owed_once_the_doubt_is_gone() -> None:
    pay = PayTerms(start="same_month", status="documented")
    new = has("nursing_subsidy", date(2026, 11, 20), pay=pay)

    def months(doubt: Doubt | None) -> list[tuple[int, str]]:
        lines = due(held_by_doubt((new,), doubt), through_month=date(2026, 12, 1), demo=False)
        return [(line.service_month.month, line.state) for line in lines]

    assert months(DOUBT) == [(11, "held"), (12, "held")]
    assert months(None) == [(11, "due"), (12, "due")]


def test_whether_a_day_is_held_by_the_doubt() -> None:
    held, running = has("nursing_subsidy", date(2026, 12, 1)), has("longevity_allowance", date(2020, 1, 1))
    both = (running, held)
    assert is_held(both, "nursing_subsidy", date(2026, 12, 1), DOUBT)
    assert not is_held(both, "nursing_subsidy", date(2026, 11, 30), DOUBT)
    assert not is_held(both, "longevity_allowance", date(2026, 12, 1), DOUBT)
    assert not is_held(both, "nursing_subsidy", date(2026, 12, 1), None)


def test_no_day_is_named_from_which_held_money_is_given() -> None:
    lists = Lists(load_lists(Path(__file__).parents[3] / "contracts" / "policy").values())
    value = Registration(sex="1", birth_date=date(1947, 3, 1), hukou_division="530302", hukou_kind="rural")
    facts = [Fact("registration", value, None, None, "born", "urn:cn:exchange:test", 1)]
    item, on = "longevity_allowance", date(2026, 12, 1)
    assert explain(facts, [], lists, item, on).given_from == date(2027, 3, 1)
    assert explain(facts, [], lists, item, on, doubt=DOUBT).given_from is None
