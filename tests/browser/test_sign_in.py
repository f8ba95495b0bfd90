"""An officer signs in and out at an OpenID provider in a real Chromium; and the pages that describe the services."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import yaml
from playwright.async_api import Browser, Page, expect
from shouwang.openid_provider import Account, OpenIdProvider, running
from shouwang.runtime.machine import Runtime

WAIT_MS = 30_000
expect.set_options(timeout=WAIT_MS)
OFFICER, SIGN_IN = "王主任", "统一身份认证登录"


async def picture(page: Page, name: str) -> None:
    """Save a screenshot for a person, if the environment names a folder."""
    if folder := os.environ.get("SHOUWANG_PICTURES"):
        await page.screenshot(path=Path(folder) / f"{name}.png")


@pytest.fixture(scope="module")
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider("console", "a secret", "shouwang")
    made.accounts = {
        "u-1": Account(OFFICER, {"role": "officer", "division": "530300"}),
        "u-2": Account("服务机构", {"role": "provider", "provider": "52530302MJ00000017"}),
    }
    with running(made):
        yield made


@pytest.fixture(scope="module")
def console(runtime: Runtime, provider: OpenIdProvider, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a console, with a supervision, where people sign in at the provider only. It renews tokens every
    few seconds."""
    folder = tmp_path_factory.mktemp("issuer")
    entry = {
        "url": provider.url,
        "kind": "people",
        "audience": "shouwang",
        "algorithms": ["ES256"],
        "jwks": f"{provider.url}/keys",
        "roles": ["officer", "approver", "auditor"],
        "claims": {"role": "role", "division": "division"},
    }
    (folder / "issuers.yaml").write_text(yaml.safe_dump({"issuers": [entry]}))
    (folder / "secret").write_text("a secret")
    provider.console = runtime.service_url("console", 1)
    env = {
        "SHOUWANG_ISSUERS": str(folder / "issuers.yaml"),
        "SHOUWANG_TIME_TRAVEL": "0",
        "SHOUWANG_CONSOLE_URL": provider.console,
        "SHOUWANG_CONSOLE_CLIENT_ID": "console",
        "SHOUWANG_CONSOLE_CLIENT_SECRET_FILE": str(folder / "secret"),
        "SHOUWANG_CONSOLE_TOKEN_SECONDS_MAX": "3",
        "SHOUWANG_URL_SUPERVISION": runtime.service_url("supervision", 1),
    }
    for name in ("supervision", "console"):
        runtime.start_service(name, 1, env)
    for name in ("supervision", "console"):
        runtime.wait_ready(name, 1)
    yield provider.console
    for name in ("supervision", "console"):
        runtime.stop(name, 1)


@pytest.fixture
async def desk(chromium: Browser, console: str, provider: OpenIdProvider) -> AsyncIterator[Page]:
    """A page that is not signed in. The test fails for a script error or a blocked resource."""
    context = await chromium.new_context(viewport={"width": 1280, "height": 800}, locale="zh-CN")
    opened = await context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    yield opened
    await context.close()
    assert not faults
    for session in list(provider.sessions.values()):
        provider.end(session)


async def sign_in(page: Page, console: str, account: str = OFFICER) -> None:
    await page.goto(f"{console}/")
    await page.get_by_role("link", name=SIGN_IN).click()
    await page.get_by_role("button", name=account).click()


async def test_an_officer_signs_in_at_the_issuer_and_out(desk: Page, console: str, provider: OpenIdProvider) -> None:
    await desk.goto(f"{console}/")
    await expect(desk.get_by_role("link", name=SIGN_IN)).to_be_visible()
    await expect(desk.get_by_label("访问令牌")).to_have_count(0)
    await picture(desk, "issuer-sign-in")
    await sign_in(desk, console)
    await expect(desk.locator("#link")).to_have_text("实时")
    await expect(desk.locator(".area")).to_contain_text("曲靖市")
    await desk.get_by_role("button", name="退出").click()
    await expect(desk.get_by_role("link", name=SIGN_IN)).to_be_visible()
    assert desk.url == f"{console}/login"
    assert provider.sessions == {}
    await desk.goto(f"{console}/")
    assert desk.url == f"{console}/login"


async def test_the_live_page_goes_on_while_the_console_renews_the_token(
    desk: Page, console: str, provider: OpenIdProvider
) -> None:
    await sign_in(desk, console)
    await expect(desk.locator("#link")).to_have_text("实时")
    first = len(provider.asked("token"))
    async with asyncio.timeout(WAIT_MS / 1000):
        while len(provider.asked("token")) < first + 3:
            await asyncio.sleep(0.1)
    await expect(desk.locator("#link")).to_have_text("实时")
    assert desk.url == f"{console}/"


@pytest.mark.parametrize("tell", [True, False], ids=["with a notice", "without a notice"])
async def test_a_session_that_ends_at_the_issuer_closes_the_page(
    desk: Page, console: str, provider: OpenIdProvider, tell: bool
) -> None:
    await sign_in(desk, console)
    await expect(desk.locator("#link")).to_have_text("实时")
    await asyncio.to_thread(provider.end_sessions, "u-1", tell=tell)
    await expect(desk).to_have_url(f"{console}/login")


async def test_an_account_that_may_not_use_the_console_is_told_so(desk: Page, console: str) -> None:
    await sign_in(desk, console, "服务机构")
    await expect(desk.get_by_role("alert")).to_have_text("账号没有本平台的角色，请联系管理员")
    await picture(desk, "issuer-refused")
    await desk.get_by_role("link", name=SIGN_IN).click()
    await desk.get_by_role("button", name=OFFICER).click()
    await expect(desk.locator("#link")).to_have_text("实时")


@pytest.mark.parametrize("service", ["console", "supervision"])
async def test_a_service_describes_its_routes_without_foreign_content(
    chromium: Browser, runtime: Runtime, service: str
) -> None:
    url, faults = runtime.service_url(service), list[str]()
    page = await (await chromium.new_context()).new_page()
    page.on("console", lambda m: faults.append(m.text) if "Content Security Policy" in m.text else None)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", lambda request: None if request.url.startswith((url, "data:")) else faults.append(request.url))
    await page.goto(f"{url}/docs")
    await page.get_by_text("/healthz").click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute").click()
    await expect(page.locator(".live-responses-table .response-col_status").last).to_contain_text("200")
    await picture(page, f"docs-{service}")
    await page.context.close()
    assert not faults
