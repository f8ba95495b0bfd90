"""A household's status reaches its members whatever arrives first."""

import asyncio
import itertools
import random
from datetime import date

import msgspec
import pytest
from ingestion.reading import read_event
from ingestion.recording import record
from rules.timeline import facts_known_at


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
        head = newest.get(answer.json()["person_id"])
        found[number] = facts_known_at(head.statements) if head else ()
    return found


def comparable(facts):
    """What follows from the statements, without ids that hang on keys or order."""
    return [(f.kind, f.value, f.valid_from, f.valid_to, f.event_id, f.source, f.rank, f.via) for f in facts]


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


def stories(people, n):
    """Stories about one household; each is (events in the order told, numbers)."""
    a, b, c = (people.number(10 * n + m) for m in range(3))
    later = {"time": "2026-03-01T09:00:00+08:00"}
    return [
        # a member leaves, another joins
        [
            household(people, [a, b], id="h1"),
            dibao(people, a, id="l1"),
            household(people, [a, c], id="h2", day="2026-04-01", time="2026-04-01T09:00:00+08:00"),
        ],
        # the status is corrected, then ended
        [
            household(people, [a, b, c], id="h1"),
            dibao(people, a, id="l1"),
            dibao(people, a, id="l2", action="corrected", previous="l1", day="2026-02-15", **later),
            people.event(
                "low_income",
                a,
                id="l3",
                action="ended",
                previous="l1",
                valid_from=None,
                valid_to="2026-05-01",
                time="2026-05-01T09:00:00+08:00",
            ),
        ],
        # the status was recorded for the wrong household and is moved to the right one
        [
            household(people, [a, b], id="h1"),
            household(people, [c, b], id="h2", no="H-2"),
            dibao(people, a, id="l1"),
            dibao(people, a, id="l2", no="H-2", action="corrected", previous="l1", **later),
        ],
        # the list was wrong: corrected, then found never to have been true
        [
            household(people, [a, b], id="h1"),
            household(people, [a, c], id="h2", action="corrected", previous="h1", **later),
            dibao(people, a, id="l1"),
            people.event(
                "household",
                a,
                id="h3",
                action="annulled",
                previous="h2",
                valid_from=None,
                time="2026-06-01T09:00:00+08:00",
            ),
        ],
        # the household number itself was wrong, and the status had none at first
        [
            household(people, [a, b, c], id="h1"),
            household(people, [a, b, c], id="h2", no="H-2", action="corrected", previous="h1", **later),
            people.event("low_income", a, {"category": "dibao"}, id="l1", time="2026-02-01T09:00:00+08:00"),
            dibao(people, a, id="l2", no="H-2", action="corrected", previous="l1", **later),
        ],
    ]


@pytest.mark.parametrize("which", range(5))
async def test_a_household_comes_out_the_same_in_every_order_of_arrival(which, push, people, heads, database, admin):
    told = stories(people, 0)[which]
    numbers = sorted({e["data"]["person"]["id_number"] for e in told} | {people.number(m) for m in range(3)})
    expected = None
    orders = list(itertools.permutations(range(len(told))))
    for turn, order in enumerate(orders):
        for event in order:
            await push(told[event])
        found = await by_number(people, heads, database, admin, numbers)
        outcome = {number: comparable(facts) for number, facts in found.items()}
        expected = expected or outcome
        assert outcome == expected, f"order {order}"
        assert any(outcome.values())
        if turn < len(orders) - 1:
            await database.pool.execute(
                "DELETE FROM quarantine; DELETE FROM received; DELETE FROM persons; DELETE FROM households;"
                "DELETE FROM identities; DELETE FROM vault; DELETE FROM outbox"
            )


async def test_households_told_by_several_writers_at_once_come_out_as_if_told_one_by_one(
    push, people, heads, database, admin
):
    rng = random.Random(7)
    events = []
    for n in range(6):
        for event in stories(people, n)[n % 5]:
            for value in (event["data"]["value"] or {},):
                if "household_no" in value:
                    value["household_no"] = f"{n}-{value['household_no']}"
            event["id"] = f"{n}-{event['id']}"
            if event["data"]["previous_event_id"]:
                event["data"]["previous_event_id"] = f"{n}-{event['data']['previous_event_id']}"
            events.append(event)
    rng.shuffle(events)

    async def write(mine):
        for event in mine:
            async with database.transaction() as tx:
                await record(tx, [read_event(msgspec.json.encode(event), people.NOW)], people.NOW)

    await asyncio.gather(*(write(events[at::4]) for at in range(4)))
    numbers = [people.number(10 * n + m) for n in range(6) for m in range(3)]
    together = await by_number(people, heads, database, admin, numbers)
    assert await database.pool.fetchval("SELECT count(*) FROM quarantine WHERE state = 'open'") == 0
    await database.pool.execute(
        "DELETE FROM quarantine; DELETE FROM received; DELETE FROM persons; DELETE FROM households;"
        "DELETE FROM identities; DELETE FROM vault; DELETE FROM outbox"
    )
    await push(*sorted(events, key=lambda e: e["time"]))
    one_by_one = await by_number(people, heads, database, admin, numbers)
    assert {n: comparable(f) for n, f in together.items()} == {n: comparable(f) for n, f in one_by_one.items()}


async def test_the_same_number_of_another_city_is_another_household(push, people, heads, database, admin):
    a, b = people.number(1), people.number(2)
    elsewhere = dibao(people, a, id="l1")
    elsewhere["source"] = "urn:cn:exchange:140700:mca"
    await push(household(people, [a, b], id="h1"), elsewhere, expect="accepted")
    facts = await by_number(people, heads, database, admin, [a, b])
    assert category_on(facts[b], date(2026, 6, 1)) == []


async def test_a_member_nobody_knows_yet_becomes_a_person_with_an_identity_only(push, people, heads, database, admin):
    a, b = people.number(1), people.number(2)
    await push(household(people, [a, b], id="h1"))
    rows = await database.pool.fetch("SELECT field FROM vault ORDER BY field")
    assert [r[0] for r in rows] == ["id_number", "id_number", "name"]
    facts = await by_number(people, heads, database, admin, [b])
    assert [f.kind for f in facts[b]] == ["household"]
