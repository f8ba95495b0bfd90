"""Hostile requests to real processes: each meets a limit, and none takes much memory."""

import asyncio
import http.client
import re
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import httpx
import pytest
from shell.access import local_issuer
from shell.access.auth import issue_token
from shell.settings import settings
from shell.testing import migrated_database
from shouwang.runtime.machine import Runtime
from shouwang.runtime.processes import wait_until

MIB = 1024 * 1024
GROWTH_BYTES_MAX = 50 * MIB
SECONDS_MAX = 30
START_SECONDS_MAX = 120
CLIENTS = 50
CONNECTIONS_MAX = 40
HASTY = {f"SHOUWANG_{name}_SECONDS_MAX": "1" for name in ("HEADER", "BODY", "WRITE")}
CROWDED = {"SHOUWANG_CONNECTIONS_MAX": str(CONNECTIONS_MAX), "SHOUWANG_HEADER_SECONDS_MAX": "600"}
# name, replica, settings: `subsidy-1` waits one second for anything, `console-1` takes few connections.
PROCESSES = [
    ("subsidy", 0, {}),
    ("ingestion", 0, {}),
    ("console", 0, {}),
    ("identification", 0, {}),
    ("assessment", 0, {}),
    ("dispatch", 0, {}),
    ("supervision", 0, {}),
    ("subsidy", 1, HASTY),
    ("console", 1, CROWDED),
]
NOBODY = "00000000-0000-0000-0000-000000000000"
LINE = b"POST %s HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"


class Server:
    """One process of a service."""

    def __init__(self, runtime: Runtime, name: str, replica: int) -> None:
        self._runtime, self._name, self._replica = runtime, name, replica
        self.url = runtime.service_url(name, replica)
        place = urlsplit(self.url)
        self.host, self.port = str(place.hostname), int(place.port or 0)

    @property
    def pid(self) -> int:
        found = self._runtime.pid(self._name, self._replica)
        assert found is not None, self._runtime.logs(self._name, self._replica)
        return found

    def log(self) -> str:
        return self._runtime.logs(self._name, self._replica)

    def lives(self) -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/healthz", timeout=2, trust_env=False).status_code == 200
        return False

    def sample(self, pattern: str) -> float:
        """The sum of the samples whose line begins with this pattern."""
        text = httpx.get(f"{self.url}/metrics", timeout=10, trust_env=False).text
        return sum(float(line.rpartition(" ")[2]) for line in text.splitlines() if re.match(pattern, line))

    def ended_by(self, limit: str) -> float:
        return self.sample(rf'shouwang_limited_total\{{limit="{limit}"')

    async def until(self, reached: Callable[[], bool]) -> None:
        assert await asyncio.to_thread(wait_until, reached, SECONDS_MAX), self.log()[-2_000:]

    def memory(self) -> "Memory":
        return Memory(self.pid)


class Memory:
    """The peak resident memory of a process from now on, minus its present memory."""

    def __init__(self, pid: int) -> None:
        self._folder = Path(f"/proc/{pid}")
        (self._folder / "clear_refs").write_text("5")  # resets the peak
        self._before = self._bytes("VmRSS")

    def growth(self) -> int:
        return self._bytes("VmHWM") - self._before

    def _bytes(self, name: str) -> int:
        (found,) = re.findall(rf"{name}:\s+(\d+) kB", (self._folder / "status").read_text())
        return int(found) * 1024


@contextmanager
def keys_of(home: Path) -> Iterator[None]:
    """Sign tokens in this process with the key in `home`."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SHOUWANG_HOME", str(home))
        settings.cache_clear()
        local_issuer.forget()
        yield
    settings.cache_clear()
    local_issuer.forget()


@pytest.fixture(scope="module")
async def servers(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[dict[str, Server]]:
    """Real processes, each with its own database, started by the local runtime without Kafka."""
    home = tmp_path_factory.mktemp("hostile")
    runtime, env = Runtime(home, ports="free"), dict[str, str]()
    async with AsyncExitStack() as stack:
        stack.enter_context(keys_of(home))
        for name in dict.fromkeys(name for name, _, _ in PROCESSES if name != "console"):
            database = await stack.enter_async_context(migrated_database(name))
            env[f"SHOUWANG_DATABASE_URL_{name.upper()}"] = database.url
        try:
            found = {}
            for name, replica, limits in PROCESSES:
                runtime.start_service(name, replica, env | limits)
                found[f"{name}-{replica}" if replica else name] = Server(runtime, name, replica)
            for server in found.values():
                assert await asyncio.to_thread(wait_until, server.lives, START_SECONDS_MAX), server.log()
            yield found
        finally:
            for name, replica, _ in PROCESSES:
                await asyncio.to_thread(runtime.stop, name, replica)


class Answer(NamedTuple):
    status: int
    body: bytes


async def send(
    server: Server, path: str, parts: Iterable[bytes], *, length: int | None = None, authorization: str | None = None
) -> Answer:
    """Send the parts until the server stops reading, and read the answer meanwhile. No `length`: chunked encoding."""
    head = LINE % path.encode() + (
        b"transfer-encoding: chunked\r\n" if length is None else b"content-length: %d\r\n" % length
    )
    if authorization:
        head += b"authorization: " + authorization.encode() + b"\r\n"
    reader, writer = await asyncio.open_connection(server.host, server.port)

    async def write() -> None:
        with suppress(ConnectionError):
            writer.write(head + b"\r\n")
            for part in parts:
                writer.write(part if length is not None else b"%x\r\n%b\r\n" % (len(part), part))
                await writer.drain()
                await asyncio.sleep(0)  # `drain` does not yield to the reader while the server reads everything
            writer.write(b"" if length is not None else b"0\r\n\r\n")
            await writer.drain()

    async with asyncio.timeout(SECONDS_MAX):
        answer, _ = await asyncio.gather(_read(reader), write())
    writer.close()
    return answer


async def _read(reader: asyncio.StreamReader) -> Answer:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    (length,) = re.findall(r"content-length: (\d+)", head)
    return Answer(int(head.split()[1]), await reader.readexactly(int(length)))


def bearer(role: Any, **given: Any) -> str:
    area = {"division": "530302"} if role == "officer" else {}
    return f"Bearer {issue_token(role, **(area | given))}"


def many(megabytes: int, part: bytes = b"{}," * 100_000) -> Iterator[bytes]:
    yield b"["
    for _ in range(megabytes * MIB // len(part)):
        yield part
    yield b"{}]"


def size_of(megabytes: int) -> int:
    return sum(map(len, many(megabytes)))


ATTACKS = {
    "many small objects": ("subsidy", "/v1/batches", 20, True, None, 401),
    "large body": ("subsidy", "/v1/batches", 200, True, None, 401),
    "large body in chunks": ("subsidy", "/v1/bank-returns", 200, False, None, 401),
    "large body of another role": ("subsidy", "/v1/bank-returns", 200, False, "resident", 403),
    "large body with a credential": ("subsidy", "/v1/batches", 200, False, "officer", 413),
    "large login": ("console", "/login", 200, True, None, 413),
    "large login in chunks": ("console", "/login", 200, False, None, 413),
    "large body to no route": ("console", "/nowhere", 200, False, None, 404),
    "large file": ("ingestion", "/v1/imports", 200, False, None, 401),
    "large batch": ("ingestion", "/v1/events", 200, False, None, 401),
    "large batch with a credential": ("ingestion", "/v1/events", 200, False, "admin", 413),
    "large list": ("identification", "/v1/policies", 200, True, None, 401),
    "large assessment in chunks": ("assessment", "/v1/assessments", 200, False, None, 401),
    "large provider": ("dispatch", "/v1/providers", 200, True, None, 401),
    "large decision in chunks": ("supervision", f"/v1/alerts/{NOBODY}/confirm", 200, False, None, 401),
    "wrong signature": ("ingestion", "/v1/sources/urn:cn:exchange:530300:psb/days", 200, False, "signature", 401),
}


@pytest.mark.parametrize("attack", ATTACKS)
async def test_no_attack_by_a_body_takes_50_mb(servers: dict[str, Server], attack: str) -> None:
    name, path, megabytes, has_length, role, status = ATTACKS[attack]
    server = servers[name]
    authorization = None if role is None else "Signature e30.e30.e30" if role == "signature" else bearer(role)
    memory = server.memory()
    length = size_of(megabytes) if has_length else None
    answer = await send(server, path, many(megabytes), length=length, authorization=authorization)
    assert answer.status == status
    assert memory.growth() < GROWTH_BYTES_MAX
    assert server.lives()


REFUSALS = {
    "no token": ("ingestion", "/v1/imports", None, 401),
    "another role": ("ingestion", "/v1/imports", "officer", 403),
    "too large": ("ingestion", "/v1/events", "admin", 413),
    "too large for a small route": ("subsidy", "/v1/batches", "officer", 413),
}


@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_client_that_sends_its_whole_body_first_receives_the_error(
    servers: dict[str, Server], refusal: str
) -> None:
    name, path, role, status = REFUSALS[refusal]
    headers = {"content-type": "application/cloudevents-batch+json"}
    if role:
        headers["authorization"] = bearer(role)
    body = b"".join(many(20))

    def call() -> Answer:
        request = urllib.request.Request(servers[name].url + path, data=body, headers=headers, method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(request, timeout=SECONDS_MAX) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    answer = await asyncio.to_thread(call)
    assert answer.status == status
    assert b"urn:shouwang:problem:" in answer.body


async def test_a_connection_is_reused_after_its_body_was_read(servers: dict[str, Server]) -> None:
    server = servers["subsidy"]
    connection = http.client.HTTPConnection(server.host, server.port, timeout=SECONDS_MAX)
    try:
        for _ in range(3):
            headers = {"authorization": bearer("officer"), "content-type": "application/json"}
            connection.request("POST", "/v1/batches", body=b"{}", headers=headers)
            socket = connection.sock
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 422
            assert connection.sock is socket
    finally:
        connection.close()


SOURCE = "urn:cn:exchange:530300:cdpf"
HANG_UPS = {
    "json": ("subsidy", "/v1/batches", ("officer", {})),
    "events": ("ingestion", "/v1/events", ("source", {"source": SOURCE})),
    "file": ("ingestion", "/v1/imports?kind=disability", ("source", {"source": SOURCE})),
    "login": ("console", "/login", None),
}


@pytest.mark.parametrize("hang_up", HANG_UPS)
async def test_a_closed_connection_is_not_logged_as_an_error(servers: dict[str, Server], hang_up: str) -> None:
    name, path, caller = HANG_UPS[hang_up]
    server = servers[name]
    head = LINE % path.encode() + b"content-length: 1000\r\n"
    if caller is not None:
        head += b"authorization: " + bearer(caller[0], **caller[1]).encode() + b"\r\n"
    gone = r'shouwang_request_seconds_count\{.*status="499"'
    before, log_before = server.sample(gone), len(server.log())
    for _ in range(CLIENTS):
        _, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(head + b"\r\n" + b"[{},")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    await server.until(lambda: server.sample(gone) >= before + CLIENTS)
    assert server.sample(r'shouwang_request_seconds_count\{.*status="500"') == 0
    assert "Traceback" not in server.log()[log_before:]


async def drip(server: Server, start: bytes, drop: bytes) -> bytes:
    """Send `start`, then `drop` every 50 ms. Returns the answer of the server until it closes the connection."""
    reader, writer = await asyncio.open_connection(server.host, server.port)
    received = b""
    writer.write(start)
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while True:
                try:
                    part = await asyncio.wait_for(reader.read(65_536), 0.05)
                except TimeoutError:
                    writer.write(drop)
                    continue
                if not part:
                    return received
                received += part
    except ConnectionError:
        return received
    finally:
        writer.close()


async def _clients(one: Callable[[], Awaitable[bytes]]) -> list[bytes]:
    return list(await asyncio.gather(*(one() for _ in range(CLIENTS))))


async def test_a_connection_with_slow_headers_is_closed(servers: dict[str, Server]) -> None:
    server = servers["subsidy-1"]
    before, started = server.ended_by("header_seconds"), time.monotonic()
    held = asyncio.create_task(_clients(lambda: drip(server, b"GET /healthz HTTP/1.1\r\nx-slow: ", b"a")))
    assert await asyncio.to_thread(server.lives)
    answers = await held
    assert time.monotonic() - started < SECONDS_MAX
    assert {answer.split(b" ")[1] for answer in answers if answer} <= {b"408"}
    assert server.ended_by("header_seconds") == before + CLIENTS


async def test_a_silent_connection_is_closed(servers: dict[str, Server]) -> None:
    server = servers["subsidy-1"]
    before = server.ended_by("header_seconds")
    assert await _clients(lambda: drip(server, b"", b"")) == [b""] * CLIENTS
    assert server.ended_by("header_seconds") == before + CLIENTS


async def test_a_reused_connection_with_slow_headers_is_closed(servers: dict[str, Server]) -> None:
    server = servers["subsidy-1"]
    before = server.ended_by("header_seconds")
    first = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n"
    answer = await drip(server, first + b"GET /hea", b"a")
    assert answer.startswith(b"HTTP/1.1 200")
    again = await drip(server, first, b"G")
    assert again.startswith(b"HTTP/1.1 200")
    assert server.ended_by("header_seconds") >= before + 1


@pytest.mark.parametrize("start", [b"content-length: 1000\r\n\r\n", b"transfer-encoding: chunked\r\n\r\n"])
async def test_a_connection_with_a_slow_body_is_closed(servers: dict[str, Server], start: bytes) -> None:
    server = servers["subsidy-1"]
    before = server.ended_by("body_seconds")
    token = b"authorization: " + bearer("officer").encode() + b"\r\n"
    head = LINE % b"/v1/batches" + token + start
    drop = b"1\r\n \r\n" if b"chunked" in start else b" "
    answers = await _clients(lambda: drip(server, head, drop))
    assert {answer.split(b" ")[1] for answer in answers} == {b"408"}
    assert server.ended_by("body_seconds") == before + CLIENTS


async def test_a_connection_whose_client_does_not_read_is_closed(servers: dict[str, Server]) -> None:
    server = servers["subsidy-1"]
    before = server.ended_by("write_seconds")
    _, writer = await asyncio.open_connection(server.host, server.port, limit=1)
    try:
        writer.write(b"GET /openapi.json HTTP/1.1\r\nhost: x\r\n\r\n" * 1_000)
        await server.until(lambda: server.ended_by("write_seconds") == before + 1)
    finally:
        writer.transport.abort()


ENDLESS = {
    "header": b"GET /healthz HTTP/1.1\r\nx-large: ",
    "path": b"GET /healthz?",
    "trailer": LINE % b"/login" + b"transfer-encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nx-large: ",
    "chunk extension": LINE % b"/login" + b"transfer-encoding: chunked\r\n\r\n1;x=",
}


@pytest.mark.parametrize("endless", ENDLESS)
async def test_a_connection_with_endless_headers_is_closed_before_it_takes_memory(
    servers: dict[str, Server], endless: str
) -> None:
    server = servers["console"]
    before, memory = server.ended_by("header_bytes"), server.memory()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(ENDLESS[endless])
    sent = 0
    try:
        async with asyncio.timeout(SECONDS_MAX):
            while sent < 200 * MIB and not reader.at_eof():
                writer.write(b"a" * MIB)
                sent += MIB
                await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.transport.abort()
    assert sent < 200 * MIB
    assert server.ended_by("header_bytes") == before + 1
    assert memory.growth() < GROWTH_BYTES_MAX


async def test_a_header_that_is_too_large_is_answered_431(servers: dict[str, Server]) -> None:
    server = servers["console"]
    answer = await drip(server, b"GET /healthz HTTP/1.1\r\nx-large: " + b"a" * 70_000 + b"\r\n\r\n", b"")
    assert answer.startswith(b"HTTP/1.1 431")
    assert b"urn:shouwang:problem:header_too_large" in answer
    large = b"GET /healthz HTTP/1.1\r\nconnection: close\r\nx-large: " + b"a" * 60_000 + b"\r\n\r\n"
    assert (await drip(server, large, b"")).startswith(b"HTTP/1.1 200")


async def test_the_connection_idle_for_longest_is_closed_for_a_new_one(servers: dict[str, Server]) -> None:
    server = servers["console-1"]
    opened = [await asyncio.open_connection(server.host, server.port) for _ in range(100)]
    try:
        await server.until(lambda: server.ended_by("connections") >= 100 - CONNECTIONS_MAX)
        assert await asyncio.to_thread(server.lives)
        async with asyncio.timeout(SECONDS_MAX):
            assert await opened[0][0].read() == b""
    finally:
        for _, writer in opened:
            writer.transport.abort()
