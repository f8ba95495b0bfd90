"""People of Hong Kong, Macao and Taiwan and foreign permanent residents have special numbers and no hukou."""

from datetime import UTC, date, datetime

import pytest
from common.codes.id_number import make
from common.events.facts import Registration, Statement
from common.message import derived_id
from ingestion import verify
from ingestion.domain.person import Memory, Person, forget_place, remember_place, statements_of
from shell import clock
from shell.privacy import vault

BORN = date(1940, 2, 29)
HONG_KONG = make("810000", BORN, 1)
OLD_CARD, NEW_CARD = "USA110150101011", make("911840", BORN, 1)


def person_of(number):
    return derived_id("person", vault().blind_index(number).hex())


def registered(people, number, **value):
    event = people.registration(number, id=f"reg-{number[-6:]}-{len(value)}", valid_from=None)
    del event["data"]["value"]["hukou_division"], event["data"]["value"]["hukou_kind"]
    event["data"]["value"].update(value)
    return event


@pytest.mark.parametrize("number", [HONG_KONG, OLD_CARD, NEW_CARD])
async def test_a_holder_of_a_permit_is_registered_without_a_hukou_and_belongs_where_they_live(
    push, people, heads, database, number
):
    await push(registered(people, number), people.residence(number), expect="accepted")
    head = (await heads())[person_of(number)]
    (value,) = [s.value for s in head.statements if s.kind == "registration"]
    assert value == Registration(sex="1", birth_date=BORN)
    assert await database.pool.fetchval("SELECT division FROM persons") == "530302001"
    assert await verify.check(database, clock.today()) == []


async def test_a_hukou_stated_for_a_permit_holder_is_ignored_and_kept_sealed(push, people, heads, database):
    event = registered(people, HONG_KONG, hukou_division="530302", hukou_kind="urban")
    await push(event, expect="accepted")
    (value,) = [s.value for s in (await heads())[person_of(HONG_KONG)].statements]
    assert (value.hukou_division, value.hukou_kind) == (None, None)
    assert await database.pool.fetchval("SELECT division FROM persons") == "530302"  # whose officers see it
    elsewhere = registered(people, NEW_CARD, hukou_division="140702", hukou_kind="urban")
    await push(elsewhere, expect="accepted")


async def test_a_citizen_without_a_hukou_is_rejected_with_pointer_and_code(push, people):
    (refused,) = await push(registered(people, people.number(1)), expect="rejected")
    assert [(p["pointer"], p["code"]) for p in refused["problems"]] == [
        ("/data/value/hukou_division", "hukou_required"),
        ("/data/value/hukou_kind", "hukou_required"),
    ]


async def test_the_number_of_an_older_card_in_small_letters_is_the_same_person(push, people, heads):
    await push(people.residence(OLD_CARD), people.residence(OLD_CARD.lower(), id="again"), expect="accepted")
    assert set(await heads()) == {person_of(OLD_CARD)}


@pytest.mark.parametrize("merge_first", [True, False])
async def test_a_person_with_an_older_and_a_newer_card_is_one_human(push, people, heads, database, merge_first):
    story = [
        registered(people, OLD_CARD),
        people.residence(NEW_CARD),
        people.renumbered(OLD_CARD, NEW_CARD),
    ]
    for event in reversed(story) if merge_first else story:
        await push(event, expect="accepted")
    found = await heads()
    survivor, merged = found[person_of(OLD_CARD)], found[person_of(NEW_CARD)]
    assert (survivor.aliases, merged.merged_into) == ((person_of(NEW_CARD),), person_of(OLD_CARD))
    assert sorted(s.kind for s in survivor.statements) == ["identity_change", "registration", "residence"]
    assert await verify.check(database, clock.today()) == []


async def test_a_number_of_a_card_is_found_in_attributes_and_an_id_of_a_record_is_not_taken_for_one(push, people):
    named, plain = people.residence(people.number(1)), people.residence(people.number(3))
    named["subject"], plain["subject"] = OLD_CARD, "PSB202611000123"
    results = await push(named, plain)
    assert [r["status"] for r in results] == ["rejected", "accepted"]
    assert results[0]["problems"][0]["code"] == "id_number_in_attribute"


async def test_a_file_of_permit_holders_needs_no_hukou_and_reports_missing_values_of_older_cards(imports, facts_of):
    rows = f"身份证号,姓名,性别,出生日期\n{HONG_KONG},合成甲,男,1940-02-29\n{OLD_CARD},合成乙,,\n{NEW_CARD},合成丙,,\n"
    job = await imports.run(rows, "registration", office="psb")
    assert (job["accepted"], job["rejected"]) == (2, 1)
    assert set(await facts_of()) == {person_of(HONG_KONG), person_of(NEW_CARD)}


def test_the_newest_registration_of_a_permit_holder_decides_in_any_order_of_arrival():
    def registered_at(hour):
        at = datetime(2026, 11, 20, hour, tzinfo=UTC)
        return Statement(event_id=f"e{hour}", chain=f"e{hour}", action="created", kind="registration", source="urn:x",
                         rank=1, time=at, recorded_at=at, value=Registration(sex="1", birth_date=BORN))  # fmt: skip

    person = Person("p", 0, None, None, 0, b"", Memory())
    for hour, division in ((9, "530303"), (8, "530302")):  # the older one arrives late
        person.add(registered_at(hour), {})
        remember_place(person, registered_at(hour), division)
    assert person.division == "530303"
    forget_place(person)
    for statement in statements_of(person.statements):
        remember_place(person, statement)
    assert person.division == "530303"
