"""`shouwang feeds`: what a real HTTP door tells of the tables, in lines and as an exit code."""

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


class _Door(BaseHTTPRequestHandler):
    answer: dict[str, Any]
    asked: list[tuple[str, Any]]

    def do_GET(self) -> None:
        self._say(200, type(self).answer)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        type(self).asked.append((self.path, body))
        self._say(202, WELL) if "mca" in self.path else self._say(404, {"detail": "no such feed"})

    def _say(self, status: int, content: Any) -> None:
        answer = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    _Door.asked, _Door.answer = [], {"feeds": [WELL], "faulty": []}
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def ask(door: str, *words: str) -> bool:
    return feeds.feeds(feeds._parser().parse_args(words), door)


def test_feeds_are_listed_with_what_they_brought(door: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask(door)
    line = "mca_low_income (changes): idle, 3 accepted, 7 unchanged, 1 rejected, 1 rows still rejected\n"
    assert capsys.readouterr().out == line


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"feeds": [WELL, AWAY], "faulty": []}, "the front-end database does not answer"),
        (
            {"feeds": [], "faulty": [{"file": "x.yaml", "problems": [{"pointer": "/key", "detail": "too short"}]}]},
            "x.yaml: /key: too short",
        ),
    ],
)
def test_a_table_that_cannot_be_read_is_not_well(
    door: str, capsys: pytest.CaptureFixture[str], answer: dict[str, Any], said: str
) -> None:
    _Door.answer = answer
    assert not ask(door)
    assert said in capsys.readouterr().out


def test_a_table_is_read_again_from_its_start_when_asked(door: str) -> None:
    assert ask(door, "run", "mca_low_income", "--from-start")
    assert _Door.asked == [("/v1/feeds/mca_low_income/run", {"from_start": True})]


def test_a_feed_that_does_not_exist_is_said_so(door: str) -> None:
    with pytest.raises(LocalProblem, match="no such feed"):
        ask(door, "run", "nobody")
