"""A source changes nothing of a person to whom it does not belong, and no true fact is lost.

The victim is registered and lives in 麒麟区. The attackers are registered sources of another province, and of another
county of the same city.
"""

from datetime import date, timedelta
from typing import Any

import pytest
from common.codes.id_number import make
from common.events import AccountChanged, CorrectionRequested, PlaceClaimed, PlaceSettled
from common.events.facts import BankAccount
from common.message import derived_id
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.access.auth import issue_token
from shell.privacy import vault

HOME, CITY, OTHER_COUNTY, OTHER_PROVINCE = "530302", "530300", "530303", "110000"
SINCE = "2026-11-01"
WAITING = {
    "bank_account": {"account_no": "6217003860019999999", "bank": "他省银行", "holder_name": "张三丰"},
    "low_income": {"category": "dibao"},
    "benefit_elsewhere": {"benefit": "work_injury_care"},
    "ability_result": {"scale": "ltc", "scale_version": "2021", "code": "3", "document_no": "鉴9"},
    "merit": {"merit": "veteran"},
    "special_family": {"only_child": "dead"},
    "application": {"item": "nursing_subsidy", "wish": "decline", "channel": "counter"},
    "contact": {"phone": "13900009999"},
    "living_situation": {"tags": []},
    "alive": {"method": "counter"},
}
OFFICE = {
    "bank_account": "hrss",
    "low_income": "mca",
    "benefit_elsewhere": "hrss",
    "ability_result": "nhsa",
    "merit": "va",
    "special_family": "nhc",
    "application": "mca",
    "contact": "mca",
    "living_situation": "mca",
    "alive": "mca",
    "disability": "cdpf",
    "death": "psb",
    "hospital_stay": "nhsa",
    "risk_incident": "mca",
    "household": "mca",
    "identity_change": "psb",
    "residence": "psb",
    "registration": "psb",
}


def sent_by(event: Any, area: str, office: str | None = None) -> Any:
    """The event as a source of another area sends it."""
    kind = event["type"].split(".")[-2]
    event["source"] = f"urn:cn:exchange:{area}:{office or OFFICE[kind]}"
    return event


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def counting(head: Any, kind: str) -> list[Any]:
    return [f for f in facts_known_at(head.statements) if f.kind == kind]


# ── an attacker changes nothing ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("attacker", [OTHER_PROVINCE, OTHER_COUNTY])
@pytest.mark.parametrize("kind", [*WAITING, "disability"])
async def test_an_event_of_a_foreign_source_waits_for_the_county_of_the_person(
    push, people, victim, heads, quarantine, driver, attacker, kind
):
    certificate = {"certificate_no": f"{victim}11", "class": 1, "level": 1}
    event = sent_by(people.event(kind, victim, WAITING.get(kind, certificate), id="x"), attacker)
    before = (await heads())[person_of(victim)]
    (receipt,) = await push(event, expect="quarantined")
    assert (receipt["problems"][0]["code"], receipt["problems"][0]["pointer"]) == ("source_not_of_person", "/source")
    assert (await heads())[person_of(victim)] == before
    (row,) = await quarantine()
    assert (row["event_id"], row["owner"], row["reason"]) == (receipt["event_id"], HOME, "source_not_of_person")
    assert row["officers_needed"] == (2 if kind == "bank_account" else 1)
    if attacker == OTHER_PROVINCE:  # the officers of the city see the counties of the city
        assert await quarantine(attacker) == []
    asked = [e for e in await driver.emitted(CorrectionRequested) if e.event_id == receipt["event_id"]]
    assert [(e.source, e.code) for e in asked] == [(event["source"], "source_not_of_person")]


@pytest.mark.parametrize("attacker", [OTHER_PROVINCE, OTHER_COUNTY])
async def test_a_foreign_death_is_only_a_suspicion(push, people, victim, heads, quarantine, attacker):
    event = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="d"), attacker)
    await push(event, expect="quarantined")
    head = (await heads())[person_of(victim)]
    dead = death_of(facts_known_at(head.statements))
    assert isinstance(dead, Suspected)
    assert dead.on == date.fromisoformat(SINCE)
    (row,) = await quarantine()
    assert (row["kind"], row["owner"], row["officers_needed"]) == ("death", HOME, 2)


@pytest.mark.parametrize("attacker", [OTHER_PROVINCE, OTHER_COUNTY])
async def test_a_claimed_place_vouches_for_nothing_else(push, people, victim, heads, driver, attacker):
    """A claimed residence, then an account, then a death."""
    claimed = sent_by(
        people.residence(victim, f"{OTHER_COUNTY}001" if attacker == OTHER_COUNTY else "110105", id="r"), attacker
    )
    (receipt,) = await push(claimed, expect="accepted")
    assert receipt["problems"][0]["code"] == "place_claimed"
    (case,) = await driver.emitted(PlaceClaimed)
    assert (case.county_left, case.owner, case.event_id) == (HOME, HOME, receipt["event_id"])
    account = sent_by(people.event("bank_account", victim, WAITING["bank_account"], id="b"), attacker)
    death = sent_by(people.event("death", victim, {"evidence": "cremation"}, id="d"), attacker, "funeral")
    certificate = sent_by(
        people.event("death", victim, {"evidence": "medical_certificate"}, id="m"), attacker, "health"
    )
    await push(account, death, certificate, expect="quarantined")
    head = (await heads())[person_of(victim)]
    assert [f.standing for f in counting(head, "residence")] == ["full", "claimed"]
    assert counting(head, "bank_account") == []
    assert isinstance(death_of(facts_known_at(head.statements)), Suspected)


async def test_a_place_outside_the_areas_of_a_foreign_source_waits(push, people, victim, heads):
    (receipt,) = await push(sent_by(people.residence(victim, "140702", id="r"), OTHER_PROVINCE), expect="quarantined")
    assert receipt["problems"][0]["code"] == "registered_elsewhere"
    assert len(counting((await heads())[person_of(victim)], "residence")) == 1
    # also within the county of the person: only a source that belongs may move the person there
    await push(sent_by(people.residence(victim, "530302003", id="r2"), OTHER_PROVINCE), expect="quarantined")


async def test_foreign_sources_never_change_the_name_in_the_vault(push, people, victim, database):
    async def sealed() -> bytes:
        query = "SELECT sealed FROM vault WHERE person_id = $1 AND field = 'name'"
        return vault().open(
            await database.pool.fetchval(query, person_of(victim)), f"{person_of(victim)}/name".encode()
        )

    before = await sealed()
    claimed = sent_by(people.registration(victim, id="n", time="2026-11-21T09:30:00+08:00"), OTHER_PROVINCE)
    claimed["data"]["value"] |= {"name": "李四光", "hukou_division": "110105"}
    await push(claimed, expect="accepted")
    await push(sent_by(people.event("contact", victim, WAITING["contact"], id="c", name="李四光"), OTHER_PROVINCE))
    assert await sealed() == before == "张三丰".encode()


@pytest.mark.parametrize("direction", ["victim renumbered", "victim is another", "another is the victim"])
async def test_an_identity_change_needs_standing_with_both_persons(push, people, victim, heads, database, direction):
    theirs = make("110105", date(1941, 3, 1), 7)
    await push(sent_by(people.registration(theirs, id="own"), OTHER_PROVINCE) | {}, expect="quarantined")
    own = sent_by(people.registration(theirs, id="own2"), OTHER_PROVINCE)
    own["data"]["value"]["hukou_division"] = "110105"
    await push(own, expect="accepted")
    events = {
        "victim renumbered": people.renumbered(victim, theirs),
        "victim is another": people.same(victim, theirs),
        "another is the victim": people.same(theirs, victim),
    }
    await push(sent_by(events[direction], OTHER_PROVINCE), expect="quarantined")
    assert all(head.merged_into is None and head.aliases == () for head in (await heads()).values())
    assert await database.pool.fetchval("SELECT count(*) FROM persons WHERE circle IS NOT NULL") == 0


@pytest.mark.parametrize("attacker", [OTHER_PROVINCE, OTHER_COUNTY])
async def test_a_household_list_reaches_only_members_to_whom_its_source_belongs(
    push, people, victim, heads, quarantine, attacker
):
    mine = make(attacker if attacker != OTHER_PROVINCE else "110105", date(1950, 5, 5), 3)
    registered = sent_by(people.registration(mine, id="mine"), attacker)
    registered["data"]["value"]["hukou_division"] = attacker if attacker != OTHER_PROVINCE else "110105"
    await push(registered, expect="accepted")
    value = {"household_no": "户1", "members": [mine, victim]}
    listed = sent_by(people.event("household", mine, value, id="h"), attacker)
    income = sent_by(people.event("low_income", mine, {"category": "dibao", "household_no": "户1"}, id="l"), attacker)
    await push(listed, income, expect="accepted")
    found = await heads()
    assert len(counting(found[person_of(mine)], "household")) == 1
    assert counting(found[person_of(victim)], "household") == counting(found[person_of(victim)], "low_income") == []
    (row,) = await quarantine()
    assert (row["person_id"], row["reason"], row["part_of"] is not None) == (
        person_of(victim),
        "source_not_of_person",
        True,
    )


async def test_each_waiting_part_of_a_household_counts_once_for_the_limit_of_a_group(
    push, people, victim, heads, quarantine, database
):
    """One part waits, although the list and an income of the household reach the member."""
    await test_a_household_list_reaches_only_members_to_whom_its_source_belongs(
        push, people, victim, heads, quarantine, OTHER_PROVINCE
    )
    counts = await database.pool.fetch("SELECT kind, events FROM foreign_counts")
    assert [tuple(row) for row in counts] == [("household", 1)]


async def test_an_officer_of_the_county_gives_a_waiting_member_its_part_of_the_household(
    push, people, victim, heads, quarantine, settle
):
    await test_a_household_list_reaches_only_members_to_whom_its_source_belongs(
        push, people, victim, heads, quarantine, OTHER_PROVINCE
    )
    (row,) = await quarantine()
    (answer,) = await settle(row["event_id"])
    assert answer.json() == {"event_id": row["event_id"], "state": "released"}
    head = (await heads())[person_of(victim)]
    assert (len(counting(head, "household")), len(counting(head, "low_income"))) == (1, 1)
    assert await quarantine() == []


@pytest.mark.parametrize("kind", ["hospital_stay", "risk_incident"])
async def test_a_stay_or_an_incident_of_a_foreign_source_is_a_hint(push, people, victim, heads, database, kind):
    own = people.event("hospital_stay", victim, {"institution": "甲"}, id="own", valid_from="2026-10-01")
    await push(own, expect="accepted")
    value = {"institution": "乙"} if kind == "hospital_stay" else {"incident": "fall"}
    (receipt,) = await push(sent_by(people.event(kind, victim, value, id="x"), OTHER_PROVINCE), expect="accepted")
    assert receipt["problems"][0]["code"] == "taken_as_hint"
    facts = counting((await heads())[person_of(victim)], kind)
    assert [f.standing for f in facts if f.event_id == receipt["event_id"]] == ["hint"]
    stays = counting((await heads())[person_of(victim)], "hospital_stay")
    assert [(s.valid_to, s.standing) for s in stays if s.event_id != receipt["event_id"]] == [(None, "full")]
    assert await database.pool.fetchval("SELECT ends_on FROM hints") == clock.today() + timedelta(days=15)


async def test_no_sender_may_use_the_source_of_the_platform(push, people, victim):
    event = people.event("alive", victim, {"method": "counter"}, id="x")
    event["source"] = f"urn:cn:exchange:{HOME}:counter"
    (receipt,) = await push(event, expect="rejected")
    assert receipt["problems"][0]["code"] == "source_internal"


async def test_a_foreign_sign_of_life_revives_nobody_and_is_shown_with_the_death(
    push, people, victim, heads, quarantine
):
    await push(sent_by(people.event("death", victim, {"evidence": "cremation"}, id="d"), OTHER_PROVINCE, "funeral"))
    alive = sent_by(people.event("alive", victim, {"method": "counter"}, id="a", valid_from="2026-11-20"), OTHER_COUNTY)
    (receipt,) = await push(alive, expect="quarantined")
    assert isinstance(death_of(facts_known_at((await heads())[person_of(victim)].statements)), Suspected)
    (death,) = [row for row in await quarantine() if row["kind"] == "death"]
    assert death["signs_of_life"] == [receipt["event_id"]]


# ── nothing true is lost ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (1, 2, 0)])
async def test_a_closed_place_lets_the_next_province_belong_in_both_orders(
    push, people, victim, heads, quarantine, order
):
    """The county left ends the residence. The new province reports the new residence and the new account."""
    ended = people.residence(victim, id="gone", action="ended", previous=f"psb-residence-{victim[-6:]}",
                             valid_from=None, valid_to="2026-11-01", time="2026-11-21T09:30:00+08:00")  # fmt: skip
    ended["data"]["value"] = None
    moved = sent_by(people.residence(victim, "110105", id="r", valid_from="2026-11-03"), OTHER_PROVINCE)
    account = sent_by(people.event("bank_account", victim, WAITING["bank_account"], id="b"), OTHER_PROVINCE)
    for at in order:
        await push([ended, moved, account][at])
    head = (await heads())[person_of(victim)]
    assert [f.standing for f in counting(head, "residence")] == ["full", "full"]
    assert len(counting(head, "bank_account")) == 1
    assert await quarantine() == []


async def test_a_first_load_may_begin_with_civil_affairs(push, people, heads, quarantine, counties):
    """All events are accepted while no place is known, and tested with the first place."""
    number = people.number(5)
    own = people.event("low_income", number, {"category": "dibao"}, id="own")
    foreign = sent_by(people.event("low_income", number, {"category": "tekun"}, id="far"), OTHER_PROVINCE)
    await push(own, foreign, expect="accepted")
    assert len(counting((await heads())[person_of(number)], "low_income")) >= 1
    at_first = clock.now()
    clock.set_now(at_first + timedelta(minutes=5))
    await push(people.registration(number), expect="accepted")
    head = (await heads())[person_of(number)]
    (income,) = counting(head, "low_income")
    assert income.value.category == "dibao"
    known_then = [f.value.category for f in facts_known_at(head.statements, at_first) if f.kind == "low_income"]
    assert len(known_then) >= 1
    assert [row["reason"] for row in await quarantine()] == ["source_not_of_person"]


async def test_a_residence_before_the_first_hukou_is_judged_again_with_the_events_that_it_admitted(
    push, people, heads, quarantine, counties
):
    number = people.number(6)
    claimed = sent_by(people.residence(number, "110105", id="r"), OTHER_PROVINCE)
    account = sent_by(people.event("bank_account", number, WAITING["bank_account"], id="b"), OTHER_PROVINCE)
    await push(claimed, account, expect="accepted")
    await push(people.registration(number), expect="accepted")
    head = (await heads())[person_of(number)]
    assert [f.standing for f in counting(head, "residence")] == ["claimed"]
    assert counting(head, "bank_account") == []
    assert [(r["kind"], r["reason"]) for r in await quarantine()] == [("bank_account", "source_not_of_person")]


async def test_two_accounts_of_one_officer_are_not_two_officers(push, people, victim, client_for):
    event = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="d"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    answers = []
    for account in ("王-1", "王-2"):
        async with client_for(issue_token("officer", division=HOME, subject=account, user="王")) as client:
            path = f"/v1/quarantine/{receipt['event_id']}/release"
            answers.append(await client.post(path, json={"reason": "已核实"}))
    assert [answer.status_code for answer in answers] == [200, 409]
    assert answers[1].json()["code"] == "same_officer"


async def test_two_officers_release_a_death_and_one_alone_does_not(push, people, victim, heads, settle, quarantine):
    event = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="d"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    first, same = await settle(receipt["event_id"], "release", "王科员", "王科员")
    assert (first.json()["state"], same.status_code, same.json()["code"]) == ("open", 409, "same_officer")
    (second,) = await settle(receipt["event_id"], "release", "李科员")
    assert second.json()["state"] == "released"
    head = (await heads())[person_of(victim)]
    dead = death_of(facts_known_at(head.statements))
    assert isinstance(dead, Deceased)
    assert [f.value.evidence for f in counting(head, "death")] == ["register_cancelled"]  # the suspicion has ended
    assert await quarantine() == []


async def test_a_discarded_death_ends_the_suspicion(push, people, victim, heads, settle):
    event = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="d"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    (alive,) = await push(people.event("alive", victim, {"method": "visit"}, id="a", valid_from="2026-11-05"))
    (wrong,) = await settle(receipt["event_id"], "discard", refuted_by=receipt["event_id"])
    assert wrong.status_code == 422
    (right,) = await settle(receipt["event_id"], "discard", refuted_by=alive["event_id"])
    assert right.json()["state"] == "discarded"
    assert death_of(facts_known_at((await heads())[person_of(victim)].statements)) is None


async def test_after_two_refuted_deaths_a_source_raises_no_suspicion_of_this_person(
    push, people, victim, heads, settle
):
    for n in range(3):
        event = sent_by(people.event("death", victim, {"evidence": "cremation"}, id=f"d{n}"), OTHER_PROVINCE, "funeral")
        (receipt,) = await push(event, expect="quarantined")
        suspected = death_of(facts_known_at((await heads())[person_of(victim)].statements)) is not None
        assert suspected is (n < 2)
        await settle(receipt["event_id"], "discard", "王科员", "李科员")


async def test_a_death_that_is_discarded_with_its_correction_is_refuted_once(push, people, victim, heads, settle):
    def stated(id_: str, **options: Any) -> Any:
        event = people.event("death", victim, {"evidence": "cremation"}, id=id_, **options)
        return sent_by(event, OTHER_PROVINCE, "funeral")

    (first,) = await push(stated("d0"), expect="quarantined")
    corrected = stated("c0", action="corrected", previous="d0", time="2026-11-20T11:30:00+08:00")
    (correction,) = await push(corrected, expect="quarantined")
    await settle(first["event_id"], "discard", "王科员", "李科员")
    await settle(correction["event_id"], "discard")
    await push(stated("d1"), expect="quarantined")
    assert isinstance(death_of(facts_known_at((await heads())[person_of(victim)].statements)), Suspected)


async def test_a_waiting_death_is_evidence_once_sources_that_belong_confirm_the_death(
    push, people, victim, heads, quarantine
):
    cremated = sent_by(people.event("death", victim, {"evidence": "cremation"}, id="c", valid_from="2026-11-03"),
                       OTHER_PROVINCE, "funeral")  # fmt: skip
    await push(cremated, expect="quarantined")
    await push(people.event("death", victim, {"evidence": "register_cancelled"}, id="own"), expect="accepted")
    head = (await heads())[person_of(victim)]
    assert sorted(f.value.evidence for f in counting(head, "death")) == ["cremation", "register_cancelled"]
    assert await quarantine() == []


async def test_a_source_may_withdraw_a_waiting_event(push, people, victim, heads, quarantine, database):
    death = sent_by(people.event("death", victim, {"evidence": "cremation"}, id="d"), OTHER_PROVINCE, "funeral")
    await push(death, expect="quarantined")
    await push(people.annulled(death, office="funeral") | {"source": death["source"]}, expect="accepted")
    assert death_of(facts_known_at((await heads())[person_of(victim)].statements)) is None
    assert await quarantine() == []
    assert await database.pool.fetchval("SELECT count(*) FROM received WHERE status = 'parked'") == 2
    assert await database.pool.fetchval("SELECT sum(waiting) FROM persons") == 0


async def test_a_release_applies_the_correction_of_a_waiting_event(push, people, victim, heads, settle):
    wrong = sent_by(people.event("low_income", victim, {"category": "dibao"}, id="w"), OTHER_PROVINCE)
    (receipt,) = await push(wrong, expect="quarantined")
    right = sent_by(people.event("low_income", victim, {"category": "tekun"}, id="r", action="corrected", previous="w",
                                 time="2026-11-20T10:30:00+08:00"), OTHER_PROVINCE)  # fmt: skip
    (follower,) = await push(right, expect="quarantined")
    assert follower["problems"][0]["code"] == "predecessor_waits"
    await settle(receipt["event_id"])
    (income,) = counting((await heads())[person_of(victim)], "low_income")
    assert income.value.category == "tekun"


async def test_a_release_may_grant_standing_for_a_time(push, people, victim, heads, settle, quarantine):
    far = lambda n: sent_by(people.event("merit", victim, {"merit": "veteran"}, id=f"m{n}"), OTHER_PROVINCE)  # noqa: E731
    (receipt,) = await push(far(1), expect="quarantined")
    await settle(receipt["event_id"], grant_days=30)
    await push(far(2), expect="accepted")
    clock.set_now(clock.now() + timedelta(days=31))
    await push(far(3), expect="quarantined")
    assert len(await quarantine()) == 1


async def test_two_officers_decide_the_same_grant(push, people, victim, settle, quarantine):
    event = sent_by(people.event("bank_account", victim, WAITING["bank_account"], id="b"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    await settle(receipt["event_id"], "release", "王科员")
    (second,) = await settle(receipt["event_id"], "release", "李科员", grant_days=30)
    assert second.json()["state"] == "open"
    (row,) = await quarantine()
    assert (row["first_by"], row["first_outcome"], row["first_grant_days"]) == ("李科员", "release", 30)
    (third,) = await settle(receipt["event_id"], "release", "王科员", grant_days=30)
    assert third.json()["state"] == "released"


async def test_a_changed_account_is_reported(push, people, victim, driver, heads):
    first = people.event("bank_account", victim, people.further["bank_account"], id="1", valid_from="2026-01-01")
    await push(first, expect="accepted")
    same = people.event("bank_account", victim, people.further["bank_account"], id="2", valid_from="2026-02-01")
    await push(same, expect="accepted")
    assert await driver.emitted(AccountChanged) == []
    other = people.event("bank_account", victim, WAITING["bank_account"] | {"holder_name": "李四光"}, id="3")
    (receipt,) = await push(other, expect="accepted")
    (changed,) = await driver.emitted(AccountChanged)
    assert (changed.event_id, changed.person_id, changed.holder) == (receipt["event_id"], person_of(victim), "other")
    known = {s.value.account for s in (await heads())[person_of(victim)].statements if isinstance(s.value, BankAccount)}
    assert len(known) == 2
    assert not any("6217" in account for account in known)


async def test_a_claimed_place_that_is_vouched_later_closes_its_case(push, people, victim, driver, heads):
    moved = sent_by(people.residence(victim, "110105", id="r", valid_from="2026-11-03"), OTHER_PROVINCE)
    await push(moved, expect="accepted")
    ended = people.residence(victim, id="gone", action="ended", previous=f"psb-residence-{victim[-6:]}",
                             valid_from=None, valid_to="2026-11-01", time="2026-11-21T09:30:00+08:00")  # fmt: skip
    ended["data"]["value"] = None
    await push(ended, expect="accepted")
    assert [e.outcome for e in await driver.emitted(PlaceSettled)] == ["vouched"]
    assert [f.standing for f in counting((await heads())[person_of(victim)], "residence")] == ["full", "full"]
