"""`shouwang import`: a file through a real HTTP door, followed to its end."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from shell.access.auth import read_token
from shouwang.commands import import_file
from shouwang.runtime.problems import LocalProblem

ID = "11111111-1111-5111-8111-111111111111"


class _Door(BaseHTTPRequestHandler):
    """Takes a file, and is done with it at the second look. The file `bad` has a row that is rejected."""

    sent: list[tuple[dict[str, list[str]], bytes, Any]]
    looks: int

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        caller = read_token(self.headers["authorization"].removeprefix("Bearer "))
        type(self).sent.append((parse_qs(urlsplit(self.path).query), body, caller))
        if body == b"refuse":
            problem = {"pointer": "/columns/x", "code": "field_unknown", "detail": "has the fields …"}
            self._answer(422, {"code": "mapping_invalid", "detail": "cannot be used", "problems": [problem]})
        else:
            self._answer(202, self._job("waiting"))

    def do_GET(self) -> None:
        type(self).looks += 1
        self._answer(200, self._job("done" if self.looks >= 2 else "running"))

    def _job(self, state: str) -> dict[str, Any]:
        bad = int(self.sent[-1][1] == b"bad" and state == "done")
        counts = {"rows_read": 5, "accepted": 5 - bad, "duplicates": 0, "quarantined": 0, "rejected": bad}
        rejects = f"/v1/imports/{ID}/rejects" if bad else None
        about = {"bytes": 3, "bytes_read": 2, "tables_skipped": 0, "problems": [], "rejects": rejects}
        return {"import_id": ID, "state": state, **counts, **about}

    def _answer(self, status: int, content: Any) -> None:
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
    monkeypatch.setattr(import_file, "ASK_SECONDS", 0.001)
    _Door.sent, _Door.looks = [], 0
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Door)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def run(door: str, tmp_path: Path, content: str, *words: str) -> bool:
    file = tmp_path / "file.csv"
    file.write_text(content)
    return import_file.import_file(import_file._parser().parse_args([str(file), *words]), door)


def test_a_file_is_followed_to_its_end(door: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    urn = "urn:cn:exchange:530300:cdpf"
    assert run(door, tmp_path, "good", "--kind", "disability", "--source", urn, "--mapping", '{"dates": ["%d/%m/%Y"]}')
    ((query, body, caller),) = _Door.sent
    assert (body, caller.role, caller.source) == (b"good", "source", urn)
    assert query["kind"] == ["disability"]
    assert json.loads(query["mapping"][0]) == {"dates": ["%d/%m/%Y"]}
    said = capsys.readouterr().out
    assert said == f"import {ID}\ndone: 5 rows, 5 accepted, 0 duplicates, 0 quarantined, 0 rejected\n"


def test_rejected_rows_are_a_failure_and_it_says_where_they_are(
    door: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mapping = tmp_path / "mapping.yaml"
    mapping.write_text("columns: {valid_from: 起}\n")
    assert not run(door, tmp_path, "bad", "--kind", "alive", "--mapping", str(mapping))
    ((query, _, caller),) = _Door.sent
    assert (caller.role, json.loads(query["mapping"][0])) == ("admin", {"columns": {"valid_from": "起"}})
    assert capsys.readouterr().out.endswith(f"{door}/v1/imports/{ID}/rejects\n")


def test_it_need_not_be_waited_for(door: str, tmp_path: Path) -> None:
    assert run(door, tmp_path, "good", "--no-wait")
    assert _Door.looks == 0


def test_a_refusal_is_one_sentence_with_its_problems(door: str, tmp_path: Path) -> None:
    with pytest.raises(
        LocalProblem, match=r"mapping_invalid: cannot be used; /columns/x field_unknown: has the fields"
    ):
        run(door, tmp_path, "refuse")


def test_what_cannot_be_read_is_named(door: str, tmp_path: Path) -> None:
    for words, sentence in (
        ([str(tmp_path / "none")], "none cannot be read"),
        ([__file__, "--mapping", str(tmp_path / "none")], "The mapping .*none cannot be read"),
        ([__file__, "--mapping", "{["], "neither JSON nor YAML"),
    ):
        with pytest.raises(LocalProblem, match=sentence):
            import_file.import_file(import_file._parser().parse_args(words), door)


def test_without_ingestion_it_says_what_to_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("SHOUWANG_HOME", str(tmp_path))
    with pytest.raises(LocalProblem, match=r"does not answer .*: run `shouwang up`"):
        run(f"http://127.0.0.1:{closed_port}", tmp_path, "x")
