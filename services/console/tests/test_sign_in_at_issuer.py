"""Signing in and out at an OpenID provider that runs beside the test and keeps strictly to the standards."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import yaml
from console import issuer as issuers
from console.ended_sessions import EndedSessions
from console.main import app
from console.settings import settings as console_settings
from console.tokens import Renewals
from shell.access import token_keys
from shouwang.console_session import form_in
from shouwang.openid_provider import Account, OpenIdProvider, running

CONSOLE = "https://console.test"
ORIGIN = {"origin": CONSOLE}
OFFICER, OTHER = "u-1", "u-2"
Desk = Callable[[], httpx.AsyncClient]


@pytest.fixture
def provider() -> Iterator[OpenIdProvider]:
    made = OpenIdProvider("console", "a secret", "shouwang", CONSOLE)
    made.accounts = {
        OFFICER: Account("王主任", {"role": "officer", "division": "530300"}),
        OTHER: Account("服务机构", {"role": "provider", "provider": "52530302MJ00000017"}),
    }
    with running(made):
        yield made


@pytest.fixture
async def desk(
    provider: OpenIdProvider, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: Any
) -> AsyncIterator[Desk]:
    """`desk()` is a browser at the console, whose people sign in at the provider only."""
    entry = {
        "url": provider.url,
        "kind": "people",
        "audience": "shouwang",
        "algorithms": ["ES256"],
        "jwks": f"{provider.url}/keys",
        "roles": ["officer", "approver", "auditor"],
        "claims": {"role": "role", "division": "division"},
    }
    (tmp_path / "issuers.yaml").write_text(yaml.safe_dump({"issuers": [entry]}))
    monkeypatch.setenv("SHOUWANG_ISSUERS", str(tmp_path / "issuers.yaml"))
    (tmp_path / "secret").write_text("a secret\n")
    token_keys.forget()
    settings(url=CONSOLE, client_id="console", client_secret_file=str(tmp_path / "secret"))
    before = {name: getattr(app.state, name) for name in ("issuer", "local_tokens", "renewals", "ended_sessions")}
    app.state.issuer = issuers.configured(console_settings())
    app.state.local_tokens = False
    app.state.renewals, app.state.ended_sessions = Renewals(app.state.issuer), EndedSessions()
    clients: list[httpx.AsyncClient] = []

    def opened() -> httpx.AsyncClient:
        clients.append(httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=CONSOLE))
        return clients[-1]

    yield opened
    for client in clients:
        await client.aclose()
    await app.state.issuer.close()
    for name, value in before.items():
        setattr(app.state, name, value)


async def at_issuer(location: str, user: str) -> str:
    """The user signs in there. Returns the address to which the issuer leads the user back."""
    async with httpx.AsyncClient(trust_env=False) as outside:
        page = await outside.get(location)
        assert page.status_code == 200, page.text
        action = re.search(r'action="([^"]+)"', page.text)
        assert action
        return (await outside.post(f"{location.partition('?')[0]}{action[1]}", data={"user": user})).headers["location"]


async def sign_in(client: httpx.AsyncClient, user: str = OFFICER) -> httpx.Response:
    """Sign in at the issuer. Returns the console's answer after that."""
    started = await client.get("/login/start")
    assert started.status_code == 303
    return await client.get(await at_issuer(started.headers["location"], user))


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await holds():
            await asyncio.sleep(0.02)


async def opens(client: httpx.AsyncClient) -> bool:
    return (await client.get("/")).status_code == 200


async def test_an_officer_signs_in_by_code_and_pkce(desk: Desk, provider: OpenIdProvider) -> None:
    client = desk()
    page = (await client.get("/login")).text
    assert "统一身份认证登录" in page
    assert "访问令牌" not in page
    answer = await sign_in(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert "曲靖市" in (await client.get("/")).text
    (asked,) = provider.asked("authorize")
    (given,) = provider.asked("token")
    assert asked["code_challenge_method"] == "S256"
    assert len(given["code_verifier"]) >= 43
    assert {name for name in client.cookies if name.startswith("__Host-shouwang-")} == set(client.cookies)


async def test_no_local_token_opens_a_session_where_people_sign_in_at_an_issuer(desk: Desk, browser: Any) -> None:
    client = desk()
    await client.get("/login")
    answer = await client.post("/login", data={"token": "x"}, headers=ORIGIN)
    assert answer.status_code == 403


async def test_an_answer_for_another_sign_in_is_refused(desk: Desk, provider: OpenIdProvider) -> None:
    started = await desk().get("/login/start")
    back = await at_issuer(started.headers["location"], OFFICER)
    victim = desk()
    for client in (victim, desk()):
        answer = await client.get(back)
        assert answer.status_code == 400
        assert "登录未完成，请重新登录" in answer.text
        await client.get("/login/start")  # another state
    assert (await victim.get(back)).status_code == 400
    assert not await opens(victim)
    assert provider.asked("token") == []


async def test_a_code_of_another_sign_in_does_not_open_a_session(desk: Desk) -> None:
    """The verifier and the nonce bind the code to the browser that began."""
    stolen = parse_qs(urlsplit(await at_issuer((await desk().get("/login/start")).headers["location"], OFFICER)).query)
    client = desk()
    state = parse_qs(urlsplit((await client.get("/login/start")).headers["location"]).query)["state"][0]
    answer = await client.get("/login/callback", params={"code": stolen["code"][0], "state": state})
    assert answer.status_code == 400
    assert not await opens(client)


async def test_an_answer_of_another_issuer_is_refused(desk: Desk, provider: OpenIdProvider) -> None:
    client = desk()
    back = await at_issuer((await client.get("/login/start")).headers["location"], OFFICER)
    assert (await client.get(back.replace("iss=", "iss=http%3A%2F%2Fother."))).status_code == 400
    assert provider.asked("token") == []


async def test_a_sign_in_that_the_issuer_declines_is_told(desk: Desk) -> None:
    client = desk()
    state = parse_qs(urlsplit((await client.get("/login/start")).headers["location"]).query)["state"][0]
    answer = await client.get("/login/callback", params={"error": "access_denied", "state": state})
    assert answer.status_code == 403
    assert "统一身份认证平台没有同意登录" in answer.text


async def test_an_account_without_a_role_for_the_console_may_choose_another(
    desk: Desk, provider: OpenIdProvider
) -> None:
    client = desk()
    answer = await sign_in(client, OTHER)
    assert answer.status_code == 403
    assert "账号没有本平台的角色，请联系管理员" in answer.text
    assert 'href="/login/start?again=1"' in answer.text
    assert len(provider.asked("revoke")) == 1
    assert not await opens(client)
    again = await client.get("/login/start?again=1")
    assert "prompt=login" in again.headers["location"]


@pytest.mark.parametrize(
    "wrong", [{"aud": "another"}, {"iss": "https://other.test"}, {"nonce": "another"}, {"exp": 1}, {"azp": "another"}]
)
async def test_a_wrong_id_token_opens_no_session(desk: Desk, provider: OpenIdProvider, wrong: dict[str, Any]) -> None:
    right = provider.tokens

    def tokens(session: Any, nonce: str | None) -> dict[str, Any]:
        claims = {"sub": OFFICER, "aud": "console", "nonce": nonce, **wrong}
        return {**right(session, nonce), "id_token": provider.sign(claims)}

    provider.tokens = tokens  # type: ignore[method-assign]
    client = desk()
    assert (await sign_in(client)).status_code == 400
    assert not await opens(client)


async def test_the_console_renews_the_access_token_once_for_all_requests(
    desk: Desk, provider: OpenIdProvider, settings: Any
) -> None:
    """The provider ends the session if a refresh token comes twice."""
    settings(token_seconds_max="1")
    client = desk()
    await sign_in(client)
    before = client.cookies["__Host-shouwang-session"]
    for renewals in (1, 2, 3):

        async def renewed(renewals: int = renewals) -> bool:
            answers = await asyncio.gather(*(client.get("/") for _ in range(5)))
            assert {answer.status_code for answer in answers} == {200}
            return len(provider.asked("token")) > renewals

        await until(renewed)
    assert client.cookies["__Host-shouwang-session"] != before


async def test_a_session_that_ended_at_the_issuer_is_over_when_its_token_is(
    desk: Desk, provider: OpenIdProvider, settings: Any
) -> None:
    """Also in a replica that gets no notice."""
    settings(token_seconds_max="1")
    client = desk()
    await sign_in(client)
    provider.end_sessions(OFFICER)
    assert await opens(client)

    async def over() -> bool:
        return not await opens(client)

    await until(over)
    assert (await client.get("/api/alerts/open")).status_code == 401
    assert not {name for name in client.cookies if "session" in name}


async def test_a_token_is_used_while_the_issuer_is_away_and_no_longer_than_its_time(
    desk: Desk, provider: OpenIdProvider, settings: Any
) -> None:
    settings(token_seconds_max="2")
    client = desk()
    await sign_in(client)
    provider.is_away = True
    seen: list[int] = []

    async def refused() -> bool:
        seen.append((await client.get("/")).status_code)
        return seen[-1] != 200

    await until(refused)
    assert seen[-1] == 503
    assert seen.count(200) > 1
    provider.is_away = False
    assert await opens(client)


async def test_a_sign_out_ends_the_session_here_and_at_the_issuer(desk: Desk, provider: OpenIdProvider) -> None:
    client = desk()
    await sign_in(client)
    copied = dict(client.cookies)
    form = form_in((await client.get("/")).text)
    page = await client.post("/logout", data={"form": form}, headers=ORIGIN)
    assert page.status_code == 200
    assert not client.cookies
    assert len(provider.asked("revoke")) == 1
    assert f"form-action 'self' {provider.url};" in page.headers["content-security-policy"]
    fields = dict(re.findall(r'name="([^"]+)" value="([^"]+)"', page.text))
    async with httpx.AsyncClient(trust_env=False) as outside:
        ended = await outside.post(f"{provider.url}/end", data=fields)
    assert ended.headers["location"] == f"{CONSOLE}/login"
    assert provider.sessions == {}
    thief = desk()
    thief.cookies.update(copied)
    assert not await opens(thief)


@pytest.mark.parametrize("left_out", ["sid", "sub"])
async def test_a_notice_of_the_issuer_ends_the_session_at_once(
    desk: Desk, provider: OpenIdProvider, left_out: str
) -> None:
    client, other = desk(), desk()
    await sign_in(client)
    (session,) = provider.sessions.values()
    token = provider.logout_token(session, **{left_out: None})
    assert await opens(client)
    answer = await other.post("/logout/backchannel", data={"logout_token": token})
    assert answer.status_code == 200
    assert not await opens(client)


@pytest.mark.parametrize(
    "wrong",
    [
        {"aud": "another"},
        {"iss": "https://other.test"},
        {"events": {}},
        {"events": None},
        {"nonce": "n"},
        {"sub": None, "sid": None},
        {"iat": 1},
        {"exp": 1},
        {"sid": 7},
    ],
)
async def test_a_wrong_notice_ends_nothing(desk: Desk, provider: OpenIdProvider, wrong: dict[str, Any]) -> None:
    client = desk()
    await sign_in(client)
    (session,) = provider.sessions.values()
    for token in (provider.logout_token(session, **wrong), "", "x.y.z", json.dumps(wrong)):
        answer = await client.post("/logout/backchannel", data={"logout_token": token})
        assert (answer.status_code, answer.json()) == (400, {"error": "invalid_request"})
    assert await opens(client)


async def test_an_id_token_is_no_access_token(desk: Desk, provider: OpenIdProvider) -> None:
    client = desk()
    await sign_in(client)
    (session,) = provider.sessions.values()
    id_token = provider.tokens(session, None)["id_token"]
    assert (await client.get("/api/alerts/open", headers={"authorization": f"Bearer {id_token}"})).status_code == 401


async def test_an_issuer_that_is_away_is_told(desk: Desk, provider: OpenIdProvider) -> None:
    provider.is_away = True
    answer = await desk().get("/login/start")
    assert answer.status_code == 503
    assert "统一身份认证平台暂时无法访问，请稍后再试" in answer.text


async def test_tokens_too_long_for_cookies_are_refused(desk: Desk, provider: OpenIdProvider) -> None:
    provider.accounts[OFFICER].claims["groups"] = ["x" * 20] * 400
    answer = await sign_in(desk())
    assert answer.status_code == 403
    assert "账号的令牌过长，不能登录，请联系管理员" in answer.text


async def test_long_tokens_are_divided_over_several_cookies(desk: Desk, provider: OpenIdProvider) -> None:
    provider.accounts[OFFICER].claims["groups"] = ["x" * 20] * 100
    client = desk()
    answer = await sign_in(client)
    assert await opens(client)
    assert len([name for name in client.cookies if "session" in name]) > 1
    assert max(map(len, answer.headers.get_list("set-cookie"))) < 4_096


def test_the_console_does_not_start_without_its_issuer(settings: Any) -> None:
    settings(client_id="console")
    with pytest.raises(ValueError, match="SHOUWANG_CONSOLE_ISSUER"):
        issuers.configured(console_settings())


@pytest.mark.parametrize("url", ["http://console.test", "https://console.test/path", "console.test"])
def test_an_address_of_the_console_without_https_is_refused(settings: Any, url: str) -> None:
    settings(url=url)
    with pytest.raises(ValueError, match="the address"):
        console_settings()


async def test_a_token_for_another_platform_opens_no_session(desk: Desk, provider: OpenIdProvider) -> None:
    provider.audience = "another"
    answer = await sign_in(desk())
    assert answer.status_code == 403
    assert "统一身份认证平台签发的令牌不能用于本平台，请联系管理员" in answer.text
