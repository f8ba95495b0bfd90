"""An event of a person with two ID numbers loses its standing, waits, and counts again. No event waits for ever.

The person is registered in 麒麟区 (530302) and lived for a time in 530303. The civil affairs office of 530303 states an
income under the old number and corrects it under the new one.
"""

from typing import Any

import pytest
from common.message import derived_id
from ingestion import verify
from shell import clock
from shell.privacy import vault

OTHER_COUNTY = "530303"
LATER = "2026-11-20T10:30:00+08:00"


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def of_county(event: Any) -> Any:
    """The event as the office of the other county sends it."""
    return event | {"source": f"urn:cn:exchange:{OTHER_COUNTY}:mca"}


@pytest.fixture
def income(people, victim):
    return of_county(people.event("low_income", victim, {"category": "dibao"}, id="income"))


@pytest.fixture
def corrected(people):
    """The correction of the income, under the new number."""
    number = people.number(3)
    return of_county(people.event("low_income", number, {"category": "tekun"}, id="corrected", action="corrected",
                                  previous="income", time=LATER))  # fmt: skip


@pytest.fixture
def stay(people, victim):
    return people.residence(victim, f"{OTHER_COUNTY}001", id="stay")


@pytest.fixture
async def waiting(database):
    """The waiting events by person, after `verify` has found no contradiction in the store."""

    async def _waiting() -> dict[str, int]:
        assert await verify.check(database, clock.today()) == []
        rows = await database.pool.fetch("SELECT person_id::text, waiting FROM persons WHERE waiting <> 0")
        return dict(rows)

    return _waiting


async def test_a_correction_under_the_new_number_waits_and_counts_again(
    push, people, victim, income, corrected, stay, waiting, facts_of
):
    old, new = victim, people.number(3)
    await push(stay, people.renumbered(old, new), income, corrected, expect="accepted")
    assert await waiting() == {}
    await push(people.annulled(stay), expect="accepted")
    assert await waiting() == {person_of(old): 2}
    await push(people.residence(old, f"{OTHER_COUNTY}001", id="back", time=LATER), expect="accepted")
    assert await waiting() == {}
    found = (await facts_of())[person_of(old)]
    assert [f.value.category for f in found if f.kind == "low_income"] == ["tekun"]


async def test_a_correction_that_waited_before_its_predecessor_came_waits_again(
    push, people, victim, income, corrected, stay, waiting
):
    old, new = victim, people.number(3)
    await push(stay, people.renumbered(old, new), expect="accepted")
    await push(corrected, expect="quarantined")
    assert await waiting() == {person_of(new): 1}
    await push(income, expect="accepted")
    assert await waiting() == {}
    await push(people.annulled(stay), expect="accepted")
    assert await waiting() == {person_of(old): 2}
    await push(people.residence(old, f"{OTHER_COUNTY}001", id="back", time=LATER), expect="accepted")
    assert await waiting() == {}


async def test_an_officer_releases_a_correction_that_waits_again_with_its_predecessor(
    push, people, victim, income, corrected, stay, waiting, settle
):
    await push(stay, people.renumbered(victim, people.number(3)), expect="accepted")
    await push(corrected, expect="quarantined")
    (receipt,) = await push(income, expect="accepted")
    await push(people.annulled(stay), expect="accepted")
    (answer,) = await settle(receipt["event_id"])
    assert answer.json().get("state") == "released", answer.text
    assert await waiting() == {}


async def test_the_county_of_the_person_decides_a_correction_whose_predecessor_is_discarded(
    push, people, victim, income, corrected, stay, waiting, settle, quarantine
):
    """No place is known under the new number alone."""
    await push(stay, people.renumbered(victim, people.number(3)), expect="accepted")
    receipt, follower = await push(income, corrected, expect="accepted")
    await push(people.annulled(stay), expect="accepted")
    await settle(receipt["event_id"], "discard")
    assert [(r["event_id"], r["reason"]) for r in await quarantine()] == [
        (follower["event_id"], "predecessor_discarded")
    ]
    assert await waiting() == {person_of(victim): 1}


async def test_a_withdrawn_correction_under_the_new_number_is_not_counted_as_waiting(
    push, people, victim, income, corrected, stay, waiting
):
    """Its source annuls the waiting income under the new number, and states it again."""
    old, new = victim, people.number(3)
    await push(stay, people.renumbered(old, new), income, corrected, expect="accepted")
    await push(people.annulled(stay), expect="accepted")
    assert await waiting() == {person_of(old): 2}
    gone = of_county(people.annulled(corrected, time="2026-11-20T11:00:00+08:00"))
    await push(gone)
    assert await waiting() == {}
    again = of_county(people.event("low_income", new, {"category": "dibao"}, id="again", action="corrected",
                                   previous=gone["id"], time="2026-11-20T11:30:00+08:00"))  # fmt: skip
    await push(again)
    await waiting()
    await push(people.residence(old, f"{OTHER_COUNTY}001", id="back", time=LATER), expect="accepted")
    assert await waiting() == {}


async def test_an_event_that_waits_for_a_merge_counts_although_other_events_have_waited(
    push, people, victim, income, corrected, stay, waiting, facts_of
):
    """A certificate under the new number shows a third number. It counts once a merge adds the third number."""
    old, new = victim, people.number(3)
    third = next(n for n in map(people.number, range(5, 400, 2)) if person_of(n) > min(person_of(old), person_of(new)))
    await push(stay, people.renumbered(old, new), income, corrected, expect="accepted")
    certificate = {"certificate_no": f"{third}11", "class": 1, "level": 1}
    await push(people.event("disability", new, certificate, id="certificate"), expect="quarantined")
    await push(people.annulled(stay), expect="accepted")
    await push(people.residence(old, f"{OTHER_COUNTY}001", id="back", time=LATER), expect="accepted")
    await push(people.annulled(people.renumbered(old, new)), expect="accepted")
    await push(people.same(third, new), expect="accepted")
    assert "disability" in {f.kind for f in (await facts_of())[person_of(new)]}
    assert await waiting() == {}


async def test_an_income_counts_although_its_person_moves_and_is_merged_in_the_same_batch(
    push, people, victim, stay, waiting, facts_of
):
    """The source belongs by the stay under the old number. The new number moves inside 麒麟区."""
    old, new = victim, people.number(3)
    await push(stay, people.residence(new, id="first"), expect="accepted")
    moves = people.residence(new, "530302002", id="second", time=LATER)
    income = of_county(people.event("low_income", new, {"category": "dibao"}, id="income"))
    await push(moves, people.renumbered(old, new), income)
    assert await waiting() == {}
    assert "low_income" in {f.kind for f in (await facts_of())[person_of(new)]}
