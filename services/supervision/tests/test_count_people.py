"""Statistics and unreached people: hand-made examples."""

from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

from common.codes import divisions
from common.events import AbilitiesDetermined, Ability
from shell import clock

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)
OLD, NURSING, CARE = "longevity_allowance", "nursing_subsidy", "care_service_subsidy"
THRESHOLD = 5


async def settle(deliver: Any, make: Any, *groups: tuple[int, tuple[Any, ...], dict[str, Any]]) -> list[str]:
    """`groups`: (number of people, their entitlements, other fields)."""
    people, events = [], []
    for count, entitlements, given in groups:
        for _ in range(count):
            people.append(make.id())
            events.append(make.decided(people[-1], *entitlements, **given))
    await deliver(*events)
    return people


async def subsidise(deliver: Any, make: Any, *groups: tuple[int, tuple[Any, ...], dict[str, Any]]) -> list[str]:
    """`groups`: (number of people, their dues, other fields)."""
    people, events = [], []
    for count, lines, given in groups:
        for _ in range(count):
            people.append(make.id())
            events += [make.decided(people[-1], **given), make.dues(people[-1], *lines)]
    await deliver(*events)
    return people


async def statistics(client: Any, division: str = "530302", on: str = "2026-11-20") -> Any:
    answer = await client.get("/v1/statistics", params={"division": division, "on": on})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_elder_is_counted_in_one_class_only(deliver: Any, make: Any, api: Any) -> None:
    old, nursing, care = (make.due(item) for item in (OLD, NURSING, CARE))
    await subsidise(
        deliver,
        make,
        (10, (old,), {}),
        (5, (nursing,), {}),
        (15, (care, make.due("dibao")), {}),  # other money is not one of the three subsidies
        (6, (old, nursing), {}),
        (4, (old, nursing, care), {}),
        (9, (make.due("dibao"),), {}),
        (10, (old,), {"residence": "140702"}),
    )
    found = await statistics(api(division="530300"))
    assert found["by_class"] == {OLD: 10, NURSING: 5, CARE: 15, "combined": 10}
    assert found["subsidised_total"] == 40 == sum(found["by_class"].values())
    assert (await statistics(api(division="530300"), "530300"))["subsidised_total"] == 40
    assert (await statistics(api(), "000000"))["subsidised_total"] == 50
    assert (await statistics(api(), "140702"))["subsidised_total"] == 10


async def test_only_money_in_state_due_for_the_month_counts(deliver: Any, make: Any, api: Any) -> None:
    await subsidise(
        deliver,
        make,
        (10, (make.due(),), {}),
        (5, (make.due(), make.due(service_month="2026-10")), {}),
        (20, (make.due(state="held"),), {}),
        (20, (make.due(state="barred"),), {}),
        (20, (make.due(service_month="2026-12"),), {}),
    )
    await settle(deliver, make, (20, (make.entitlement(OLD),), {}))  # entitled, and nothing is due
    client = api()
    assert (await statistics(client))["subsidised_total"] == 15
    assert (await statistics(client, on="2026-10-01"))["subsidised_total"] == 5
    assert (await statistics(client, on="2026-12-31"))["subsidised_total"] == 20


async def test_a_line_that_becomes_held_or_is_no_longer_owed_does_not_count(deliver: Any, make: Any, api: Any) -> None:
    people = await subsidise(deliver, make, (30, (make.due(), make.due(service_month="2026-10")), {}))
    client = api()
    await deliver(*[make.dues(p, make.due(state="held")) for p in people[:10]])
    await deliver(*[make.dues(p, make.due(amount_fen=0)) for p in people[10:15]])
    assert (await statistics(client))["subsidised_total"] == 15
    assert (await statistics(client, on="2026-10-15"))["subsidised_total"] == 30
    released = [make.dues(p, make.due()) for p in people[:10]]
    await deliver(*released, *released)
    await deliver(*released)
    assert (await statistics(client))["subsidised_total"] == 25


async def test_a_month_taken_over_by_another_area_stays_due(deliver: Any, make: Any, api: Any) -> None:
    people = await subsidise(deliver, make, (5, (make.due(),), {}))
    taken = [make.due(jurisdiction="140702"), make.due(amount_fen=0)]
    await deliver(*[make.dues(p, *taken) for p in people])
    assert (await statistics(api()))["subsidised_total"] == 5


async def test_all_days_of_a_month_give_the_same_counts(deliver: Any, make: Any, api: Any) -> None:
    people = await subsidise(deliver, make, (20, (make.due(),), {}))
    visits = [
        make.checked_out(p, make.id(), begin=NOON - timedelta(days=n), worker=p) for n, p in enumerate(people[:10])
    ]
    await deliver(*[make.decided(p, make.entitlement(), version=2) for p in people], *visits)
    await deliver(*[ability(p, (3, date(2026, 11, n + 1), None)) for n, p in enumerate(people)])
    client = api()
    days = [await statistics(client, on=f"2026-11-{day:02}") for day in range(1, 31)]
    assert [d.pop("on") for d in days] == [f"2026-11-{day:02}" for day in range(1, 31)]
    assert all(day == days[0] for day in days)
    assert (days[0]["month"], days[0]["visit_rate_month"], days[0]["assessed_by_level"]["3"]) == ("2026-11", 0.5, 20)


async def test_a_small_township_cannot_be_derived_from_the_county_and_its_other_townships(
    deliver: Any, make: Any, api: Any
) -> None:
    """Three people live in one township. Each answer is subtracted from each other one, over areas and over days."""
    care = make.entitlement()
    towns = {"530302001": 3, "530302002": 12, "530302003": 21, "530302": 2, "530303001": 4, "530300": 1}
    for town, count in towns.items():
        people = await subsidise(deliver, make, (count, (make.due(),), {"residence": town}))
        await deliver(*[make.decided(p, care, version=2, residence=town) for p in people])
        await deliver(*[ability(p, (2, date(2026, 10, 1), None)) for p in people])
        await deliver(*[make.checked_out(p, make.id(), worker=p) for p in people[:2]])
    await subsidise(deliver, make, (2, (make.due(NURSING),), {"residence": None}), (9, (make.due(NURSING),), {}))
    joined = await subsidise(deliver, make, (1, (make.due(service_month="2026-12"),), {}))
    await deliver(*[make.dues(p, make.due(service_month="2026-10")) for p in joined])

    client = api()
    places = [*towns, "530303", "530000", divisions.NATION]
    days = ("2026-10-31", "2026-11-19", "2026-11-20", "2026-12-01")
    answers = {(place, day): await statistics(client, place, day) for place in places for day in days}
    for (place, _), answer in answers.items():
        if len(place) > divisions.COUNTY_DIGITS:
            assert numbers(answer) == dict.fromkeys(numbers(answer))
        rate = answer["visit_rate_month"]
        assert rate is None or rate == round(rate, 2)
    for one, other in combinations([numbers(answer) for answer in answers.values()], 2):
        for name in one.keys() & other.keys() - {"rate"}:
            assert not 0 < abs((one[name] or 0) - (other[name] or 0)) < THRESHOLD, name
    for answer in map(numbers, answers.values()):
        classes = [count for name, count in answer.items() if name in (OLD, NURSING, CARE, "combined")]
        assert sum(count or 0 for count in classes) == (answer["total"] or 0)


def numbers(answer: Any) -> dict[str, Any]:
    total, rate = answer["subsidised_total"], answer["visit_rate_month"]
    return {"total": total, "rate": rate, **answer["by_class"], **answer["assessed_by_level"]}


async def test_an_officer_of_a_township_gets_no_figures_but_the_list_of_unreached_people(
    deliver: Any, make: Any, api: Any
) -> None:
    town = "530302001"
    people = await settle(deliver, make, (3, (make.entitlement(),), {"residence": town}))
    client = api(division=town)
    assert set(numbers(await statistics(client, town)).values()) == {None}
    unreached = (await client.get("/v1/unreached")).json()["unreached"]
    assert {p["person_id"] for p in unreached} == set(people)


async def test_a_code_out_of_force_has_no_figures(deliver: Any, make: Any, api: Any) -> None:
    """Otherwise the county minus its old code would show the few people who are registered under the new one."""
    await subsidise(
        deliver, make, (20, (make.due(),), {"residence": "530328"}), (3, (make.due(),), {"residence": "530303"})
    )
    client = api()
    assert (await statistics(client, "530328"))["subsidised_total"] is None
    assert (await statistics(client, "530303"))["subsidised_total"] == 25


async def test_the_visit_rate_is_people_visited_of_people_to_be_visited_in_the_month(
    deliver: Any, make: Any, api: Any
) -> None:
    people = await settle(
        deliver,
        make,
        (8, (make.entitlement(),), {}),
        (2, (make.entitlement(to=date(2026, 11, 3)),), {}),
        (5, (make.entitlement(to=date(2026, 11, 1)),), {}),
    )
    begin = NOON - timedelta(days=2)
    visits = [make.checked_out(p, make.id(), begin=begin, worker=p) for p in people[:4]]
    again = make.checked_out(people[0], make.id(), begin=begin - timedelta(days=1), worker="a")
    nobody_home = make.checked_out(people[4], make.id(), begin=begin, worker="b", outcome="not_found")
    in_october = make.checked_out(people[5], make.id(), begin=begin - timedelta(days=30), worker="c")
    await deliver(*visits, again, nobody_home, in_october)
    client = api()
    assert (await statistics(client))["visit_rate_month"] == 0.5
    assert (await statistics(client, on="2026-11-17"))["visit_rate_month"] == 0.5
    assert (await statistics(client, on="2026-12-01"))["visit_rate_month"] == 0.0


async def test_a_person_without_a_known_residence_belongs_to_the_county_of_the_hukou(
    deliver: Any, make: Any, api: Any
) -> None:
    hukou = {"residence": None, "hukou": "530302"}
    people = await subsidise(deliver, make, (5, (make.due(OLD),), {"entitlements": (make.entitlement(),), **hukou}))
    client = api(division="530302")
    assert (await statistics(client))["subsidised_total"] == 5
    unreached = (await client.get("/v1/unreached")).json()["unreached"]
    assert {u["person_id"] for u in unreached} == set(people)
    assert (await client.get(f"/v1/persons/{people[0]}/steps")).status_code == 200


async def test_people_are_counted_by_the_ability_level_in_force(deliver: Any, make: Any, api: Any) -> None:
    people = await settle(deliver, make, (9, (), {}), (15, (), {}), (4, (), {}))
    await deliver(
        *[ability(p, (3, date(2025, 1, 1), None)) for p in people[:9]],
        *[ability(p, (1, date(2025, 1, 1), None), (2, date(2026, 11, 20), None)) for p in people[9:24]],
        *[ability(p, (4, date(2025, 1, 1), None)) for p in people[24:]],
    )
    client = api()
    levels = (await statistics(client))["assessed_by_level"]
    assert levels == {"0": None, "1": None, "2": 15, "3": 10, "4": None}
    levels = (await statistics(client, on="2026-10-19"))["assessed_by_level"]
    assert levels == {"0": None, "1": 15, "2": None, "3": 10, "4": None}
    clock.set_now(datetime(2026, 11, 19, 4, 0, tzinfo=UTC))
    assert (await statistics(client))["assessed_by_level"]["1"] == 15  # the change begins tomorrow


def ability(person_id: str, *results: tuple[int, date, date | None]) -> AbilitiesDetermined:
    return AbilitiesDetermined(
        person_id=person_id,
        version=len(results),
        recorded_at=NOON,
        abilities=tuple(
            Ability(
                assessment_id="a",
                scale="GB/T 42195",
                scale_version="2022",
                level=level,
                valid_from=begin,
                valid_to=end,
                recorded_at=NOON,
            )
            for level, begin, end in results
        ),
    )


async def test_statistics_of_another_area_are_not_allowed_and_of_an_unknown_area_not_found(api: Any) -> None:
    client = api(division="530302")
    assert (await client.get("/v1/statistics?division=530300")).status_code == 403
    assert (await client.get("/v1/statistics?division=999999")).status_code == 404
    assert (await client.get("/v1/statistics")).status_code == 422


async def test_every_unreached_person_is_listed_with_the_cause(deliver: Any, make: Any, api: Any) -> None:
    people = await settle(
        deliver,
        make,
        (7, (make.entitlement(),), {}),
        (1, (), {}),
        (1, (make.entitlement(),), {"residence": "140702"}),
        (1, (make.entitlement(),), {"died_on": date(2026, 11, 2)}),
    )
    begin = NOON - timedelta(days=2)
    task = make.id()
    await deliver(
        make.planned(people[1], make.id()),
        make.offered(people[2], make.id()),
        make.missed(people[3], make.id()),
        make.checked_out(people[4], make.id(), begin=begin, worker="a"),
        make.checked_out(people[5], task, begin=begin, worker="b", outcome="not_found"),
        make.missed(people[6], make.id(), window_from=date(2026, 10, 1), window_to=date(2026, 10, 8)),
    )
    client, found, after = api(division="530300"), {}, None
    while True:
        params = {"limit": 2, **({"after": after} if after else {})}
        page = (await client.get("/v1/unreached", params=params)).json()
        found |= {u["person_id"]: u["cause"] for u in page["unreached"]}
        after = page["next"]
        if after is None:
            break
    assert found == {
        people[0]: "no_task",
        people[1]: "no_provider",
        people[2]: "offered",
        people[3]: "missed",
        people[5]: "not_found",
        people[6]: "no_task",
    }
    assert page["month"] == "2026-11"


async def test_a_valid_visit_of_another_month_is_no_disputed_visit_of_this_month(
    deliver: Any, make: Any, api: Any
) -> None:
    before, after, both = await settle(deliver, make, (3, (make.entitlement(),), {}))
    week = {"window_from": date(2026, 10, 26), "window_to": date(2026, 11, 2)}
    october = NOON - timedelta(days=22)  # 29 October
    await deliver(
        make.checked_out(before, make.id(), begin=october, worker="a", **week),
        make.checked_out(after, make.id(), begin=NOON - timedelta(days=1), worker="b"),
        make.offered(both, make.id(), window_from=date(2026, 11, 9), window_to=date(2026, 11, 16)),
        at=october + timedelta(hours=1),
    )
    await deliver(make.checked_out(both, make.id(), begin=october, worker="c", **week))
    found = (await api().get("/v1/unreached", params={"on": "2026-11-18"})).json()["unreached"]
    assert {u["person_id"]: u["cause"] for u in found} == {before: "no_task", after: "accepted", both: "offered"}


async def test_a_person_with_two_identities_is_counted_once_with_dues_visits_and_level_of_both(
    deliver: Any, make: Any, api: Any
) -> None:
    others = await settle(deliver, make, (7, (make.entitlement(),), {}))
    survivor, gone = make.id(), make.id()
    visit = make.checked_out(gone, make.id(), begin=NOON - timedelta(days=2), worker="w")
    more = [make.checked_out(p, make.id(), begin=NOON - timedelta(days=2), worker=p) for p in others[:2]]
    await deliver(make.decided(gone, make.entitlement()), visit, *more, ability(gone, (3, date(2025, 1, 1), None)))
    await deliver(*[ability(p, (3, date(2025, 1, 1), None)) for p in others])
    await deliver(*[make.dues(p, make.due()) for p in others], make.dues(gone, make.due()))
    await deliver(
        make.decided(gone, version=2, merged_into=survivor), make.decided(survivor, make.entitlement(), aliases=(gone,))
    )
    await deliver(make.dues(survivor, make.due(NURSING)))
    client = api()
    found = await statistics(client)
    assert found["visit_rate_month"] == 0.5  # 3 of 8, as 5 of 10
    assert found["assessed_by_level"]["3"] == 10
    assert found["by_class"] == {OLD: 5, NURSING: None, CARE: None, "combined": None}  # 7, and one with two
    asked = {"division": "530302", "on": "2026-11-20"}
    unreached = (await client.get("/v1/unreached", params=asked)).json()
    assert {p["person_id"] for p in unreached["unreached"]} == set(others[2:])
    await deliver(make.decided(gone, make.entitlement(), version=3), make.decided(survivor, version=2))
    found = await statistics(client)
    assert (found["assessed_by_level"]["3"], found["by_class"][OLD]) == (10, 10)  # 8 each, after the split
