"""An officer sees the effect of a list before its publication and after it, in a real Chromium on a real gate."""

import asyncio
import copy
import os
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, expect
from shell import clock
from shell.access.auth import issue_token

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
MALONG, QUJING = "530304", "530300"
ALLOWANCE = "longevity_allowance"
SignIn = Callable[..., Awaitable[Page]]


class Gate:
    """Proposes, simulates and signs through the routes of identification."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client

    async def call(self, method: str, path: str, subject: str = "officer", **more: Any) -> Any:
        role: Any = "officer" if subject == "officer" else "approver"
        token = issue_token(role, subject=subject, division=QUJING)
        answer = await self._client.request(method, path, headers={"authorization": f"Bearer {token}"}, **more)
        answer.raise_for_status()
        return answer.json()

    async def decided(self, person: str) -> None:
        await self._until(f"/v1/persons/{person}/entitlements", lambda found: bool(found["entitlements"]))

    async def simulated(self, version: str) -> None:
        asked = await self.call("POST", "/v1/simulations", json={"version": version})
        await self._until(f"/v1/simulations/{asked['simulation_id']}", lambda found: found["state"] == "complete")

    async def _until(self, path: str, holds: Callable[[Any], bool]) -> None:
        deadline = monotonic() + WAIT_MS / 1000
        while monotonic() < deadline:
            try:
                if holds(await self.call("GET", path)):
                    return
            except httpx.HTTPStatusError as error:
                if error.response.status_code != httpx.codes.NOT_FOUND:
                    raise
            await asyncio.sleep(0.1)
        pytest.fail(f"{path} did not come")


@pytest.fixture
async def gate(identification: str) -> AsyncIterator[Gate]:
    async with httpx.AsyncClient(base_url=identification, timeout=30, trust_env=False) as client:
        yield Gate(client)


@pytest.fixture
def sign_in(page: Page, town: Any) -> SignIn:
    async def opened(division: str = QUJING, path: str = "/policies") -> Page:
        await page.goto(f"{town.url}/login")
        await page.get_by_label("访问令牌").fill(town.token(division=division))
        await page.get_by_role("button", name="进入").click()
        await page.goto(f"{town.url}{path}")
        return page

    return opened


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for a person, if the environment names a folder."""
    if folder := os.environ.get("SHOUWANG_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def dearer(gate: Gate, more_fen: int) -> str:
    """Propose a list of 马龙区 with a higher allowance, and return its version."""
    running = (await gate.call("GET", f"/v1/policies/{MALONG}"))["list"]
    for band in running["items"][ALLOWANCE]["versions"][-1]["amount"]["bands"]:
        band["amount_fen"] += more_fen
    return str((await gate.call("POST", "/v1/policies", json=running))["version"])


async def documented(gate: Gate) -> None:
    """马龙区 names the document of its pay rule and publishes it through the gate; from then on it pays."""
    running = (await gate.call("GET", f"/v1/policies/{MALONG}"))["list"]
    for one in running["items"][ALLOWANCE]["versions"]:
        one["pay"] |= {"status": "documented", "citation": one["citation"]}
    version = (await gate.call("POST", "/v1/policies", json=running))["version"]
    await gate.simulated(version)
    for what, subject in (("approve", "approver 1"), ("approve", "approver 2"), ("publish", "approver 2")):
        await gate.call("POST", f"/v1/policies/{version}/{what}", subject)


def step(page: Page, name: str) -> Any:
    return page.locator("#gate li").filter(has=page.locator("b", has_text=name))


async def test_an_officer_sees_unpaid_amounts_with_their_reason(sign_in: SignIn, gate: Gate) -> None:
    page = await sign_in(MALONG)
    rows = page.locator("#unpaid-table tbody tr")
    await expect(rows).to_have_count(1)
    for words in ("马龙区", "高龄津贴", "起停月份等发放规则为示例", "资金不发放"):
        await expect(rows).to_contain_text(words)
    await expect(page.locator("#unpaid")).to_contain_text("资格照常认定")
    await picture(page, "policies-unpaid")
    page = await sign_in(QUJING)
    await expect(rows).to_have_count(10)  # the counties that pay it by an example rule
    await page.locator(".versions a").filter(has_text="曲靖市").click()  # its file, which has no signature
    await expect(page.locator("#approvals")).to_contain_text("清单文件（contracts/policy）")
    await expect(page.locator("#inclusion")).to_contain_text("所写的偏离只是示例，没有人签批，不算数")
    await expect(page.locator("#policy-unpaid-table")).to_contain_text("经济困难失能老年人护理补贴")
    await picture(page, "policies-unsigned")


async def test_an_officer_follows_a_list_from_the_proposal_to_its_halt(sign_in: SignIn, town: Any, gate: Gate) -> None:
    await documented(gate)
    year = clock.today().year
    people = [await town.elder(date(year - age, 1, 5), MALONG) for age in (81, 82, 84, 91, 93)]
    for person in people:
        await gate.decided(person)
    version = await dearer(gate, 1000)

    page = await sign_in()
    await page.locator(".versions a").filter(has_text="拟议").first.click()
    await expect(page).to_have_url(re.compile(f"#{version}$"))
    await expect(page.locator("#changes")).to_contain_text("高龄津贴")
    await expect(page.locator("#inclusion")).to_contain_text("没有人按本清单所得少于上级清单")
    await expect(step(page, "模拟")).to_contain_text("没有模拟")
    await expect(page.locator("#blocked")).to_contain_text("还没有覆盖生效后第一年的模拟")

    await gate.simulated(version)
    await page.reload()
    await expect(page.locator("#progress-text")).to_have_text("模拟完成 100%")
    figures = page.locator("#figures .figure")
    await expect(figures.filter(has_text="只增")).to_contain_text("5")
    assert await page.locator("#months tbody tr").count() == 12
    month = page.locator("#months tbody tr").last
    await expect(month).to_contain_text("县级财政")
    await expect(month).to_contain_text("+50.00")  # five people, ten yuan each
    await expect(page.locator("#groups")).to_contain_text("80至89岁")
    await expect(page.locator("#items")).to_contain_text("高龄津贴")
    content = await page.content()
    assert not any(person in content for person in people)

    for subject in ("approver 1", "approver 2"):
        await gate.call("POST", f"/v1/policies/{version}/approve", subject)
    await page.reload()
    await expect(step(page, "签批")).to_contain_text("2 / 2")
    await expect(page.locator("#approvals tbody tr")).to_have_count(3)
    await picture(page, "policies")

    await gate.call("POST", f"/v1/policies/{version}/publish", "approver 2")
    await page.reload()
    await expect(page.locator("#redecision")).to_contain_text("重新认定已完成")  # the page updates itself
    await expect(page.locator("#policy-state")).to_have_text("已公布，生效中")

    await gate.call("POST", f"/v1/policies/{version}/halt", "approver 1", json={"reason": "标准有误"})
    await page.reload()
    await expect(step(page, "停用")).to_contain_text("人工停用")
    await expect(page.locator("#halt")).to_contain_text("标准有误。此前的清单已恢复生效")
    await picture(page, "policies-halted")


async def test_the_page_updates_itself_during_a_simulation(sign_in: SignIn, gate: Gate) -> None:
    version = await dearer(gate, 2000)
    await gate.call("POST", "/v1/simulations", json={"version": version})
    page = await sign_in(path=f"/policies#{version}")
    await expect(page.locator("#progress-text")).to_have_text("模拟完成 100%")
    await expect(page.locator("#tables")).to_be_visible()


async def test_a_list_with_lower_amounts_shows_the_people_who_lose(sign_in: SignIn, gate: Gate) -> None:
    running = (await gate.call("GET", f"/v1/policies/{MALONG}"))["list"]
    nation = (await gate.call("GET", "/v1/policies/000000"))["list"]
    less = copy.deepcopy(nation["items"]["visiting_care"])
    for one in less["versions"]:
        one["conditions"] = {"all_of": [one["conditions"], {"age_years_min": 99}]}
    running["items"]["visiting_care"] = less
    version = (await gate.call("POST", "/v1/policies", json=running))["version"]
    page = await sign_in(path=f"/policies#{version}")
    await expect(step(page, "不低于上级")).to_contain_text("有人所得更少")
    await expect(page.locator("#inclusion .right").first).to_contain_text("反例：")
    await expect(page.locator("#inclusion .right").first).to_contain_text("探访服务")
    await picture(page, "policies-narrower")


async def test_an_officer_of_another_area_does_not_see_the_list(sign_in: SignIn, gate: Gate) -> None:
    version = await dearer(gate, 3000)
    page = await sign_in("370200", f"/policies#{version}")
    await expect(page.locator("#none")).to_be_visible()
    await expect(page.locator("#choose")).to_have_text("这份清单不在您的辖区。")
    await expect(page.locator("#detail")).to_be_hidden()


async def test_the_page_of_lists_fits_a_phone(sign_in: SignIn, page: Page, gate: Gate) -> None:
    await page.set_viewport_size({"width": 390, "height": 844})
    version = await dearer(gate, 4000)
    await gate.simulated(version)
    await sign_in(path=f"/policies#{version}")
    await expect(page.locator("#tables")).to_be_visible()
    assert await page.evaluate("document.documentElement.scrollWidth") == 390
    await picture(page, "policies-phone")
