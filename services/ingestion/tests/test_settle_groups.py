"""Many events of one source about people to whom it does not belong are settled as one case."""

from datetime import timedelta

import pytest
from common.events import PlaceSettled
from ingestion import verify
from ingestion.register.seed import standing_rules
from ingestion.review.count_waiting import count_waiting, waiting
from ingestion.review.escalate_quarantine import escalate_overdue
from ingestion.review.settle_groups import STEP_MAX, settle_groups
from ingestion.review.settle_silence import settle_silence
from rules.facts.death import Suspected, death_of
from rules.facts.timeline import facts_known_at
from shell import clock

OWNER = "140000"  # the area above that of the source
MANY = standing_rules().group_events_max + 5
DIBAO = {"category": "dibao"}


@pytest.fixture
async def numbers(push, people):
    """Many people who are registered in 麒麟区."""
    found = [people.number(n) for n in range(1, MANY + 1)]
    await push(*(people.registration(n) for n in found), expect="accepted")
    return found


@pytest.fixture
def foreign(push, people, abroad, numbers):
    """Events of one kind about the first of these people, from a source that belongs to none of them."""

    async def send(kind, value, count=MANY, expect="quarantined", prefix="x"):
        events = [abroad.sent(people.event(kind, n, value, id=f"{prefix}-{n[-6:]}")) for n in numbers[:count]]
        return await push(*events, expect=expect)

    return send


@pytest.fixture
def decide(abroad):
    async def both(group, outcome, *, names=("甲", "乙"), **body):
        url = f"/v1/groups/{group['group_id']}/settle"
        answers = [await abroad.post(url, by=n, area=OWNER, outcome=outcome, **body) for n in names]
        return [answer.json().get("state", answer.json().get("code")) for answer in answers]

    return both


async def _group(abroad, state="open"):
    (group,) = (await abroad.get(f"/v1/groups?state={state}", OWNER))["groups"]
    return group


async def _work(database):
    while await settle_groups(database):
        pass


def _end_of_day():
    clock.advance(timedelta(days=1))


async def test_two_officers_release_a_group_that_is_settled_in_steps(abroad, foreign, decide, database, heads, numbers):
    receipts = await foreign("low_income", DIBAO)
    group = await _group(abroad)
    assert (group["source"], group["kind"], group["holds"]) == ("urn:cn:exchange:140700:mca", "low_income", "events")
    assert (group["total"], group["waiting"], group["done"]) == (MANY, MANY, 0)
    assert (await abroad.get("/v1/quarantine"))["quarantine"] == []  # the county is not flooded
    detail = await abroad.get(f"/v1/groups/{group['group_id']}", OWNER)
    assert detail["counts"] == [{"reason": "source_not_of_person", "state": "open", "rows": MANY}]
    assert len(detail["sample"]) == 20
    assert detail["sample"][0].keys() == {"id", "person_id", "kind", "division"}
    skipped = receipts[0]["event_id"]
    assert (await abroad.post(f"/v1/quarantine/{skipped}/discard")).status_code == 200

    assert await decide(group, "release", names=("甲", "甲", "乙", "丙")) == [
        "open",
        "same_officer",
        "settling",
        "settled",
    ]
    assert await settle_groups(database) == STEP_MAX
    begun = await _group(abroad, "settling")
    assert (begun["done"], begun["waiting"]) == (STEP_MAX, MANY - 1 - STEP_MAX)
    await _work(database)
    facts = [facts_known_at(head.statements) for head in (await heads()).values()]
    assert sum("low_income" in {f.kind for f in of_person} for of_person in facts) == MANY - 1
    _end_of_day()
    await _work(database)
    settled = await _group(abroad, "settled")
    assert (settled["done"], settled["waiting"], settled["settled_by"]) == (MANY - 1, 0, "乙")
    assert await verify.check(database, clock.today()) == []


async def test_only_officers_of_the_owner_see_and_settle_a_group(abroad, foreign, client_for, database):
    await foreign("low_income", DIBAO)
    group = await _group(abroad)
    for area in (abroad.HOME, abroad.AREA):
        assert (await abroad.get("/v1/groups", area))["groups"] == []
        url = f"/v1/groups/{group['group_id']}"
        assert (await abroad.call("王科员", area, "GET", url)).status_code == 403
        assert (await abroad.post(f"{url}/settle", area=area, outcome="discard")).status_code == 403
    unknown = "/v1/groups/00000000-0000-4000-8000-000000000000"
    assert (await abroad.call("王科员", OWNER, "GET", unknown)).status_code == 404
    wrong = await abroad.post(f"{url}/settle", area=OWNER, outcome="discard", grant_days=3)
    assert (wrong.status_code, wrong.json()["problems"][0]["pointer"]) == (422, "/grant_days")


async def test_a_different_decision_of_the_second_officer_becomes_the_first_decision(abroad, foreign, decide):
    await foreign("low_income", DIBAO)
    group = await _group(abroad)
    assert await decide(group, "release", names=("甲",)) == ["open"]
    assert await decide(group, "discard", names=("乙",)) == ["open"]
    assert await decide(group, "release", names=("丙",), grant_days=30) == ["open"]
    assert await decide(group, "release", names=("甲",)) == ["open"]  # without the grant
    assert await decide(group, "release", names=("甲", "乙")) == ["same_officer", "settling"]


async def test_a_release_may_grant_standing_for_some_days(abroad, foreign, decide, database):
    await foreign("low_income", DIBAO)
    await decide(await _group(abroad), "release", grant_days=30)
    await _work(database)
    await foreign("low_income", {"category": "tekun"}, count=3, expect="accepted", prefix="y")
    clock.advance(timedelta(days=31))
    await foreign("low_income", DIBAO, count=3, expect="quarantined", prefix="z")


async def test_a_row_that_joins_on_the_same_day_follows_the_decision_and_a_later_one_does_not(
    abroad, foreign, decide, database
):
    await foreign("low_income", DIBAO)
    await decide(await _group(abroad), "discard")
    await _work(database)
    await foreign("low_income", DIBAO, count=2, prefix="late")
    await _work(database)
    assert (await _group(abroad, "settling"))["waiting"] == 0
    _end_of_day()
    await foreign("low_income", DIBAO, count=2, prefix="next")
    await _work(database)
    group = await _group(abroad, "settled")
    assert (group["total"], group["done"]) == (MANY + 2, MANY + 2)
    assert len((await abroad.get("/v1/quarantine"))["quarantine"]) == 2
    assert await verify.check(database, clock.today()) == []


async def test_an_event_that_is_stated_again_after_its_group_was_settled_is_a_case_of_its_own(
    abroad, people, push, foreign, decide, database, numbers
):
    (first, *_) = await foreign("low_income", DIBAO)
    back = {"action": "annulled", "previous": f"x-{numbers[0][-6:]}", "valid_from": None}
    stated = {"id": "again", "action": "corrected", "previous": "back", "time": "2026-11-20T11:30:00+08:00"}
    annulled = people.event("low_income", numbers[0], id="back", time="2026-11-20T10:30:00+08:00", **back)
    await push(abroad.sent(annulled), expect="accepted")
    await decide(await _group(abroad), "discard")
    await _work(database)
    _end_of_day()
    await _work(database)
    await push(abroad.sent(people.event("low_income", numbers[0], DIBAO, **stated)), expect="quarantined")
    waiting_now = (await abroad.get("/v1/quarantine"))["quarantine"]
    assert (first["event_id"], "open") in [(row["event_id"], row["state"]) for row in waiting_now]


async def test_discarding_a_group_of_deaths_ends_the_suspicions(abroad, foreign, decide, database, heads):
    await foreign("death", {"evidence": "register_cancelled"}, count=3)
    _end_of_day()
    await foreign("death", {"evidence": "register_cancelled"}, prefix="d")
    suspected = [isinstance(death_of(facts_known_at(h.statements)), Suspected) for h in (await heads()).values()]
    assert sum(suspected) == 3  # above the daily limit no death is suspected
    assert await decide(await _group(abroad), "discard") == ["open", "settling"]
    await _work(database)
    rows = (await abroad.get("/v1/quarantine"))["quarantine"]
    assert len(rows) == 3
    assert await verify.check(database, clock.today()) == []


async def test_a_release_of_accounts_covers_only_those_that_had_arrived(
    abroad, foreign, decide, database, people, push, numbers
):
    account = people.further["bank_account"]
    await foreign("bank_account", account)
    assert await decide(await _group(abroad), "release") == ["open", "settling"]
    clock.advance(timedelta(minutes=1))
    await foreign("bank_account", account, count=2, prefix="late")
    await _work(database)
    group = await _group(abroad, "settling")
    assert (group["done"], group["waiting"]) == (MANY, 2)
    _end_of_day()
    await _work(database)
    group = await _group(abroad)  # open again, for two officers
    assert (group["waiting"], group["first_by"], group["outcome"]) == (2, None, None)


@pytest.mark.parametrize("outcome", ["release", "discard"])
async def test_a_group_of_claimed_places_is_confirmed_or_objected_to(
    abroad, people, push, numbers, decide, database, heads, driver, outcome
):
    claims = [
        abroad.sent(people.residence(n, abroad.THERE, id=f"c-{n[-6:]}", valid_from="2026-11-10")) for n in numbers
    ]
    await push(*claims, expect="accepted")
    group = await _group(abroad)
    assert (group["holds"], group["total"]) == ("places", MANY)
    detail = await abroad.get(f"/v1/groups/{group['group_id']}", OWNER)
    assert detail["counts"] == [{"reason": "place_claimed", "state": "open", "rows": MANY}]
    assert {row["division"] for row in detail["sample"]} == {abroad.THERE}
    mine = await abroad.get(f"/v1/places?group={group['group_id']}&limit=500")
    assert len(mine["places"]) == MANY  # the county left may still decide a single one
    single = mine["places"][0]["case_id"]
    assert (await abroad.post(f"/v1/places/{single}/confirm")).status_code == 200
    await decide(group, outcome)
    await _work(database)
    settled = await driver.emitted(PlaceSettled)
    wanted = "confirmed" if outcome == "release" else "objected"
    assert len(settled) == MANY
    assert sum(e.outcome == wanted for e in settled) >= MANY - 1
    places = [f for h in (await heads()).values() for f in facts_known_at(h.statements) if f.kind == "residence"]
    assert len(places) == (MANY if outcome == "release" else 1)
    assert {f.standing for f in places} == {"full"}
    assert (await abroad.get("/v1/places"))["places"] == []
    assert await verify.check(database, clock.today()) == []


async def test_silence_does_not_overtake_a_decided_group(abroad, people, push, numbers, decide, database):
    claims = [
        abroad.sent(people.residence(n, abroad.THERE, id=f"c-{n[-6:]}", valid_from="2026-11-10")) for n in numbers
    ]
    await push(*claims, expect="accepted")
    await decide(await _group(abroad), "discard")
    clock.advance(timedelta(days=30))
    assert await settle_silence(database) == 0
    await _work(database)
    assert (await _group(abroad, "settled"))["done"] == MANY


async def test_an_overdue_group_goes_to_the_area_above_and_its_rows_keep_their_owners(
    abroad, foreign, decide, database
):
    await foreign("low_income", DIBAO)
    group = await _group(abroad)
    await decide(group, "release", names=("甲",))
    clock.advance(timedelta(days=4))
    assert await escalate_overdue(database) == 1
    assert (await abroad.get("/v1/groups", OWNER))["groups"] == []
    (higher,) = (await abroad.get("/v1/groups", "000000"))["groups"]
    assert (higher["owner"], higher["first_by"], higher["outcome"]) == ("000000", None, None)
    assert await decide(group, "release", names=("乙",)) == ["not_allowed"]
    clock.advance(timedelta(days=4))
    assert await escalate_overdue(database) == 0


async def test_the_metrics_count_waiting_rows_by_level(abroad, people, numbers, foreign, database):
    await foreign("low_income", DIBAO)
    await abroad.move(people, numbers[0])
    await count_waiting(database)

    def count(table, level):
        return waiting.labels(table, level)._value.get()

    assert count("groups", "province") == 1
    assert count("place_cases", "county") == 1
    assert count("quarantine", "county") == MANY
    assert count("groups", "nation") == 0
