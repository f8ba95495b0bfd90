"""`shouwang feeds` against a real HTTP server: printed lines and result."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from shouwang.commands import feeds
from shouwang.runtime.problems import LocalProblem

RUN = {"accepted": 3, "unchanged": 7, "quarantined": 0, "rejected": 1, "ended": 0}
WELL: dict[str, Any] = {
    "feed": "mca_low_income",
    "mode": "changes",
    "state": "idle",
    "rejects": 1,
    "problem": None,
    "last_run": RUN,
}
AWAY = WELL | {"feed": "cdpf", "problem": {"detail": "the front-end database does not answer", "more": {}}}


class _Server(BaseHTTPRequestHandler):
    answer: dict[str, Any]
    requests: list[tuple[str, Any]]

    def do_GET(self) -> None:
        self._answer(200, type(self).answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).requests.append((self.path, body))
        self._answer(202, WELL) if "mca" in self.path else self._answer(404, {"detail": "no such feed"})

    def _answer(self, status: int, content: Any) -> None:
        answer = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    _Server.requests, _Server.answer = [], {"feeds": [WELL], "faulty": []}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run_feeds(url: str, *words: str) -> bool:
    return feeds.feeds(feeds._parser().parse_args(words), url)


def test_feeds_are_listed_with_the_counts_of_the_last_run(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_feeds(url)
    line = "mca_low_income (changes): idle, 3 accepted, 7 unchanged, 1 rejected, 1 rows still rejected\n"
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("answer", "output"),
    [
        ({"feeds": [WELL, AWAY], "faulty": []}, "the front-end database does not answer"),
        (
            {"feeds": [], "faulty": [{"file": "x.yaml", "problems": [{"pointer": "/key", "detail": "too short"}]}]},
            "x.yaml: /key: too short",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_a_fault(
    url: str, capsys: pytest.CaptureFixture[str], answer: dict[str, Any], output: str
) -> None:
    _Server.answer = answer
    assert not run_feeds(url)
    assert output in capsys.readouterr().out


def test_a_table_is_read_again_from_its_start_when_asked(url: str) -> None:
    assert run_feeds(url, "run", "mca_low_income", "--from-start")
    assert _Server.requests == [("/v1/feeds/mca_low_income/run", {"from_start": True})]


def test_a_feed_that_does_not_exist_is_an_error(url: str) -> None:
    with pytest.raises(LocalProblem, match="no such feed"):
        run_feeds(url, "run", "nobody")
