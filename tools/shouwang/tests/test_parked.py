"""`shouwang parked` against a real HTTP server: a record that does not wait is an error."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shouwang.commands import parked
from shouwang.runtime.problems import LocalProblem

WAITS: dict[str, Any] = {
    "parked_id": "11111111-1111-5111-8111-111111111111",
    "topic": "dispatch.visit",
    "part": 0,
    "offset": 7,
    "reason": "bug",
    "error_type": "ValueError",
    "parked_at": "2026-11-20T04:00:00Z",
}
OTHER = "22222222-2222-5222-8222-222222222222"


class _Server(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._answer({"parked": [WAITS], "next": None})

    def do_POST(self) -> None:
        self._answer({"parked_id": WAITS["parked_id"], "state": "replayed"})

    def _answer(self, content: Any) -> None:
        answer = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@dataclass
class Platform:
    url: str
    stored: tuple[str, ...] = ("subsidy",)

    def service_url(self, name: str) -> str:
        return self.url


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., int]]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    platform = Platform(f"http://127.0.0.1:{server.server_address[1]}")
    monkeypatch.setattr("shouwang.runtime.machine.local_runtime", lambda: platform)
    yield lambda *words: parked.main(words)
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_waiting_record_is_shown_and_replayed(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("show", WAITS["parked_id"]) == 0
    assert "dispatch.visit[0]@7" in capsys.readouterr().out
    assert run("replay", "subsidy", WAITS["parked_id"]) == 0
    assert capsys.readouterr().out.endswith("1 replayed, 0 still wait\n")


@pytest.mark.parametrize("words", [("show", OTHER), ("replay", "subsidy", OTHER)])
def test_a_record_that_does_not_wait_is_an_error(run: Callable[..., int], words: tuple[str, ...]) -> None:
    with pytest.raises(LocalProblem, match=OTHER):
        run(*words)
