"""Two approvers sign a list before it is published; the touched people are decided again."""

import copy
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from shell import clock
from shell.testing import Driver

QILIN, MALONG = "530302", "530303"


async def propose(client: Any, bearer: Any, body: Any, division: str = "530300") -> Any:
    return await client.post("/v1/policies", headers=bearer("officer", division, subject="proposer"), json=body)


async def act(client: Any, bearer: Any, version: str, what: str, who: str, division: str = "530300") -> Any:
    return await client.post(f"/v1/policies/{version}/{what}", headers=bearer("approver", division, subject=who))


async def test_two_different_approvers_are_needed(client: Any, bearer: Any, raised: Any, simulated: Any) -> None:
    proposed = await propose(client, bearer, raised)
    assert (proposed.status_code, proposed.json()["state"]) == (201, "proposed")
    version = proposed.json()["version"]
    early = await act(client, bearer, version, "publish", "first")
    assert (early.status_code, early.json()["code"]) == (409, "not_approved")
    await simulated(version)
    assert (await act(client, bearer, version, "approve", "first")).json()["state"] == "proposed"
    assert (await act(client, bearer, version, "approve", "first")).json()["state"] == "proposed"
    assert (await act(client, bearer, version, "publish", "first")).status_code == 409
    assert (await act(client, bearer, version, "approve", "second")).json()["state"] == "approved"
    done = await act(client, bearer, version, "publish", "first")
    assert (done.json()["state"], done.json()["running"]) == ("published", True)
    assert (await act(client, bearer, version, "publish", "first")).status_code == 409


async def test_the_proposer_cannot_sign(client: Any, bearer: Any, raised: Any) -> None:
    version = (await propose(client, bearer, raised)).json()["version"]
    own = await act(client, bearer, version, "approve", "proposer")
    assert (own.status_code, own.json()["code"]) == (403, "own_proposal")


async def test_a_proposer_with_a_second_account_cannot_sign_and_two_accounts_are_one_signature(
    client: Any, bearer: Any, raised: Any, simulated: Any
) -> None:
    async def sign(account: str, user: str) -> Any:
        headers = bearer("approver", subject=account, user=user)
        return await client.post(f"/v1/policies/{version}/approve", headers=headers)

    version = (await propose(client, bearer, raised)).json()["version"]
    await simulated(version)
    own = await sign("other-account", "proposer")
    assert (own.status_code, own.json()["code"]) == (403, "own_proposal")
    assert [(await sign(account, "li")).json()["state"] for account in ("li-1", "li-2")] == ["proposed", "proposed"]
    assert (await sign("wang-1", "wang")).json()["state"] == "approved"


async def test_a_list_of_another_area_can_be_neither_proposed_nor_signed(client: Any, bearer: Any, raised: Any) -> None:
    assert (await propose(client, bearer, raised, MALONG)).status_code == 403
    version = (await propose(client, bearer, raised)).json()["version"]
    for what in ("approve", "publish"):
        assert (await act(client, bearer, version, what, "first", MALONG)).status_code == 403
    officer = await client.post(f"/v1/policies/{version}/approve", headers=bearer("officer"))
    assert officer.status_code == 403
    assert (await act(client, bearer, "0" * 32, "approve", "first")).status_code == 404


async def test_the_same_list_proposed_twice_is_one_proposal(client: Any, bearer: Any, raised: Any) -> None:
    first, second = await propose(client, bearer, raised), await propose(client, bearer, copy.deepcopy(raised))
    assert first.json() == second.json()
    page = (await client.get("/v1/policies", headers=bearer(), params={"state": "proposed"})).json()
    assert [p["version"] for p in page["policies"]] == [first.json()["version"]]


async def test_a_list_in_force_cannot_be_proposed(client: Any, bearer: Any) -> None:
    body = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()["list"]
    again = await propose(client, bearer, body)
    assert (again.status_code, again.json()["code"]) == (409, "already_running")


async def test_a_replaced_list_can_be_published_again(
    publish: Any, redecide: Any, client: Any, bearer: Any, raised: Any
) -> None:
    old = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()
    await publish(raised)
    await redecide()
    assert await publish(old["list"]) == old["version"]
    now = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()
    assert (now["version"], now["approved_by"]) == (old["version"], ["first", "second"])


@pytest.mark.parametrize(
    ("spoil", "pointer"),
    [
        (lambda b: b["items"]["longevity_allowance"].update(kind="gift"), "/items/longevity_allowance/kind"),
        (lambda b: b.update(more=1), ""),
        (lambda b: b.update(jurisdiction="999999", items={}), "/jurisdiction"),
        (
            lambda b: b["items"]["longevity_allowance"]["versions"][0].pop("citation"),
            "/items/longevity_allowance/versions/0",
        ),
    ],
)
async def test_a_faulty_list_is_rejected_with_the_place_of_the_fault(
    client: Any, bearer: Any, raised: Any, spoil: Any, pointer: str
) -> None:
    spoil(raised)
    answer = await propose(client, bearer, raised)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == pointer


@pytest.mark.parametrize("depth", [300, 900, 20_000])
async def test_a_list_with_too_many_levels_is_rejected(client: Any, bearer: Any, raised: Any, depth: int) -> None:
    version = raised["items"]["longevity_allowance"]["versions"][0]
    version["conditions"] = "DEEP"
    deep = '{"all_of":[' * depth + '{"age_years_min":80}' + "]}" * depth
    content = msgspec.json.encode(raised).decode().replace('"DEEP"', deep)
    answer = await client.post(
        "/v1/policies",
        headers={**bearer("officer", "530300"), "content-type": "application/json"},
        content=content,
    )
    assert 400 <= answer.status_code < 500


async def test_a_list_is_read_for_a_day(client: Any, bearer: Any) -> None:
    headers = bearer("resident", None)
    now = await client.get(f"/v1/policies/{QILIN}", headers=headers, params={"on": "2026-11-20"})
    before = await client.get(f"/v1/policies/{QILIN}", headers=headers, params={"on": "2022-12-31"})
    assert list(now.json()["list"]["items"]) == ["longevity_allowance"]
    assert before.json()["list"]["items"] == {}
    assert (await client.get("/v1/policies/140700", headers=headers)).status_code == 404


async def test_the_versions_are_paged(client: Any, bearer: Any) -> None:
    first = (await client.get("/v1/policies", headers=bearer(), params={"limit": 2})).json()
    rest = (await client.get("/v1/policies", headers=bearer(), params={"after": first["next"]})).json()
    assert [len(first["policies"]), len(rest["policies"]), rest["next"]] == [2, 1, None]
    assert all(p["running"] for p in first["policies"] + rest["policies"])


async def test_an_earlier_decision_is_shown_by_the_list_of_its_time(
    publish: Any, redecide: Any, client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    before = "2026-11-20T04:00:00Z"  # the clock starts at noon in Shanghai
    clock.advance(timedelta(hours=1))
    await publish(raised)
    await redecide()
    path = f"/v1/persons/{person.person_id}/entitlements"

    async def amount(**params: str) -> int:
        body = (await client.get(path, headers=bearer(), params={"on": "2026-11-20", **params})).json()
        (found,) = [e["amount_fen_per_month"] for e in body["entitlements"] if e["item"] == "longevity_allowance"]
        return int(found)

    assert await amount() == 8000
    assert await amount(known_at=before) == 5000


async def test_one_key_proposes_one_list(client: Any, bearer: Any, raised: Any) -> None:
    headers = bearer("officer", "530300", subject="proposer") | {"Idempotency-Key": "proposal-1"}
    made = [await client.post("/v1/policies", headers=headers, json=raised) for _ in range(2)]
    assert [answer.status_code for answer in made] == [201, 201]
    assert made[0].json()["version"] == made[1].json()["version"]
    changed = raised | {"items": {}}
    other = await client.post("/v1/policies", headers=headers, json=changed)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
