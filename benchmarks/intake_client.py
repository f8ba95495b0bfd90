"""A minimal client of `POST /v1/events`. It uses little processor time, because it shares the measured machine."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"
ACCEPTED, BUSY = 202, (429, 503)


@dataclass
class IntakeClient:
    """One keep-alive connection with the token of one source. `busy_answers` counts the 429 and 503 answers."""

    url: str
    token: str
    busy_answers: int = 0
    _reader: asyncio.StreamReader | None = field(default=None, repr=False)
    _writer: asyncio.StreamWriter | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        address = urlsplit(self.url)
        self._reader, self._writer = await asyncio.open_connection(address.hostname, address.port, limit=2**24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    async def push(self, body: bytes, media_type: str) -> bytes:
        """Push events and return the body with their receipts. Retry while the intake is busy.

        Raises RuntimeError for any other error status."""
        while True:
            await self._send(body, media_type)
            status, headers, answer = await self._receive()
            if status == ACCEPTED:
                return answer
            if status not in BUSY:
                raise RuntimeError(f"the intake answered {status}: {answer[:500].decode(errors='replace')}")
            self.busy_answers += 1
            await asyncio.sleep(float(headers.get("retry-after", "1")))

    async def _send(self, body: bytes, media_type: str) -> None:
        assert self._writer is not None
        head = (
            f"POST /v1/events HTTP/1.1\r\nhost: intake\r\nauthorization: Bearer {self.token}\r\n"
            f"content-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()

    async def _receive(self) -> tuple[int, Mapping[str, str], bytes]:
        """Status, headers with lower-case names, and body."""
        assert self._reader is not None
        head = await self._reader.readuntil(b"\r\n\r\n")
        status_line, *lines = head.decode("latin-1").split("\r\n")
        headers = _parse_headers(lines)
        body = await self._reader.readexactly(int(headers["content-length"]))
        return int(status_line.split()[1]), headers, body


def _parse_headers(lines: Sequence[str]) -> dict[str, str]:
    return dict(_parse_header(line) for line in lines)


def _parse_header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.lower(), value.strip()
