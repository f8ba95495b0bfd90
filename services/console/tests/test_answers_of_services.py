"""Answers of other services, called with the caller's own token."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

import httpx
import pytest
from common.errors import NotAllowed, NotFound
from console.main import app
from fastapi import Depends, FastAPI, Query
from shell.access.auth import Caller, require
from shell.http.answers import install_problems

peer = FastAPI()
install_problems(peer)
ID = "00000000-0000-4000-8000-000000000001"


@peer.get("/v1/trace/{event_id}")
async def trace(event_id: str, caller: Annotated[Caller, Depends(require("officer"))]) -> Any:
    if caller.division != "530302":
        raise NotAllowed("outside your area")
    return {"steps": [{"service": "dispatch", "what": "VisitPlanned", "at": "2026-11-20T04:00:00Z"}]}


@peer.get("/v1/alerts/open")
async def alerts() -> Any:
    return {"open": 3, "by_check": {"V01": 1, "visit_missed": 2}}


@peer.get("/v1/alerts")
async def cases(check: str, state: Annotated[list[str], Query()], limit: int) -> Any:
    assert (check, state, limit) == ("move_gap", ["raised", "explained"], 10)
    clause = {"title": "办法", "locator": "第三条"}
    gap = {"text": "无人发放", "old_clause": clause, "new_clause": None}
    return {"alerts": [{"alert_id": ID, "person_id": ID, "overdue": False, "gap": gap, "decision": "x"}]}


@peer.get("/v1/policies/{jurisdiction}")
async def running_list(jurisdiction: str) -> Any:
    if jurisdiction != "530302":
        raise NotFound("this area has no list of its own")
    return {"jurisdiction": jurisdiction, "list": {"items": {"530302.meal_aid": {"title": "助餐补贴"}}}}


@peer.get("/v1/persons/{person_id}/entitlements")
async def entitlements(person_id: str) -> Any:
    policy = {"title": "办法", "locator": "第三条", "status": "documented"}
    granted = {"item": "longevity_allowance", "state": "granted", "from": "2026-03-05", "amount_fen_per_month": 5000}
    granted["unpaid"] = "example_pay_rule"
    unset = {"item": "nursing_subsidy", "kind": "cash", "state": "granted", "from": "2026-03-05"}
    own = [{**unset, "item": f"{area}.meal_aid", "policy": None} for area in ("530302", "530303")]
    return {
        "on": "2026-11-20",
        "entitlements": [{**granted, "policy": policy}, {**unset, "policy": None}, *own],
        "gaps": [{"text": "无人发放"}],
    }


@pytest.fixture(autouse=True)
async def neighbours() -> AsyncIterator[None]:
    before = app.state.peers
    async with httpx.AsyncClient(transport=httpx.ASGITransport(peer)) as client:
        app.state.peers = client
        yield
    app.state.peers = before


async def test_answers_have_chinese_names(browser: Any) -> None:
    (step,) = (await browser("officer", division="530302").get(f"/api/trace/{ID}")).json()["steps"]
    assert (step["stage"], step["text"]) == ("dispatch", "安排探访")
    assert (await browser("officer", division="530302").get("/api/alerts/open")).json() == {
        "open": 3,
        "by_name": {"身故后服务": 1, "逾期未访": 2},
    }
    answer = (await browser("auditor").get(f"/api/persons/{ID}/entitlements")).json()
    assert answer["gaps"] == ["无人发放"]
    found, other = answer["entitlements"][:2]
    assert (found["name"], found["state_name"], found["locator"]) == ("高龄津贴", "享受中", "第三条")
    assert (found["unset"], other["unset"]) == (False, True)  # the list leaves the amount to the area
    assert (found["unpaid"], other["unpaid"]) == ("发放规则为示例，不发放", None)


async def test_an_own_item_of_an_area_has_the_title_of_its_list_in_force(browser: Any, reader: Any) -> None:
    answer = (await browser("auditor").get(f"/api/persons/{ID}/entitlements")).json()
    assert [e["name"] for e in answer["entitlements"][2:]] == ["助餐补贴", "530303.meal_aid"]


async def test_gaps_of_moves_come_with_the_clauses_of_both_areas(browser: Any) -> None:
    (gap,) = (await browser("officer", division="530302").get("/api/alerts/gaps")).json()["gaps"]
    clauses = {"old_clause": "办法 第三条", "new_clause": None}
    assert gap == {"alert_id": ID, "person_id": ID, "overdue": False, "text": "无人发放"} | clauses


async def test_the_console_refuses_a_call_that_the_other_service_refuses(browser: Any) -> None:
    assert (await browser("officer", division="140700").get(f"/api/trace/{ID}")).status_code == 403
    assert (await browser("auditor").get(f"/api/persons/{ID}/steps")).status_code == 404
    assert (await browser("auditor").get("/api/trace/not-an-id")).status_code == 422


async def test_a_service_that_is_away_gives_a_clear_error(
    browser: Any, closed_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOUWANG_URL_SUPERVISION", f"http://127.0.0.1:{closed_port}")
    async with httpx.AsyncClient(trust_env=False) as client:
        app.state.peers = client
        answer = await browser("auditor").get("/api/alerts/open")
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
