"""Lists become law by four eyes, and everybody they touch is decided again."""

import copy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from common import clock
from common.events import EntitlementsDecided, PolicyVersionPublished
from common.testing import Driver
from identification import verify
from identification.redecide_people import redecide_people
from identification.seed_lists import seed

QILIN, MALONG = "530302", "530303"


@pytest.fixture
async def raised(client: Any, bearer: Any) -> dict[str, Any]:
    """The list of Qilin with 80 yuan instead of 50."""
    body = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()["list"]
    body["items"]["longevity_allowance"]["versions"][0]["amount"]["bands"][0]["amount_fen"] = 8000
    return body


async def propose(client: Any, bearer: Any, body: Any, division: str = "530300") -> Any:
    return await client.post("/v1/policies", headers=bearer("officer", division, subject="proposer"), json=body)


async def act(client: Any, bearer: Any, version: str, what: str, who: str, division: str = "530300") -> Any:
    return await client.post(f"/v1/policies/{version}/{what}", headers=bearer("approver", division, subject=who))


async def published(client: Any, bearer: Any, body: Any) -> str:
    version: str = (await propose(client, bearer, body)).json()["version"]
    await act(client, bearer, version, "approve", "first")
    await act(client, bearer, version, "approve", "second")
    assert (await act(client, bearer, version, "publish", "second")).status_code == 200
    return version


async def redecide(driver: Driver, **limits: int) -> int:
    steps = 0
    while await redecide_people(driver.database, **limits):
        steps += 1
    return steps


async def test_the_files_seed_the_lists_once(driver: Driver) -> None:
    count = "SELECT count(*) FROM publications"
    before = await driver.database.pool.fetchval(count)
    await seed(driver.database, Path(__file__).parent / "policy")
    assert await driver.database.pool.fetchval(count) == before == 3
    assert await driver.emitted() == []


async def test_the_lists_of_the_repository_can_be_seeded(driver: Driver) -> None:
    await seed(driver.database)
    events = await driver.emitted(PolicyVersionPublished)
    assert {QILIN, "000000"} <= {e.jurisdiction for e in events}


async def test_two_different_approvers_are_needed(client: Any, bearer: Any, raised: Any) -> None:
    proposed = await propose(client, bearer, raised)
    assert (proposed.status_code, proposed.json()["state"]) == (201, "proposed")
    version = proposed.json()["version"]
    early = await act(client, bearer, version, "publish", "first")
    assert (early.status_code, early.json()["code"]) == (409, "not_approved")
    assert (await act(client, bearer, version, "approve", "first")).json()["state"] == "proposed"
    assert (await act(client, bearer, version, "approve", "first")).json()["state"] == "proposed"
    assert (await act(client, bearer, version, "publish", "first")).status_code == 409
    assert (await act(client, bearer, version, "approve", "second")).json()["state"] == "approved"
    done = await act(client, bearer, version, "publish", "first")
    assert (done.json()["state"], done.json()["running"]) == ("published", True)
    assert (await act(client, bearer, version, "publish", "first")).status_code == 409


async def test_whoever_proposed_cannot_sign(client: Any, bearer: Any, raised: Any) -> None:
    version = (await propose(client, bearer, raised)).json()["version"]
    own = await act(client, bearer, version, "approve", "proposer")
    assert (own.status_code, own.json()["code"]) == (403, "own_proposal")


async def test_nobody_acts_on_the_list_of_another_area(client: Any, bearer: Any, raised: Any) -> None:
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


async def test_what_is_in_force_cannot_be_proposed(client: Any, bearer: Any) -> None:
    body = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()["list"]
    again = await propose(client, bearer, body)
    assert (again.status_code, again.json()["code"]) == (409, "already_running")


async def test_a_list_that_was_replaced_can_come_back(client: Any, bearer: Any, raised: Any, driver: Driver) -> None:
    old = (await client.get(f"/v1/policies/{QILIN}", headers=bearer())).json()
    await published(client, bearer, raised)
    assert await published(client, bearer, old["list"]) == old["version"]
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
async def test_a_faulty_list_is_refused_with_the_place_of_the_fault(
    client: Any, bearer: Any, raised: Any, spoil: Any, pointer: str
) -> None:
    spoil(raised)
    answer = await propose(client, bearer, raised)
    assert answer.status_code == 422
    assert answer.json()["problems"][0]["pointer"] == pointer


@pytest.mark.parametrize("depth", [300, 900, 20_000])
async def test_a_list_nested_beyond_reason_is_refused(client: Any, bearer: Any, raised: Any, depth: int) -> None:
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


async def test_publishing_decides_again_whom_the_list_touches_and_nobody_else(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any, of_item: Any
) -> None:
    here, there, moved = elder(), elder(hukou=MALONG, lives="530303001"), elder(hukou=MALONG, lives="530303001")
    moved.statements.clear()  # lived in Qilin once
    moved.registered(date(1940, 3, 5), QILIN)
    moved.registered(date(1940, 3, 5), MALONG, date(2025, 1, 1))
    await driver.deliver(*(p.facts() for p in (here, there, moved)))
    await redecide(driver)
    await driver.clear_outbox()
    await published(client, bearer, raised)
    (news,) = await driver.emitted_messages()
    assert isinstance(news.data, PolicyVersionPublished)
    assert await verify.check(driver.database) != []  # not yet
    await redecide(driver)
    events = {e.person_id: e for e in await driver.emitted(EntitlementsDecided)}
    assert set(events) == {here.person_id, moved.person_id}
    assert events[here.person_id].version == 2
    assert of_item(events[here.person_id], "longevity_allowance")[0].amount_fen_per_month == 8000
    spans = [(e.amount_fen_per_month, e.to) for e in of_item(events[moved.person_id], "longevity_allowance")]
    assert spans[0] == (8000, date(2025, 1, 1))
    correlations = {m.correlation_id for m in await driver.emitted_messages()}
    assert correlations == {news.id}
    assert await verify.check(driver.database) == []
    row = await driver.database.pool.fetchrow("SELECT people, people_changed FROM publications ORDER BY seq DESC")
    assert tuple(row) == (2, 2)


async def test_deciding_again_goes_on_where_it_stopped(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(7)))
    await redecide(driver)
    await driver.clear_outbox()
    await published(client, bearer, raised)
    assert await redecide(driver, people_max=2, looked_at_max=3) > 3
    assert len(await driver.emitted(EntitlementsDecided)) == 7
    await driver.clear_outbox()
    assert await redecide(driver) == 0
    assert await driver.emitted() == []


async def test_somebody_decided_live_meanwhile_is_not_told_twice(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    await published(client, bearer, raised)
    person.say("living_situation", date(2026, 11, 1), tags=("alone",))
    await driver.deliver(person.facts())
    await driver.clear_outbox()
    await redecide(driver)
    assert await driver.emitted() == []
    assert await verify.check(driver.database) == []


async def test_live_news_go_ahead_of_deciding_again(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await driver.deliver(*(elder().facts() for _ in range(6)))
    await redecide(driver)
    await published(client, bearer, raised)
    monkeypatch.setattr("identification.redecide_people.BUSY_ROWS", 3)
    monkeypatch.setattr("identification.redecide_people.PEOPLE_MAX_WHEN_BUSY", 2)
    assert await redecide_people(driver.database) == 0  # it pauses now …
    done = await driver.database.pool.fetchval("SELECT people FROM publications ORDER BY seq DESC LIMIT 1")
    assert done == 2  # … but has come forward


async def test_a_list_is_read_as_of_a_day(client: Any, bearer: Any) -> None:
    headers = bearer("resident", None)
    now = await client.get(f"/v1/policies/{QILIN}", headers=headers, params={"on": "2026-11-20"})
    before = await client.get(f"/v1/policies/{QILIN}", headers=headers, params={"on": "2022-12-31"})
    assert list(now.json()["list"]["items"]) == ["longevity_allowance"]
    assert before.json()["list"]["items"] == {}
    assert (await client.get("/v1/policies/140700", headers=headers)).status_code == 404


async def test_the_list_of_policies_comes_in_pages(client: Any, bearer: Any) -> None:
    first = (await client.get("/v1/policies", headers=bearer(), params={"limit": 2})).json()
    rest = (await client.get("/v1/policies", headers=bearer(), params={"after": first["next"]})).json()
    assert [len(first["policies"]), len(rest["policies"]), rest["next"]] == [2, 1, None]
    assert all(p["running"] for p in first["policies"] + rest["policies"])


async def test_an_old_decision_is_read_with_the_list_of_its_time(
    client: Any, bearer: Any, driver: Driver, elder: Any, raised: Any
) -> None:
    person = elder()
    await driver.deliver(person.facts())
    before = "2026-11-20T04:00:00Z"  # the clock starts at noon in Shanghai
    clock.advance(timedelta(hours=1))
    await published(client, bearer, raised)
    await redecide(driver)
    path = f"/v1/persons/{person.person_id}/entitlements"

    async def amount(**params: str) -> int:
        body = (await client.get(path, headers=bearer(), params={"on": "2026-11-20", **params})).json()
        (found,) = [e["amount_fen_per_month"] for e in body["entitlements"] if e["item"] == "longevity_allowance"]
        return int(found)

    assert await amount() == 8000
    assert await amount(known_at=before) == 5000
