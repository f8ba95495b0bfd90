"""Statistics and people not reached, by examples made by hand."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from common.events import AbilitiesDetermined, Ability

NOON = datetime(2026, 11, 20, 4, 0, tzinfo=UTC)


async def settle(deliver: Any, make: Any, *groups: tuple[int, tuple[Any, ...], dict[str, Any]]) -> list[str]:
    """`groups`: so many people with these entitlements."""
    people, events = [], []
    for count, entitlements, given in groups:
        for _ in range(count):
            people.append(make.id())
            events.append(make.decided(people[-1], *entitlements, **given))
    await deliver(*events)
    return people


async def statistics(client: Any, division: str = "530302", on: str = "2026-11-20") -> Any:
    answer = await client.get("/v1/statistics", params={"division": division, "on": on})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_each_elder_is_counted_in_one_class_only(deliver: Any, make: Any, api: Any) -> None:
    old, nursing, care = (
        make.entitlement(item) for item in ("longevity_allowance", "nursing_subsidy", "care_service_subsidy")
    )
    await settle(
        deliver,
        make,
        (11, (old,), {}),
        (6, (nursing,), {}),
        (7, (care, make.entitlement()), {}),
        (5, (old, nursing), {}),
        (4, (old, nursing, care), {}),
        (9, (make.entitlement(),), {}),  # visits are no subsidy
        (8, (make.entitlement("longevity_allowance", state="suppressed"),), {}),
        (8, (make.entitlement("nursing_subsidy", amount_fen_per_month=None),), {}),  # nobody has said how much
        (8, (old,), {"residence": "140702"}),
    )
    found = await statistics(api(division="530300"))
    assert found["by_class"] == {
        "longevity_allowance": 11,
        "nursing_subsidy": 6,
        "care_service_subsidy": 7,
        "combined": 9,
    }
    assert found["subsidised_total"] == 33 == sum(found["by_class"].values())
    assert (await statistics(api(division="530300"), "530300"))["subsidised_total"] == 33
    assert (await statistics(api(), "000000"))["subsidised_total"] == 41
    assert (await statistics(api(), "140702"))["subsidised_total"] == 8


async def test_the_day_decides_who_is_counted(deliver: Any, make: Any, api: Any) -> None:
    starts = make.entitlement("longevity_allowance", from_=date(2026, 11, 20))
    ends = make.entitlement("longevity_allowance", from_=date(2020, 1, 1), to=date(2026, 11, 20))
    await settle(
        deliver,
        make,
        (6, (starts,), {}),
        (20, (ends,), {}),
        (40, (make.entitlement("longevity_allowance"),), {"died_on": date(2026, 11, 20)}),
    )
    client = api()
    assert (await statistics(client, on="2026-11-19"))["subsidised_total"] == 60
    assert (await statistics(client, on="2026-11-20"))["subsidised_total"] == 6


async def test_small_counts_are_null_and_cannot_be_worked_out(deliver: Any, make: Any, api: Any) -> None:
    await settle(
        deliver,
        make,
        (20, (make.entitlement("longevity_allowance"),), {}),
        (3, (make.entitlement("nursing_subsidy"),), {}),
    )
    found = await statistics(api())
    assert found["subsidised_total"] == 23
    assert found["by_class"] == {
        "longevity_allowance": None,
        "nursing_subsidy": None,
        "care_service_subsidy": 0,
        "combined": 0,
    }


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
    assert (await statistics(client))["visit_rate_month"] == 0.4
    assert (await statistics(client, on="2026-11-17"))["visit_rate_month"] == 0.1
    assert (await statistics(client, on="2026-12-01"))["visit_rate_month"] == 0.0


async def test_people_are_counted_by_the_ability_level_in_force(deliver: Any, make: Any, api: Any) -> None:
    people = await settle(deliver, make, (7, (), {}), (6, (), {}))
    await deliver(
        *[ability(p, (3, date(2025, 1, 1), None)) for p in people[:7]],
        *[ability(p, (1, date(2025, 1, 1), None), (2, date(2026, 11, 20), None)) for p in people[7:]],
    )
    client = api()
    assert (await statistics(client))["assessed_by_level"] == {"0": 0, "1": 0, "2": 6, "3": 7, "4": 0}
    assert (await statistics(client, on="2026-11-19"))["assessed_by_level"] == {"0": 0, "1": 6, "2": 0, "3": 7, "4": 0}


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


async def test_statistics_of_a_foreign_area_are_refused_and_of_no_area_not_found(api: Any) -> None:
    client = api(division="530302")
    assert (await client.get("/v1/statistics?division=530300")).status_code == 403
    assert (await client.get("/v1/statistics?division=999999")).status_code == 404
    assert (await client.get("/v1/statistics")).status_code == 422


async def test_everyone_not_reached_is_listed_with_the_cause(deliver: Any, make: Any, api: Any) -> None:
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


async def test_who_turned_out_to_be_somebody_else_is_counted_once_with_visits_and_level_of_either_number(
    deliver: Any, make: Any, api: Any
) -> None:
    others = await settle(deliver, make, (9, (make.entitlement(),), {}))
    survivor, gone = make.id(), make.id()
    visit = make.checked_out(gone, make.id(), begin=NOON - timedelta(days=2), worker="w")
    await deliver(make.decided(gone, make.entitlement()), visit, ability(gone, (3, date(2025, 1, 1), None)))
    await deliver(*[ability(p, (3, date(2025, 1, 1), None)) for p in others])
    await deliver(
        make.decided(gone, version=2, merged_into=survivor), make.decided(survivor, make.entitlement(), aliases=(gone,))
    )
    client = api()
    found = await statistics(client)
    assert found["visit_rate_month"] == 0.1
    assert found["assessed_by_level"]["3"] == 10
    asked = {"division": "530302", "on": "2026-11-20"}
    unreached = (await client.get("/v1/unreached", params=asked)).json()
    assert {p["person_id"] for p in unreached["unreached"]} == set(others)
    await deliver(make.decided(gone, make.entitlement(), version=3), make.decided(survivor, version=2))
    assert (await statistics(client))["assessed_by_level"]["3"] == 10
