"""Sequences by which a source tries to reach a person to whom it does not belong, or to block others. All fail."""

import asyncio
import random
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from common.codes.id_number import make
from common.message import derived_id
from ingestion.reading.events import read_event
from ingestion.recording.batch import Request
from ingestion.recording.recorder import decide_again, record
from ingestion.recording.store.statements import load_persons
from rules.facts.death import Deceased, Suspected, death_of
from rules.facts.timeline import facts_known_at
from shell import clock
from shell.privacy import vault

HOME, OTHER_PROVINCE = "530302", "110000"
ACCOUNT = {"account_no": "6217003860019999999", "bank": "他省银行", "holder_name": "张三丰"}
THERE = "110105"
OFFICES = {"alive": "mca", "living_situation": "mca", "contact": "mca", "risk_incident": "mca"}


def sent_by(event: Any, area: str, office: str = "") -> Any:
    """The event as a source of another area sends it."""
    kind = event["type"].split(".")[-2]
    office = office or OFFICES.get(kind) or event["source"].rpartition(":")[2]
    return event | {"source": f"urn:cn:exchange:{area}:{office}"}


def person_of(number: str) -> str:
    return derived_id("person", vault().blind_index(number).hex())


def counting(head: Any, kind: str) -> list[Any]:
    return [f for f in facts_known_at(head.statements) if f.kind == kind]


def registered_at(event: Any, division: str) -> Any:
    event["data"]["value"]["hukou_division"] = division
    return event


def dead(head: Any) -> Any:
    return death_of(facts_known_at(head.statements))


def closed(people: Any, number: str, day: str, previous: str | None = None) -> Any:
    """The home source ends a residence."""
    event = people.residence(
        number,
        id=f"closed-{previous or number[-6:]}",
        action="ended",
        previous=previous or f"psb-residence-{number[-6:]}",
        valid_from=None,
        valid_to=day,
        time="2026-11-21T09:30:00+08:00",
    )
    event["data"]["value"] = None
    return event


async def confirm(officer: Any, place: str = "confirm") -> None:
    async with officer() as client:
        for case in (await client.get("/v1/places")).json()["places"]:
            answer = await client.post(f"/v1/places/{case['case_id']}/{place}", json={"reason": "已核实"})
            assert answer.status_code == 200, answer.text


# ── deaths ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_death_without_a_suspicion_raises_none_when_another_event_arrives(push, people, victim, heads, settle):
    for n in range(3):
        event = sent_by(people.event("death", victim, {"evidence": "cremation"}, id=f"d{n}"), OTHER_PROVINCE, "funeral")
        (receipt,) = await push(event, expect="quarantined")
        if n < 2:
            await settle(receipt["event_id"], "discard", "王科员", "李科员")
    assert dead((await heads())[person_of(victim)]) is None
    await push(people.event("low_income", victim, {"category": "dibao"}, id="own"), expect="accepted")
    assert dead((await heads())[person_of(victim)]) is None


async def test_a_withdrawn_death_that_is_stated_again_after_two_refuted_ones_raises_no_suspicion(
    push, people, victim, heads, settle
):
    first = sent_by(people.event("death", victim, {"evidence": "cremation"}, id="first"), OTHER_PROVINCE, "funeral")
    await push(first, expect="quarantined")
    await push(people.annulled(first, office="funeral", id="back") | {"source": first["source"]}, expect="accepted")
    for n in range(2):
        event = sent_by(people.event("death", victim, {"evidence": "cremation"}, id=f"d{n}"), OTHER_PROVINCE, "funeral")
        (receipt,) = await push(event, expect="quarantined")
        await settle(receipt["event_id"], "discard", "王科员", "李科员")
    again = sent_by(
        people.event("death", victim, {"evidence": "cremation"}, id="again", action="corrected", previous="first",
                     time="2026-11-20T11:30:00+08:00"), OTHER_PROVINCE, "funeral")  # fmt: skip
    await push(again, expect="quarantined")
    assert dead((await heads())[person_of(victim)]) is None


async def test_a_discarded_death_that_once_counted_never_counts_again(
    push, people, heads, settle, officer, quarantine, counties
):
    number = people.number(7)
    death = sent_by(people.event("death", number, {"evidence": "register_cancelled"}, id="d"), OTHER_PROVINCE)
    (receipt,) = await push(death, expect="accepted")  # no place is known
    await push(people.registration(number), people.residence(number), expect="accepted")
    assert isinstance(dead((await heads())[person_of(number)]), Suspected)
    await settle(receipt["event_id"], "discard", "王科员", "李科员")
    assert dead((await heads())[person_of(number)]) is None
    await push(sent_by(people.residence(number, THERE, id="r"), OTHER_PROVINCE), expect="accepted")
    await confirm(officer)
    assert dead((await heads())[person_of(number)]) is None


async def test_a_death_that_a_grant_has_admitted_stays_when_the_grant_has_run_out(
    push, people, victim, heads, settle, quarantine
):
    first = sent_by(people.event("death", victim, {"evidence": "reported"}, id="1"), OTHER_PROVINCE)
    (receipt,) = await push(first, expect="quarantined")
    await settle(receipt["event_id"], "release", "王科员", "李科员", grant_days=5)
    second = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="2"), OTHER_PROVINCE)
    await push(second, expect="accepted")
    clock.set_now(clock.now() + timedelta(days=9))
    await push(sent_by(people.event("merit", victim, {"merit": "veteran"}, id="m"), OTHER_PROVINCE))  # a full judgement
    assert isinstance(dead((await heads())[person_of(victim)]), Deceased)
    assert [row["kind"] for row in await quarantine()] == ["merit"]


async def test_a_sign_of_life_before_the_death_refutes_nothing(push, people, victim, settle):
    (alive,) = await push(people.event("alive", victim, {"method": "visit"}, id="a", valid_from="2026-10-31"))
    event = sent_by(people.event("death", victim, {"evidence": "register_cancelled"}, id="d"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    (wrong,) = await settle(receipt["event_id"], "discard", refuted_by=alive["event_id"])
    assert (wrong.status_code, wrong.json()["problems"][0]["code"]) == (422, "no_sign_of_life")


async def test_two_officers_decide_about_the_same_content(push, people, victim, heads, settle):
    event = sent_by(people.event("bank_account", victim, ACCOUNT, id="b"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    (first,) = await settle(receipt["event_id"], "release", "王科员")
    assert first.json()["state"] == "open"
    other = ACCOUNT | {"account_no": "6217003860018888888"}
    await push(sent_by(people.event("bank_account", victim, other, id="c", action="corrected", previous="b",
                                    time="2026-11-20T10:30:00+08:00"), OTHER_PROVINCE))  # fmt: skip
    second, third = await settle(receipt["event_id"], "release", "李科员", "王科员")
    assert (second.json()["state"], third.json()["state"]) == ("open", "released")
    assert len(counting((await heads())[person_of(victim)], "bank_account")) == 1


async def test_two_officers_decide_about_the_same_content_of_a_person_with_two_numbers(
    push, people, victim, heads, settle
):
    number = people.number(3)
    await push(people.renumbered(victim, number), expect="accepted")
    event = sent_by(people.event("bank_account", victim, ACCOUNT, id="b"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    await settle(receipt["event_id"], "release", "王科员")
    other = ACCOUNT | {"account_no": "6217003860018888888"}
    await push(sent_by(people.event("bank_account", number, other, id="c", action="corrected", previous="b",
                                    time="2026-11-20T10:30:00+08:00"), OTHER_PROVINCE))  # fmt: skip
    second, third = await settle(receipt["event_id"], "release", "李科员", "王科员")
    assert (second.json()["state"], third.json()["state"]) == ("open", "released")


async def test_a_first_decision_lapses_when_another_county_becomes_the_owner(push, people, victim, settle, officer):
    event = sent_by(people.event("bank_account", victim, ACCOUNT, id="b"), OTHER_PROVINCE)
    (receipt,) = await push(event, expect="quarantined")
    (first,) = await settle(receipt["event_id"], "release", "王科员")
    assert first.json()["state"] == "open"
    await push(registered_at(people.registration(victim, id="moved", valid_from="2026-11-10"), "530303"))
    states = []
    for name in ("李科员", "赵科员"):
        async with officer(name, "530303") as client:
            answer = await client.post(f"/v1/quarantine/{receipt['event_id']}/release", json={"reason": "已核实"})
            states.append(answer.json().get("state"))
    assert states == ["open", "released"]


async def test_a_withdrawn_event_is_stated_again_while_its_withdrawal_is_recorded(
    push, people, victim, database, quarantine
):
    def read(event: Any) -> Any:
        return read_event(msgspec.json.encode(event), clock.now())

    first = sent_by(people.event("merit", victim, {"merit": "veteran"}, id="first"), OTHER_PROVINCE)
    back = people.annulled(first, office="va", id="back") | {"source": first["source"]}
    again = sent_by(
        people.event("merit", victim, {"merit": "veteran"}, id="again", action="corrected", previous="first",
                     time="2026-11-20T11:30:00+08:00"), OTHER_PROVINCE)  # fmt: skip
    async with database.transaction() as tx:
        await record(tx, [read(first), read(back)], clock.now())
        stated = asyncio.create_task(push(again, expect="quarantined"))
        async with asyncio.timeout(20):
            while not await database.pool.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            ):
                await asyncio.sleep(0.01)
    await stated
    assert {row["reason"] for row in await quarantine()} == {"source_not_of_person", "predecessor_waits"}


# ── places ──────────────────────────────────────────────────────────────────────────────────────────────────


async def test_a_released_place_that_is_corrected_to_another_one_is_not_vouched(
    push, people, victim, heads, settle, quarantine
):
    within = sent_by(people.residence(victim, f"{HOME}003", id="r"), OTHER_PROVINCE)
    (receipt,) = await push(within, expect="quarantined")
    await settle(receipt["event_id"])
    moved = sent_by(people.residence(victim, THERE, id="r2", action="corrected", previous="r",
                                     time="2026-11-20T10:30:00+08:00"), OTHER_PROVINCE)  # fmt: skip
    await push(moved)
    await push(sent_by(people.event("low_income", victim, {"category": "dibao"}, id="l"), OTHER_PROVINCE),
               expect="quarantined")  # fmt: skip
    assert "full" not in [f.standing for f in counting((await heads())[person_of(victim)], "residence")
                          if f.value.division == THERE]  # fmt: skip


async def test_a_claimed_hukou_changes_neither_age_nor_sex(push, people, victim, heads):
    claimed = registered_at(sent_by(people.registration(victim, id="n"), OTHER_PROVINCE), THERE)
    claimed["data"]["value"] |= {"birth_date": "1990-01-01", "sex": "2"}
    await push(claimed, expect="accepted")
    found = counting((await heads())[person_of(victim)], "registration")
    assert [f.standing for f in found] == ["full", "claimed"]
    assert {(f.value.birth_date, f.value.sex) for f in found} == {(date(1940, 2, 29), "1")}


async def test_a_waiting_hukou_does_not_become_the_first_one_by_a_correction(push, people, heads, counties):
    number = people.number(8)
    far = registered_at(sent_by(people.registration(number, id="far"), OTHER_PROVINCE), "140702")
    await push(far, expect="quarantined")
    await push(people.registration(number), people.residence(number), expect="accepted")
    near = registered_at(
        sent_by(people.registration(number, id="near", action="corrected", previous="far",
                                    time="2026-11-20T10:30:00+08:00"), OTHER_PROVINCE), THERE)  # fmt: skip
    await push(near)
    await push(sent_by(people.event("low_income", number, {"category": "dibao"}, id="l"), OTHER_PROVINCE),
               expect="quarantined")  # fmt: skip
    await push(people.event("low_income", number, {"category": "dibao"}, id="own"), expect="accepted")
    standings = {
        f.value.hukou_division: f.standing for f in counting((await heads())[person_of(number)], "registration")
    }
    assert standings.get(THERE) != "full"


async def test_a_move_within_the_county_lets_no_other_province_belong(push, people, victim, heads):
    await push(
        closed(people, victim, "2026-11-01"),
        people.residence(victim, f"{HOME}002", id="next", valid_from="2026-11-01"),
        expect="accepted",
    )
    for n, day in enumerate(("2026-11-03", "2026-10-20", "2026-11-01")):
        claimed = sent_by(people.residence(victim, THERE, id=f"r{n}", valid_from=day), OTHER_PROVINCE)
        (receipt,) = await push(claimed, expect="accepted")
        assert [p["code"] for p in receipt["problems"]] == ["place_claimed"]
    account = sent_by(people.event("bank_account", victim, ACCOUNT, id="b"), OTHER_PROVINCE)
    await push(account, expect="quarantined")


async def test_a_village_of_an_abolished_county_lets_its_source_belong(push, people, heads, counties):
    number = people.number(9)
    await push(people.residence(number, "110110001", valid_from="1980-01-01"), expect="accepted")
    await push(people.event("low_income", number, {"category": "dibao"}, id="own"), expect="accepted")
    await push(sent_by(people.event("low_income", number, {"category": "tekun"}, id="l"), OTHER_PROVINCE),
               expect="quarantined")  # fmt: skip


async def test_the_name_of_a_registration_that_no_longer_counts_leaves_the_vault(push, people, database, counties):
    number = make("810000", date(1940, 2, 29), 1)  # of a residence permit: it has no hukou
    foreign = sent_by(
        people.registration(number, id="n", name="李四光", time="2026-11-21T09:30:00+08:00"), OTHER_PROVINCE
    )
    await push(foreign, expect="accepted")
    await push(people.residence(number), expect="accepted")
    query = "SELECT sealed FROM vault WHERE person_id = $1 AND field = 'name'"
    assert await database.pool.fetchval(query, person_of(number)) is None
    await push(people.registration(number), expect="accepted")
    sealed = await database.pool.fetchval(query, person_of(number))
    assert vault().open(sealed, f"{person_of(number)}/name".encode()) == "张三丰".encode()


# ── identities ──────────────────────────────────────────────────────────────────────────────────────────────


async def own_of(push: Any, people: Any) -> str:
    """A person of the other province."""
    number = make(THERE, date(1941, 3, 1), 7)
    await push(registered_at(sent_by(people.registration(number, id="own"), OTHER_PROVINCE), THERE), expect="accepted")
    return number


@pytest.mark.parametrize("direction", ["victim is theirs", "theirs is victim", "theirs renumbered"])
async def test_an_identity_change_before_the_first_place_does_not_vouch_for_itself(
    push, people, heads, quarantine, counties, direction
):
    theirs, number = await own_of(push, people), people.number(10)
    change = {
        "victim is theirs": people.same(number, theirs),
        "theirs is victim": people.same(theirs, number),
        "theirs renumbered": people.renumbered(theirs, number),
    }[direction]
    await push(sent_by(change, OTHER_PROVINCE), expect="accepted")  # no place of this person is known
    await push(people.registration(number), people.residence(number), expect="accepted")
    account = sent_by(people.event("bank_account", number, ACCOUNT, id="b"), OTHER_PROVINCE)
    await push(account, expect="quarantined")
    found = await heads()
    assert all(not found[person_of(n)].aliases and not found[person_of(n)].merged_into for n in (number, theirs))


async def test_the_first_hukou_under_a_new_number_does_not_open_the_old_one(push, people, victim, heads, quarantine):
    new = people.number(11)
    await push(people.renumbered(victim, new), expect="accepted")
    await push(registered_at(sent_by(people.registration(new, id="n"), OTHER_PROVINCE), THERE))
    account = sent_by(people.event("bank_account", victim, ACCOUNT, id="b"), OTHER_PROVINCE)
    await push(account, expect="quarantined")
    waiting = {(row["kind"], row["owner"]) for row in await quarantine("000000")}
    assert waiting == {("identity_change", "530000"), ("bank_account", HOME)}  # never an area of the source


async def test_a_long_line_of_waiting_identity_changes_blocks_no_event(push, people, counties):
    numbers = [people.number(20 + n) for n in range(9)]
    for number in numbers:
        await push(people.registration(number), expect="accepted")
    for older, newer in pairwise(numbers):
        await push(sent_by(people.renumbered(older, newer), OTHER_PROVINCE), expect="quarantined")
    for number in numbers:
        income = people.event("low_income", number, {"category": "dibao"}, id=f"l{number[-4:]}")
        await push(income, expect="accepted")


async def test_a_discarded_doubt_about_an_identity_blocks_no_event_of_another_number(
    push, people, victim, settle, counties
):
    new, third = people.number(12), people.number(13)
    await push(people.renumbered(victim, new), people.registration(third), expect="accepted")
    (receipt,) = await push(sent_by(people.renumbered(victim, third), OTHER_PROVINCE), expect="quarantined")
    for answer in await settle(receipt["event_id"], "discard"):
        assert answer.status_code == 200, answer.text
    moved = people.residence(new, f"{HOME}002", id="r2", action="corrected", previous=f"psb-residence-{victim[-6:]}",
                             time="2026-11-20T10:30:00+08:00", valid_from="2026-01-01")  # fmt: skip
    await push(moved, expect="accepted")


# ── the fast decision and the full one ─────────────────────────────────────────────────────────────────────


def any_event(people: Any, chance: random.Random, number: str, n: int, earlier: list[Any]) -> Any:
    """An event of any of these sources; sometimes it follows an earlier one."""
    area = chance.choice(["530300", HOME, "530303", OTHER_PROVINCE])
    kind = chance.choice(["registration", "residence", "residence", "low_income", "death", "hospital_stay"])
    options: dict[str, Any] = {"id": f"{number[-5:]}-{n}", "time": f"2026-11-20T{10 + n % 10}:30:00+08:00"}
    options["valid_from"] = chance.choice(["2026-01-01", "2026-10-20", "2026-11-01"])
    if earlier and chance.random() < 0.35:
        before = chance.choice(earlier)
        kind, area = before["type"].split(".")[-2], before["source"].split(":")[3]
        options |= {"previous": before["id"], "action": chance.choice(["corrected", "annulled", "ended"])}
        if options["action"] == "ended":
            options |= {"valid_from": None, "valid_to": chance.choice(["2026-10-25", "2026-11-05"])}
    division = chance.choice([f"{HOME}001", f"{HOME}002", "530303001", THERE])
    if kind == "registration":
        event = registered_at(people.registration(number, **options), division[:6])
    elif kind == "residence":
        event = people.residence(number, division, **options)
    else:
        values = {"low_income": {"category": "dibao"}, "death": {"evidence": "cremation"}}
        event = people.event(kind, number, values.get(kind, {"institution": "甲"}), **options)
    return sent_by(event, area)


@pytest.mark.parametrize("seed", range(30))
async def test_judging_everything_again_changes_nothing(push, people, counties, database, seed):
    """The fast decision accepts only events that the full one accepts, and stores the same values."""
    chance, number, earlier = random.Random(seed), people.number(40 + seed), list[Any]()

    async def known() -> tuple[Any, ...]:
        person = (await load_persons(database.pool, [person_of(number)]))[person_of(number)]
        standing, waiting = person.memory.standing, "SELECT event_id FROM quarantine WHERE state = 'open' ORDER BY 1"
        rows = [row[0] for row in await database.pool.fetch(waiting)]
        return person.statements, standing.strong, standing.weak, standing.seed, standing.home, rows

    for n in range(9):
        event = any_event(people, chance, number, n, earlier)
        (receipt,) = await push(event)
        assert receipt["status"] in ("accepted", "quarantined"), receipt
        earlier.append(event)
        before = await known()
        async with database.transaction() as tx:
            await decide_again(tx, Request(person_ids=(person_of(number),)), clock.now())
        assert await known() == before, [e["id"] for e in earlier]
