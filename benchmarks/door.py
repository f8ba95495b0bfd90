"""A sparing client of `POST /v1/events`: the machine that is measured shall not spend its time on the measuring."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

SINGLE = "application/cloudevents+json"
BATCH = "application/cloudevents-batch+json"


@dataclass
class Door:
    """One keep-alive connection that pushes as one source."""

    url: str
    token: str
    refused_busy: int = 0
    _reader: asyncio.StreamReader | None = field(default=None, repr=False)
    _writer: asyncio.StreamWriter | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        place = urlsplit(self.url)
        self._reader, self._writer = await asyncio.open_connection(place.hostname, place.port, limit=2**24)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.close()

    async def push(self, body: bytes, media_type: str) -> bytes:
        """The receipts. Waits as long as the door says it is busy; raises RuntimeError for any other refusal."""
        while True:
            status, headers, answer = await self._post(body, media_type)
            if status == 202:
                return answer
            if status not in (429, 503):
                raise RuntimeError(f"the door answered {status}: {answer[:500].decode(errors='replace')}")
            self.refused_busy += 1
            await asyncio.sleep(float(headers.get("retry-after", "1")))

    async def _post(self, body: bytes, media_type: str) -> tuple[int, Mapping[str, str], bytes]:
        assert self._reader is not None
        assert self._writer is not None
        head = (
            f"POST /v1/events HTTP/1.1\r\nhost: door\r\nauthorization: Bearer {self.token}\r\n"
            f"content-type: {media_type}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        await self._writer.drain()
        first, *lines = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        return int(first.split()[1]), headers, await self._reader.readexactly(int(headers["content-length"]))
