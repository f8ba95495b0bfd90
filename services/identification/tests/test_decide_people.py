"""Facts and ability results in, decisions and edges out, on a real database."""

import asyncio
from datetime import date
from typing import Any

import asyncpg
import msgspec
import pytest
from common.calendar import civil_date
from common.events import AbilitiesDetermined, EntitlementEnded, EntitlementsDecided, EntitlementStarted
from common.events.entitlement import LivingTagsTold
from common.message import Message, from_record
from identification.deciding.decide_people import on_abilities_determined, on_person_facts_recorded
from shell.testing import Driver, event_record


async def newest(driver: Driver) -> EntitlementsDecided:
    """The one decision that waits in the outbox."""
    (event,) = await driver.emitted(EntitlementsDecided)
    await driver.clear_outbox()
    assert isinstance(event, EntitlementsDecided)
    return event


async def edges(driver: Driver) -> list[tuple[str, str, date]]:
    """(Started | Ended, item, on), oldest first."""
    found = await driver.emitted(EntitlementStarted, EntitlementEnded)
    return [(type(e).__name__.removeprefix("Entitlement"), e.item, e.on) for e in found]


async def test_facts_delivered_three_times_give_one_decision(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts(), times=3)
    event = await newest(driver)
    assert (event.version, event.facts_version) == (1, 1)
    assert await driver.database.pool.fetchval("SELECT count(*) FROM decisions") == 1


async def test_a_waiting_decision_is_stored_once_and_always_the_newest_is_sent(driver: Driver, elder: Any) -> None:
    pool = driver.database.pool
    person = elder()
    await driver.deliver(person.facts())
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    waiting = await pool.fetch("SELECT payload FROM outbox WHERE topic = 'identification.entitlement'")
    assert [row["payload"] for row in waiting] == [None]
    event = await newest(driver)
    kept = msgspec.json.decode(await pool.fetchval("SELECT decision FROM persons"), type=EntitlementsDecided)
    assert msgspec.structs.replace(event, causes=()) == kept
    assert (event.version, len(event.causes)) == (2, 2)
    with pytest.raises(asyncpg.CheckViolationError):  # no other table holds its payload
        await pool.execute("INSERT INTO outbox (topic, key, headers) VALUES ('identification.edge', 'x', '')")


async def test_an_older_version_that_comes_late_changes_nothing(driver: Driver, elder: Any, of_item: Any) -> None:
    person = elder()
    first = person.facts()
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    await driver.deliver(first)
    assert await driver.emitted() == []
    row = await driver.database.pool.fetchrow("SELECT facts_version, decision FROM persons")
    assert row["facts_version"] == 2
    assert of_item(msgspec.json.decode(row["decision"], type=EntitlementsDecided), "visiting_care")


async def test_the_stored_decision_is_the_head_of_the_topic(driver: Driver, elder: Any) -> None:
    await driver.deliver(elder().facts())
    sent, row = await newest(driver), await driver.database.pool.fetchrow("SELECT version, decision FROM persons")
    assert msgspec.json.decode(row["decision"], type=EntitlementsDecided) == msgspec.structs.replace(sent, causes=())
    assert row["version"] == sent.version


async def test_a_fact_without_effect_is_stored_and_emits_nothing(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    # no list here gives an item for a light disability
    event_id = person.say("disability", date(2026, 1, 1), class_=1, level=4)
    await driver.deliver(person.facts())
    assert await driver.emitted() == []
    row = await driver.database.pool.fetchrow("SELECT version, facts_version, facts FROM persons")
    assert (row["version"], row["facts_version"]) == (1, 2)
    assert event_id.encode() in row["facts"]


async def test_a_decision_names_the_months_that_no_area_pays_after_a_move_until_the_move_is_annulled(
    driver: Driver, elder: Any
) -> None:
    person = elder()
    moved = person.registered(date(1940, 3, 5), "140702", date(2026, 9, 10))
    await driver.deliver(person.facts(), times=2)
    (gap,) = (await newest(driver)).gaps
    assert (gap.item, gap.left, gap.moved_to) == ("longevity_allowance", "530302", "140702")
    assert (gap.first_month, gap.until_month) == ("2026-10", None)
    assert gap.old_policy.startswith("530302/longevity_allowance@")
    person.change(moved, "annulled")
    await driver.deliver(person.facts())
    assert (await newest(driver)).gaps == ()


async def test_incidents_and_hospital_stays_are_sent_to_visitors_and_change_no_entitlement(
    driver: Driver, elder: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    before = await newest(driver)
    assert before.circumstances is None
    fall = person.say("risk_incident", date(2026, 11, 3), incident="self_harm")
    stay = person.say("hospital_stay", date(2026, 11, 3))
    await driver.deliver(person.facts(), times=2)
    now = await newest(driver)
    assert (now.changed, now.entitlements) == ((), before.entitlements)
    assert now.circumstances is not None
    assert [(i.event_id, i.on) for i in now.circumstances.incidents] == [(fall, date(2026, 11, 3))]
    assert [(s.event_id, s.from_, s.to) for s in now.circumstances.in_hospital] == [(stay, date(2026, 11, 3), None)]
    assert b"self_harm" not in msgspec.json.encode(now)
    person.change(stay, "annulled")
    person.change(fall, "annulled")
    await driver.deliver(person.facts())
    assert (await newest(driver)).circumstances is None


async def test_a_stay_or_incident_of_a_source_without_authority_is_a_hint_until_it_is_confirmed(
    driver: Driver, elder: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    before = await newest(driver)
    fall = person.say("risk_incident", date(2026, 11, 3), incident="fall")
    stay = person.say("hospital_stay", date(2026, 11, 3))
    for event_id in (fall, stay):
        person.stands(event_id, "hint")
    await driver.deliver(person.facts(), times=2)
    now = await newest(driver)
    assert (now.changed, now.entitlements) == ((), before.entitlements)
    assert now.circumstances is not None
    assert [(s.event_id, s.hint) for s in now.circumstances.in_hospital] == [(stay, True)]
    assert [(i.event_id, i.hint) for i in now.circumstances.incidents] == [(fall, True)]
    person.stands(stay, "full")
    await driver.deliver(person.facts())
    circumstances = (await newest(driver)).circumstances
    assert circumstances is not None
    assert [(s.event_id, s.hint) for s in circumstances.in_hospital] == [(stay, False)]
    assert [(i.event_id, i.hint) for i in circumstances.incidents] == [(fall, True)]


async def test_the_verification_of_living_tags_is_sent_without_the_tags_themselves(
    driver: Driver, elder: Any, of_item: Any
) -> None:
    person = elder()
    situation = person.say("living_situation", date(2025, 3, 1), tags=("empty_nest",), verified_on=date(2025, 9, 1))
    await driver.deliver(person.facts(), times=2)
    now = await newest(driver)
    (visits,) = of_item(now, "visiting_care")[-1:]
    assert (visits.state, visits.reverify_months) == ("granted", 12)
    assert now.circumstances is not None
    tags = LivingTagsTold(verified_on=date(2025, 9, 1), from_=date(2025, 3, 1))
    assert now.circumstances.living_tags == (tags,)
    assert b"empty_nest" not in msgspec.json.encode(now)
    person.change(situation, "ended", None, date(2026, 10, 1))
    person.say("living_situation", date(2026, 10, 1), tags=())
    await driver.deliver(person.facts())
    ended = (await newest(driver)).circumstances
    assert ended is not None
    assert ended.living_tags == (msgspec.structs.replace(tags, to=date(2026, 10, 1)),)


@pytest.mark.parametrize("since", [date(2026, 2, 1), None])
async def test_tags_without_a_verification_day_count_from_their_start_or_their_record(
    driver: Driver, elder: Any, since: date | None
) -> None:
    person = elder()
    event_id = person.say("living_situation", since, tags=("alone",))
    await driver.deliver(person.facts())
    circumstances = (await newest(driver)).circumstances
    assert circumstances is not None
    recorded = next(s for s in person.facts().statements if s.event_id == event_id).time
    assert circumstances.living_tags[0].verified_on == (since or civil_date(recorded))


async def test_a_move_between_two_counties_changes_list_and_amount(driver: Driver, elder: Any, of_item: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    person.registered(date(1940, 3, 5), "530303", date(2026, 11, 10))
    await driver.deliver(person.facts())
    event = await newest(driver)
    assert "longevity_allowance" in event.changed
    assert event.hukou == "530303"
    periods = [(e.jurisdiction, e.amount_fen_per_month, e.from_, e.to) for e in of_item(event, "longevity_allowance")]
    assert periods == [
        ("530302", 5000, date(2023, 1, 1), date(2026, 11, 10)),
        ("530303", 6000, date(2026, 11, 10), date(2030, 3, 5)),
        ("530303", 10000, date(2030, 3, 5), None),
    ]


async def test_a_move_emits_the_end_in_one_county_and_the_start_in_the_other(driver: Driver, elder: Any) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    person.registered(date(1940, 3, 5), "530303", date(2026, 11, 10))
    await driver.deliver(person.facts())
    moved = date(2026, 11, 10)
    assert await edges(driver) == [
        ("Ended", "longevity_allowance", moved),
        ("Started", "longevity_allowance", moved),
    ]


async def test_a_corrected_certificate_ends_the_item_that_depended_on_it(
    driver: Driver, elder: Any, of_item: Any
) -> None:
    person = elder()
    certificate = person.say("disability", date(2026, 3, 1), class_=1, level=2)
    await driver.deliver(person.facts())
    assert of_item(await newest(driver), "severe_disability_nursing_subsidy")
    person.change(certificate, "corrected", date(2026, 3, 1), class_=1, level=3)
    await driver.deliver(person.facts())
    assert ("Ended", "severe_disability_nursing_subsidy", date(2026, 3, 1)) in await edges(driver)
    event = await newest(driver)
    assert event.changed == ("severe_disability_nursing_subsidy",)
    assert not of_item(event, "severe_disability_nursing_subsidy")


async def test_low_income_of_the_household_counts_for_its_member(driver: Driver, elder: Any, of_item: Any) -> None:
    person = elder()
    person.say("household", date(2026, 1, 1), household="h1")
    await driver.deliver(person.facts(), person.assessed(2, date(2026, 5, 1)))
    assert not of_item(await newest(driver), "nursing_subsidy")
    person.say("low_income", date(2026, 6, 1), via="h1", category="dibao", household="h1")
    await driver.deliver(person.facts())
    (granted,) = of_item(await newest(driver), "nursing_subsidy")
    assert (granted.state, granted.from_, granted.amount_fen_per_month) == ("granted", date(2026, 6, 1), 10000)


async def test_an_ability_result_decides_an_unknown_item(driver: Driver, elder: Any, of_item: Any) -> None:
    person = elder()
    person.say("low_income", date(2026, 6, 1), category="dibao")
    await driver.deliver(person.facts())
    (asked,) = of_item(await newest(driver), "nursing_subsidy")
    assert (asked.state, asked.missing_facts) == ("unknown", ("ability_result",))
    await driver.deliver(person.assessed(3, date(2026, 11, 19)))
    assert await edges(driver) == [("Started", "nursing_subsidy", date(2026, 11, 19))]
    before, now = of_item(await newest(driver), "nursing_subsidy")
    assert (before.state, before.to) == ("unknown", date(2026, 11, 19))
    assert (now.state, now.amount_fen_per_month) == ("granted", 20000)


async def test_an_unknown_item_does_not_start(driver: Driver, elder: Any) -> None:
    person = elder(born=date(1950, 1, 1), lives=None)
    await driver.deliver(person.facts())
    assert all(item != "nursing_subsidy" for _, item, _ in await edges(driver))
    states = {e.state for e in (await newest(driver)).entitlements}
    assert "unknown" in states


@pytest.mark.parametrize("together", [True, False])
async def test_ability_results_that_arrive_before_the_facts_count_later(
    driver: Driver, elder: Any, of_item: Any, together: bool
) -> None:
    person = elder()
    person.say("low_income", date(2026, 6, 1), category="dibao")
    facts, result = person.facts(), person.assessed(2, date(2026, 11, 1))
    if together:
        await driver.deliver(result, facts)
    else:
        await driver.deliver(result)
        assert await driver.emitted() == []
        await driver.deliver(facts)
    event = await newest(driver)
    assert [e.state for e in of_item(event, "nursing_subsidy")] == ["unknown", "granted"]
    row = await driver.database.pool.fetchrow("SELECT facts_version, abilities_version FROM persons")
    assert tuple(row) == (1, 1)


async def test_a_suspicion_suspends_money_and_a_sign_of_life_grants_it_again(
    driver: Driver, elder: Any, of_item: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    person.say("death", date(2026, 11, 18), evidence="reported")
    await driver.deliver(person.facts())
    assert await edges(driver) == []  # suspended is not ended
    assert await urgent(driver)
    suspected = await newest(driver)
    assert (suspected.death_suspected_on, suspected.died_on) == (date(2026, 11, 18), None)
    assert [e.state for e in of_item(suspected, "longevity_allowance")][:2] == ["granted", "suspended"]
    person.say("alive", date(2026, 11, 19), method="visit")
    await driver.deliver(person.facts())
    assert await urgent(driver)
    assert await edges(driver) == []
    cleared = await newest(driver)
    assert cleared.death_suspected_on is None
    assert {e.state for e in of_item(cleared, "longevity_allowance")} == {"granted"}


async def test_a_death_ends_all_items_and_a_revoked_death_starts_them_again(
    driver: Driver, elder: Any, of_item: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    death = person.say("death", date(2026, 11, 2), evidence="register_cancelled")
    await driver.deliver(person.facts())
    assert await urgent(driver)
    day_after = date(2026, 11, 3)
    assert await edges(driver) == [
        ("Ended", "ability_assessment", day_after),
        ("Ended", "longevity_allowance", day_after),
    ]
    dead = await newest(driver)
    assert dead.died_on == date(2026, 11, 2)
    assert max(e.to or date.max for e in dead.entitlements) == day_after
    person.change(death, "annulled")
    await driver.deliver(person.facts())
    assert await urgent(driver)
    assert {(what, item) for what, item, _ in await edges(driver)} == {
        ("Started", "ability_assessment"),
        ("Started", "longevity_allowance"),
    }
    alive = await newest(driver)
    assert alive.died_on is None
    assert of_item(alive, "longevity_allowance")[-1].to is None


async def test_an_ordinary_change_is_not_urgent(driver: Driver, elder: Any) -> None:
    await driver.deliver(elder().facts())
    assert not await urgent(driver)


async def urgent(driver: Driver) -> bool:
    found: bool = await driver.database.pool.fetchval(
        "SELECT bool_or(urgent) FROM outbox WHERE topic = 'identification.entitlement'"
    )
    return found


async def test_a_person_merged_into_another_has_no_own_entitlements(driver: Driver, elder: Any) -> None:
    person, other = elder(), elder()
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    await driver.deliver(person.merged(other))
    event = await newest(driver)
    assert (event.merged_into, event.entitlements) == (other.person_id, ())


async def test_the_correlation_id_is_the_pushed_event(driver: Driver, elder: Any) -> None:
    pushed = "00000000-0000-4000-8000-000000000001"
    await driver.deliver(elder().facts(causes=(pushed,)))
    messages = await driver.emitted_messages()
    assert {m.correlation_id for m in messages} == {pushed}
    assert next(m for m in messages if isinstance(m.data, EntitlementsDecided)).causes == (pushed,)


async def test_a_crash_before_the_commit_leaves_nothing(driver: Driver, elder: Any, monkeypatch: Any) -> None:
    class Killed(BaseException):
        pass

    def die(point: str) -> None:
        if point == "before_commit":
            raise Killed

    monkeypatch.setattr("shell.store.database.crash_point", die)
    facts = elder().facts()
    with pytest.raises(Killed):
        await driver.deliver(facts)
    monkeypatch.undo()
    assert await driver.emitted() == []
    assert await driver.database.pool.fetchval("SELECT count(*) FROM persons") == 0
    await driver.deliver(facts)
    assert (await newest(driver)).version == 1


async def test_every_past_decision_can_be_restored(driver: Driver, elder: Any) -> None:
    person = elder()
    decisions = []
    await driver.deliver(person.facts())
    decisions.append(await newest(driver))
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    decisions.append(await newest(driver))
    person.say("disability", date(2026, 11, 2), class_=1, level=1)
    await driver.deliver(person.facts())
    decisions.append(await newest(driver))
    for event in decisions:
        rows = await driver.database.pool.fetch(
            "SELECT said FROM decisions WHERE version <= $1 ORDER BY version", event.version
        )
        by_item: dict[str, list[Any]] = {}
        for row in rows:
            change = msgspec.json.decode(row["said"], type=EntitlementsDecided)
            by_item |= {item: [e for e in change.entitlements if e.item == item] for item in change.changed}
        restored = tuple(e for item in sorted(by_item) for e in by_item[item])
        assert restored == event.entitlements
    assert len(rows) == 3


async def test_one_batch_decides_all_its_people(driver: Driver, elder: Any) -> None:
    people = [elder() for _ in range(50)]
    await driver.deliver(*(p.facts() for p in people))
    results: list[AbilitiesDetermined] = [p.assessed(1, date(2026, 11, 1)) for p in people]
    await driver.clear_outbox()
    await driver.deliver(*results)
    found = await driver.database.pool.fetchval("SELECT count(*) FROM persons WHERE abilities_version = 1")
    assert found == 50


async def test_two_batches_with_the_same_new_person_lose_no_input(driver: Driver, elder: Any) -> None:
    person = elder()
    person.say("low_income", date(2026, 6, 1), category="dibao")
    facts = message_of(person.facts())
    result = message_of(person.assessed(2, date(2026, 11, 1)))

    async def second() -> None:
        async with driver.transaction() as tx:
            await on_abilities_determined([result], tx)

    async with driver.transaction() as tx:
        await on_person_facts_recorded([facts], tx)
        other = asyncio.create_task(second())
        await until_a_transaction_waits(driver)
    await other
    row = await driver.database.pool.fetchrow("SELECT version, facts_version, abilities_version FROM persons")
    assert tuple(row) == (2, 1, 1)
    assert (await newest(driver)).version == 2


def message_of(event: Any) -> Message[Any]:
    found = from_record(event_record(event))
    assert found is not None
    return found


async def until_a_transaction_waits(driver: Driver) -> None:
    """Until another transaction waits for ours."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while True:
            if await driver.database.pool.fetchval(waiting):
                return
            await asyncio.sleep(0.01)
