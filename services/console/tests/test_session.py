"""Signing in, and the pages without a token."""

from typing import Any

import pytest
from shell.access.auth import issue_token


async def test_a_caller_without_a_token_is_sent_to_the_sign_in_page(browser: Any) -> None:
    answer = await browser().get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "访问令牌" in (await browser().get("/login")).text


async def test_a_token_opens_the_page_by_a_cookie_that_scripts_and_other_sites_cannot_use(browser: Any) -> None:
    client = browser()
    answer = await client.post("/login", data={"token": issue_token("officer", division="530300")})
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    page = await client.get("/")
    assert page.status_code == 200
    assert "曲靖市" in page.text
    await client.post("/logout")
    assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    ("token", "status", "words"),
    [
        ("nonsense", 401, "令牌无效或已过期"),
        ("", 401, "令牌无效或已过期"),
        ("provider", 403, "该令牌的角色不能使用本页面"),
        ("officer", 403, "该令牌未指定辖区，不能使用本页面"),
    ],
)
async def test_a_wrong_token_gives_a_message_and_no_cookie(browser: Any, token: str, status: int, words: str) -> None:
    issued = {"provider": {"provider": "52530302MJ00000017"}, "officer": {}}
    given = issue_token(token, **issued[token]) if token in issued else token  # type: ignore[arg-type]
    answer = await browser().post("/login", data={"token": given})
    assert answer.status_code == status
    assert words in answer.text
    assert "set-cookie" not in answer.headers


async def test_a_huge_form_is_refused(browser: Any) -> None:
    assert (await browser().post("/login", data={"token": "x" * 20_000})).status_code == 413


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
    assert headers["referrer-policy"] == "no-referrer"


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
