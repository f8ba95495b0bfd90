"""Merits, benefits elsewhere, incidents, hospital stays, contacts, applications, accounts, ability results."""

from typing import get_args

import msgspec
import pytest
from common.events.facts import VALUE_OF_KIND, Kind
from common.events.kinds import KINDS, RULES
from common.events.pushed_values import VALUES, PopulationValue
from ingestion.domain.pushed import Pushed
from ingestion.reading.events import read_event
from rules.facts.timeline import facts_known_at

# These kinds have tests of their own; every other kind is tested here.
FIRST = {
    "registration",
    "residence",
    "death",
    "alive",
    "disability",
    "low_income",
    "household",
    "living_situation",
    "special_family",
    "identity_change",
}
FURTHER: tuple[Kind, ...] = tuple(kind for kind in KINDS if kind not in FIRST)


def test_every_kind_defines_its_pushed_form_its_fact_and_how_its_facts_combine(people):
    for by_kind in (RULES, VALUES, VALUE_OF_KIND):
        assert {*by_kind} ^ {*KINDS} == set()
        assert list(by_kind) == list(KINDS)
    assert {*get_args(PopulationValue)} ^ {*VALUES.values()} == set()
    assert {*people.further} ^ {*FURTHER} == {*people.further_rows} ^ {*FURTHER} == set()


# Every text in a fact that is not a code from a closed list, and the reason why it is no personal data.
TEXTS_OF_FACTS = {
    "registration.hukou_division": "code of an area",
    "residence.division": "code of an area",
    "low_income.household": "keyed hash",
    "household.household": "keyed hash",
    "ability_result.scale": "name of a scale",
    "ability_result.scale_version": "version of a scale",
    "ability_result.code": "grade of a scale",
    "application.item": "code of an item",
    "bank_account.account": "keyed hash",
    "identity_change.same_as": "surrogate id",
}


def test_no_fact_has_a_text_that_may_be_personal_data():
    texts = {
        f"{kind}.{field.name}"
        for kind, fact in VALUE_OF_KIND.items()
        for field in msgspec.structs.fields(fact)
        if field.type in (str, str | None)
    }
    assert texts ^ {*TEXTS_OF_FACTS} == set()


@pytest.mark.parametrize("kind", FURTHER)
async def test_every_action_takes_effect_on_every_further_kind(push, people, facts_of, kind):
    number, value = people.number(1), people.further[kind]

    async def push_one(id: str, action: str, **more: object) -> None:
        stated = value if action in ("created", "corrected") else None
        await push(people.event(kind, number, stated, id=id, action=action, **more), expect="accepted")

    async def periods() -> list[tuple[str, str | None]]:
        (facts,) = (await facts_of()).values()
        return [(str(f.valid_from), f.valid_to and str(f.valid_to)) for f in facts]

    one_day = RULES[kind].holds == "days"
    await push_one("1", "created", valid_from="2026-11-03")
    assert await periods() == [("2026-11-03", "2026-11-04" if one_day else None)]
    await push_one("2", "corrected", previous="1", valid_from="2026-11-05")
    assert await periods() == [("2026-11-05", "2026-11-06" if one_day else None)]
    if not one_day:
        await push_one("3", "ended", previous="1", valid_from=None, valid_to="2026-11-10", time="2026-11-21T00:00:00Z")
        assert await periods() == [("2026-11-05", "2026-11-10")]
    await push_one("4", "annulled", previous="2", valid_from=None, time="2026-11-22T00:00:00Z")
    assert await periods() == []


async def test_several_benefits_and_merits_hold_at_once_and_a_new_statement_replaces_only_its_own(
    push, people, facts_of
):
    number = people.number(1)

    def received(id: str, benefit: str, fen: int, since: str) -> object:
        value = {"benefit": benefit, "amount_fen_per_month": fen}
        return people.event("benefit_elsewhere", number, value, id=id, valid_from=since)

    await push(
        received("1", "work_injury_care", 100_000, "2026-01-01"),
        received("2", "retired_cadre_care", 200_000, "2026-02-01"),
        received("3", "work_injury_care", 110_000, "2026-03-01"),
        people.event("merit", number, {"merit": "veteran"}, id="4"),
        people.event("merit", number, {"merit": "special_contribution"}, id="5"),
        expect="accepted",
    )
    (facts,) = (await facts_of()).values()
    assert [(f.value.benefit, f.value.amount_fen_per_month, str(f.valid_to)) for f in facts[:3]] == [
        ("work_injury_care", 100_000, "2026-03-01"),
        ("retired_cadre_care", 200_000, "None"),
        ("work_injury_care", 110_000, "None"),
    ]
    assert sorted(f.value.merit for f in facts[3:]) == ["special_contribution", "veteran"]


async def test_stays_in_hospital_do_not_overlap_and_incidents_of_one_day_all_stay(push, people, facts_of):
    number = people.number(1)
    stay, fall = people.further["hospital_stay"], people.further["risk_incident"]
    await push(
        people.event("hospital_stay", number, stay, id="1", valid_from="2026-11-01", valid_to="2026-11-09"),
        people.event("hospital_stay", number, stay, id="2", valid_from="2026-11-05", valid_to="2026-11-12"),
        people.event("risk_incident", number, fall, id="3", valid_from="2026-11-04"),
        people.event("risk_incident", number, fall, id="4", valid_from="2026-11-04", office="health"),
        expect="accepted",
    )
    (facts,) = (await facts_of()).values()
    assert [(f.kind, str(f.valid_from), str(f.valid_to)) for f in facts] == [
        ("hospital_stay", "2026-11-01", "2026-11-05"),
        ("hospital_stay", "2026-11-05", "2026-11-12"),
        ("risk_incident", "2026-11-04", "2026-11-05"),
        ("risk_incident", "2026-11-04", "2026-11-05"),
    ]


async def test_no_personal_value_of_the_further_kinds_is_emitted_or_stored_in_plain_text(
    push, people, driver, database
):
    number = people.number(1)
    events = [people.event(k, number, v, id=k) for k, v in people.further.items()]
    events.insert(0, people.registration(number, id="registered"))
    await push(*events, expect="accepted")
    (person,) = await driver.emitted_messages()
    exposed = msgspec.json.encode(person.data).decode()
    for column in ("persons", "received", "vault"):
        exposed += str([[*row.values()] for row in await database.pool.fetch(f"SELECT * FROM {column}")])
    secrets = ("3123456", "1390000", "139 0000", "李四光", "女儿", "6217", "农商", "张三丰", "精神病", "0815", "进食")
    for secret in secrets:
        assert secret not in exposed
        assert secret.encode().hex() not in exposed
        assert str(secret.encode())[2:-1] not in exposed
    statements = {s.kind: s.value for s in person.data.statements}
    assert (statements["contact"].own_phone, statements["contact"].others) == (True, 1)
    assert statements["bank_account"].holder == "self"


@pytest.mark.parametrize("account_first", [True, False])
@pytest.mark.parametrize(
    ("name", "holder"), [("张三丰", "self"), ("张 三丰", "self"), ("李四光", "other"), (None, "not_said")]
)
async def test_the_holder_of_an_account_is_compared_with_the_registered_name(
    push, people, heads, name, holder, account_first
):
    """The name in the account's own event is ignored: its sender may have invented both."""
    events = [people.event("bank_account", people.number(1), people.further["bank_account"], id="1", name="张三丰")]
    if name is not None:
        registered = people.registration(people.number(1), id="2")
        registered["data"]["value"]["name"] = name
        events.insert(len(events) if account_first else 0, registered)
    for event in events:
        await push(event, expect="accepted")
    (head,) = (await heads()).values()
    assert [s.value.holder for s in head.statements if s.kind == "bank_account"] == [holder]


FAULTY = [
    ("merit", {"merit": "hero"}, "/data/value/merit", "not_in_list"),
    (
        "ability_result",
        {"scale": "重度失能", "scale_version": "1", "code": "3", "document_no": "1"},
        "/scale",
        "pattern",
    ),
    ("ability_result", {"scale": "ltc", "scale_version": "2021", "document_no": "1"}, "/data/value/code", "required"),
    (
        "ability_result",
        {"scale": "ltc", "scale_version": "2021", "code": "重度", "document_no": "1"},
        "/code",
        "pattern",
    ),
    ("benefit_elsewhere", {"benefit": "lottery"}, "/data/value/benefit", "not_in_list"),
    (
        "benefit_elsewhere",
        {"benefit": "work_injury_care", "amount_fen_per_month": -1},
        "/amount_fen_per_month",
        "range",
    ),
    ("risk_incident", {"incident": "跌倒"}, "/data/value/incident", "not_in_list"),
    ("hospital_stay", {}, "/data/value/institution", "required"),
    ("contact", {}, "/data/value", "contact_empty"),
    ("contact", {"phone": "call me"}, "/data/value/phone", "pattern"),
    ("contact", {"contacts": [{"name": "李四光", "relation": "女儿"}]}, "/data/value/contacts/0/phone", "required"),
    ("application", {"item": "gold", "wish": "apply", "channel": "visit"}, "/data/value/item", "item_unknown"),
    ("application", {"item": "999999.gold", "wish": "apply", "channel": "visit"}, "/data/value/item", "item_unknown"),
    (
        "application",
        {"item": "nursing_subsidy", "wish": "maybe", "channel": "visit"},
        "/data/value/wish",
        "not_in_list",
    ),
    ("bank_account", {"account_no": "62170O38", "bank": "b", "holder_name": "张三丰"}, "/account_no", "pattern"),
]


@pytest.mark.parametrize(("kind", "value", "pointer", "code"), FAULTY)
async def test_a_fault_of_a_further_kind_has_its_pointer_and_code(push, people, kind, value, pointer, code):
    right = people.event(kind, people.number(2), people.further[kind], id="right")
    wrong = people.event(kind, people.number(1), value, id="wrong")
    refused, accepted = await push(wrong, right)
    assert (refused["status"], accepted["status"]) == ("rejected", "accepted")
    (problem,) = refused["problems"]
    assert problem["pointer"].endswith(pointer)
    assert problem["code"] == code


@pytest.mark.parametrize("kind", ["application", "risk_incident"])
def test_a_kind_that_counts_from_a_day_needs_that_day(people, kind):
    event = people.event(kind, people.number(1), people.further[kind], id="1", valid_from=None)
    read = read_event(msgspec.json.encode(event), people.NOW)
    assert [(f.pointer, f.code) for f in read.faults] == [("/data/valid_from", "valid_from_required")]


def test_an_areas_own_item_can_be_applied_for(people):
    value = {"item": "110000.family_planning_subsidy", "wish": "apply", "channel": "online"}
    read = read_event(msgspec.json.encode(people.event("application", people.number(1), value, id="1")), people.NOW)
    assert isinstance(read, Pushed)


@pytest.mark.parametrize("kind", FURTHER)
async def test_a_plain_file_of_a_further_kind_needs_no_mapping(imports, people, facts_of, kind):
    office = people.offices[kind]
    job = await imports.run(people.further_rows[kind].format(people.number(1)), kind, office=office)
    assert (job["accepted"], job["rejected"]) == (1, 0), job
    ((fact,),) = (await facts_of()).values()
    assert (fact.kind, str(fact.valid_from)) == (kind, "2026-03-01")
    if kind == "contact":
        assert (fact.value.own_phone, fact.value.others) == (True, 2)


async def test_a_contact_without_a_name_is_rejected_with_its_column(imports, people):
    row = "身份证号,本人电话,紧急联系人电话\n{},0874-3123456,13900001234"
    job = await imports.run(row.format(people.number(1)), "contact", office="grid")
    assert job["rejected"] == 1
    assert "required" in await imports.rejects(job["import_id"]) or "必填" in await imports.rejects(job["import_id"])


async def test_phones_and_accounts_are_revealed_for_their_purpose_only(push, people, admin, vault_user, database):
    number = people.number(1)
    await push(
        people.residence(number),
        *(people.event(k, number, people.further[k], id=k) for k in ("contact", "bank_account", "hospital_stay")),
        expect="accepted",
    )
    found = await admin.post("/v1/persons/lookup", json={"id_number": number})
    ask = {"cause": "c-1", "person_ids": [found.json()["person_id"]]}
    task = ask | {"purpose": "task", "fields": ["phone", "contacts", "institution"]}
    (person,) = (await vault_user.post("/v1/vault/reveal", json=task)).json()["persons"]
    assert (person["phone"], person["institution"]) == ("0874-3123456", "合成市精神病医院")
    assert person["contacts"] == [{"name": "李四光", "relation": "女儿", "phone": "+86 139 0000 1234"}]
    assert (person["name"], person["address"], person["bank_account"]) == (None, None, None)
    bank = ask | {"purpose": "bank_file", "fields": ["bank_account"]}
    (person,) = (await vault_user.post("/v1/vault/reveal", json=bank)).json()["persons"]
    assert person["bank_account"]["account_no"] == "6217003860012345678"
    refused = await vault_user.post("/v1/vault/reveal", json=bank | {"purpose": "task"})
    assert (refused.status_code, refused.json()["problems"][0]["code"]) == (422, "not_for_this_purpose")
    assert await database.pool.fetchval("SELECT count(*) FROM audits WHERE action = 'reveal'") == 2


def test_a_statement_is_the_same_after_encoding_and_decoding(people):
    from ingestion.domain.person import statements_of
    from ingestion.domain.statements import statement_of

    for kind, value in people.further.items():
        pushed = read_event(msgspec.json.encode(people.event(kind, people.number(1), value, id="1")), people.NOW)
        assert isinstance(pushed, Pushed)
        statement = statement_of(pushed, pushed.event_id, people.NOW, {})
        assert statements_of(msgspec.json.encode(statement)) == (statement,)
        assert [f.kind for f in facts_known_at([statement])] == [kind]
