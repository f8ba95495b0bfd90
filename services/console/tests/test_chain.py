"""The memory of the live page: its content, its limits and its readers."""

from datetime import date
from typing import Any

from common.events import AlertRaised
from console.domain.chain import KEPT_MAX, SHOWN_MAX, Chain
from shell.access.auth import Caller

OFFICER = Caller("a", "officer", division="530300").may_see
ELSEWHERE = Caller("b", "officer", division="140700").may_see
AUDITOR = Caller("c", "auditor", division="000000").may_see


def test_the_last_hundred_steps_are_shown_oldest_first_and_then_only_new_ones(make: Any) -> None:
    chain = Chain()
    chain.add([make.step(make.decided(make.id()), seconds=n, division="530302") for n in range(150)])
    shown = chain.since(0, OFFICER)
    assert len(shown) == SHOWN_MAX
    assert [s.at for s in shown] == sorted(s.at for s in shown)
    assert chain.since(chain.seq, OFFICER) == []
    last = chain.seq
    chain.add([make.step(make.decided(make.id()), seconds=999, division="530302")])
    assert len(chain.since(last, OFFICER)) == 1


def test_an_officer_sees_only_steps_of_the_own_area_and_nothing_of_unknown_places(make: Any) -> None:
    chain = Chain()
    chain.add([make.step(make.decided(make.id()), division="530302001"), make.step(make.decided(make.id()))])
    assert len(chain.since(0, OFFICER)) == 1
    assert chain.since(0, ELSEWHERE) == []
    assert len(chain.since(0, AUDITOR)) == 2


def test_a_case_between_two_areas_is_seen_in_both_and_does_not_move_the_person(make: Any) -> None:
    chain, person = Chain(), make.id()
    chain.add([make.step(make.decided(person), division="140702")])
    case = AlertRaised(
        person_id=person,
        alert_id=make.id(),
        check="move_gap",
        severity="warn",
        subject=make.id(),
        division="530302",
        other_division="140702",
    )
    chain.add([make.step(case, division="530302", seconds=1)])
    chain.add([make.step(make.decided(person, version=2), seconds=2)])
    assert [s.text for s in chain.since(0, OFFICER)] == ["预警：迁移空档"]
    assert len(chain.since(0, ELSEWHERE)) == 3
    assert chain.since(0, Caller("d", "officer", division="530303").may_see) == []


def test_a_busy_area_does_not_push_a_small_one_off_the_page(make: Any) -> None:
    chain = Chain()
    chain.add([make.step(make.decided(make.id()), seconds=n, division="140702") for n in range(5)])
    chain.add([make.step(make.decided(make.id()), seconds=9, division="530302") for _ in range(500)])
    assert len(chain.since(0, ELSEWHERE)) == 5


def test_the_area_of_a_person_is_learnt_from_a_later_step(make: Any) -> None:
    """The first step of a chain has no area."""
    chain, person = Chain(), make.id()
    chain.add([make.step(make.decided(person))])
    assert chain.since(0, OFFICER) == []
    chain.add([make.step(make.decided(person, version=2), seconds=1, division="530302")])
    assert len(chain.since(0, OFFICER)) == 2


def test_an_event_read_twice_is_one_step(make: Any) -> None:
    chain = Chain()
    step = make.step(make.decided(make.id()), division="530302")
    chain.add([step, step])
    chain.add([step])
    assert len(chain.since(0, OFFICER)) == 1


def test_the_memory_is_bounded(make: Any) -> None:
    chain, person = Chain(), make.id()
    chain.add(make.step(make.decided(person, version=n), seconds=n, division="530302") for n in range(KEPT_MAX + 50))
    assert len(chain._steps) == KEPT_MAX


def test_a_death_shows_how_long_everything_took_to_stop(make: Any) -> None:
    chain, person, cause = Chain(), make.id(), make.id()
    chain.add([make.step(make.decided(person), correlation_id=cause, division="530302")])
    dead = make.decided(person, version=2, died_on=date(2026, 11, 1))
    chain.add([make.step(dead, seconds=0.2, correlation_id=cause, division="530302")])
    for seconds in (0.3, 0.5):
        chain.add([make.step(make.cancelled(person), seconds=seconds, correlation_id=cause, division="530302")])
    (stop,) = chain.stops(OFFICER)
    assert (stop.person_id, (stop.stopped_at - stop.known_at).total_seconds()) == (person, 0.5)
    assert chain.stops(ELSEWHERE) == []


def test_a_death_that_was_corrected_is_no_longer_shown(make: Any) -> None:
    chain, person = Chain(), make.id()
    chain.add([make.step(make.decided(person, died_on=date(2026, 11, 1)), division="530302")])
    chain.add([make.step(make.decided(person, version=2), seconds=9, division="530302")])
    assert chain.stops(OFFICER) == []


def test_a_death_that_is_decided_again_later_did_not_take_longer_to_stop(make: Any) -> None:
    chain, person = Chain(), make.id()
    dead = {"died_on": date(2026, 11, 1)}
    chain.add([make.step(make.decided(person, **dead), division="530302")])
    chain.add([make.step(make.cancelled(person), seconds=0.5, division="530302")])
    chain.add([make.step(make.decided(person, version=2, **dead), seconds=9_000, division="530302")])
    (stop,) = chain.stops(OFFICER)
    assert (stop.stopped_at - stop.known_at).total_seconds() == 0.5


def test_a_task_cancelled_for_another_reason_is_no_stop(make: Any) -> None:
    chain = Chain()
    chain.add([make.step(make.cancelled(make.id(), "moved"), division="530302")])
    assert chain.stops(AUDITOR) == []
    assert chain.since(0, AUDITOR)[0].tone == "plain"
