"""The page of lists: sums and Chinese names for the caller's own area, without any single person."""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from console.domain.policy_pages import by_level, total
from console.main import app
from fastapi import FastAPI
from shell.http.answers import install_problems

VERSION, OTHER = "a" * 32, "b" * 32
ID = "00000000-0000-4000-8000-000000000001"
PERSON = "00000000-0000-4000-8000-0000000000ff"
peer = FastAPI()
install_problems(peer)


def version_of(version: str = VERSION, area: str = "530302", **more: Any) -> dict[str, Any]:
    plain = {
        "version": version,
        "jurisdiction": area,
        "state": "proposed",
        "proposed_by": "officer 7",
        "proposed_at": "2026-11-20T04:00:00Z",
        "approvals": [{"by": "approver 1", "at": "2026-11-20T05:00:00Z", "simulation_id": "old"}],
        "published_at": None,
        "running": False,
        "halt": None,
    }
    return plain | more


def unpaid(reason: str, **more: str) -> dict[str, Any]:
    plain = {"item": "longevity_allowance", "title": "高龄津贴", "valid_from": "2023-01-01", "valid_to": None}
    return plain | {"reason": reason, "text": "标准为示例，资金不发放"} | more


@peer.get("/v1/unpaid-items")
async def unpaid_items(division: str) -> Any:
    return {"unpaid": [unpaid("example_pay_rule", jurisdiction=division)], "more": False}


@peer.get("/v1/policies")
async def policies(state: str, after: str | None = None) -> Any:
    pages = {
        ("proposed", None): ([version_of()], OTHER),
        ("proposed", OTHER): ([version_of(OTHER, "140702", proposed_at="2026-11-21T04:00:00Z")], None),
        ("published", None): ([version_of("c" * 32, state="published", approvals=[])], None),
    }
    found, following = pages.get((state, after), ([], None))
    return {"policies": found, "next": following}


@peer.get("/v1/policies/{version}/review")
async def review(version: str) -> Any:
    narrower = {
        "item": "visiting_care",
        "parent": "530300",
        "from": "2027-01-01",
        "to": None,
        "person": {"text": "80岁，独居", "on": "2027-01-01", "known": {}},
        "parent_gives": "每7天一次",
        "child_gives": "无",
        "sentence": "所得更少",
        "deviation": {"clause": "某办法", "signer": "示例：某局"} if version == OTHER else None,
    }
    inclusion = {"included": False, "above": ["530300"], "narrower": [narrower], "deviating": [], "undecided": []}
    return {
        "policy": version_of() if version == VERSION else version_of(OTHER, "530303", proposed_by="contracts/policy"),
        "approvals_needed": 2,
        "changes": [],
        "faults": [],
        "inclusion": inclusion,
        "sound": ["new"],
        "unpaid": [unpaid("example_amount")],
        "blocked": "simulation_stale",
    }


@peer.get("/v1/simulations")
async def simulations(version: str) -> Any:
    return {"simulations": [{"simulation_id": ID, "replayed": False}]}


def line(month: str, item: str, before: int | None, after: int | None, state: str = "due") -> dict[str, Any]:
    names = {"month": month, "name": "麒麟区", "fund_name": "县级财政", "title": item, "state": state}
    return names | {"fen_before": before, "fen_after": after}


@peer.get("/v1/simulations/{simulation_id}")
async def simulation(simulation_id: str) -> Any:
    counts = dict.fromkeys(("people", "changed", "winners", "losers", "mixed", "asked", "fen_before", "fen_after"), 3)
    groups = [
        {"division": division, "age_band": band, **counts}
        for division, band in (("000000", None), ("", None), ("530302", None), ("530302", "80-89"))
    ]
    money = [line("2026-12", "a", 1, 2), line("2026-12", "b", 10, 20, "held"), line("2026-12", "c", 100, 200, "barred")]
    result = {
        "suppressed": False,
        "summary": ["涉及3人"],
        "groups": groups,
        "items": [],
        "money": [*money, line("2027-01", "a", None, 5)],
        "earlier": [],
        "examples": {"winner": [PERSON]},
    }
    plain = dict.fromkeys(("fault", "requested_at", "completed_at"))
    numbers = {"months": 12, "people": 6, "chunks": 1, "chunks_done": 1}
    names = {"simulation_id": ID, "jurisdiction": "530302", "state": "complete", "first_month": "2026-12"}
    return names | numbers | plain | {"result": result}


@pytest.fixture(autouse=True)
async def identification() -> AsyncIterator[None]:
    before = app.state.peers
    async with httpx.AsyncClient(transport=httpx.ASGITransport(peer)) as client:
        app.state.peers = client
        yield
    app.state.peers = before


async def test_lists_of_the_own_area_are_listed_newest_first_without_seeds(
    browser: Any,
) -> None:
    async def versions(**scope: Any) -> list[str]:
        found = (await browser("officer", **scope).get("/api/policies")).json()["policies"]
        return [one["version"] for one in found]

    assert await versions(division="000000") == [OTHER, VERSION]
    assert await versions(division="530300") == [VERSION]
    assert await versions(division="110000") == []


async def test_a_list_and_its_simulation_are_for_the_own_area_only(browser: Any) -> None:
    for path in (f"/api/policies/{VERSION}", f"/api/simulations/{ID}"):
        assert (await browser("officer", division="530302").get(path)).status_code == 200
        assert (await browser("officer", division="530303").get(path)).status_code == 403
        assert (await browser().get(path)).status_code == 401


async def test_a_caller_without_a_token_is_sent_to_sign_in(browser: Any) -> None:
    answer = await browser().get("/policies")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    page = await browser("officer", division="530302").get("/policies")
    assert (page.status_code, "麒麟区" in page.text) == (200, True)
    assert "script-src 'self'" in page.headers["content-security-policy"]


async def test_a_signature_upon_figures_that_no_longer_hold_does_not_count(browser: Any) -> None:
    found = (await browser("officer", division="530302").get(f"/api/policies/{VERSION}")).json()
    assert [a["counts"] for a in found["approvals"]] == [False]
    assert found["simulation_id"] == "new"
    assert found["blocked"].startswith("模拟之后生效的清单有变")
    (one,) = found["inclusion"]["narrower"]
    assert (one["name"], one["parent_name"], one["person"]) == ("探访服务", "曲靖市", "80岁，独居")


async def test_unpaid_items_are_shown_with_the_reason(browser: Any) -> None:
    line = {"title": "高龄津贴", "from": "2023-01-01", "to": None, "text": "标准为示例，资金不发放"}
    desk = browser("officer", division="530302")
    in_force = (await desk.get("/api/unpaid-items")).json()
    assert in_force == {"unpaid": [{"area_name": "麒麟区", **line}], "more": False}
    proposed = (await desk.get(f"/api/policies/{VERSION}")).json()
    assert proposed["unpaid"] == [{"area_name": "麒麟区", **line}]
    everywhere = (await browser("auditor").get("/api/unpaid-items")).json()
    assert everywhere["unpaid"][0]["area_name"] == "全国"


async def test_a_proposal_by_a_changed_file_and_an_unsigned_deviation_are_shown_in_chinese(browser: Any) -> None:
    found = (await browser("officer", division="530303").get(f"/api/policies/{OTHER}")).json()
    assert found["proposed_by"] == "清单文件（contracts/policy）"
    (one,) = found["inclusion"]["narrower"]
    assert one["deviation"] == "所写的偏离只是示例，没有人签批，不算数：某办法（示例：某局）"


async def test_money_is_summed_by_month_and_level_and_no_person_is_named(browser: Any) -> None:
    answer = await browser("officer", division="530302").get(f"/api/simulations/{ID}")
    assert PERSON not in answer.text
    result = answer.json()["result"]
    assert result["total"]["people"] == 6  # those of no known place are not of the nation's sum
    assert [(g["division"], g["age_band"]) for g in result["groups"]] == [
        ("", None),
        ("530302", None),
        ("530302", "80-89"),
    ]
    assert [(m["month"], m["fen_before"], m["fen_after"]) for m in result["months"]] == [
        ("2026-12", 11, 22),
        ("2027-01", None, 5),
    ]
    assert [(one["name"], one["fund_name"], one["fen_after"]) for one in result["levels"]] == [
        ("麒麟区", "县级财政", 27)
    ]
    assert result["barred_fen"] == 200


def test_a_sum_with_a_suppressed_part_is_suppressed() -> None:
    assert (total([1, None, 2]), total([])) == (None, 0)
    assert by_level([line("2026-12", "a", 1, 2, "barred")], ("month",)) == []
