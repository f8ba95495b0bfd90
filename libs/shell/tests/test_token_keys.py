"""The key set of an issuer: new keys are found, withdrawn ones forgotten, and it is read seldom."""

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import socket
from threading import Event, Thread
from time import monotonic
from typing import Any

import pytest
from common.errors import Unavailable
from joserfc import jwt
from joserfc.errors import InvalidKeyIdError
from joserfc.jwk import ECKey
from shell import clock
from shell.access import issuers, token_keys
from shell.access.auth import authenticate, issue_token
from shell.access.token_keys import FIRST_READ_SECONDS_MIN, RELOAD_SECONDS_MAX, RELOAD_SECONDS_MIN, KeySource


def key(kid: str) -> ECKey:
    return ECKey.generate_key("P-256", {"kid": kid}, private=True)


class File:
    """A key set on disk, a clock that stands still, and how often the file was read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.now = 1000.0
        self.changes = 0

    def write(self, *keys: ECKey) -> None:
        self.path.write_text(json.dumps({"keys": [one.as_dict(private=False) for one in keys]}))

    def open(self) -> KeySource:
        keys = KeySource(token_keys.from_file(self.path), self._changed, lambda: self.now)
        keys.refresh()
        self.changes = 0
        return keys

    def _changed(self) -> None:
        self.changes += 1


@pytest.fixture
def file(tmp_path: Path) -> File:
    return File(tmp_path / "jwks.json")


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Every read of a file, still done."""
    done: list[Path] = []
    before: Callable[[Path], bytes] = Path.read_bytes

    def read(path: Path) -> bytes:
        done.append(path)
        return before(path)

    monkeypatch.setattr(Path, "read_bytes", read)
    return done


def test_an_unknown_key_is_looked_for_once_in_thirty_seconds(file: File, reads: list[Path]) -> None:
    file.write(key("old"))
    keys = file.open()
    for _ in range(5):
        with pytest.raises(InvalidKeyIdError):
            keys.find("new", "ES256")
    assert len(reads) == 1  # the one with which it began
    file.write(key("old"), key("new"))
    file.now += RELOAD_SECONDS_MIN
    assert keys.find("new", "ES256").kid == "new"
    for unknown in range(1_000):
        with pytest.raises(InvalidKeyIdError):
            keys.find(f"invented-{unknown}", "ES256")
    assert (len(reads), file.changes) == (2, 1)


def test_many_threads_with_unknown_keys_read_the_file_once(file: File, reads: list[Path]) -> None:
    file.write(key("old"))
    keys = file.open()
    file.write(key("old"), key("new"))
    file.now += RELOAD_SECONDS_MIN
    found: list[Any] = []
    threads = [Thread(target=lambda: found.append(keys.find("new", "ES256").kid)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert (found, len(reads)) == (["new"] * 16, 2)


def test_a_withdrawn_key_is_forgotten_within_five_minutes(file: File) -> None:
    file.write(key("old"), key("stolen"))
    keys = file.open()
    file.write(key("old"))
    file.now += RELOAD_SECONDS_MAX - 1
    keys.refresh()
    assert keys.find("stolen", "ES256").kid == "stolen"
    file.now += 1
    keys.refresh()
    with pytest.raises(InvalidKeyIdError):
        keys.find("stolen", "ES256")
    assert file.changes == 1


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": 7}', '{"keys": [{"kty": "EC"}]}', "\x00"])
def test_a_damaged_file_leaves_the_keys_as_they_are(file: File, content: str) -> None:
    file.write(key("old"))
    keys = file.open()
    file.path.write_text(content)
    file.now += RELOAD_SECONDS_MIN
    with pytest.raises(InvalidKeyIdError):
        keys.find("new", "ES256")
    assert keys.find("old", "ES256").kid == "old"


@pytest.mark.parametrize("content", ["", "{}", None])
def test_without_any_keys_a_service_is_unavailable(file: File, content: str | None, reads: list[Path]) -> None:
    if content is not None:
        file.path.write_text(content)
    keys = KeySource(token_keys.from_file(file.path), lambda: None, lambda: file.now)
    for _ in range(10):
        with pytest.raises(Unavailable):
            keys.refresh()
    assert len(reads) == 1
    file.write(key("new"))
    file.now += FIRST_READ_SECONDS_MIN
    keys.refresh()
    assert keys.find("new", "ES256").kid == "new"


class Provider:
    """A key set behind HTTP, and its requests. `answer` may be any function of a handler."""

    def __init__(self) -> None:
        self.requests = 0
        self.answer: Callable[[BaseHTTPRequestHandler], None] = lambda handler: None
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider.requests += 1
                with suppress(OSError):  # the client has left
                    provider.answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_address[1]}/certs?realm=1"

    def gives(self, *keys: ECKey) -> None:
        text = json.dumps({"keys": [one.as_dict(private=False) for one in keys]}).encode()
        self.answer = lambda handler: send(handler, 200, text)


def send(handler: BaseHTTPRequestHandler, status: int, text: bytes, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"content-length": str(len(text)), **headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(text)


@pytest.fixture
def provider() -> Iterator[Provider]:
    found = Provider()
    thread = Thread(target=found.server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield found
    found.server.shutdown()
    thread.join(10)
    found.server.server_close()


def test_keys_are_fetched_from_an_address_and_kept_while_it_is_away(provider: Provider) -> None:
    now = [1000.0]
    provider.gives(key("old"))
    keys = KeySource(token_keys.from_address(provider.address), lambda: None, lambda: now[0], is_remote=True)
    keys.refresh()
    keys.refresh()
    assert (keys.find("old", "ES256").kid, provider.requests) == ("old", 1)
    provider.answer = lambda handler: send(handler, 500, b"")
    now[0] += RELOAD_SECONDS_MAX
    keys.refresh()
    assert (keys.find("old", "ES256").kid, provider.requests) == ("old", 2)
    provider.gives(key("new"))
    now[0] += RELOAD_SECONDS_MIN
    assert keys.find("new", "ES256").kid == "new"


@pytest.mark.parametrize("fault", ["redirect", "endless", "slow", "silent", "refused"])
def test_an_address_that_misbehaves_gives_no_keys(
    provider: Provider, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_keys, "ANSWER_SECONDS_MAX", 0.5)
    closing = Event()

    def drip(handler: BaseHTTPRequestHandler, part: bytes, pause: float) -> None:
        send(handler, 200, b"", **{"content-length": "999999999"})
        while not closing.wait(pause):
            handler.wfile.write(part)

    provider.gives(key("new"))
    elsewhere = provider.answer
    other = provider.address
    provider.answer = {
        "redirect": lambda handler: send(handler, 302, b"", location=other) if "again" not in handler.path else None,
        "endless": lambda handler: drip(handler, b" " * 65_536, 0.0),
        "slow": lambda handler: drip(handler, b" ", 0.1),
        "silent": lambda handler: closing.wait(5) and None,
        "refused": elsewhere,
    }[fault]
    address = provider.address
    if fault == "refused":
        with socket() as bound:
            bound.bind(("127.0.0.1", 0))
            address = f"http://127.0.0.1:{bound.getsockname()[1]}/certs"
    keys = KeySource(token_keys.from_address(address), lambda: None, lambda: 0.0, is_remote=True)
    began = monotonic()
    with pytest.raises(Unavailable):
        keys.refresh()
    closing.set()
    assert monotonic() - began < 3


async def test_a_slow_issuer_delays_only_the_callers_that_it_has_to_verify(
    provider: Provider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own, closing = key("own"), Event()
    provider.gives(own)
    give = provider.answer
    provider.answer = lambda handler: closing.wait(5) and give(handler)
    entry = {"url": "https://id.example", "kind": "people", "audience": "shouwang", "algorithms": ["ES256"]}
    entry |= {"jwks": provider.address, "roles": ["admin"]}
    (tmp_path / "issuers.yaml").write_text(json.dumps({"issuers": [entry]}))
    monkeypatch.setenv("SHOUWANG_ISSUERS", str(tmp_path / "issuers.yaml"))
    issuers.forget()
    token_keys.forget()
    now = int(clock.real_now().timestamp())
    claims = {"iss": "https://id.example", "aud": "shouwang", "sub": "1", "iat": now, "exp": now + 60, "role": "admin"}
    foreign = asyncio.create_task(authenticate(jwt.encode({"alg": "ES256", "kid": "own"}, claims, own)))
    while not provider.requests:
        await asyncio.sleep(0.01)
    assert (await authenticate(issue_token("officer", subject="li"))).subject == "li"
    assert not foreign.done()
    closing.set()
    assert (await foreign).subject == "https://id.example|1"
