"""The status of a household reaches its members in every order of arrival."""

import asyncio
import itertools
import random
from datetime import date

import msgspec
import pytest
from ingestion.reading.events import read_event
from ingestion.recording.recorder import record
from rules.facts.timeline import facts_known_at
from shell.privacy import vault


def household(people, members, *, id, no="H-1", day="2026-01-01", time="2026-01-01T09:00:00+08:00", **options):
    value = {"household_no": no, "members": members}
    return people.event("household", members[0], value, id=id, valid_from=day, time=time, **options)


def dibao(people, number, *, id, no="H-1", day="2026-02-01", time="2026-02-01T09:00:00+08:00", **options):
    value = {"category": "dibao", "household_no": no}
    return people.event("low_income", number, value, id=id, valid_from=day, time=time, **options)


def category_on(facts, day):
    return [(f.value.category, f.via is not None) for f in facts if f.kind == "low_income" and f.holds_on(day)]


async def by_number(people, heads, database, admin, numbers):
    """Facts of each number, through the look-up that officers use."""
    newest = await heads()
    found = {}
    for number in numbers:
        answer = await admin.post("/v1/persons/lookup", json={"id_number": number})
        head = newest.get(answer.json().get("person_id"))
        found[number] = facts_known_at(head.statements) if head else ()
    return found


def comparable(facts, events):
    """The resulting facts, with the ids and households of the story before it was renamed."""
    keys = vault()
    ids = {keys.event_id(e["source"], e["id"]): e["id"].partition("/")[2] for e in events}
    numbers = {no for e in events if (no := (e["data"]["value"] or {}).get("household_no"))}
    houses = {keys.event_id("household:530300", no): no.partition("/")[2] for no in numbers}
    shown = []
    for f in facts:
        value = f.value
        if getattr(value, "household", None):
            value = msgspec.structs.replace(value, household=houses[value.household])
        shown.append((f.kind, value, f.valid_from, f.valid_to, ids[f.event_id], f.rank, f.via and houses[f.via]))
    return sorted(shown, key=str)


def renamed(events, prefix):
    """The same story in other households, under other ids."""
    for event in events:
        event["id"] = f"{prefix}/{event['id']}"
        data = event["data"]
        if data["previous_event_id"]:
            data["previous_event_id"] = f"{prefix}/{data['previous_event_id']}"
        if data["value"] and "household_no" in data["value"]:
            data["value"]["household_no"] = f"{prefix}/{data['value']['household_no']}"
    return events


async def test_a_status_of_the_household_reaches_its_members_and_a_direct_one_beats_it(
    push, people, heads, database, admin
):
    head, wife, son, stranger = (people.number(n) for n in range(4))
    direct = {"category": "tekun", "support": "scattered"}
    await push(
        household(people, [head, wife, son], id="h1"),
        dibao(people, head, id="l1"),
        people.event("low_income", son, direct, id="l2", valid_from="2026-03-01"),
        dibao(people, stranger, id="l3", no="H-2"),
        expect="accepted",
    )
    facts = await by_number(people, heads, database, admin, [head, wife, son, stranger])
    day = date(2026, 6, 1)
    assert category_on(facts[head], day) == [("dibao", False)]
    assert category_on(facts[wife], day) == [("dibao", True)]
    assert category_on(facts[wife], date(2026, 1, 15)) == []
    assert category_on(facts[son], date(2026, 2, 15)) == [("dibao", True)]
    assert category_on(facts[son], day) == [("tekun", False)]
    assert category_on(facts[stranger], day) == [("dibao", False)]


LATER = {"time": "2026-03-01T09:00:00+08:00"}


def a_member_leaves_and_another_joins(people, a, b, c):
    return [
        household(people, [a, b], id="h1"),
        dibao(people, a, id="l1"),
        household(people, [a, c], id="h2", day="2026-04-01", time="2026-04-01T09:00:00+08:00"),
    ]


def the_status_is_corrected_then_ended(people, a, b, c):
    may = {"valid_to": "2026-05-01", "time": "2026-05-01T09:00:00+08:00"}
    return [
        household(people, [a, b, c], id="h1"),
        dibao(people, a, id="l1"),
        dibao(people, a, id="l2", action="corrected", previous="l1", day="2026-02-15", **LATER),
        people.event("low_income", a, id="l3", action="ended", previous="l1", valid_from=None, **may),
    ]


def the_status_is_moved_to_the_right_household(people, a, b, c):
    return [
        household(people, [a, b], id="h1"),
        household(people, [c, b], id="h2", no="H-2"),
        dibao(people, a, id="l1"),
        dibao(people, a, id="l2", no="H-2", action="corrected", previous="l1", **LATER),
    ]


def the_list_is_corrected_then_annulled(people, a, b, c):
    june = {"time": "2026-06-01T09:00:00+08:00"}
    return [
        household(people, [a, b], id="h1"),
        household(people, [a, c], id="h2", action="corrected", previous="h1", **LATER),
        dibao(people, a, id="l1"),
        people.event("household", a, id="h3", action="annulled", previous="h2", valid_from=None, **june),
    ]


def the_household_number_is_corrected_and_the_status_had_none_at_first(people, a, b, c):
    return [
        household(people, [a, b, c], id="h1"),
        household(people, [a, b, c], id="h2", no="H-2", action="corrected", previous="h1", **LATER),
        people.event("low_income", a, {"category": "dibao"}, id="l1", time="2026-02-01T09:00:00+08:00"),
        dibao(people, a, id="l2", no="H-2", action="corrected", previous="l1", **LATER),
    ]


def the_list_is_corrected_twice_at_one_instant(people, a, b, c):
    """The sources' own ids decide."""
    return [
        household(people, [a, b], id="h1"),
        household(people, [a, b], id="h2", action="corrected", previous="h1", day="2026-03-01", **LATER),
        household(people, [a], id="h0", action="corrected", previous="h1", **LATER),
        dibao(people, a, id="l1"),
    ]


def the_status_is_corrected_twice_at_one_instant(people, a, b, c):
    return [
        household(people, [a, b, c], id="h1"),
        dibao(people, a, id="l1"),
        dibao(people, a, id="l3", action="corrected", previous="l1", day="2026-03-01", **LATER),
        dibao(people, a, id="l2", action="corrected", previous="l1", day="2026-04-01", **LATER),
    ]


STORIES = (
    a_member_leaves_and_another_joins,
    the_status_is_corrected_then_ended,
    the_status_is_moved_to_the_right_household,
    the_list_is_corrected_then_annulled,
    the_household_number_is_corrected_and_the_status_had_none_at_first,
    the_list_is_corrected_twice_at_one_instant,
    the_status_is_corrected_twice_at_one_instant,
)


def events_of(story, people, n):
    """The events of a story in the order of sending, about the n-th household."""
    return story(people, *(people.number(10 * n + m) for m in range(3)))


@pytest.mark.parametrize("story", STORIES)
async def test_a_household_has_one_result_in_every_order_of_arrival(story, push, people, heads, database, admin):
    orders = list(itertools.permutations(range(len(events_of(story, people, 0)))))
    sent = [renamed(events_of(story, people, n), n) for n in range(len(orders))]
    for step in range(len(orders[0])):
        await push(*(sent[n][order[step]] for n, order in enumerate(orders)))
    numbers = [[people.number(10 * n + m) for m in range(3)] for n in range(len(orders))]
    facts = await by_number(people, heads, database, admin, [number for three in numbers for number in three])
    outcomes = [[comparable(facts[number], sent[n]) for number in three] for n, three in enumerate(numbers)]
    assert any(outcomes[0])
    for order, outcome in zip(orders, outcomes, strict=True):
        assert outcome == outcomes[0], order
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0


async def test_concurrent_writers_give_households_the_same_result_as_one_writer(push, people, heads, database, admin):
    rng = random.Random(7)
    sent = [renamed(events_of(STORIES[n % 7], people, n), n) for n in range(14)]
    events = [event for story in sent for event in story]
    rng.shuffle(events)

    async def write(mine):
        for event in mine:
            async with database.transaction() as tx:
                await record(tx, [read_event(msgspec.json.encode(event), people.NOW)], people.NOW)

    await asyncio.gather(*(write(events[at::4]) for at in range(4)))
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    again = [renamed(events_of(STORIES[n % 7], people, 20 + n), 20 + n) for n in range(14)]
    await push(*sorted((e for story in again for e in story), key=lambda e: e["time"]))
    for n in range(14):
        pairs = [(people.number(10 * n + m), people.number(10 * (20 + n) + m)) for m in range(3)]
        facts = await by_number(people, heads, database, admin, [number for pair in pairs for number in pair])
        for met, one_by_one in pairs:
            assert comparable(facts[met], sent[n]) == comparable(facts[one_by_one], again[n])


async def test_concurrent_writers_lose_nothing_of_a_known_household(push, people, heads, database, admin):
    a, *others = (people.number(n) for n in range(13))
    await push(household(people, [a], id="h"))

    async def write(n, member):
        day = f"2026-05-{n + 1:02d}"
        status = dibao(people, member, id=f"l{n}", day=day)
        joins = household(people, [a, member], id=f"h{n}", day=day, time=f"{day}T09:00:00+08:00")
        for event in (joins, status):
            async with database.transaction() as tx:
                await record(tx, [read_event(msgspec.json.encode(event), people.NOW)], people.NOW)

    await asyncio.gather(*(write(n, member) for n, member in enumerate(others)))
    for head in (await heads()).values():
        lists = [s for s in head.statements if s.kind == "household"]
        statuses = [s for s in head.statements if s.kind == "low_income"]
        assert (len(lists), len(statuses)) == (13, 12)
    facts = await by_number(people, heads, database, admin, [a, *others])
    for n, member in enumerate(others):
        on = date(2026, 5, n + 1)
        assert [f.value.member for f in facts[member] if f.kind == "household" and f.holds_on(on)] == [True]
        assert category_on(facts[a], on) == [("dibao", True)]


async def test_the_end_of_a_list_that_is_recorded_at_the_same_moment_is_not_lost(push, people, heads, database, admin):
    """The list is committed while its end waits for the lock of the person."""
    a = people.number(1)
    await push(people.residence(a))
    end = people.event("household", a, id="h2", action="ended", previous="h1", valid_from=None, valid_to="2026-05-01")

    def read(event):
        return [read_event(msgspec.json.encode(event), people.NOW)]

    async def write(event):
        async with database.transaction() as tx:
            return await record(tx, read(event), people.NOW)

    async with database.transaction() as tx:
        await record(tx, read(household(people, [a], id="h1")), people.NOW)
        ending = asyncio.create_task(write(end))
        async with asyncio.timeout(20):
            while not await database.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.01)
    assert [r.status for r in await ending] == ["accepted"]
    facts = await by_number(people, heads, database, admin, [a])
    assert [f.valid_to for f in facts[a] if f.kind == "household"] == [date(2026, 5, 1)]


async def test_the_same_number_of_another_city_is_another_household(push, people, heads, database, admin):
    a, b = people.number(1), people.number(2)
    elsewhere = dibao(people, a, id="l1")
    elsewhere["source"] = "urn:cn:exchange:140700:mca"
    await push(household(people, [a, b], id="h1"), elsewhere, expect="accepted")
    facts = await by_number(people, heads, database, admin, [a, b])
    assert category_on(facts[b], date(2026, 6, 1)) == []


async def test_an_unknown_member_becomes_a_person_with_an_identity_only(push, people, heads, database, admin):
    a, b = people.number(1), people.number(2)
    await push(household(people, [a, b], id="h1"))
    rows = await database.pool.fetch("SELECT field FROM vault ORDER BY field")
    assert [r[0] for r in rows] == ["id_number", "id_number"]  # a name comes from a registration only
    facts = await by_number(people, heads, database, admin, [b])
    assert [f.kind for f in facts[b]] == ["household"]
