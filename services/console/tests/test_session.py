"""Signing in with a local token, the session, and the pages without one."""

import asyncio
import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import httpx
import pytest
from console.main import app
from fastapi.routing import APIRoute, iter_route_contexts
from shell import clock
from shell.access.auth import issue_token
from shouwang.console_session import form_in, sign_in


async def test_a_caller_without_a_token_is_sent_to_the_sign_in_page(browser: Any) -> None:
    answer = await browser().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "访问令牌" in (await browser().get("/login")).text


ORIGIN = {"origin": "http://console"}


async def test_a_token_opens_the_page_by_a_sealed_cookie_that_scripts_cannot_use(browser: Any) -> None:
    client, token = browser(), issue_token("officer", division="530300")
    answer = await sign_in(client, token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    for cookie in answer.headers.get_list("set-cookie"):
        assert "HttpOnly; SameSite=Lax" in cookie
        assert token not in cookie
    page = await client.get("/")
    assert page.status_code == 200
    assert "曲靖市" in page.text


async def test_after_the_sign_out_a_copy_of_the_cookies_opens_nothing(browser: Any) -> None:
    client = browser("officer", division="530300")
    copied = dict(client.cookies)
    page = await client.get("/")
    answer = await client.post("/logout", data={"form": form_in(page.text)}, headers=ORIGIN)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert not client.cookies
    thief = browser()
    thief.cookies.update(copied)
    assert (await thief.get("/api/alerts/open")).status_code == 401


async def test_a_changed_cookie_opens_nothing(browser: Any) -> None:
    right = dict(browser("officer", division="530300").cookies)
    other = dict(browser("officer", division="530300").cookies)
    sealed = right["shouwang-session"]
    wrong = (sealed[:-1], sealed + "A", "1.", "x", sealed.swapcase(), "9" * 3_000)
    changed = [{**right, "shouwang-session": text} for text in wrong]
    changed.append({**right, "shouwang-action": other["shouwang-action"]})
    changed.append({"shouwang-session": sealed})
    for cookies in (right, *changed):
        client = browser()
        client.cookies.update(cookies)
        assert ((await client.get("/")).status_code == 200) == (cookies is right)
        client.cookies.clear()


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("nonsense", 401, "令牌无效或已过期"),
        ("", 401, "令牌无效或已过期"),
        ("provider", 403, "账号的角色不能使用本页面，请换一个账号"),
        ("officer", 403, "账号未指定辖区，请联系管理员"),
    ],
)
async def test_a_wrong_token_gives_a_message_and_no_session(browser: Any, token: str, status: int, words: str) -> None:
    issued = {"provider": {"provider": "52530302MJ00000017"}, "officer": {}}
    given = issue_token(token, **issued[token]) if token in issued else token  # type: ignore[arg-type]
    client = browser()
    answer = await sign_in(client, given)
    assert answer.status_code == status
    assert words in answer.text
    assert "shouwang-session" not in client.cookies


async def test_a_huge_form_is_refused(browser: Any) -> None:
    assert (await browser().post("/login", data={"token": "x" * 20_000})).status_code == 413


def posts() -> list[str]:
    """The paths of all routes that may change something."""
    found = [
        context.path
        for context in iter_route_contexts(app.routes)
        if isinstance(context.original_route, APIRoute) and set(context.methods or ()) - {"GET"}
    ]
    assert len(found) >= 3
    return [path for path in found if path != "/logout/backchannel"]  # the issuer's server calls it


@pytest.mark.parametrize("path", posts())
async def test_every_form_must_come_from_a_page_of_this_console(browser: Any, path: str) -> None:
    client = browser("officer", division="530300")
    right = form_in((await client.get("/")).text)
    other = form_in((await browser("officer", division="530300").get("/")).text)
    for origin in ({}, {"origin": "null"}, {"origin": "https://console"}, {"origin": "http://console.evil"}):
        answer = await client.post(path, data={"form": right}, headers=origin)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign_origin")
    for form in ({}, {"form": ""}, {"form": other}):
        answer = await client.post(path, data=form, headers=ORIGIN)
        assert answer.status_code == 403
        assert "页面已失效，请重新登录" in answer.text
    assert (await client.get("/")).status_code == 200
    assert (await client.post(path, data={"form": right}, headers=ORIGIN)).status_code != 403


async def test_a_session_ends_when_the_user_does_nothing(browser: Any, settings: Any) -> None:
    settings(idle_seconds_max="1")
    client = browser("officer", division="530300")
    by_itself = {"x-made-by-page": "1"}
    statuses = set()
    async with asyncio.timeout(20):
        while 401 not in statuses:  # the calls of the page itself do not keep it open
            statuses.add((await client.get("/api/policies/no-version", headers=by_itself)).status_code)
            await asyncio.sleep(0.02)
    assert statuses == {422, 401}
    assert not client.cookies


async def test_an_action_of_the_user_keeps_the_session_open(browser: Any, settings: Any) -> None:
    settings(idle_seconds_max="1.5")
    client = browser("officer", division="530300")
    ends_at = clock.real_now().timestamp() + 3
    while clock.real_now().timestamp() < ends_at:
        assert (await client.get("/api/policies/no-version")).status_code == 422


async def test_no_session_lasts_longer_than_its_limit(browser: Any, settings: Any) -> None:
    settings(session_seconds_max="1")
    client = browser("officer", division="530300")
    async with asyncio.timeout(20):
        while (await client.get("/api/policies/no-version")).status_code != 401:
            await asyncio.sleep(0.02)


async def test_a_session_opens_under_each_key_of_the_file(browser: Any, settings: Any, tmp_path: Path) -> None:
    def keys(*texts: bytes) -> None:
        file.write_text(json.dumps({"keys": [b64encode(text * 32).decode() for text in texts]}))

    file = tmp_path / "keys.json"
    keys(b"1")
    settings(keys=str(file))
    client = browser("officer", division="530300")
    for known, status in (((b"2", b"1"), 200), ((b"2",), 303)):
        keys(*known)
        settings(keys=str(file))
        assert (await client.get("/")).status_code == status


async def test_nothing_is_open_without_a_token(browser: Any, make: Any) -> None:
    id = make.id()
    for path in ("/api/stream", f"/api/trace/{id}", f"/api/persons/{id}/steps", "/api/alerts/open"):
        assert (await browser().get(path)).status_code == 401, path
        assert (await browser("provider", provider="x").get(path)).status_code == 403, path


@pytest.mark.parametrize("path", ["/login", "/static/chain.js", "/healthz", "/api/alerts/open", "/nowhere"])
async def test_every_answer_lets_nothing_foreign_in(browser: Any, path: str) -> None:
    headers = (await browser().get(path)).headers
    assert "default-src 'none'; script-src 'self'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"  # `no-referrer` would hide the origin of a form
    assert "strict-transport-security" not in headers


async def test_an_answer_by_https_tells_the_browser_to_stay_there() -> None:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://console") as client:
        answer = await client.get("/login")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    (cookie,) = answer.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-shouwang-visit=")
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Secure")


async def test_pages_bring_nothing_from_elsewhere_and_no_inline_script_or_style(browser: Any) -> None:
    client = browser("officer", division="530302")
    for path in ("/", "/login", "/static/style.css", "/static/chain.js", "/static/person.js", "/static/flow.js"):
        text = (await client.get(path)).text.replace("http://www.w3.org/2000/svg", "")
        assert "http:" not in text, path
        assert "https:" not in text, path
        assert "<script>" not in text
        assert "style=" not in text
        assert "innerHTML" not in text


async def test_it_is_alive_before_it_is_ready(browser: Any) -> None:
    assert (await browser().get("/healthz")).json() == {"status": "ok"}
    ready = await browser().get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"ready": False, "trouble": ["connecting"]})
    assert "shouwang_request_seconds" in (await browser().get("/metrics")).text
