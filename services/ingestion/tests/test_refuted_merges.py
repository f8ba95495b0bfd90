"""Merges that wait, lose their standing, or are taken back: who is one human, since when, and which area decides.

The person is registered in 麒麟区 (530302). Sources of 北京 (110000) do not belong to that person.
"""

from datetime import date
from typing import Any

import pytest
from common.codes.id_number import make
from common.message import derived_id
from ingestion import verify
from rules.facts.identity import identity_known_at, statements_known_at
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.privacy import vault

HOME, BEIJING, DISTRICT = "530302", "110000", "110105"
LATER, LATEST = "2026-11-20T10:30:00+08:00", "2026-11-20T11:30:00+08:00"


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def of_beijing(event: Any) -> Any:
    return event | {"source": f"urn:cn:exchange:{BEIJING}:{event['source'].rpartition(':')[2]}"}


@pytest.fixture
def new(people) -> str:
    """A number under which nothing is known yet."""
    return people.number(3)


@pytest.fixture
def registered_in_beijing(people):
    """Registrations in 北京, by number."""

    def _registered(number: str, **options: Any) -> Any:
        event = of_beijing(people.registration(number, **options))
        event["data"]["value"]["hukou_division"] = DISTRICT
        return event

    return _registered


@pytest.fixture
async def found(heads, database):
    """The heads by number, after `verify` has found no contradiction in the store."""

    async def _found(*numbers: str) -> list[Any]:
        assert await verify.check(database, clock.today()) == []
        by_person = await heads()
        return [by_person[person_of(n)] for n in numbers]

    return _found


@pytest.fixture
async def owners(database):
    """The owners of the waiting events by reason."""

    async def _owners() -> dict[str, str]:
        rows = await database.pool.fetch("SELECT reason, owner FROM quarantine WHERE state = 'open'")
        return dict(rows)

    return _owners


@pytest.fixture
async def waiting(database):
    async def _waiting() -> int:
        assert await verify.check(database, clock.today()) == []
        count: int = await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'")
        return count

    return _waiting


def doubted(head: Any) -> list[str]:
    """The older numbers of the doubts in a person's timeline."""
    return [s.value.same_as for s in head.statements if s.standing_at() == "waits" and s.kind == "identity_change"]


def incomes(head: Any) -> list[str]:
    facts = facts_known_at(statements_known_at(head))
    return [f.value.category for f in facts if f.kind == "low_income"]


# ── which persons are one human ─────────────────────────────────────────────────────────────────────────────


async def test_a_source_cannot_merge_an_unknown_number_with_a_person_of_another_area(push, people, victim, new, found):
    await push(of_beijing(people.same(new, victim)), expect="quarantined")
    (head,) = await found(victim)
    assert (head.aliases, head.merged_into) == ((), None)


async def test_a_merge_that_lost_its_standing_is_still_known_for_the_time_before(
    push, people, victim, new, found, registered_in_beijing
):
    await push(people.renumbered(victim, new), expect="accepted")
    merged_at = clock.now()
    await push(registered_in_beijing(new))
    old, other = await found(victim, new)
    assert (old.aliases, other.merged_into) == ((), None)
    assert identity_known_at(old.identities, merged_at).aliases == (person_of(new),)
    assert identity_known_at(other.identities, merged_at).merged_into == person_of(victim)


async def test_facts_under_a_number_without_places_are_tested_when_a_merge_gives_the_first_place(
    push, people, victim, new, found, waiting
):
    income = people.event("low_income", new, {"category": "dibao"}, id="income")
    await push(of_beijing(income), expect="accepted")
    await push(people.renumbered(victim, new), expect="accepted")
    (head,) = await found(victim)
    assert (incomes(head), await waiting()) == ([], 1)


async def test_a_merge_of_two_unknown_numbers_is_tested_when_one_of_them_becomes_a_number_of_a_known_person(
    push, people, victim, new, found, waiting
):
    other = people.number(5)
    await push(of_beijing(people.same(other, new)), expect="accepted")
    await push(people.renumbered(victim, new), expect="accepted")
    (head,) = await found(victim)
    assert (head.aliases, await waiting()) == ((person_of(new),), 1)


async def test_a_merge_is_judged_again_when_the_link_by_which_its_source_belonged_is_annulled(
    push, people, victim, found, abroad, registered_in_beijing
):
    """The city belongs to the person of 北京 only by the first merge, which officers have released."""
    third, far = people.number(5), make(DISTRICT, date(1941, 3, 1), 7)
    first = people.same(far, third)
    await push(people.registration(third), registered_in_beijing(far))
    (receipt,) = await push(first, expect="quarantined")
    for name in ("王科员", "李科员"):
        await abroad.post(f"/v1/quarantine/{receipt['event_id']}/release", by=name, area=DISTRICT)
    await push(people.same(far, victim), people.same(third, victim), expect="accepted")
    await push(people.annulled(first), expect="accepted")
    head, apart = await found(victim, far)
    assert (head.aliases, apart.merged_into) == ((person_of(third),), None)


async def test_two_merges_by_a_source_that_belongs_to_one_number_only_both_wait(
    push, people, found, waiting, registered_in_beijing, counties
):
    theirs, number = make(DISTRICT, date(1941, 3, 1), 7), people.number(5)
    await push(registered_in_beijing(theirs), expect="accepted")
    await push(
        of_beijing(people.renumbered(theirs, number)), of_beijing(people.same(number, theirs)), expect="accepted"
    )
    await push(people.registration(number), expect="accepted")
    for head in await found(theirs, number):
        assert (head.aliases, head.merged_into) == ((), None)
        assert all(len(s.standing) <= 3 for s in head.statements)  # they do not come and go
    assert await waiting() == 2


# ── merges that are taken back or corrected ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("annulled_first", [False, True])
async def test_a_source_takes_back_a_waiting_merge_under_the_other_number(
    push, people, victim, new, found, waiting, annulled_first
):
    merge = of_beijing(people.renumbered(victim, new))
    back = of_beijing(people.annulled(merge, number=new))
    for event in (back, merge) if annulled_first else (merge, back):
        await push(event)
    assert await waiting() == 0
    by_number = await found(victim)
    assert not any(doubted(head) for head in by_number)


async def test_a_merge_that_was_taken_back_under_the_other_number_does_not_count_when_no_place_is_known_any_more(
    push, people, found, new, counties
):
    number, registration = people.number(5), people.registration(people.number(5))
    merge = of_beijing(people.renumbered(number, new))
    await push(registration, expect="accepted")
    await push(merge, expect="quarantined")
    await push(of_beijing(people.annulled(merge, number=new)), expect="accepted")
    await push(people.annulled(registration), expect="accepted")
    (head,) = await found(number)
    assert head.aliases == ()


async def test_a_corrected_merge_that_waits_puts_only_the_corrected_number_in_doubt(push, people, victim, new, found):
    third, merge = people.number(5), people.renumbered(victim, new)
    await push(of_beijing(merge), expect="quarantined")
    (wrong,) = await found(new)
    assert doubted(wrong) == [person_of(victim)]
    corrected = people.renumbered(victim, third, id="c", action="corrected", previous=merge["id"], time=LATER)
    await push(of_beijing(corrected), expect="quarantined")
    wrong, right = await found(new, third)
    assert (doubted(wrong), doubted(right)) == ([], [person_of(victim)])


async def test_a_merge_that_waits_after_its_correction_puts_the_number_in_doubt_at_once(
    push, people, victim, new, found, registered_in_beijing
):
    far, merge = make(DISTRICT, date(1941, 3, 1), 7), people.renumbered(victim, new)
    await push(merge, registered_in_beijing(far), expect="accepted")
    corrected = people.renumbered(victim, far, id="c", action="corrected", previous=merge["id"], time=LATER)
    await push(corrected, expect="quarantined")
    head, other = await found(far, new)
    assert (doubted(head), doubted(other)) == ([person_of(victim)], [])


# ── owners ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_the_county_of_the_person_decides_a_correction_under_a_number_without_places(
    push, people, victim, new, owners
):
    income = people.event("low_income", victim, {"category": "dibao"}, id="income")
    corrected = people.event("low_income", new, {"category": "tekun"}, id="corrected", action="corrected",
                             previous="income", time=LATER)  # fmt: skip
    await push(of_beijing(income), expect="quarantined")
    await push(of_beijing(corrected), expect="quarantined")
    assert await owners() == {"source_not_of_person": HOME, "predecessor_waits": HOME}


async def test_the_county_of_a_merged_person_decides_events_under_the_number_without_places(
    push, people, victim, new, owners
):
    await push(people.renumbered(victim, new), expect="accepted")
    corrected = people.event("low_income", new, {"category": "tekun"}, id="corrected", action="corrected",
                             previous="missing", time=LATER)  # fmt: skip
    await push(of_beijing(corrected), expect="quarantined")
    assert await owners() == {"predecessor_missing": HOME}


async def test_the_county_decides_a_waiting_event_once_the_first_place_is_known(push, people, new, owners, counties):
    corrected = people.event("low_income", new, {"category": "tekun"}, id="corrected", action="corrected",
                             previous="missing", time=LATER)  # fmt: skip
    await push(of_beijing(corrected), expect="quarantined")
    assert await owners() == {"predecessor_missing": BEIJING}
    await push(people.registration(new), expect="accepted")
    assert await owners() == {"predecessor_missing": HOME}
