"""Several ID numbers of one human: the survivor, the facts that count, splits, and the knowledge at an instant."""

from datetime import date, timedelta
from itertools import permutations
from typing import Any

import msgspec
import pytest
from common.codes.id_number import make
from common.events.facts import Household, Residence
from common.message import derived_id
from ingestion import verify
from rules.facts.identity import statements_known_at
from rules.facts.timeline import death_of, facts_known_at
from shell import clock
from shell.access.auth import issue_token
from shell.privacy import vault


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def facts(head: Any, known_at: Any = None) -> list[tuple[str, Any]]:
    found = facts_known_at(statements_known_at(head, known_at), known_at)
    return sorted((f.kind, f.event_id) for f in found if f.kind != "identity_change")


@pytest.fixture
async def heads_of(heads, database):
    """Heads by number, after `verify` has found no contradiction in the store."""

    async def _heads_of(*numbers: str) -> list[Any]:
        assert await verify.check(database) == []
        found = await heads()
        return [found[person_of(n)] for n in numbers]

    return _heads_of


async def test_after_a_new_number_the_old_person_survives_with_the_facts_of_both_numbers(push, people, heads_of):
    old, new = people.number(1), people.number(3)
    await push(people.residence(old), people.renumbered(old, new), people.registration(new), expect="accepted")
    survivor, merged = await heads_of(old, new)
    assert (survivor.aliases, survivor.merged_into) == ((person_of(new),), None)
    assert (merged.aliases, merged.merged_into) == ((), person_of(old))
    assert [kind for kind, _ in facts(survivor)] == ["registration", "residence"]
    assert [kind for kind, _ in facts(merged)] == ["registration"]


async def test_a_person_recognised_as_another_is_merged_into_the_other(push, people, heads_of):
    double, known = people.number(1), people.number(3)
    await push(people.residence(double), people.residence(known), people.same(double, known), expect="accepted")
    gone, stays = await heads_of(double, known)
    assert (gone.merged_into, stays.aliases) == (person_of(known), (person_of(double),))


async def test_facts_a_merge_and_a_follower_under_the_new_number_have_one_result_in_every_order(push, people, heads_of):
    """The source ends under the new number the fact that it stated under the old one."""
    outcomes = set()
    for n, order in enumerate(permutations(range(4))):
        old, new = (make("530302", date(1940, 2, 29) + timedelta(days=n), i) for i in (1, 3))
        lives = people.residence(old, id=f"r-{n}")
        story = [
            lives,
            people.renumbered(old, new, id=f"m-{n}"),
            people.registration(new, id=f"g-{n}"),
            people.event("residence", new, action="ended", previous=lives["id"], id=f"e-{n}", valid_from=None,
                         valid_to="2026-11-15", time="2026-11-20T11:00:00+08:00", name=None),
        ]  # fmt: skip
        for i in order:
            await push(story[i])
        survivor, merged = await heads_of(old, new)
        found = facts_known_at(statements_known_at(survivor))
        outcomes.add(
            (
                survivor.aliases == (person_of(new),),
                merged.merged_into == person_of(old),
                tuple((f.kind, f.valid_to) for f in found if f.kind != "identity_change"),
            )
        )
    assert outcomes == {(True, True, (("registration", None), ("residence", date(2026, 11, 15))))}


async def test_after_the_annulment_of_a_merge_each_person_has_only_their_own_facts(push, people, heads_of, heads):
    a, b = people.number(1), people.number(3)
    merge = people.same(b, a)
    await push(people.residence(a), people.registration(b))
    apart = {n: facts((await heads_of(n))[0]) for n in (a, b)}
    await push(merge)
    (together,) = await heads_of(a)
    assert facts(together) != apart[a]
    await push(people.annulled(merge), expect="accepted")
    one, two = await heads_of(a, b)
    assert (one.aliases, one.merged_into, two.aliases, two.merged_into) == ((), None, (), None)
    assert {a: facts(one), b: facts(two)} == apart


async def test_the_annulment_may_come_first_and_under_the_new_number(push, people, heads_of):
    old, new = people.number(1), people.number(3)
    merge = people.renumbered(old, new)
    assert [r["status"] for r in await push(people.annulled(merge, number=new))] == ["quarantined"]
    await push(people.residence(new), people.residence(old, "530303"), merge, expect="accepted")
    one, two = await heads_of(old, new)
    assert (one.merged_into, two.merged_into, one.aliases, two.aliases) == (None, None, (), ())


async def test_a_correction_replaces_the_person_who_is_the_same_human(push, people, heads_of):
    a, b, c = (people.number(n) for n in (1, 3, 5))
    await push(people.renumbered(a, b), people.residence(b), people.residence(c, "530303"))
    corrected = people.renumbered(a, c, id="again", action="corrected", previous=people.renumbered(a, b)["id"],
                                  time="2026-11-20T10:30:00+08:00")  # fmt: skip
    await push(corrected, expect="accepted")
    one, two, three = await heads_of(a, b, c)
    assert (one.aliases, two.merged_into, three.merged_into) == ((person_of(c),), None, person_of(a))
    (lives,) = [f for f in facts_known_at(statements_known_at(one)) if f.kind == "residence"]
    assert isinstance(lives.value, Residence)
    assert lives.value.division == "530303"


async def test_the_end_of_the_use_of_a_number_does_not_split_a_person(push, people, heads_of):
    a, b = people.number(1), people.number(3)
    merge = people.same(b, a)
    over = people.event("identity_change", b, action="ended", previous=merge["id"], id="over", valid_from=None,
                        valid_to="2026-11-19", time="2026-11-20T10:00:00+08:00", name=None)  # fmt: skip
    await push(merge, over, expect="accepted")
    one, two = await heads_of(a, b)
    assert (one.aliases, two.merged_into) == ((person_of(b),), person_of(a))


async def test_linked_numbers_are_one_human_and_a_later_number_never_becomes_the_survivor(push, people, heads_of):
    numbers = [people.number(n) for n in range(1, 12, 2)]
    for third in sorted(numbers[2:], key=person_of):  # also those whose ids are smaller
        steps = [people.renumbered(numbers[0], numbers[1], time="2026-11-01T09:00:00+08:00"),
                 people.same(third, numbers[1], id=f"s-{third}"[:20], time="2026-11-02T09:00:00+08:00"),
                 people.same(third, numbers[0], id=f"c-{third}"[:20], time="2026-11-03T09:00:00+08:00")]  # fmt: skip
        await push(*reversed(steps))
        survivor, second, other = await heads_of(numbers[0], numbers[1], third)
        assert (second.merged_into, other.merged_into) == (survivor.person_id, survivor.person_id)
    assert len(survivor.aliases) == 5


async def test_a_cycle_of_links_stays_one_human_when_one_link_is_annulled(push, people, heads_of):
    a, b, c = (people.number(n) for n in (1, 3, 5))
    links = [people.same(b, a), people.same(c, b), people.same(c, a)]
    await push(*links)
    await push(people.annulled(links[1]))
    one, two, three = await heads_of(a, b, c)
    assert len(one.aliases) == 2
    assert {two.merged_into, three.merged_into} == {one.person_id}
    await push(people.annulled(links[2]))
    one, two, three = await heads_of(a, b, c)
    assert (one.aliases, three.merged_into) == ((two.person_id,), None)


async def test_the_number_in_use_is_the_one_that_the_stronger_source_names(push, people, heads_of):
    a, b, c = (people.number(n) for n in (1, 3, 5))
    weak = people.renumbered(a, c, office="mca", id="weak")
    await push(weak)
    assert (await heads_of(a))[0].aliases == (person_of(c),)
    strong = people.renumbered(a, b)
    await push(strong, expect="accepted")
    one, three = await heads_of(a, c)
    assert (one.aliases, three.merged_into) == ((person_of(b),), None)
    await push(people.annulled(strong))
    assert (await heads_of(a))[0].aliases == (person_of(c),)


async def test_a_dead_and_a_living_identity_are_one_dead_human(push, people, heads_of):
    dead, alive = people.number(1), people.number(3)
    await push(
        people.event("death", dead, {"evidence": "register_cancelled"}, id="d", valid_from="2026-11-10", name=None),
        people.residence(alive),
        people.same(dead, alive),
        expect="accepted",
    )
    _, survivor = await heads_of(dead, alive)
    gone = death_of(facts_known_at(statements_known_at(survivor)))
    assert gone is not None
    assert gone.on == date(2026, 11, 10)


async def test_knowledge_before_the_merge_shows_two_people_and_before_the_split_one(push, people, heads_of):
    a, b = people.number(1), people.number(3)
    merge = people.same(b, a)
    await push(people.residence(a), people.registration(b))
    apart = clock.now()
    await push(merge)
    together = clock.now()
    await push(people.annulled(merge))
    after = clock.now()
    await push(people.residence(b))
    one, two = await heads_of(a, b)
    kinds = [[kind for kind, _ in facts(one, at)] for at in (apart, together, after, None)]
    assert kinds == [["residence"], ["registration", "residence"], ["residence"], ["residence"]]
    assert [i.merged_into for i in two.identities] == [person_of(a), None]
    assert [kind for kind, _ in facts(two)] == ["registration", "residence"]


async def test_a_household_list_with_the_new_number_keeps_its_member(push, people, heads_of):
    old, new = people.number(1), people.number(3)
    house = {"household_no": "5303-01"}
    await push(
        people.event("household", old, {**house, "members": [old]}, id="h1", valid_from="2026-01-01", name=None),
        people.event("low_income", old, {"category": "dibao", **house}, id="l1", valid_from="2026-02-01", name=None),
        people.event("household", new, {**house, "members": [new]}, id="h2", valid_from="2026-06-01", name=None),
        people.renumbered(old, new),
        expect="accepted",
    )
    (survivor,) = await heads_of(old)
    found = facts_known_at(statements_known_at(survivor))
    assert all(f.value.member for f in found if isinstance(f.value, Household))
    day = date(2026, 7, 1)
    assert [f.kind for f in found if f.holds_on(day) and f.kind == "low_income"] == ["low_income"]


async def test_a_merge_may_name_unknown_people(push, people, heads_of):
    a, b = people.number(1), people.number(3)
    await push(people.renumbered(a, b), expect="accepted")
    one, two = await heads_of(a, b)
    assert (one.aliases, two.merged_into, two.version) == ((person_of(b),), person_of(a), 1)
    await push(people.residence(b), expect="accepted")
    (one,) = await heads_of(a)
    assert [kind for kind, _ in facts(one)] == ["residence"]


async def test_a_search_by_any_number_finds_the_person_with_the_number_in_use(push, people, client_for, vault_user):
    old, new = people.number(1), people.number(3)
    await push(
        people.residence(old, name="张三丰"), people.renumbered(old, new), people.registration(new, name="张君宝")
    )
    async with client_for(issue_token("officer", division="530300")) as officer:
        ids = [
            (await officer.post("/v1/persons/lookup", json={"id_number": n})).json()["person_id"] for n in (old, new)
        ]
        assert ids == [person_of(old)] * 2
        seen = (await officer.get(f"/v1/persons/{ids[0]}")).json()
        assert (seen["aliases"], seen["merged_into"]) == ([person_of(new)], None)
    body = {
        "purpose": "task",
        "cause": "t",
        "fields": ["id_number", "name", "address"],
        "person_ids": [ids[0], person_of(new)],
    }
    shown = (await vault_user.post("/v1/vault/reveal", json=body)).json()["persons"]
    assert {p["id_number"] for p in shown} == {new}
    assert len({(p["name"], p["address"]) for p in shown}) == 1


async def test_a_merge_by_two_sources_lasts_until_both_annul_it(push, people, heads_of):
    a, b = people.number(1), people.number(3)
    police, civil = people.same(b, a), people.same(b, a, office="mca", id="mca-1")
    await push(police, civil, police, civil)
    await push(people.annulled(police))
    assert (await heads_of(a))[0].aliases == (person_of(b),)
    await push(people.annulled(civil))
    assert (await heads_of(a))[0].aliases == ()


async def test_an_impossible_identity_change_is_rejected_with_a_pointer(push, people):
    a = people.number(1)
    wrong = [
        people.renumbered(a, a, id="w1"),
        people.renumbered(a, a[:-1] + ("1" if a[-1] != "1" else "2"), id="w2"),
        people.event("identity_change", a, {}, id="w3"),
        people.event(
            "identity_change", a, {"new_id_number": people.number(3), "same_person_as": people.number(5)}, id="w4"
        ),
    ]
    found = [r["problems"][0] for r in await push(*wrong, expect="rejected")]
    assert [(p["pointer"], p["code"]) for p in found] == [
        ("/data/value/new_id_number", "same_number"),
        ("/data/value/new_id_number", "id_checksum"),
        ("/data/value", "one_of_two"),
        ("/data/value", "one_of_two"),
    ]


async def test_more_numbers_than_a_human_can_have_wait_for_an_officer(push, people, heads_of):
    hub = make("530302", date(1930, 1, 1), 1)
    others = [make("530302", date(1930, 1, 2), n) for n in range(52)]
    results = await push(*(people.same(n, hub, id=f"n{i}") for i, n in enumerate(others)))
    assert [r["status"] for r in results].count("quarantined") == 3
    assert {p["code"] for r in results for p in r["problems"]} == {"too_many_identities"}
    assert len((await heads_of(hub))[0].aliases) == 49


async def test_an_emitted_merge_contains_no_number_and_no_name(push, people, heads_of):
    old, new = people.number(1), people.number(3)
    await push(people.renumbered(old, new), people.registration(new))
    for head in await heads_of(old, new):
        text = msgspec.json.encode(head).decode()
        assert old not in text
        assert new not in text
        assert "张" not in text
