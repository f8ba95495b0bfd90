"""Entitlements and explanations of a person, and the callers who may see them."""

from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from shell import clock
from shell.testing import Driver


async def get(client: Any, path: str, headers: dict[str, str], **params: Any) -> Any:
    return await client.get(path, headers=headers, params=params)


@pytest.fixture
async def known(driver: Driver, elder: Any) -> Any:
    """A person of Qilin district, 86 years old, with low income since June."""
    person = elder()
    person.say("low_income", date(2026, 6, 1), category="dibao")
    await driver.deliver(person.facts())
    return person


async def test_a_day_shows_the_items_in_force_with_their_clauses(client: Any, known: Any, bearer: Any) -> None:
    answer = await get(client, f"/v1/persons/{known.person_id}/entitlements", bearer(), on="2026-11-22")
    assert answer.status_code == 200
    body = answer.json()
    assert (body["person_id"], body["version"], body["on"]) == (known.person_id, 1, "2026-11-22")
    assert body["inputs"]["facts"] == 1
    assert len(body["inputs"]["policy"]) == 16
    allowance = next(e for e in body["entitlements"] if e["item"] == "longevity_allowance")
    assert allowance["from"] == "2023-01-01"
    assert allowance["to"] == "2030-03-05"
    assert allowance["amount_fen_per_month"] == 5000
    assert allowance["state"] == "granted"
    assert allowance["facts"] == [known.born]
    assert allowance["policy"] == {
        "version": "530302/longevity_allowance@2023-01-01",
        "title": "测试清单",
        "issuer": "测试",
        "date": "2023-01-01",
        "locator": "第1项",
        "status": "documented",
    }


async def test_the_default_day_is_today_and_all_shows_the_whole_timeline(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/entitlements"
    today = (await get(client, path, bearer())).json()
    assert today["on"] == "2026-11-20"
    whole = (await get(client, path, bearer(), all="true")).json()
    assert len([e for e in today["entitlements"] if e["item"] == "longevity_allowance"]) == 1
    assert len([e for e in whole["entitlements"] if e["item"] == "longevity_allowance"]) == 2


async def test_months_that_no_area_pays_after_a_move_are_shown(
    client: Any, driver: Driver, known: Any, bearer: Any
) -> None:
    path = f"/v1/persons/{known.person_id}/entitlements"
    assert (await get(client, path, bearer())).json()["gaps"] == []
    known.registered(date(1940, 3, 5), "140702", date(2026, 9, 10))  # where no list names the allowance
    await driver.deliver(known.facts())
    (gap,) = (await get(client, path, bearer())).json()["gaps"]
    assert (gap["item"], gap["old"], gap["new"], gap["why"]) == ("longevity_allowance", "530302", None, "refused")
    assert (gap["moved_on"], gap["first_month"], gap["until_month"]) == ("2026-09-10", "2026-10", None)
    assert (gap["left"], gap["moved_to"], gap["old_policy"]["locator"] != "") == ("530302", "140702", True)
    assert gap["new_policy"] is None
    assert gap["text"].startswith("2026-09-10由麒麟区迁到榆次区：高龄津贴2026-10起无人发放，不符合迁入地的条件")


async def test_an_earlier_instant_shows_the_decision_known_then(
    client: Any, driver: Driver, known: Any, bearer: Any
) -> None:
    before = known.statements[-1].recorded_at
    known.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(known.facts())
    path = f"/v1/persons/{known.person_id}/entitlements"

    def items(answer: Any) -> set[str]:
        return {e["item"] for e in answer.json()["entitlements"]}

    now = await get(client, path, bearer(), on="2026-11-10")
    then = await get(client, path, bearer(), on="2026-11-10", known_at=before.isoformat())
    assert "visiting_care" in items(now)
    assert items(then) == items(now) - {"visiting_care"}
    assert (then.json()["version"], now.json()["version"]) == (1, 2)


async def test_before_the_first_facts_there_are_no_entitlements(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/entitlements"
    body = (await get(client, path, bearer(), known_at="2026-01-01T00:00:00Z")).json()
    assert (body["version"], body["entitlements"]) == (0, [])


async def test_a_future_instant_shows_the_newest_inputs(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/entitlements"
    body = (await get(client, path, bearer(), known_at="2099-01-01T00:00:00Z")).json()
    assert body["known_at"].startswith(known.statements[-1].recorded_at.isoformat()[:19])
    assert body["version"] == 1


async def test_an_instant_without_zone_is_rejected(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/entitlements"
    assert (await get(client, path, bearer(), known_at="2026-01-01T00:00:00")).status_code == 422


@pytest.mark.parametrize("what", ["entitlements", "explanations"])
@pytest.mark.parametrize(
    ("role", "division", "status"),
    [
        ("officer", "530302", 200),
        ("officer", "530302001", 200),
        ("officer", "530303", 403),
        ("officer", "140700", 403),
        ("auditor", "000000", 200),
        ("auditor", "140700", 403),
        ("auditor", None, 403),
        ("approver", None, 403),
        ("officer", None, 403),
        ("assessor", "530300", 200),
        ("assessor", None, 403),
        ("provider", "530302", 403),
        ("source", None, 403),
    ],
)
async def test_only_the_own_area_is_seen(
    client: Any, known: Any, bearer: Any, what: str, role: str, division: str | None, status: int
) -> None:
    path = f"/v1/persons/{known.person_id}/{what}"
    assert (await get(client, path, bearer(role, division), item="dibao")).status_code == status


async def test_the_officer_of_the_hukou_sees_a_person_who_lives_elsewhere(
    client: Any, driver: Driver, elder: Any, bearer: Any
) -> None:
    person = elder(hukou="530302", lives="110105001")
    await driver.deliver(person.facts())
    path = f"/v1/persons/{person.person_id}/entitlements"
    assert (await get(client, path, bearer("officer", "530302"))).status_code == 200
    assert (await get(client, path, bearer("officer", "110000"))).status_code == 200
    assert (await get(client, path, bearer("officer", "140700"))).status_code == 403


async def test_a_resident_sees_no_other_person(
    client: Any, driver: Driver, elder: Any, known: Any, bearer: Any
) -> None:
    other = elder()
    await driver.deliver(other.facts())
    mine = bearer("resident", None, subject=known.person_id)
    assert (await get(client, f"/v1/persons/{known.person_id}/entitlements", mine)).status_code == 200
    assert (await get(client, f"/v1/persons/{other.person_id}/entitlements", mine)).status_code == 403
    assert (await get(client, f"/v1/persons/{uuid4()}/entitlements", mine)).status_code == 403


async def test_an_unknown_person_is_not_found_and_an_invalid_id_is_malformed(
    client: Any, bearer: Any, known: Any
) -> None:
    assert (await get(client, f"/v1/persons/{uuid4()}/entitlements", bearer())).status_code == 404
    assert (await get(client, "/v1/persons/none/entitlements", bearer())).status_code == 422
    assert (await client.get(f"/v1/persons/{known.person_id}/entitlements")).status_code == 401
    nonsense = await get(client, f"/v1/persons/{known.person_id}/explanations", bearer(), item="x; DROP")
    assert nonsense.status_code == 422


async def test_a_yes_is_explained_with_its_conditions_and_statements(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/explanations"
    body = (await get(client, path, bearer(), item="longevity_allowance")).json()
    assert (body["outcome"], body["on"]) == ("granted", "2026-11-20")
    age = next(c for c in body["conditions"] if c["code"] == "age_years_min")
    assert (age["holds"], age["value"]) == (True, "86周岁") or age["value"].startswith("86")
    assert age["facts"] == [{"event_id": known.born, "kind": "registration"}]
    assert body["policy"]["locator"] == "第1项"


async def test_a_no_and_a_not_yet_are_explained_too(client: Any, known: Any, bearer: Any) -> None:
    path = f"/v1/persons/{known.person_id}/explanations"
    refused = (await get(client, path, bearer(), item="visiting_care")).json()
    unknown = (await get(client, path, bearer(), item="nursing_subsidy")).json()
    earlier = (await get(client, path, bearer(), item="nursing_subsidy", on="2026-05-31")).json()
    assert [x["outcome"] for x in (refused, unknown, earlier)] == ["refused", "unknown", "refused"]
    assert any(c["holds"] is False for c in refused["conditions"])
    assert all(x["sentence"] for x in (refused, unknown, earlier))
    assert refused["remedies"][0]["text"].startswith("若")
    assert {c["kind"] for remedy in unknown["remedies"] for c in remedy["circumstances"]} >= {"ability_result"}


async def test_an_explanation_agrees_with_the_decision_of_its_instant(
    client: Any, driver: Driver, known: Any, bearer: Any
) -> None:
    before = known.statements[-1].recorded_at
    known.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(known.facts())
    path = f"/v1/persons/{known.person_id}/explanations"
    now = (await get(client, path, bearer(), item="visiting_care")).json()
    then = (await get(client, path, bearer(), item="visiting_care", known_at=before.isoformat())).json()
    assert (now["outcome"], then["outcome"]) == ("granted", "refused")


async def test_a_choice_is_stored_once_and_decided(client: Any, driver: Driver, known: Any, bearer: Any) -> None:
    path, mine = f"/v1/persons/{known.person_id}/choices", bearer("resident", None, subject=known.person_id)
    body = {"item": "longevity_allowance"}
    first = await client.post(path, headers={**mine, "Idempotency-Key": "k1"}, json=body)
    clock.advance(timedelta(minutes=5))
    again = await client.post(path, headers={**mine, "Idempotency-Key": "k1"}, json=body)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["chosen_on"] == "2026-11-20"
    read = await get(client, f"/v1/persons/{known.person_id}/entitlements", mine)
    assert read.json()["inputs"]["choices"] == 1


async def test_a_choice_of_an_unavailable_item_or_for_another_person_is_rejected(
    client: Any, known: Any, bearer: Any
) -> None:
    path = f"/v1/persons/{known.person_id}/choices"
    mine = bearer("resident", None, subject=known.person_id)
    cannot = await client.post(path, headers=mine, json={"item": "visiting_care"})
    assert (cannot.status_code, cannot.json()["code"]) == (409, "not_on_the_list")
    other = bearer("resident", None, subject=str(uuid4()))
    assert (await client.post(path, headers=other, json={"item": "longevity_allowance"})).status_code == 403
    outside = bearer("officer", "140700")
    assert (await client.post(path, headers=outside, json={"item": "longevity_allowance"})).status_code == 403
